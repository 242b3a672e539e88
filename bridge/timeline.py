"""When and where: from the moments of a session to places in a file of whole measures, and back.

    run    | 1 . . . | 2 . .   stands still    | 3 . . . |     ticks of the clock it followed
    file   | 1 . . . | 2 . . . | . . . | . . . | 5 . . . |     the same ticks, rests filled in

While the run moves, a place is the run's own, so that what was on the grid is on the grid. While
it stands, the file goes on in whole measures at about the tempo it had, so that a rest lasts as
long as it did. The tempo map follows from anchors, a moment and its place each: one
a measure line, and where the run begins and ends. Pure.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import pairwise
from math import floor

from pianogen.grid import PPQN, Meter

JUMP_TICKS = 6.0  # less is the clock's own correction
LEAST_S, LEAST_TICKS = 0.001, 0.05  # anchors nearer than that are one
SLOWEST = 4  # a rest is filled in at a fourth of the tempo at least


class Timeline:
    """Places are ticks, 24 a quarter note, from the beginning of the file, which is a measure line.

    bpm: the tempo until another is known.
    """

    def __init__(self, meter: Meter, bpm: float) -> None:
        self._measure = meter.ticks
        self._pace = bpm * PPQN / 60  # ticks a second
        self._shift = 0.0  # place - run, whole measures
        self._anchors: list[tuple[float, float]] = []  # seconds, place
        self._is_rolling = False
        self._seen = (0.0, 0.0)  # newest moment of the run, and its place
        self._paced_from = (0.0, 0.0)  # since when, and from where, the pace is taken next

    @property
    def has_begun(self) -> bool:
        """Whether the file's beginning is known."""
        return bool(self._anchors)

    def begin(self, time: float) -> None:
        """The file begins here, though nothing rolls yet."""
        if not self._anchors:
            self._anchors.append((time, 0.0))

    def see(self, time: float, before: float | None, after: float | None) -> None:
        """At `time` something happened: the run was at `before` and is at `after`; None: it stood.

        Times do not fall.
        """
        if before is not None and self._is_rolling:
            self._roll(time, before + self._shift)
            if after is None or abs(after - before) > JUMP_TICKS:
                self._add(time, before + self._shift)
                self._is_rolling = False
        if after is not None:
            if not self._is_rolling:
                self._resume(time, after)
            self._roll(time, after + self._shift)

    def end(self, time: float) -> None:
        """The file ends here."""
        if self._is_rolling:
            self._add(*self._seen)
        elif self._anchors:
            self._add(time, self.place_at(time))

    def place_of(self, run: float) -> float:
        """The place of a position of the run as it goes now; not before the beginning."""
        return max(0.0, run + self._shift)

    def place_at(self, time: float) -> float:
        """The place of a moment by the anchors there are, beyond them at the newest pace."""
        if not self._anchors:
            return 0.0
        index = bisect_right(self._anchors, time, key=lambda anchor: anchor[0])
        if index == 0:
            return 0.0
        (since, place), pace = self._anchors[index - 1], self._pace
        if index < len(self._anchors):
            pace = _pace(self._anchors[index - 1], self._anchors[index])
        return place + (time - since) * pace

    def tempi(self) -> list[tuple[float, float]]:
        """Where the tempo changes, in ticks from 0, and the quarter notes a minute from there."""
        tempi = [
            (start[1], 60 * _pace(start, end) / PPQN) for start, end in pairwise(self._anchors)
        ]
        if not tempi or tempi[0][0] > 0:
            tempi.insert(0, (0.0, tempi[0][1] if tempi else 60 * self._pace / PPQN))
        return tempi

    def _roll(self, time: float, place: float) -> None:
        """The run has come so far; where it has crossed a measure line, that is an anchor."""
        (since, start), self._seen = self._seen, (time, place)
        line = floor(place / self._measure) * self._measure
        if start < line <= place and time > since:
            crossed = since + (line - start) * (time - since) / (place - start)
            self._add(crossed, line)
            if line - self._paced_from[1] > PPQN:
                self._pace = _pace(self._paced_from, (crossed, line))
            self._paced_from = crossed, line

    def _resume(self, time: float, run: float) -> None:
        """The run moves again: after how many measures of rest, so that time is kept best?"""
        self._is_rolling = True
        if self._anchors:
            since, place = self._anchors[-1]
            gone = (time - since) * self._pace
            ticks, is_short = run - place, gone < JUMP_TICKS
            rests = round((gone - ticks) / self._measure)
            if ticks + rests * self._measure < (gone - JUMP_TICKS if is_short else gone / SLOWEST):
                rests += 1
            self._shift = rests * self._measure
            if is_short and len(self._anchors) > 1:
                del self._anchors[-1]  # it gets no tempo of its own
        self._seen = self._paced_from = (time, run + self._shift)
        self._add(*self._seen)

    def _add(self, time: float, place: float) -> None:
        if self._anchors:
            since, last = self._anchors[-1]
            if time - since < LEAST_S or place - last < LEAST_TICKS:
                return
        self._anchors.append((time, place))


def _pace(start: tuple[float, float], end: tuple[float, float]) -> float:
    return (end[1] - start[1]) / (end[0] - start[0])
