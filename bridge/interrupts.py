"""Ctrl-C and SIGTERM, caught for a while: for what is to end in order."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from queue import SimpleQueue
from time import perf_counter
from types import FrameType

from bridge.events import Event, Quit


@contextmanager
def signals_handled(handle: Callable[[int], None]) -> Iterator[None]:
    """Call `handle` with the number of either signal, whenever one comes; as before afterwards."""

    def call(number: int, _frame: FrameType | None) -> None:
        handle(number)

    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, call) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def signals_as_events(queue: SimpleQueue[Event]) -> AbstractContextManager[None]:
    """Put Quit on the queue where either comes, however often."""
    return signals_handled(lambda _: queue.put(Quit(perf_counter())))
