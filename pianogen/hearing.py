"""A MIDI file heard as measures: by its own time signatures, or by beats annotated over it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from pianogen.beats import Ruler, read_ruler
from pianogen.errors import MidiFileError
from pianogen.grid import STEPS_PER_BEAT
from pianogen.measure_lines import lines_from_signatures, placed
from pianogen.measure_rows import MeasureRows
from pianogen.midi_file import Ints, Score, read_score

MOST_BEATS = 100_000  # a day of music: beyond it a damaged file's times are wrong


def hear_file(path: Path, *, pedal: bool = True, beats: Path | None = None) -> MeasureRows:
    """The measures of a MIDI file; with `beats`, an annotation file, of a free performance.

    The pedal lengthens the notes it holds unless `pedal` is false. Raises MidiFileError or
    DataError, one line, for a file that is damaged, empty or nowhere on the grid.
    """
    score = read_score(path)
    _check(path, score)
    heard = (
        hear_score(score, pedal=pedal)
        if beats is None
        else hear_performance(score, read_ruler(beats), pedal=pedal)
    )
    if not len(heard):
        raise MidiFileError(f"{path}: none of its measures fits the grid")
    return heard


def _check(path: Path, score: Score) -> None:
    if not len(score.notes):
        raise MidiFileError(f"{path}: holds no notes")
    last_onset = int(score.notes[-1, 0])
    if last_onset > MOST_BEATS * score.ticks_per_beat:
        raise MidiFileError(f"{path}: a note begins at tick {last_onset}, its times are damaged")


def hear_score(score: Score, *, pedal: bool = True) -> MeasureRows:
    """The measures of a score with notes, by its own time signatures."""
    notes = score.pedalled_notes() if pedal else score.notes
    last_onset = int(notes[-1, 0])
    signatures = score.signatures[score.signatures[:, 0] <= last_onset]
    lines = lines_from_signatures(signatures, score.ticks_per_beat, last_onset)
    ticks = np.array([span.start for span in lines.spans], np.int64) // STEPS_PER_BEAT
    tempos = score.tempo_at(ticks).tolist()
    timed = (replace(span, tempo=tempo) for span, tempo in zip(lines.spans, tempos, strict=True))
    units = notes[:, :2] * STEPS_PER_BEAT
    return placed(_in_units(notes, units), replace(lines, spans=tuple(timed)))


def hear_performance(score: Score, ruler: Ruler, *, pedal: bool = True) -> MeasureRows:
    """The measures of a performance, by the beats annotated over it."""
    notes = score.pedalled_notes() if pedal else score.notes
    return placed(_in_units(notes, ruler.units(score.seconds(notes[:, :2]))), ruler.lines)


def _in_units(notes: Ints, times: Ints) -> Ints:
    return np.concatenate([times, notes[:, 2:4]], axis=1)
