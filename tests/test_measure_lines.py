"""Files become measures: where the lines lie, and on which step each note falls."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from pianogen.beats import UNITS_PER_STEP, Beat, read_beats, ruler_from_beats
from pianogen.errors import DataError, MidiFileError
from pianogen.grid import Meter, Note
from pianogen.hearing import hear_file
from pianogen.measure_rows import MeasureRows
from pianogen.midi_file import TimedNote, Track, write_midi
from tests.midi_files import STEP, Event, note, pedal, signature, tempo, write

QUARTER = 8 * STEP


def hear(path: Path, *parts: Sequence[Event]) -> MeasureRows:
    return hear_file(write(path / "a.mid", parts))


def onsets(rows: MeasureRows) -> list[list[int]]:
    return [[note.onset for note in measure.notes] for measure in rows.all_measures()]


def meters(rows: MeasureRows) -> list[str]:
    return [str(measure.meter) for measure in rows.all_measures()]


def breaks(rows: MeasureRows) -> list[int]:
    return [int(row["is_break"]) for row in rows.measures[:-1]]


# --- by time signatures -------------------------------------------------------------------------


def test_quarters_fall_eight_steps_apart_in_four_four_where_nothing_is_said(
    tmp_path: Path,
) -> None:
    rows = hear(tmp_path, *(note(beat * QUARTER, 60 + beat, QUARTER) for beat in range(5)))
    assert rows.measure(0).notes == tuple(Note(8 * b, 60 + b, 20, 8) for b in range(4))
    assert rows.measure(1).notes == (Note(0, 64, 20, 8),)
    assert breaks(rows) == [1, 0]
    assert rows.measures["steps"][:-1].tolist() == [32, 32]


@pytest.mark.parametrize(
    ("numerator", "denominator", "steps"), [(3, 4, 24), (6, 8, 24), (5, 8, 20)]
)
def test_a_measure_is_as_long_as_its_signature(
    tmp_path: Path, numerator: int, denominator: int, steps: int
) -> None:
    parts = (note(n * 4 * STEP, 60, STEP) for n in range(2 * steps // 4))
    rows = hear(tmp_path, signature(0, numerator, denominator), *parts)
    assert onsets(rows) == [list(range(0, steps, 4))] * 2
    assert meters(rows) == [f"{numerator}/{denominator}"] * 2


def test_an_upbeat_stands_at_the_end_of_its_measure(tmp_path: Path) -> None:
    rows = hear(tmp_path, signature(0, 3, 8), note(8 * STEP, 76, STEP), note(12 * STEP, 69, STEP))
    assert onsets(rows) == [[8], [0]]


def test_an_upbeat_with_a_signature_of_its_own_is_a_short_measure(tmp_path: Path) -> None:
    rows = hear(
        tmp_path, signature(0, 1, 4), signature(QUARTER, 4, 4), note(0, 60, 9), note(QUARTER, 62, 9)
    )
    assert meters(rows) == ["1/4", "4/4"]
    assert breaks(rows) == [1, 0]


def test_triplets_go_to_the_nearest_step_and_stay_joined(tmp_path: Path) -> None:
    third = QUARTER // 3
    rows = hear(tmp_path, *(note(n * third, 60 + n, third) for n in range(3)))
    assert [(n.onset, n.duration) for n in rows.measure(0).notes] == [(0, 3), (3, 2), (5, 3)]


def test_a_beat_that_is_no_whole_number_of_steps_in_ticks_is_exact(tmp_path: Path) -> None:
    import mido

    file = mido.MidiFile(ticks_per_beat=100)  # a step is 12.5 ticks
    messages = [mido.Message("note_on", note=60 + n, velocity=80, time=25) for n in range(20)]
    file.tracks.append(mido.MidiTrack(messages))
    file.save(tmp_path / "a.mid")
    rows = hear_file(tmp_path / "a.mid")
    assert onsets(rows) == [list(range(2, 32, 2)), [0, 2, 4, 6]]


def test_an_onset_in_the_last_half_step_opens_the_next_measure(tmp_path: Path) -> None:
    line = 32 * STEP
    before, late = note(line - STEP // 2 - 1, 60, QUARTER), note(line - STEP // 2, 62, QUARTER)
    rows = hear(tmp_path, before, late)
    assert [measure.notes for measure in rows.all_measures()] == [
        (Note(31, 60, 20, 8),),
        (Note(0, 62, 20, 8),),
    ]


def test_a_note_is_at_least_a_step_and_at_most_255_long(tmp_path: Path) -> None:
    rows = hear(tmp_path, note(0, 60, 1), note(0, 62, 1000 * STEP))
    assert [n.duration for n in rows.measure(0).notes] == [255, 1]


def test_the_pedal_lengthens_notes_unless_told_not_to(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mid", [note(0, 60, STEP), pedal(0, 127), pedal(16 * STEP, 0)])
    assert hear_file(path).measure(0).notes == (Note(0, 60, 20, 16),)
    assert hear_file(path, pedal=False).measure(0).notes == (Note(0, 60, 20, 1),)


def test_of_notes_on_one_step_and_pitch_the_longest_stays(tmp_path: Path) -> None:
    rows = hear(tmp_path, note(0, 60, 4), note(10, 60, 200), note(300, 60, 9))
    assert rows.measure(0).notes == (Note(0, 60, 20, 4), Note(5, 60, 20, 1))


def test_a_signature_inside_a_measure_leaves_a_short_one(tmp_path: Path) -> None:
    rows = hear(
        tmp_path, note(0, 60, 9), signature(40 * STEP, 3, 4), note(35 * STEP, 62, 9),
        note(40 * STEP, 64, 9),
    )  # fmt: skip
    assert meters(rows) == ["4/4", "1/4", "3/4"]
    assert onsets(rows) == [[0], [3], [0]]
    assert breaks(rows) == [1, 0, 0]


def test_a_rest_of_a_measure_that_is_no_whole_number_of_steps_breaks_the_piece(
    tmp_path: Path,
) -> None:
    change = 40 * STEP + 7
    rows = hear(
        tmp_path, note(0, 60, 9), signature(change, 3, 4), note(35 * STEP, 62, 9),
        note(change, 64, 9), note(change + 24 * STEP, 65, 9),
    )  # fmt: skip
    assert meters(rows) == ["4/4", "3/4", "3/4"]
    assert [[n.pitch for n in m.notes] for m in rows.all_measures()] == [[60], [64], [65]]
    assert breaks(rows) == [1, 1, 0]


def test_measures_too_long_for_the_grid_are_left_out(tmp_path: Path) -> None:
    rows = hear(
        tmp_path, signature(0, 9, 4), note(0, 60, 9), signature(72 * STEP, 4, 4),
        note(72 * STEP, 62, 9),
    )  # fmt: skip
    assert meters(rows) == ["4/4"]
    with pytest.raises(MidiFileError, match="none of its measures fits"):
        hear(tmp_path, signature(0, 9, 4), note(0, 60, 9))


def test_tempo_is_that_in_force_at_the_line(tmp_path: Path) -> None:
    rows = hear(
        tmp_path, tempo(0, 60), tempo(32 * STEP, 90), tempo(40 * STEP, 30), note(0, 60, 9),
        note(32 * STEP, 60, 9), note(64 * STEP, 60, 9),
    )  # fmt: skip
    assert [round(rows.tempo(index)) for index in range(3)] == [60, 90, 30]


def test_a_file_without_notes_or_with_times_beyond_reason_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MidiFileError, match="holds no notes"):
        hear(tmp_path, tempo(0, 90))
    with pytest.raises(MidiFileError, match="damaged"):
        hear(tmp_path, note(100_001 * QUARTER, 60, 9))


# --- by annotated beats -------------------------------------------------------------------------

WRITTEN = [(0, 60, 8), (8, 62, 4), (12, 64, 4), (16, 65, 16), (32, 67, 24), (56, 69, 8)]  # steps


def perform(path: Path, times: Sequence[float], steps_per_beat: int) -> Path:
    """The written notes played along beats at these times, as a file whose ticks mean nothing."""
    at = np.arange(len(times)) * float(steps_per_beat)
    notes = tuple(
        TimedNote(float(np.interp(o, at, times)), float(np.interp(o + d, at, times)), p, 80)
        for o, p, d in WRITTEN
    )
    write_midi(path, [Track("", notes)], 120, Meter())
    return path


def annotate(path: Path, times: Sequence[float], labels: Sequence[str]) -> Path:
    lines = (f"{t}\t{t}\t{label}\n" for t, label in zip(times, labels, strict=True))
    path.write_text("".join(lines))
    return path


def test_a_performance_with_rubato_comes_back_as_written(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    times = (1.3 + np.cumsum(rng.uniform(0.4, 0.9, 9))).tolist()
    path = perform(tmp_path / "a.mid", times, steps_per_beat=8)
    beats = annotate(
        tmp_path / "a.txt", times[:8], ["db,4/4,0", "b", "b", "b", "db", "b", "b", "b"]
    )
    rows = hear_file(path, beats=beats)
    assert meters(rows) == ["4/4", "4/4"]
    assert [
        (32 * i + n.onset, n.pitch, n.duration)
        for i, measure in enumerate(rows.all_measures())
        for n in measure.notes
    ] == WRITTEN
    measured = 60 * 4 / (times[4] - times[0])
    assert rows.tempo(0) == pytest.approx(measured)


def test_two_beats_in_six_eight_take_twelve_steps_each(tmp_path: Path) -> None:
    times = [1.0, 2.0, 2.8, 3.9, 5.0, 6.0]
    path = perform(tmp_path / "a.mid", times, steps_per_beat=12)
    rows = hear_file(
        path, beats=annotate(tmp_path / "a.txt", times[:4], ["db,6/8", "b", "db", "b"])
    )
    assert meters(rows) == ["6/8", "6/8"]
    assert onsets(rows) == [[0, 8, 12, 16], [8]]


def spans(labels: Sequence[str]) -> list[str]:
    """The meter of each measure these labels make, one a second; "-" where there is none."""
    beats = [
        Beat(
            time=float(second),
            is_downbeat=label.startswith("db"),
            is_placed=not label.startswith("bR"),
            signature=(int(label[-3]), int(label[-1])) if "/" in label else None,
        )
        for second, label in enumerate(labels)
    ]
    return [str(span.meter or "-") for span in ruler_from_beats(beats).lines.spans[1:]]


def test_an_upbeat_is_as_long_as_its_beats() -> None:
    assert spans(["b", "db,4/4", "b", "b", "b", "db"]) == ["1/4", "4/4", "4/4"]


def test_a_measure_with_other_beats_than_its_signature_is_irregular() -> None:
    assert spans(["db,3/4", "b", "db", "b", "b", "db", "b", "b"]) == ["2/4", "3/4", "3/4"]
    assert spans(["db,6/8", "db", "b", "b", "db"]) == ["3/8", "9/8", "6/8"]


def test_a_cadenza_breaks_the_piece() -> None:
    assert spans(["db,2/4", "b", "db", "bR", "bR", "b", "db", "b"]) == ["2/4", "-", "2/4"]
    assert spans(["db,4/4", *["b"] * 9, "db"]) == ["-", "4/4"]


def test_a_new_signature_holds_from_its_downbeat() -> None:
    assert spans(["db,2/4", "b", "db,3/4", "b", "b", "db"]) == ["2/4", "3/4", "3/4"]


def test_places_are_spread_evenly_between_beats_and_stop_at_their_edge() -> None:
    ruler = ruler_from_beats([Beat(1.0, True, signature=(2, 4)), Beat(2.0), Beat(4.0, True)])
    places = ruler.units(np.array([1.0, 1.5, 3.0, 99.0])) / UNITS_PER_STEP
    assert places.tolist() == [0, 4, 12, 32]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "do not rise in time"),
        ("1\t1\tdb,4/4\n1\t1\tb\n", "do not rise in time"),
        ("1\t1\tdb\n2\t2\tb\n", "no time signature"),
        ("1\t1\tdb,4/4\nhello\n", "line 2 is not a beat"),
        ("1\t1\tdb,four\n", "line 1 is not a beat"),
    ],
)
def test_beats_that_cannot_be_used_are_told_in_one_line(
    tmp_path: Path, text: str, reason: str
) -> None:
    path = write(tmp_path / "a.mid", [note(0, 60, 9)])
    beats = tmp_path / "a.txt"
    beats.write_text(text)
    with pytest.raises(DataError, match=reason) as caught:
        hear_file(path, beats=beats)
    assert str(beats) in str(caught.value)


def test_labels_are_read_with_their_signature(tmp_path: Path) -> None:
    path = annotate(tmp_path / "a.txt", [1, 2, 3], ["b,,4", "db,12/16,-3", "bR"])
    assert read_beats(path) == (
        Beat(1.0),
        Beat(2.0, is_downbeat=True, signature=(12, 16)),
        Beat(3.0, is_placed=False),
    )
