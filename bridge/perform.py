"""A MIDI file in the performer's place: its notes and pedal, under a clock of its own tempo."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bridge.events import ControlChange
from bridge.midi_bytes import CLOCK, START, STOP, encode
from bridge.pedal import SUSTAIN
from bridge.player import Stroke, Timed, clock_messages, performance, stroke_messages
from bridge.presets import Preset
from pianogen.errors import ConfigError, MidiFileError
from pianogen.grid import PPQN, Meter

if TYPE_CHECKING:
    from pianogen.midi_file import Score

AFTER_MEASURES = 2  # beyond the longest answer, until the clock stops


@dataclass(frozen=True, slots=True)
class Piece:
    """A file to be performed. tempo_bpm and meter: those it begins with, unless told others."""

    messages: list[Timed]
    tempo_bpm: float
    meter: Meter


def read_piece(path: Path, bpm: float | None, meter: Meter | None, preset: Preset) -> Piece:
    """Read a performance; the clock is `bpm`'s, else the file's. Raises MidiFileError."""
    from pianogen.midi_file import read_score

    score = read_score(path)
    if not len(score.notes):
        raise MidiFileError(f"{path}: holds no notes")
    meter = _meter_of(score) if meter is None else meter
    answer = preset.answer_measures or preset.listen_measures
    after_beats = (answer + AFTER_MEASURES) * meter.ticks / PPQN
    strokes = _strokes_of(score)
    if bpm is None:
        clock = list(_clock_of(score, after_beats))
    else:
        last_s = max(stroke.end for stroke in strokes)
        clock = list(clock_messages(bpm, last_s * bpm / 60 + after_beats))
    messages = performance(clock, _pedal_of(score), stroke_messages(strokes))
    return Piece(messages, float(60e6 / score.tempos[0, 1]) if bpm is None else bpm, meter)


def _meter_of(score: Score) -> Meter:
    """The file's first meter where one can play in it, else 4/4."""
    try:
        return Meter(*score.signatures[0, 1:].tolist())
    except ConfigError:
        return Meter()


def _strokes_of(score: Score) -> list[Stroke]:
    return [Stroke(n.start, n.end, n.pitch, n.velocity) for n in score.timed_notes()]


def _pedal_of(score: Score) -> list[Timed]:
    messages = []
    for column, value in ((0, 127), (1, 0)):
        data = encode(ControlChange(0.0, 0, SUSTAIN, value))
        messages += [(time, data) for time in score.seconds(score.pedals[:, column]).tolist()]
    return sorted(messages)


def _clock_of(score: Score, after_beats: float) -> Iterator[Timed]:
    """Start, the file's own beats in 24 clocks each through all its tempos, Stop."""
    import numpy as np

    last = int(score.notes[:, 1].max()) / score.ticks_per_beat
    count = round((last + after_beats) * PPQN)
    ticks = np.arange(count + 1, dtype=np.int64) * score.ticks_per_beat // PPQN
    times = score.seconds(ticks).tolist()
    yield 0.0, bytes((START,))
    for time in times[:-1]:
        yield time, bytes((CLOCK,))
    yield times[-1], bytes((STOP,))
