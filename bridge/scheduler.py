"""What is due now: notes booked at ticks of the run, sent when their time comes.

A booking is a note with both its ends, so nothing is ever sent that has no end; what sounds is
held by its booking, from which its note-off follows. The pedal (pedal.py) is booked with them.
Positions are ticks, not times: a tempo change moves everything that is booked. Knows nothing of
measures or models.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable
from dataclasses import dataclass
from operator import attrgetter
from typing import TypeAlias

from bridge.events import ChannelMessage, ControlChange, NoteOff, NoteOn
from bridge.pedal import SUSTAIN, Pedal, Stroke, TimeOf

ALL_SOUND_OFF, RESET_CONTROLLERS, ALL_NOTES_OFF = 120, 121, 123  # MIDI 1.0 controllers

_START, _END = attrgetter("start"), attrgetter("end")
_OFF, _UP, _ON, _DOWN = range(4)  # what comes first where times are equal


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


Booked: TypeAlias = Booking | Stroke


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
        self._pedal = Pedal()

    @property
    def sounding(self) -> tuple[int, ...]:
        """The pitches that sound, lowest first."""
        return tuple(sorted(pitch for _, pitch in self._sounding))

    def book(self, bookings: Iterable[Booked]) -> None:
        """Take notes to be played, and strokes of the pedal."""
        if not self._booked and not self._sounding:
            self._is_even = True
        strokes = []
        for booking in bookings:
            if isinstance(booking, Stroke):
                strokes.append(booking)
                continue
            if not self._booked and not self._sounding:
                self._latency_s = booking.latency_s
            self._is_even &= booking.latency_s == self._latency_s
            self._booked.append(booking)
        self._booked.sort(key=_START)
        if strokes:
            self._pedal.book(strokes)

    def next_due(self, time_of: TimeOf) -> float | None:
        """When the next message is due, in seconds; None where nothing is."""
        nearest = self._nearest(time_of)
        return None if nearest is None else nearest[0]

    def due(
        self, now: float, time_of: TimeOf, *, until: float | None = None
    ) -> list[ChannelMessage]:
        """Everything due by `until` (by default `now`).

        Where times are equal note-offs come first, then the pedal's way up, note-ons, its way down.
        """
        messages: list[ChannelMessage] = []
        until = now if until is None else until
        while (nearest := self._nearest(time_of)) is not None and nearest[0] <= until:
            due, rank, booking = nearest
            if isinstance(booking, Stroke):
                if rank == _DOWN:
                    messages += self._pedal.go_down(booking, due, now)
                else:
                    messages.append(self._pedal.come_up(booking, due))
            elif rank == _ON:
                messages += self._begin(booking, due, now)
            else:
                messages.append(self._stop(booking, due))
        return messages

    def release(self, now: float) -> list[ChannelMessage]:
        """End all that sounds, lift the pedal, and drop all that is booked."""
        self.dropped += len(self._booked)
        self._booked = []
        ended = [self._stop(booking, now) for booking in list(self._sounding.values())]
        return [*ended, *self._pedal.release(now)]

    def drop_from(self, start: float) -> None:
        """Others come in the place of what is booked to begin at `start` or later."""
        self._booked = [booking for booking in self._booked if booking.start < start]
        self._pedal.drop_from(start)

    def panic(self, now: float, channel: int) -> list[ChannelMessage]:
        """Release, then pedal up, all sound off, all notes off on every channel in use."""
        channels = sorted({channel, *(used for used, _ in self._sounding)})
        controls = (SUSTAIN, ALL_SOUND_OFF, ALL_NOTES_OFF)
        return self.release(now) + [ControlChange(now, c, n, 0) for c in channels for n in controls]

    def _nearest(self, time_of: TimeOf) -> tuple[float, int, Booked] | None:
        """What comes next; the first of each list, unless latencies differ for a while."""
        few = 1 if self._is_even else None
        coming: list[tuple[float, int, Booked]] = []
        coming += [(time_of(b.end) - b.latency_s, _OFF, b) for b in self._ending[:few]]
        coming += [(time_of(b.start) - b.latency_s, _ON, b) for b in self._booked[:few]]
        if not self._pedal.is_idle and (way := self._pedal.next(time_of)) is not None:
            coming.append((way[0], _DOWN if way[1] else _UP, way[2]))
        return min(coming, key=lambda entry: entry[:2], default=None)

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
