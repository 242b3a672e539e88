"""Music in frames and back, and the vocabulary of its chords."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pianogen.families.chord_frames import Bools, Frames, measures_of, round_trip
from pianogen.families.chord_vocabulary import Vocabulary, build
from pianogen.grid import KEYS, LOWEST_KEY, Measure, Meter, Note
from pianogen.shards import Shard
from tests.made import C_MAJOR, line, measure, prepared
from tests.music import random_measures


def chord(*pitches: int) -> Bools:
    keys = np.zeros(KEYS, np.bool_)
    keys[[pitch - LOWEST_KEY for pitch in pitches]] = True
    return keys


# --- frames -------------------------------------------------------------------------------------


def test_a_key_new_in_a_chord_is_struck_and_one_that_stays_is_not() -> None:
    frames = Frames.of_measures([measure([(0, 60, 16, 6), (2, 64, 16, 4)])], 2)
    assert [list(np.flatnonzero(row) + LOWEST_KEY) for row in frames.sounding[0, :4]] == [
        [60], [60, 64], [60, 64], [],
    ]  # fmt: skip
    assert [list(np.flatnonzero(row) + LOWEST_KEY) for row in frames.struck[0, :4]] == [
        [60], [64], [], [],
    ]  # fmt: skip


def test_a_key_struck_again_while_it_sounds_ends_the_note_before() -> None:
    frames = Frames.of_measures([measure([(0, 60, 16, 16), (4, 60, 16, 4)])], 2)
    assert list(np.flatnonzero(frames.sounding[0].any(axis=1))) == [0, 1, 2, 3]
    assert [tuple(note) for note in frames.notes()] == [(0, 39, 2), (2, 39, 4)]


def test_music_in_whole_frames_comes_back_unchanged() -> None:
    music = (measure([(0, 60, 16, 8), (0, 48, 16, 40), (8, 60, 16, 2)]), line(C_MAJOR))
    assert measures_of(Frames.of_measures(music, 2), Meter(), 2) == tuple(
        replace(m, notes=tuple(replace(n, velocity_bin=16) for n in m.notes)) for m in music
    )


def test_a_note_shorter_than_a_frame_lasts_one() -> None:
    [back] = measures_of(Frames.of_measures([measure([(3, 60, 16, 1)])], 2), Meter(), 2)
    assert back.notes == (Note(2, 60, 16, 2),)


def test_pitches_beyond_the_piano_are_heard_an_octave_nearer() -> None:
    frames = Frames.of_measures([measure([(0, 0, 16, 2), (0, 127, 16, 2)])], 2)
    assert list(np.flatnonzero(frames.struck[0, 0]) + LOWEST_KEY) == [24, 103]


def test_a_round_trip_says_what_is_lost() -> None:
    music = [measure([(0, 60, 16, 2), (1, 60, 16, 1), (3, 72, 16, 8), (8, 64, 16, 2)])]
    told = round_trip(music, 2)
    assert told == {"kept": 3 / 4, "to the step": 2 / 3, "lengths": 1.0}
    assert round_trip([Measure()], 2)["kept"] == 1.0


@st.composite
def sixteenths(draw: st.DrawFn) -> list[Measure]:
    """Measures on the grid of sixteenths, no key struck while it sounds."""
    meter = draw(st.sampled_from([Meter(), Meter(3, 4), Meter(7, 16)]))
    free = dict.fromkeys(range(LOWEST_KEY, LOWEST_KEY + KEYS), 0)
    count, measures = 3, []
    for number in range(count):
        notes = []
        for onset in range(0, meter.steps, 2):
            for pitch in draw(st.lists(st.integers(21, 108), max_size=4, unique=True)):
                now = number * meter.steps + onset
                left = (count * meter.steps - now) // 2
                if free[pitch] <= now:
                    length = 2 * draw(st.integers(1, min(left, 40)))
                    free[pitch] = now + length
                    notes.append(Note(onset, pitch, 16, length))
        measures.append(Measure(meter, tuple(notes)))
    return measures


@settings(max_examples=30)
@given(sixteenths())
def test_nothing_on_the_sixteenths_is_lost(measures: list[Measure]) -> None:
    there = Frames.of_measures(measures, 2)
    assert list(measures_of(there, measures[0].meter, 2)) == measures
    assert set(round_trip(measures, 2).values()) == {1.0}


# --- the vocabulary -----------------------------------------------------------------------------


def test_the_vocabulary_holds_the_music_in_all_keys(tmp_path: Path) -> None:
    folder = prepared(tmp_path, {("a", "train"): [measure([(0, 60, 16, 16), (0, 64, 16, 16)])] * 3})
    known = build(Shard.open(folder, "train"), 2, 64)
    there = {tuple(np.flatnonzero(row) + LOWEST_KEY) for row in known.keys[known.is_chord] > 0}
    assert there == {(), *((60 + by, 64 + by) for by in range(-6, 7))}
    assert not known.keys[0].any()


def test_any_number_of_processes_finds_the_same_chords(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pianogen.families.chord_vocabulary.A_JOB", 7)
    music = {(str(n), "train"): random_measures(9, n) for n in range(3)}
    shard = Shard.open(prepared(tmp_path, music), "train")
    one, two = build(shard, 2, 200, workers=1), build(shard, 2, 200, workers=2)
    assert one.packed.tobytes() == two.packed.tobytes()


def test_an_unknown_chord_is_the_nearest_without_an_inner_key() -> None:
    rows = [chord(), chord(60, 67), chord(60, 64), chord(60, 64, 67, 71)]
    known = Vocabulary(np.packbits(rows, axis=1))
    asked = np.stack([chord(60, 64), chord(60, 64, 67), chord()])
    found, is_known = known.find(asked)
    assert found.tolist() == [2, 1, 0]
    assert is_known.tolist() == [True, False, True]


def test_of_an_unknown_chord_what_is_struck_is_kept() -> None:
    known = Vocabulary(np.packbits([chord(), chord(60, 67), chord(64, 67)], axis=1))
    asked = chord(60, 64, 67)[None]
    assert known.find(asked)[0].tolist() == [1]
    assert known.find(asked, chord(64)[None])[0].tolist() == [2]


def test_rows_that_are_left_over_are_never_found() -> None:
    known = Vocabulary(np.packbits([chord(), chord(60), chord(), chord()], axis=1))
    assert known.find(np.stack([chord(), chord(100), chord(60)]))[0].tolist() == [0, 0, 1]
