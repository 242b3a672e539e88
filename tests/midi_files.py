"""Tiny MIDI files for tests, written as what is played: 480 ticks a beat, 60 a step."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import mido

TICKS_PER_BEAT = 480
STEP = TICKS_PER_BEAT // 8

Event = tuple[int, mido.Message | mido.MetaMessage]  # at a tick


def note(tick: int, pitch: int, ticks: int, *, velocity: int = 80, channel: int = 0) -> list[Event]:
    on = mido.Message("note_on", note=pitch, velocity=velocity, channel=channel)
    off = mido.Message("note_off", note=pitch, channel=channel)
    return [(tick, on), (tick + ticks, off)]


def pedal(tick: int, value: int, *, channel: int = 0) -> list[Event]:
    return [(tick, mido.Message("control_change", control=64, value=value, channel=channel))]


def signature(tick: int, numerator: int, denominator: int) -> list[Event]:
    message = mido.MetaMessage("time_signature", numerator=numerator, denominator=denominator)
    return [(tick, message)]


def tempo(tick: int, bpm: float) -> list[Event]:
    return [(tick, mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(bpm)))]


def write(path: Path, *tracks: Iterable[Sequence[Event]]) -> Path:
    """Write tracks, each made of the lists the functions above return."""
    file = mido.MidiFile(ticks_per_beat=TICKS_PER_BEAT)
    for parts in tracks:
        events = sorted((e for part in parts for e in part), key=lambda e: (e[0], is_on(e[1])))
        ticks = [0, *(tick for tick, _ in events)]
        timed = (
            message.copy(time=tick - before)
            for (tick, message), before in zip(events, ticks, strict=False)
        )
        file.tracks.append(mido.MidiTrack(timed))
    path.parent.mkdir(parents=True, exist_ok=True)
    file.save(path)
    return path


def is_on(message: mido.Message | mido.MetaMessage) -> bool:
    return bool(message.type == "note_on")
