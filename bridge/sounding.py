"""What sounds at the way out, and whose it is: the machine's, the player's or the lights'.

The machine and the player (by thru) may strike one key of one channel. Whoever struck last owns it:
a key that sounds is ended before it is struck again, and a note-off of whoever does not own it is
swallowed. The pedal of a channel is as far down as whoever holds it farthest. So what goes out is
well formed, whatever comes in. Pure; knows nothing of why a message is sent.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, TypeAlias

from bridge.events import ChannelMessage, ControlChange, NoteOff, NoteOn
from bridge.pedal import SUSTAIN
from bridge.scheduler import ALL_NOTES_OFF, ALL_SOUND_OFF, RESET_CONTROLLERS

Owner: TypeAlias = Literal["machine", "player", "lights"]


class Sounding:
    """Every key that sounds and every pedal that is down, and whose it is."""

    def __init__(self) -> None:
        self._keys: dict[tuple[int, int], Owner] = {}  # by channel and pitch; oldest first
        self._pedals: dict[int, dict[Owner, int]] = {}  # by channel: how far each has it, 0..127

    def admit(self, message: ChannelMessage, owner: Owner) -> list[ChannelMessage]:
        """What is to be sent, in order, where `owner` wants to send this message."""
        match message:
            case NoteOn():
                return self._strike(message, owner)
            case NoteOff():
                return self._let_go(message, owner)
            case ControlChange(control=control) if control == SUSTAIN:
                return self._tread(message, owner)
            case ControlChange(control=control) if control in (ALL_SOUND_OFF, ALL_NOTES_OFF):
                keys = [key for key in self._keys if key[0] == message.channel]
                return [*self._end(keys, message.time), message]
            case ControlChange(control=control) if control == RESET_CONTROLLERS:
                self._pedals.pop(message.channel, None)
                return [message]
            case _:
                return [message]

    def end(self, now: float, owner: Owner, channel: int | None = None) -> list[ChannelMessage]:
        """End all that `owner` has sounding, on one channel or on all: keys, then pedals."""
        keys = [key for key, whose in self._keys.items() if whose == owner]
        ended = self._end([key for key in keys if channel in (None, key[0])], now)
        for number, feet in self._pedals.items():
            if feet.get(owner, 0) and channel in (None, number):
                ended += self._tread(ControlChange(now, number, SUSTAIN, 0), owner)
        return ended

    def _strike(self, message: NoteOn, owner: Owner) -> list[ChannelMessage]:
        key = (message.channel, message.pitch)
        ended = self._end([key], message.time) if key in self._keys else []
        self._keys[key] = owner
        return [*ended, message]

    def _let_go(self, message: NoteOff, owner: Owner) -> list[ChannelMessage]:
        key = (message.channel, message.pitch)
        if self._keys.get(key) != owner:
            return []
        del self._keys[key]
        return [message]

    def _end(self, keys: list[tuple[int, int]], now: float) -> list[ChannelMessage]:
        for key in keys:
            del self._keys[key]
        return [NoteOff(now, channel, pitch) for channel, pitch in keys]

    def _tread(self, message: ControlChange, owner: Owner) -> list[ChannelMessage]:
        """The pedal as it is now: the message itself, unless another holds it down meanwhile."""
        feet = self._pedals.setdefault(message.channel, {})
        others = max((value for whose, value in feet.items() if whose != owner), default=0)
        before = max(others, feet.get(owner, 0))
        feet[owner] = message.value
        if not others:
            return [message]
        value = max(others, message.value)
        return [] if value == before else [replace(message, value=value)]
