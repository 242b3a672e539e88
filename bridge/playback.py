"""What a machine played, played again in real time: the same messages, moved to now.

It stands where a session stands in the daemon, which sends each to the moment and releases what
sounds, whatever happens. What comes in is passed over.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from queue import SimpleQueue
from time import perf_counter

from bridge.arrivals import Arrival, Inbox
from bridge.daemon import Daemon
from bridge.events import Action, ChannelMessage, Event, ModelReady, Quit, Send
from bridge.ledger import Ledger
from bridge.performer import Performer
from bridge.ports import Ports
from bridge.seat import Seat
from bridge.status import Status

BEFORE_S = 1.0  # until the first message, so that nothing is late
AFTER_S = 0.5  # from the last one to the end


class Playback:
    """Messages in order, sent as far apart as they were; puts a Quit on the queue after the last.

    status: what it is said to stand like.
    """

    def __init__(self, messages: Sequence[ChannelMessage], queue: Inbox, status: Status) -> None:
        self._messages = messages
        self._queue = queue
        self._status = status
        self._next = 0
        self._moved_s: float | None = None  # what is added to each time, once it has begun
        self._over_at: float | None = None  # after the last; None when that has been told

    def handle(self, event: Event) -> list[Action]:
        """Send what is due; a ModelReady begins it, a Quit ends it."""
        match event:
            case ModelReady():
                first = self._messages[0].time if self._messages else 0.0
                self._moved_s = event.time + BEFORE_S - first
                self._over_at = event.time + BEFORE_S
            case Quit():
                self._moved_s = None
            case _:
                pass
        return self._due(event.time)

    def next_deadline(self) -> float | None:
        """When the next message goes out, or, after the last, when it is over."""
        if self._moved_s is None:
            return None
        if self._next < len(self._messages):
            return self._messages[self._next].time + self._moved_s
        return self._over_at

    def status(self, now: float | None = None) -> Status:
        """As it was when the log was over."""
        return self._status

    def _due(self, now: float) -> list[Action]:
        actions: list[Action] = []
        while (deadline := self.next_deadline()) is not None and deadline <= now:
            if self._next == len(self._messages):
                self._over_at = None
                self._queue.put(Quit(now))
                break
            actions.append(Send(replace(self._messages[self._next], time=deadline)))
            self._next += 1
            self._over_at = deadline + AFTER_S
        return actions


class _NoModel(Performer):
    """Is there at once, and asked nothing."""

    def __init__(self, queue: Inbox) -> None:
        super().__init__([], queue)

    def introduce(self) -> str:
        """What begins."""
        return "playing the log again"

    def start(self) -> None:
        """There is nothing to load."""
        self._queue.put(ModelReady(perf_counter()))


def play_again(messages: Sequence[ChannelMessage], ports: Ports, status: Status) -> Ledger:
    """Send it all, in the time it took; returns what was sent. Raises BridgeError."""
    queue: SimpleQueue[Arrival] = SimpleQueue()
    performer = _NoModel(queue)
    seat = Seat(Playback(messages, queue, status), ports, performer)
    Daemon([seat], performer, queue).run()
    return seat.ledger
