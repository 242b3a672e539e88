"""How loud the performer plays, by what was struck lately. Pure."""

from __future__ import annotations

from collections import deque

MEASURES = 4  # the newest in which something was struck


class Loudness:
    """The mean velocity of the newest measures; of each only the sum is kept."""

    def __init__(self) -> None:
        self._sums: deque[list[int]] = deque(maxlen=MEASURES)  # measure, notes, their velocities

    def hear(self, measure: int, velocity: int) -> None:
        """A key is struck in a measure of the run, with a velocity of 1..127."""
        if not self._sums or self._sums[-1][0] < measure:
            self._sums.append([measure, 0, 0])
        self._sums[-1][1] += 1
        self._sums[-1][2] += velocity

    @property
    def mean(self) -> float | None:
        """The mean velocity, 1..127; None where nothing was struck."""
        notes = sum(entry[1] for entry in self._sums)
        return sum(entry[2] for entry in self._sums) / notes if notes else None
