"""MIDI bytes to events and back. Pure; what the bridge has no use for becomes None early.

Dropped: sysex, MTC, tune request, song select, active sensing, reset, and whatever is cut short or
out of range.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from bridge.events import (
    Continue,
    ControlChange,
    MidiEvent,
    NoteOff,
    NoteOn,
    Other,
    ProgramChange,
    SongPosition,
    Start,
    Stop,
    Tick,
)

CLOCK, START, CONTINUE, STOP, SONG_POSITION = 0xF8, 0xFA, 0xFB, 0xFC, 0xF2
NOTE_OFF, NOTE_ON, CONTROL, _PROGRAM = 0x80, 0x90, 0xB0, 0xC0
KEY_PRESSURE, CHANNEL_PRESSURE, BEND = 0xA0, 0xD0, 0xE0
_LENGTHS = {NOTE_OFF: 3, NOTE_ON: 3, KEY_PRESSURE: 3, CONTROL: 3, _PROGRAM: 2}
_LENGTHS |= {CHANNEL_PRESSURE: 2, BEND: 3}


def parse(data: Sequence[int], time: float) -> MidiEvent | None:
    """The event of one whole message that arrived at `time`; None for what is not used."""
    if not data:
        return None
    status = data[0]
    if status >= 0xF0:
        return _parse_system(status, data, time)
    kind, channel = status & 0xF0, status & 0x0F
    length = _LENGTHS.get(kind)
    if length is None or len(data) < length or any(byte > 127 for byte in data[1:length]):
        return None
    if kind == NOTE_ON and data[2] > 0:
        return NoteOn(time, channel, data[1], data[2])
    if kind in (NOTE_ON, NOTE_OFF):
        return NoteOff(time, channel, data[1], data[2])
    if kind == CONTROL:
        return ControlChange(time, channel, data[1], data[2])
    if kind == _PROGRAM:
        return ProgramChange(time, channel, data[1])
    return Other(time, channel, kind, bytes(data[1:length]))


def _parse_system(status: int, data: Sequence[int], time: float) -> MidiEvent | None:
    if status == CLOCK:
        return Tick(time)
    if status == START:
        return Start(time)
    if status == CONTINUE:
        return Continue(time)
    if status == STOP:
        return Stop(time)
    if status == SONG_POSITION and len(data) >= 3 and data[1] < 128 and data[2] < 128:
        return SongPosition(time, data[1] | data[2] << 7)
    return None


def encode(message: MidiEvent) -> bytes:
    """The bytes of a message, always with its status byte (no running status)."""
    match message:
        case Tick():
            return bytes((CLOCK,))
        case Start():
            return bytes((START,))
        case Continue():
            return bytes((CONTINUE,))
        case Stop():
            return bytes((STOP,))
        case SongPosition():
            return bytes((SONG_POSITION, message.sixteenths & 0x7F, message.sixteenths >> 7))
        case NoteOn():
            return bytes((NOTE_ON | message.channel, message.pitch, message.velocity))
        case NoteOff():
            return bytes((NOTE_OFF | message.channel, message.pitch, message.velocity))
        case ControlChange():
            return bytes((CONTROL | message.channel, message.control, message.value))
        case ProgramChange():
            return bytes((_PROGRAM | message.channel, message.program))
        case Other():
            return bytes((message.kind | message.channel,)) + message.data
        case _:
            assert_never(message)
