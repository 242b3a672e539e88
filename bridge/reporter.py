"""What a running daemon says of itself, once a second: gathered as it plays, published as a whole.

A watcher: it looks on and keeps figures in order, so that a snapshot costs the main loop a fraction
of a millisecond. Whoever wants to know reads them from another process (see published.py).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import asdict
from math import sqrt
from time import perf_counter
from typing import Any

from bridge.clock import Follower
from bridge.events import ChannelMessage, Continue, Event, NoteOn, Planned, Quit, Start, Stop, Tick
from bridge.performer import Performer
from bridge.published import Publication
from bridge.spread import Spread
from bridge.status import Status
from bridge.vitals import Usage, is_real_time, usage

PUBLISH_S = 1.0
WINDOW_TICKS = 96  # over which the clock's jitter is told
LOCK_TICKS = 24  # before the loop has locked, its error says nothing


class Reporter:
    """Publishes the figures of the player whose ports are called after `name`.

    Raises BridgeError where another daemon has that name.
    """

    def __init__(self, name: str, performer: Performer, player: int = 0) -> None:
        self._name = name
        self._performer = performer
        self._plans = performer.figures[player]
        self._publication: Publication | None = Publication(name)
        self._began = self._next = perf_counter()
        self._clock = Jitter()
        self._lateness_ms, self._response_ms = Spread(), Spread()
        self._costs = {"daemon": Cost(), "model": Cost()}

    def heard(self, event: Event) -> None:
        """The clock and the model's answers; the end is told by nothing more being there."""
        self._clock.hear(event)
        if isinstance(event, Quit):
            self.close()
        if isinstance(event, Planned) and event.measure is not None:
            # Counted before it was put on the queue: the newest is this one or one just behind it.
            self._response_ms.add(self._plans.response_ms[-1])

    def sent(self, message: ChannelMessage, now: float) -> None:
        """How late a note went out."""
        if isinstance(message, NoteOn):
            self._lateness_ms.add((now - message.time) * 1000)

    def shown(self, status: Status) -> None:
        """Publish, where it is time."""
        now = perf_counter()
        if now >= self._next and self._publication is not None:
            self._next = now + PUBLISH_S
            self._publication.write(self._figures(status, now))

    def close(self) -> None:
        """There is no more to say."""
        if self._publication is not None:
            self._publication.close()
        self._publication = None

    def _figures(self, status: Status, now: float) -> dict[str, Any]:
        answered, missed = status.measures_answered, status.measures_missed
        pid = self._performer.pid
        return {
            "name": self._name,
            "uptime_s": now - self._began,
            "is_real_time": is_real_time(),
            "session": {**asdict(status), "meter": str(status.meter)},
            "clock_ms": self._clock.figures(),
            "lateness_ms": self._lateness_ms.figures(0.5, 0.99, 0.999),
            "response_ms": self._response_ms.figures(0.5, 0.95),
            "satisfaction": _share(answered, answered + missed),
            "staleness": _share(status.measures_stale, answered),
            "daemon": self._costs["daemon"].since(usage(), now),
            "model": self._costs["model"].since(Usage() if pid is None else usage(pid), now),
            "device": self._performer.device,
        }


class Jitter:
    """How uneven the clock is as it comes, and as the loop makes of it.

    Both against the straight line that fits the newest ticks best, in milliseconds (standard
    deviation): a tempo that changes meanwhile shows in both.
    """

    def __init__(self) -> None:
        self._follower = Follower()
        self._is_first = True
        self._ticks: deque[tuple[float, float]] = deque(maxlen=WINDOW_TICKS)  # arrived, filtered
        self._age = 0

    def hear(self, event: Event) -> None:
        """Take note of a tick; what moves the transport begins anew."""
        match event:
            case Tick():
                self._follower.tick(event.time, is_first=self._is_first)
                self._is_first = False
                self._age += 1
                if self._age > LOCK_TICKS:
                    filtered = self._follower.time_of(self._follower.count)
                    self._ticks.append((event.time, filtered))
            case Start() | Continue() | Stop():
                self._ticks.clear()
                self._age, self._is_first = 0, True
            case _:
                pass

    def figures(self) -> dict[str, float | None]:
        """Before and after the loop; None while there is too little to tell by."""
        if len(self._ticks) < WINDOW_TICKS // 2:
            return {"before": None, "after": None}
        arrived, filtered = zip(*self._ticks, strict=True)
        slope = _slope(arrived)
        return {
            "before": 1000 * _deviation(arrived, slope),
            "after": 1000 * _deviation(filtered, slope),
        }


class Cost:
    """A process's share of a processor between two looks at it."""

    def __init__(self) -> None:
        self._last: tuple[float, float] | None = None  # when, processor time

    def since(self, used: Usage, now: float) -> dict[str, float | None]:
        """Its share (1 is a whole core) since the last look, and the memory it holds."""
        share = None
        if used.cpu_s is not None:
            if self._last is not None and used.cpu_s >= self._last[1]:
                share = (used.cpu_s - self._last[1]) / (now - self._last[0])
            self._last = now, used.cpu_s
        return {"cpu": share, "memory_mb": used.memory_mb, "shared_mb": used.shared_mb}


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _slope(values: Sequence[float]) -> float:
    """Of the line through values one apart, by least squares."""
    middle = (len(values) - 1) / 2
    weights = [n - middle for n in range(len(values))]
    dot = sum(w * v for w, v in zip(weights, values, strict=True))
    return dot / sum(w * w for w in weights)


def _deviation(values: Sequence[float], slope: float) -> float:
    """The standard deviation of values one apart from a line of that slope."""
    rests = [value - slope * n for n, value in enumerate(values)]
    mean = sum(rests) / len(rests)
    return sqrt(sum((rest - mean) ** 2 for rest in rests) / len(rests))
