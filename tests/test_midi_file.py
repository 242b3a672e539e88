"""MIDI files: what is heard in one, and that what is written is heard again."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import mido
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pianogen.errors import MidiFileError
from pianogen.grid import Measure, Meter, Note
from pianogen.hearing import hear_file
from pianogen.midi_file import (
    TimedNote,
    Track,
    measures_to_notes,
    read_notes,
    read_score,
    write_midi,
)
from tests.midi_files import note, pedal, signature, tempo, write

# --- reading ------------------------------------------------------------------------------------


def heard(path: Path) -> list[tuple[int, int, int]]:
    """Start tick, end tick and pitch of the notes."""
    return [tuple(row) for row in read_score(path).notes[:, :3].tolist()]


def test_all_tracks_and_channels_are_one_keyboard_without_the_drums(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.mid",
        [note(0, 60, 480)],
        [note(240, 64, 480, channel=3), note(0, 38, 480, channel=9)],
    )
    assert heard(path) == [(0, 480, 60), (240, 720, 64)]


def test_a_note_on_without_velocity_is_a_note_off(tmp_path: Path) -> None:
    on, off = (mido.Message("note_on", note=60, velocity=v) for v in (80, 0))
    assert heard(write(tmp_path / "a.mid", [[(0, on), (480, off)]])) == [(0, 480, 60)]


def test_a_key_struck_again_ends_the_note_before(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mid", [note(0, 60, 960)], [note(480, 60, 240)])
    assert heard(path) == [(0, 480, 60), (480, 720, 60)]


def test_of_two_notes_struck_together_on_one_key_the_longer_stays(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mid", [note(0, 60, 240)], [note(0, 60, 960)], [note(0, 60, 480)])
    assert heard(path) == [(0, 960, 60)]


def test_notes_without_length_are_dropped_and_open_ones_end_with_the_file(tmp_path: Path) -> None:
    held = mido.Message("note_on", note=48, velocity=80)
    path = write(tmp_path / "a.mid", [note(0, 60, 960), [(100, held)], note(960, 67, 0)])
    assert (100, 960, 48) in heard(path)
    assert all(end > start for start, end, _ in heard(path))


def test_the_pedal_holds_a_note_till_it_goes_up_or_the_key_is_struck_again(
    tmp_path: Path,
) -> None:
    path = write(
        tmp_path / "a.mid",
        [
            note(0, 60, 240),
            note(0, 64, 240),
            note(480, 64, 240),
            pedal(120, 127),
            pedal(960, 0),
            note(960, 72, 240),
        ],
    )
    ends = read_score(path).pedalled_notes()[:, [0, 2, 1]].tolist()
    assert ends == [[0, 60, 960], [0, 64, 480], [480, 64, 960], [960, 72, 1200]]


def test_the_pedal_of_one_channel_leaves_the_others_alone(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.mid",
        [note(0, 60, 240), note(0, 64, 240, channel=1), pedal(0, 64), pedal(960, 63)],
    )
    assert read_score(path).pedalled_notes()[:, 1].tolist() == [960, 240]


def test_a_pedal_taken_as_the_key_goes_up_holds_nothing(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mid", [note(0, 60, 240), pedal(240, 127), note(480, 62, 480)])
    assert read_score(path).pedalled_notes()[:, 1].tolist() == [240, 960]


def test_ticks_become_seconds_through_the_tempo_map(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mid", [tempo(0, 60), tempo(480, 120), note(0, 60, 960)])
    assert read_notes(path) == (TimedNote(0.0, 1.5, 60, 80),)


def test_notes_are_those_pretty_midi_reads(tmp_path: Path) -> None:
    import pretty_midi

    rng = np.random.default_rng(3)
    starts = rng.integers(0, 9600, 200)
    played = [
        note(int(start), int(pitch), int(length), velocity=int(velocity))
        for start, pitch, length, velocity in zip(
            starts,
            21 + np.arange(200) % 88,
            rng.integers(1, 200, 200),
            rng.integers(1, 128, 200),
            strict=True,
        )
        if not any(abs(start - other) < 300 for other in starts[: starts.tolist().index(start)])
    ]
    path = write(tmp_path / "a.mid", [tempo(0, 97), tempo(1000, 63.5)], played)
    theirs = sorted(
        (n.start, n.end, n.pitch, n.velocity)
        for n in pretty_midi.PrettyMIDI(str(path)).instruments[0].notes
    )
    ours = [(n.start, n.end, n.pitch, n.velocity) for n in read_notes(path)]
    assert len(ours) > 5
    np.testing.assert_allclose(ours, theirs, atol=1e-9)


def test_a_byte_out_of_range_is_clipped_not_fatal(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mid", [note(0, 60, 480, velocity=101)])
    path.write_bytes(path.read_bytes().replace(bytes([60, 101]), bytes([60, 200])))
    assert [n.velocity for n in read_notes(path)] == [127]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "there is no such file"),
        (b"", "cannot be read as a MIDI file"),
        (b"hello, world, this is no music", "cannot be read as a MIDI file"),
        (b"MThd\0\0\0\6\0\1\0\0\xe7\x28", "film frames"),
        (b"MThd\0\0\0\6\0\2\0\0\1\xe0", "several pieces"),
    ],
)
def test_a_broken_file_is_told_in_one_line(
    tmp_path: Path, content: bytes | None, reason: str
) -> None:
    path = tmp_path / "broken.mid"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(MidiFileError, match=reason) as caught:
        read_score(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_damage_is_heard_or_refused_never_anything_else(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("damage") / "a.mid"
    whole = bytearray(
        write(path, [signature(0, 3, 4), note(0, 60, 480), note(9, 62, 9)]).read_bytes()
    )
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(whole[: data.draw(st.integers(0, len(whole)))]))
    with suppress(MidiFileError):
        rows = hear_file(path)
        assert len(rows.all_measures()) == len(rows) > 0


# --- writing ------------------------------------------------------------------------------------


def test_tempo_meter_and_named_tracks_are_written(tmp_path: Path) -> None:
    path = tmp_path / "out.mid"
    played = Track("performer", (TimedNote(0, 1, 60, 80),))
    answer = Track("pianogen", (TimedNote(1, 2, 64, 42),))
    write_midi(path, [played, answer], 90, Meter(6, 8))
    score = read_score(path)
    assert [track.name for track in mido.MidiFile(path).tracks] == ["", "performer", "pianogen"]
    assert score.tempos.tolist() == [[0, mido.bpm2tempo(90)]]
    assert score.signatures.tolist() == [[0, 6, 8]]
    assert score.notes[:, :4].tolist() == [[0, 720, 60, 80], [720, 1440, 64, 42]]


def test_a_file_that_cannot_be_written_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "a file").touch()
    with pytest.raises(MidiFileError, match="cannot be written"):
        write_midi(tmp_path / "a file" / "out.mid", [], 120, Meter())
    assert [path.name for path in tmp_path.iterdir()] == ["a file"]


def test_the_measures_after_a_start_keep_their_time(tmp_path: Path) -> None:
    measures = [
        Measure(Meter(3, 4), (Note(0, 60, 20, 8),)),
        Measure(Meter(), (Note(8, 62, 20, 8),)),
    ]
    assert measures_to_notes(measures, 60, start_measure=1) == (TimedNote(4.0, 5.0, 62, 82),)
    assert len(measures_to_notes(measures, 60)) == 2


def test_a_note_reaching_over_the_next_of_its_pitch_ends_there() -> None:
    measures = [Measure(Meter(), (Note(0, 60, 20, 60),)), Measure(Meter(), (Note(0, 60, 20, 8),))]
    assert [note.end for note in measures_to_notes(measures, 120)] == [2.0, 2.5]


METERS = st.sampled_from([Meter(), Meter(3, 4), Meter(6, 8), Meter(5, 8), Meter(7, 32)])


@st.composite
def measures(draw: st.DrawFn) -> tuple[Measure, ...]:
    """Measures of one meter, the last with a note, in which no pitch reaches over its next."""
    meter = draw(METERS)
    count = draw(st.integers(1, 4))
    cells = draw(
        st.lists(
            st.tuples(
                st.integers(0, count * meter.steps - 1),
                st.integers(0, 127),
                st.integers(0, 31),
                st.integers(1, 255),
            ),
            min_size=1,
            max_size=30,
            unique_by=lambda cell: cell[:2],
        )
    )
    onsets: dict[int, list[int]] = {}
    for onset, pitch, _, _ in cells:
        onsets.setdefault(pitch, []).append(onset)
    notes: list[list[Note]] = [[] for _ in range(max(cell[0] for cell in cells) // meter.steps + 1)]
    for onset, pitch, velocity_bin, duration in cells:
        room = min((o - onset for o in onsets[pitch] if o > onset), default=255)
        kept = Note(onset % meter.steps, pitch, velocity_bin, min(duration, room))
        notes[onset // meter.steps].append(kept)
    return tuple(Measure(meter, tuple(each)) for each in notes)


@settings(max_examples=60, deadline=None)
@given(played=measures(), tempo_bpm=st.floats(10, 400))
def test_measures_written_are_the_measures_heard(
    tmp_path_factory: pytest.TempPathFactory, played: tuple[Measure, ...], tempo_bpm: float
) -> None:
    path = tmp_path_factory.mktemp("round") / "trip.mid"
    track = Track("pianogen", measures_to_notes(played, tempo_bpm))
    write_midi(path, [track], tempo_bpm, played[0].meter)
    assert hear_file(path).all_measures() == played
