"""Drives a session on simulated time: no waiting, and the same performance gives the same answer.

Events and wake-ups meet in time order; the model's answers come at once or after a given delay.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import TypeAlias

from bridge.events import Action, Ask, Event, ModelReady, Planned, Send, Wake
from bridge.session import Session
from pianogen.grid import Measure

Answerer: TypeAlias = Callable[[Ask], Measure | None]
Delay: TypeAlias = float | Callable[[Ask], float]


@dataclass(frozen=True, slots=True)
class Done:
    """An action and the simulated time at which it was asked for."""

    time: float
    action: Action


class Simulation:
    """A session, timed input and a function that answers its requests.

    delay: seconds each answer takes, or a function of the request that tells.
    is_ready: whether the model is there from the start; if not, a ModelReady must be among the
    events for an answer to come.
    """

    def __init__(
        self,
        session: Session,
        events: Iterable[Event],
        ask: Answerer,
        *,
        delay: Delay = 0.0,
        is_ready: bool = True,
    ) -> None:
        self.done: list[Done] = []
        self.now = 0.0
        self._session = session
        self._ask = ask
        self._delay = delay
        self._serial = 0
        self._queue: list[tuple[float, int, Event]] = []
        for event in sorted(events, key=lambda event: event.time):
            self._push(event)
        if self._queue:
            self.now = self._queue[0][0]
        if is_ready:
            self._handle(ModelReady(self.now))

    @property
    def sent(self) -> list[Send]:
        """What was sent so far, in order."""
        return [done.action for done in self.done if isinstance(done.action, Send)]

    def run(self, until: float = float("inf")) -> list[Done]:
        """Go on until `until` (seconds), or until nothing is left to happen; returns all done."""
        while (time := self._next_time()) is not None and time <= until:
            if self._queue and self._queue[0][0] <= time:
                self._handle(heappop(self._queue)[2])
            else:
                self._handle(Wake(time))
        return self.done

    def _next_time(self) -> float | None:
        times = [self._queue[0][0]] if self._queue else []
        if (deadline := self._session.next_deadline()) is not None:
            times.append(deadline)
        return max(self.now, min(times)) if times else None

    def _handle(self, event: Event) -> None:
        self.now = max(self.now, event.time)
        for action in self._session.handle(event):
            self.done.append(Done(self.now, action))
            if isinstance(action, Ask):
                delay = self._delay(action) if callable(self._delay) else self._delay
                self._push(Planned(self.now + delay, action.plan_id, self._ask(action)))

    def _push(self, event: Event) -> None:
        self._serial += 1
        heappush(self._queue, (event.time, self._serial, event))
