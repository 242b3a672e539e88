"""Lines of a melody followed at once, and the likeliest of them by `beams`. Pure.

Whether a note begins is, in each line, what is likelier there; lines are held against each other by
their pitches alone. By all symbols the likeliest line is a single note held for ever, since a hold
is the likeliest symbol nearly everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pianogen.families.arithmetic import Floats, Ints
from pianogen.families.beams import IMPOSSIBLE, likeliest
from pianogen.families.cpu_layers import State
from pianogen.families.melody_drawing import KINDS, Drawing, Line
from pianogen.families.melody_models import Model
from pianogen.families.symbols import HOLD, SYMBOLS
from pianogen.grid import KEYS


@dataclass(frozen=True, slots=True, eq=False)
class Lines:
    """Lines followed at once: each, the logits of its next symbol (N, 91), and what the model
    carries."""

    lines: tuple[Line, ...]
    logits: Floats
    state: State

    @property
    def line(self) -> Line:
        """The first, or only one."""
        return self.lines[0]


@dataclass(frozen=True, slots=True, eq=False)
class Follower:
    """What says how likely each next symbol is, of a model and as a player asks. begun: the
    symbols that a line must begin with."""

    model: Model
    drawing: Drawing
    begun: Sequence[int] = ()

    def followed(self, line: Line, state: State) -> Lines:
        """One line, to begin with."""
        return self._given((line,), state)

    def scores(self, lines: Lines) -> Floats:
        """Log chances of each next symbol of each line if it is of the likelier kind, (N, 91)."""
        rows = [self._told(row, one) for row, one in zip(lines.logits, lines.lines, strict=True)]
        return np.stack(rows)

    def said(self, lines: Lines, rows: Ints, symbols: Ints) -> Lines:
        """The lines `rows` (M,), each after its symbol (M,)."""
        after = tuple(
            lines.lines[row].then(symbol)
            for row, symbol in zip(rows.tolist(), symbols.tolist(), strict=True)
        )
        return self._given(after, tuple(part[rows] for part in lines.state))

    def then(self, lines: Lines, symbol: int) -> Lines:
        """One line after a symbol."""
        return self.said(lines, np.zeros(1, np.int64), np.array([symbol]))

    def _given(self, lines: tuple[Line, ...], state: State) -> Lines:
        logits, state = self.model.next(state, np.stack([line.given() for line in lines]))
        return Lines(lines, logits, state)

    def _told(self, logits: Floats, line: Line) -> Floats:
        place = len(line.drawn)
        told = np.full(SYMBOLS, 2 * IMPOSSIBLE, np.float32)
        if place < len(self.begun):
            told[self.begun[place]] = 0.0
        elif line.rings:
            told[HOLD] = 0.0
        else:
            kind = int(self.drawing.kinds(logits, line).argmax())
            if kind < len(KINDS):
                told[KINDS[kind]] = 0.0
            else:
                keys = self.drawing.keys(logits, line)
                told[:KEYS] = np.maximum(keys - np.logaddexp.reduce(keys), 2 * IMPOSSIBLE)
        return told


def best_line(follower: Follower, lines: Lines, width: int) -> Lines:
    """The likeliest line, a measure on from the one line of `lines`; alone."""
    cells = lines.line.cells
    found = likeliest(follower, lines, length=cells, width=width).lines
    return Lines(found.lines[:1], found.logits[:1], tuple(part[:1] for part in found.state))
