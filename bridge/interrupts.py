"""Ctrl-C and SIGTERM as an event among others, for what is to end in order."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from time import perf_counter
from types import FrameType

from bridge.events import Event, Quit


@contextmanager
def signals_as_events(queue: SimpleQueue[Event]) -> Iterator[None]:
    """Put Quit on the queue where either comes, however often."""

    def handle(_number: int, _frame: FrameType | None) -> None:
        queue.put(Quit(perf_counter()))

    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
