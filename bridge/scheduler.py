"""What is due now: notes booked at ticks of the run, sent when their time comes.

A booking is a note with both its ends, so nothing is ever sent that has no end; what sounds is
held by its booking, from which its note-off follows. Positions are ticks, not times: a tempo change
moves everything that is booked. Knows nothing of measures or models.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from operator import attrgetter
from typing import TypeAlias

from bridge.events import ChannelMessage, ControlChange, NoteOff, NoteOn

SUSTAIN, ALL_SOUND_OFF, RESET_CONTROLLERS, ALL_NOTES_OFF = 64, 120, 121, 123  # MIDI 1.0

TimeOf: TypeAlias = Callable[[float], float]
_START, _END = attrgetter("start"), attrgetter("end")


@dataclass(frozen=True, slots=True)
class Booking:
    """A note to come.

    start, end: ticks of the run. channel 0..15, pitch 0..127, velocity 1..127.
    latency_s: sent so much earlier. limit_s: not begun when it is later than this.
    """

    start: float
    end: float
    channel: int
    pitch: int
    velocity: int
    latency_s: float = 0.0
    limit_s: float = 0.030


class Scheduler:
    """Sends each booking's note-on and note-off in time, at most `max_polyphony` at once."""

    def __init__(self, max_polyphony: int = 6) -> None:
        self.max_polyphony = max_polyphony
        self.sent = 0  # note-ons
        self.dropped = 0  # bookings never begun, for any reason
        self.late = 0  # of these, for being later than their limit
        self._booked: list[Booking] = []  # by start
        self._sounding: dict[tuple[int, int], Booking] = {}  # by channel and pitch, oldest first
        self._ending: list[Booking] = []  # what sounds, by end
        self._latency_s = 0.0  # of all of them, where `_is_even`
        self._is_even = True

    @property
    def sounding(self) -> tuple[int, ...]:
        """The pitches that sound, lowest first."""
        return tuple(sorted(pitch for _, pitch in self._sounding))

    def book(self, bookings: Iterable[Booking]) -> None:
        """Take notes to be played."""
        if not self._booked and not self._sounding:
            self._is_even = True
        for booking in bookings:
            if not self._booked and not self._sounding:
                self._latency_s = booking.latency_s
            self._is_even &= booking.latency_s == self._latency_s
            self._booked.append(booking)
        self._booked.sort(key=_START)

    def next_due(self, time_of: TimeOf) -> float | None:
        """When the next message is due, in seconds; None where nothing is."""
        nearest = self._nearest(time_of)
        return None if nearest is None else nearest[0]

    def due(
        self, now: float, time_of: TimeOf, *, until: float | None = None
    ) -> list[ChannelMessage]:
        """Everything due by `until` (by default `now`), note-offs first where times are equal."""
        messages: list[ChannelMessage] = []
        until = now if until is None else until
        while (nearest := self._nearest(time_of)) is not None and nearest[0] <= until:
            due, is_start, booking = nearest
            if is_start:
                messages += self._begin(booking, due, now)
            else:
                messages.append(self._stop(booking, due))
        return messages

    def release(self, now: float) -> list[ChannelMessage]:
        """End all that sounds and drop all that is booked."""
        self.dropped += len(self._booked)
        self._booked = []
        return [self._stop(booking, now) for booking in list(self._sounding.values())]

    def drop_from(self, start: float) -> None:
        """Others come in the place of what is booked to begin at `start` or later."""
        self._booked = [booking for booking in self._booked if booking.start < start]

    def panic(self, now: float, channel: int) -> list[ChannelMessage]:
        """Release, then pedal up, all sound off, all notes off on every channel in use."""
        channels = sorted({channel, *(used for used, _ in self._sounding)})
        controls = (SUSTAIN, ALL_SOUND_OFF, ALL_NOTES_OFF)
        return self.release(now) + [ControlChange(now, c, n, 0) for c in channels for n in controls]

    def _nearest(self, time_of: TimeOf) -> tuple[float, int, Booking] | None:
        """What comes next; the first of each list, unless latencies differ for a while."""
        few = 1 if self._is_even else None
        ends = [(time_of(b.end) - b.latency_s, 0, b) for b in self._ending[:few]]
        starts = [(time_of(b.start) - b.latency_s, 1, b) for b in self._booked[:few]]
        return min(ends + starts, key=lambda entry: entry[:2], default=None)

    def _begin(self, booking: Booking, due: float, now: float) -> list[ChannelMessage]:
        self._booked.remove(booking)
        if now - due > booking.limit_s:
            self.dropped += 1
            self.late += 1
            return []
        place = (booking.channel, booking.pitch)
        messages: list[ChannelMessage] = []
        if place in self._sounding:
            messages.append(self._stop(self._sounding[place], due))
        while len(self._sounding) >= self.max_polyphony:
            oldest = next(iter(self._sounding.values()))
            if oldest.start == booking.start:  # one chord too thick: the newcomer gives way
                self.dropped += 1
                return messages
            messages.append(self._stop(oldest, due))
        self._sounding[place] = booking
        insort(self._ending, booking, key=_END)
        self.sent += 1
        return [*messages, NoteOn(due, booking.channel, booking.pitch, booking.velocity)]

    def _stop(self, booking: Booking, due: float) -> NoteOff:
        del self._sounding[booking.channel, booking.pitch]
        self._ending.remove(booking)
        return NoteOff(due, booking.channel, booking.pitch)
