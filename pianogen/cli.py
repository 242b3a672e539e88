"""The command `pianogen`: parses, runs, and turns what a user can mend into one line and exit 2.

Without arguments it is a menu in a terminal, and its own help elsewhere.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from pianogen.commands.figures import add_figures
from pianogen.commands.playing import add_playing
from pianogen.commands.training import add_training
from pianogen.errors import PianogenError

EXIT_ERROR, EXIT_STOPPED = 2, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    words = sys.argv[1:] if argv is None else argv
    if words:
        return _run(words)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        _parser().print_help(sys.stderr)
        return EXIT_ERROR
    from pianogen.menu import offer

    return offer(_run)


def _run(words: Sequence[str]) -> int:
    arguments = _parser().parse_args(words)
    run: Callable[[argparse.Namespace], int] = arguments.run
    try:
        return run(arguments)
    except (PianogenError, OSError) as error:
        print(f"pianogen {arguments.command}: error: {error}", file=sys.stderr)
        return EXIT_ERROR
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        line = "error: needs torch, which is not installed here: pip install torch"
        print(f"pianogen {arguments.command}: {line}", file=sys.stderr)
        return EXIT_ERROR
    except KeyboardInterrupt:
        print(f"pianogen {arguments.command}: stopped", file=sys.stderr)
        return EXIT_STOPPED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("pianogen", description="Piano continuations, offline.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for add in (add_training, add_playing, add_figures):
        add(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
