"""A DAW and a performer in one thread, for memory ports: MIDI messages fed when they are due.

Stands where a driver's callback stands otherwise. Knows nothing of the bridge's side.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from heapq import merge
from time import perf_counter
from typing import TypeAlias

from bridge.events import NoteOff, NoteOn
from bridge.midi_bytes import CLOCK, START, STOP, encode
from pianogen.grid import PPQN

Timed: TypeAlias = tuple[float, bytes]  # seconds from the start, one MIDI message


@dataclass(frozen=True, slots=True)
class Stroke:
    """A key struck and let go. start, end: seconds; pitch 0..127; velocity 1..127."""

    start: float
    end: float
    pitch: int
    velocity: int


def clock_messages(bpm: float, beats: float) -> Iterator[Timed]:
    """What a DAW sends: Start, 24 clocks a beat from that moment on, Stop after `beats`."""
    yield 0.0, bytes((START,))
    for tick in range(round(beats * PPQN)):
        yield tick * 60 / (bpm * PPQN), bytes((CLOCK,))
    yield beats * 60 / bpm, bytes((STOP,))


def stroke_messages(strokes: Iterable[Stroke]) -> list[Timed]:
    """Note-ons and note-offs, in order, an end before a beginning of the same time."""
    messages = []
    for stroke in strokes:
        on = NoteOn(stroke.start, 0, stroke.pitch, stroke.velocity)
        off = NoteOff(stroke.end, 0, stroke.pitch)
        messages += [(stroke.start, 1, encode(on)), (stroke.end, 0, encode(off))]
    return [(time, data) for time, _, data in sorted(messages)]


def performance(*voices: Iterable[Timed]) -> list[Timed]:
    """All of them, each in order of time, as one."""
    return list(merge(*voices, key=lambda timed: timed[0]))


class Player:
    """Feeds a performance from a thread of its own; calls `on_end` `tail_s` after the last."""

    def __init__(
        self,
        messages: Sequence[Timed],
        feed: Callable[[bytes], None],
        on_end: Callable[[], None],
        *,
        tail_s: float = 0.5,
    ) -> None:
        self._messages = messages
        self._feed = feed
        self._on_end = on_end
        self._tail_s = tail_s
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._play, name="player", daemon=True)

    def start(self) -> None:
        """Begin now; a second call changes nothing."""
        if self._thread.ident is None:
            self._thread.start()

    def stop(self) -> None:
        """End wherever it is."""
        self._is_over.set()
        if self._thread.is_alive():
            self._thread.join(1.0)

    def _play(self) -> None:
        began = perf_counter()
        for due, data in self._messages:
            if not self._sleep_until(began + due):
                return
            self._feed(data)
        if self._sleep_until(perf_counter() + self._tail_s):
            self._on_end()

    def _sleep_until(self, when: float) -> bool:
        """Whether it is to go on."""
        left = when - perf_counter()
        return not (self._is_over.wait(left) if left > 0 else self._is_over.is_set())
