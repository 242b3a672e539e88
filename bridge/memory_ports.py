"""A pair of ports in memory, with the interface of the real ones, for the demo and the tests.

`feed` plays the driver's part: it stamps, parses and enqueues, from whichever thread calls it.
"""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter

from bridge.arrivals import Inbox
from bridge.events import ChannelMessage
from bridge.midi_bytes import parse


class MemoryPorts:
    """What is fed arrives as events; what is sent is kept in `sent` with the time of sending."""

    def __init__(self) -> None:
        self.sent: list[tuple[float, ChannelMessage]] = []
        self.is_open = False
        self._queue: Inbox | None = None

    def open(self, queue: Inbox) -> str:
        """Let events arrive on `queue`; returns a line saying what is open."""
        self._queue = queue
        self.is_open = True
        return "ports in memory"

    def feed(self, data: Sequence[int]) -> None:
        """One MIDI message arrives now."""
        now = perf_counter()
        event = parse(data, now)
        if event is not None and self._queue is not None:
            self._queue.put(event)

    def send(self, message: ChannelMessage) -> None:
        """One message goes out."""
        self.sent.append((perf_counter(), message))

    def poll(self) -> None:
        """Memory is never lost."""

    def close(self) -> None:
        """Let nothing more arrive."""
        self.is_open = False
        self._queue = None
