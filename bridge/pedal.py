"""The machine's sustain pedal: strokes booked at ticks of the run, down and up when they are due.

Like a note, a stroke has both its ends, so that the pedal never goes down without its way up. The
scheduler asks what is due and says when all is to be let go; why the pedal is used, pedalling.py
knows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from operator import attrgetter
from typing import TypeAlias

from bridge.events import ControlChange

SUSTAIN = 64
DOWN, UP = 127, 0

TimeOf: TypeAlias = Callable[[float], float]
_START = attrgetter("start")


@dataclass(frozen=True, slots=True)
class Stroke:
    """The pedal goes down at `start` and comes up at `end`, ticks of the run.

    channel 0..15. latency_s: so much earlier. limit_s: it does not go down when it is later.
    """

    start: float
    end: float
    channel: int
    latency_s: float = 0.0
    limit_s: float = 0.030


class Pedal:
    """Strokes to come, and on each channel the one under way."""

    def __init__(self) -> None:
        self._booked: list[Stroke] = []  # by start
        self._down: dict[int, Stroke] = {}  # by channel

    @property
    def is_idle(self) -> bool:
        """Whether nothing is booked and nothing down."""
        return not (self._booked or self._down)

    def book(self, strokes: Iterable[Stroke]) -> None:
        """Take strokes to be made."""
        self._booked = sorted([*self._booked, *strokes], key=_START)

    def next(self, time_of: TimeOf) -> tuple[float, bool, Stroke] | None:
        """What comes next: when, whether it is a way down, and of which stroke.

        Strokes are made in the order of their starts, whatever their latencies.
        """
        ways = [(time_of(s.end) - s.latency_s, False, s) for s in self._down.values()]
        ways += [(time_of(s.start) - s.latency_s, True, s) for s in self._booked[:1]]
        return min(ways, key=lambda way: way[:2], default=None)

    def go_down(self, stroke: Stroke, due: float, now: float) -> list[ControlChange]:
        """A booked stroke begins; one under way on its channel ends. Too late, it is left out."""
        self._booked.remove(stroke)
        if now - due > stroke.limit_s:
            return []
        before = [self.come_up(self._down[stroke.channel], due)] if self._is_down(stroke) else []
        self._down[stroke.channel] = stroke
        return [*before, ControlChange(due, stroke.channel, SUSTAIN, DOWN)]

    def come_up(self, stroke: Stroke, due: float) -> ControlChange:
        """A stroke under way ends."""
        del self._down[stroke.channel]
        return ControlChange(due, stroke.channel, SUSTAIN, UP)

    def release(self, now: float) -> list[ControlChange]:
        """Up, and nothing is booked any more."""
        self._booked = []
        return [self.come_up(stroke, now) for stroke in list(self._down.values())]

    def drop_from(self, start: float) -> None:
        """Others come in the place of what is booked to begin at `start` or later."""
        self._booked = [stroke for stroke in self._booked if stroke.start < start]

    def _is_down(self, stroke: Stroke) -> bool:
        return stroke.channel in self._down
