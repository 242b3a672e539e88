"""The live half: a DAW's clock and a performer's notes in, the model's continuation out."""
