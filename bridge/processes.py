"""Processes of our own beside the daemon: spawned, never forked, and deaf to Ctrl-C.

Each computes on one thread, whatever it imports: two would wait for each other, and take the
processor from the daemon.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.process import BaseProcess
from typing import Any

from pianogen.device import use_one_thread


def start_process(name: str, target: Callable[..., None], *args: Any) -> BaseProcess:
    """Start `target(*args)` in a fresh interpreter; it is killed if it outlives this one's end."""
    use_one_thread()
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=target, args=args, name=name, daemon=True)
    with _interrupts_held():
        process.start()
    return process


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """A child started here never sees Ctrl-C, not even before it can say so itself."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # it would lift the mask when first started
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
