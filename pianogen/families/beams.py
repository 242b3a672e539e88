"""Beam search over one symbol at a time, all beams in one batch. Pure numpy; knows no music.

    class Teller:                                 # what a family brings
        def scores(self, lines): ...              # lines (N rows) -> (N, V) log chance of each next
        def said(self, lines, rows, symbols): ... # the rows taken, (M,), each with a symbol more

    best = likeliest(teller, one_line, length=16, width=8)
    best.symbols                                  # (16,) int64

`lines` are the family's own: whatever it must carry of N rows, such as states and what was said;
they are never changed, `said` makes new ones. A symbol that cannot come next scores below -1e8.
A beam is kept by the sum of the logarithms of its chances (Graves 2012, arXiv:1211.3711), over
lines that are all equally long; of equals the one kept is that with the lower row and symbol.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Lines = TypeVar("Lines")

IMPOSSIBLE = -1e8  # scores below are of what cannot come next


class Teller(Protocol[Lines]):
    """What says how likely each next symbol is."""

    def scores(self, lines: Lines) -> Floats:
        """Log chances of each next symbol of each line, (N, V)."""

    def said(self, lines: Lines, rows: Ints, symbols: Ints) -> Lines:
        """The lines `rows` (M,), some taken twice or not at all, each after its symbol (M,)."""


@dataclass(frozen=True, slots=True, eq=False)
class Told(Generic[Lines]):
    """The best line: its symbols (length,), the log of its chance; and what is carried of all
    the lines that were followed to the end, the best in the first row."""

    symbols: Ints
    score: float
    lines: Lines


def likeliest(teller: Teller[Lines], line: Lines, *, length: int, width: int) -> Told[Lines]:
    """The likeliest of the lines that follow one (a single row), `length` symbols long.

    width: lines followed at once, at least 1; with 1 it is the greedy line.
    """
    lines, total = line, np.zeros(1)
    symbols = np.zeros((1, 0), np.int64)
    for _ in range(length):
        rows, said, total = _best(total[:, None] + teller.scores(lines), width)
        lines = teller.said(lines, rows, said)
        symbols = np.concatenate([symbols[rows], said[:, None]], axis=1)
    return Told(symbols[0], float(total[0]), lines)


def _best(totals: NDArray[np.float64], width: int) -> tuple[Ints, Ints, NDArray[np.float64]]:
    """Of (N, V) the `width` greatest that can be, greatest first: rows, symbols, and totals."""
    flat = totals.ravel()
    count = min(width, flat.size)
    least = float(np.partition(flat, -count)[-count])
    places = np.flatnonzero(flat >= max(least, IMPOSSIBLE))
    if not len(places):
        places = np.array([flat.argmax()])
    places = places[np.argsort(-flat[places], kind="stable")][:count]
    rows, symbols = np.divmod(places, totals.shape[1])
    return rows, symbols, flat[places]
