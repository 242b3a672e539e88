"""A pair of ports over a pipe to another process, with the interface of the real ones.

What the other end sends is stamped, parsed and enqueued by a thread, as by a driver's callback:
for a machine without a MIDI system, where processes are to be kept apart all the same.
"""

from __future__ import annotations

import contextlib
import threading
from multiprocessing.connection import Connection
from time import perf_counter

from bridge.arrivals import Inbox
from bridge.events import MidiEvent
from bridge.midi_bytes import encode, parse
from bridge.priority import ask_for_real_time

_LOOK_S = 0.2  # how soon the thread sees that it is over


class PipePorts:
    """One end of the pipe; the other process has the other."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._is_over = threading.Event()
        self._thread: threading.Thread | None = None

    def open(self, queue: Inbox) -> str:
        """Let events arrive on `queue`; returns a line saying what is open."""
        self._thread = threading.Thread(target=self._listen, args=(queue,), daemon=True)
        self._thread.start()
        return "ports in memory, to another process"

    def send(self, message: MidiEvent) -> None:
        """Send one message now; where nobody is left, it is dropped."""
        with contextlib.suppress(OSError):
            self._connection.send_bytes(encode(message))

    def poll(self) -> None:
        """A pipe is never lost but at the end."""

    def close(self) -> None:
        """Let nothing more arrive."""
        self._is_over.set()
        if self._thread is not None:
            self._thread.join(1.0)
        self._connection.close()

    def _listen(self, queue: Inbox) -> None:
        ask_for_real_time()  # as drivers' threads have it: the stamps depend on it
        while not self._is_over.is_set():
            try:
                if not self._connection.poll(_LOOK_S):
                    continue
                data = self._connection.recv_bytes()
            except (EOFError, OSError):
                return
            event = parse(data, perf_counter())
            if event is not None:
                queue.put(event)
