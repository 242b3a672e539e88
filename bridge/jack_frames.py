"""What belongs at which frame of which cycle of JACK's. Pure: no JACK, no clock reading.

JACK wakes its clients once a period, for the frames of the period that begins:

    start_s                          what comes in is stamped one period back, so that it is never
    |   one period    |              later than now; what goes out is placed one period and
    0 . . . . . . . . n_frames       MARGIN_S after it was due, so that it is here in time for its
                                     frame. Against one another both are MARGIN_S apart, always.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from bridge.midi_bytes import CONTROL, NOTE_OFF, NOTE_ON
from bridge.pedal import SUSTAIN

MARGIN_S = 0.002  # how late a message may be handed over and still find its frame
LATE_S = 0.00005  # what is missed by less is not late: clocks are read to a frame or two
AGAIN_S = 0.25  # a note-off is said again where a cycle was lost so soon after it
_COUNTER = 1 << 32  # JACK's frame counter begins anew here, after a day at 48 kHz


@dataclass(frozen=True, slots=True)
class Cycle:
    """One period: its first frame is at `start_s`, monotonic seconds; `rate` is in Hz."""

    start_s: float
    n_frames: int
    rate: int

    @property
    def period_s(self) -> float:
        """How long it lasts, in seconds."""
        return self.n_frames / self.rate

    def stamp(self, offset: int) -> float:
        """The time that an event at frame `offset` of this cycle bears, in seconds."""
        return self.start_s - self.period_s + offset / self.rate

    def offset(self, due_s: float) -> int:
        """The frame for what was due at `due_s`, from this cycle's first: below 0 it is missed."""
        return round((due_s + self.period_s + MARGIN_S - self.start_s) * self.rate)


def start_of_cycle(now_s: float, frame_now: int, first_frame: int, rate: int) -> float:
    """When a cycle's first frame is, by what JACK's frame counter read at `now_s`; in seconds."""
    since = (frame_now - first_frame) % _COUNTER
    if since >= _COUNTER // 2:
        since -= _COUNTER
    return now_s - since / rate


class Outgoing:
    """Messages on their way from the thread that hands them over to JACK's. Takes no lock."""

    def __init__(self) -> None:
        self.late_frames = 0  # messages that missed their frame and went as soon as they could
        self._waiting: deque[tuple[float, bytes]] = deque()  # when due, bytes
        self._last_due_s = float("-inf")
        # Keys let go of and not struck since, by channel and pitch, and so the pedals, by channel:
        # what was said, and when.
        self._ended: dict[tuple[bool, int, int], tuple[bytes, float]] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def hand(self, data: bytes, due_s: float) -> None:
        """Take a message due at `due_s`, but never before one that was handed over sooner."""
        self._last_due_s = max(self._last_due_s, due_s)
        self._waiting.append((self._last_due_s, data))

    def write(self, cycle: Cycle, put: Callable[[int, bytes], None]) -> None:
        """Put what belongs in this cycle, in order; what `put` refuses by raising stays first."""
        while self._waiting:
            due_s, data = self._waiting[0]
            offset = cycle.offset(due_s)
            if offset >= cycle.n_frames:
                return
            put(max(offset, 0), data)
            self._waiting.popleft()
            self._remember(data, cycle.start_s)
            self.late_frames += offset < -LATE_S * cycle.rate

    def repeat_note_offs(self, cycle: Cycle) -> None:
        """Say again, first of all, which keys and pedals were let go of lately: a cycle was lost.

        What is written in a cycle that JACK loses is not heard. A note-on that is lost is silence;
        a note-off that is lost would sound on and on, and said twice it does no harm.
        """
        at_once = cycle.start_s - cycle.period_s - MARGIN_S  # its first frame, and not late
        lately = [data for data, then_s in self._ended.values() if then_s > cycle.start_s - AGAIN_S]
        self._waiting.extendleft((at_once, data) for data in reversed(lately))

    def _remember(self, data: bytes, now_s: float) -> None:
        kind, channel = data[0] & 0xF0, data[0] & 0x0F
        is_pedal = kind == CONTROL and data[1] == SUSTAIN
        if not is_pedal and kind not in (NOTE_ON, NOTE_OFF):
            return
        key = (is_pedal, channel, data[1])
        self._ended.pop(key, None)
        if kind == NOTE_OFF or (is_pedal and data[2] == 0):
            self._ended[key] = data, now_s

    def forget(self) -> None:
        """Drop what waits: there is nobody to hear it."""
        self._waiting.clear()
        self._ended.clear()
