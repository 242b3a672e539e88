"""What the command `pianogen` does, by what it is for: training, playing, figures.

Each file adds its commands to the parser and runs them; heavy modules are imported by the command
that needs them.
"""
