"""What really went out: how many notes, how late, which of them still sound, which pedals hold."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from bridge.events import ChannelMessage, ControlChange, NoteOff, NoteOn


class Ledger:
    """Written at the port, not where notes are planned, so that it cannot share their mistakes."""

    def __init__(self) -> None:
        self.notes = 0  # note-ons sent
        self.lateness_ms: deque[float] = deque(maxlen=100_000)  # note-ons: sent minus due
        self._sounding: dict[tuple[int, int], None] = {}  # channel, pitch; oldest first
        self._pedals: set[int] = set()  # channels whose sustain pedal is down

    def record(self, message: ChannelMessage, now: float) -> None:
        """One message was sent at `now`; `message.time` is when it was due."""
        match message:
            case NoteOn():
                self.notes += 1
                self.lateness_ms.append((now - message.time) * 1000)
                self._sounding[message.channel, message.pitch] = None
            case NoteOff():
                self._sounding.pop((message.channel, message.pitch), None)
            case ControlChange(control=64):
                hold = self._pedals.add if message.value else self._pedals.discard
                hold(message.channel)
            case ControlChange(control=121):
                self._pedals.discard(message.channel)
            case ControlChange(control=120 | 123):
                for place in [place for place in self._sounding if place[0] == message.channel]:
                    del self._sounding[place]
            case _:
                pass

    @property
    def sounding(self) -> tuple[tuple[int, int], ...]:
        """Channel and pitch of every note that was begun and not ended."""
        return tuple(self._sounding)

    def releases(self, now: float) -> list[NoteOff | ControlChange]:
        """What would end all of them and lift every pedal."""
        ends = [NoteOff(now, channel, pitch) for channel, pitch in self._sounding]
        return [*ends, *(ControlChange(now, channel, 64, 0) for channel in sorted(self._pedals))]


def percentile(values: Iterable[float], share: float) -> float:
    """The value below which `share` (0..1) of the values lie; 0 where there are none."""
    ordered = sorted(values)
    if not ordered:
        return 0.0
    return ordered[min(len(ordered) - 1, round(share * (len(ordered) - 1)))]
