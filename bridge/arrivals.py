"""What arrives on the daemon's one queue, and for whom.

    ports of seat 0 ──► Inlet 0 ──► (0, event) ─┐
    ports of seat 1 ──► Inlet 1 ──► (1, event) ─┼──► the queue
    model process, presets, signals ──► event ──┘    an event by itself is for all

Whoever puts events somewhere needs no more than an Inbox.
"""

from __future__ import annotations

from queue import SimpleQueue
from typing import Protocol, TypeAlias

from bridge.events import Event

Arrival: TypeAlias = Event | tuple[int, Event]


class Inbox(Protocol):
    """Where events are put, from any thread."""

    def put(self, event: Event, /) -> None:
        """Never waits."""


class Inlet:
    """One seat's way into the queue; number: which one's."""

    def __init__(self, queue: SimpleQueue[Arrival], number: int) -> None:
        self._queue = queue
        self._number = number

    def put(self, event: Event, /) -> None:
        """For this seat alone."""
        self._queue.put((self._number, event))


def inlets(queue: SimpleQueue[Arrival], seats: int) -> tuple[Inlet, ...]:
    """One for each seat, by number."""
    return tuple(Inlet(queue, number) for number in range(seats))
