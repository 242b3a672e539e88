"""What music comes to in numbers, on music made by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pianogen.grid import Measure, Meter
from pianogen.keys import Key
from pianogen.metrics import (
    Stretch,
    estimate_key,
    figures,
    histograms,
    longest_run,
    overlap,
    share_in_key,
)
from tests.made import C_MAJOR, line, measure

SCALE = Stretch.of([line(C_MAJOR)])
SILENCE = Stretch.of([Measure(), Measure()])
CHORD = measure((0, pitch, 20, 32) for pitch in (60, 64, 67))


def test_the_same_music_overlaps_entirely() -> None:
    for counts in histograms(SCALE).values():
        assert overlap(counts, counts) == pytest.approx(1)


def test_music_that_shares_no_pitch_class_does_not_overlap() -> None:
    black = Stretch.of([line([61, 63, 66, 68, 70])])
    assert overlap(histograms(SCALE)["pitch classes"], histograms(black)["pitch classes"]) == 0


def test_overlap_is_the_common_area_whatever_the_counts() -> None:
    assert overlap(np.array([1.0, 1, 0, 0]), np.array([0.0, 10, 10, 0])) == pytest.approx(0.5)


def test_silence_overlaps_with_silence_alone() -> None:
    nothing = histograms(SILENCE)["velocity"]
    assert overlap(nothing, nothing) == 1
    assert overlap(nothing, histograms(SCALE)["velocity"]) == 0


def test_histograms_count_what_they_say() -> None:
    counts = histograms(Stretch.of([CHORD, Measure()]))
    assert counts["pitch classes"].nonzero()[0].tolist() == [0, 4, 7]
    assert counts["onset density"][0] == 1  # the empty measure
    assert counts["polyphony"][[0, 3]].tolist() == [32, 32]
    assert counts["velocity"][20] == 3
    assert counts["note length"][9] == 3  # 25 to 32 steps


def test_what_rings_on_past_the_end_is_cut_there() -> None:
    assert Stretch.of([measure([(24, 60, 16, 100)])]).duration.tolist() == [8]


def test_a_pitch_struck_again_sounds_once() -> None:
    again = Stretch.of([measure([(0, 60, 16, 16), (8, 60, 16, 8)])])
    assert again.sounding().tolist() == [1] * 16 + [0] * 16


def test_measures_of_different_lengths_are_no_stretch() -> None:
    with pytest.raises(ValueError, match="equally long"):
        Stretch.of([Measure(), Measure(Meter(3, 4))])


@pytest.mark.parametrize("tonic", range(12))
def test_the_key_of_a_scale_from_its_tonic_is_its_own(tonic: int) -> None:
    major = Stretch.of([line([pitch + tonic for pitch in C_MAJOR])])
    minor = Stretch.of([line([60 + tonic + step for step in (0, 2, 3, 5, 7, 8, 7, 0)])])
    assert estimate_key(major) == Key(tonic)
    assert estimate_key(minor) == Key(tonic, is_minor=True)


def test_long_notes_weigh_more_in_the_key() -> None:
    short = [(0, pitch, 16, 1) for pitch in (61, 66, 68, 63)]
    assert str(estimate_key(Stretch.of([measure([*short, *((0, p, 16, 32) for p in (60, 64, 67))])
                                        ]))) == "C major"  # fmt: skip


def test_silence_has_no_key() -> None:
    assert estimate_key(SILENCE) is None
    assert math.isnan(share_in_key(SCALE, None))


def test_half_the_notes_in_the_key_are_half() -> None:
    assert share_in_key(Stretch.of([line([60, 64, 61, 66])]), Key(0)) == 0.5


def test_one_note_over_and_over_is_hammering() -> None:
    said = figures(SCALE, Stretch.of([line([60] * 8)]))
    assert said["top note again"] == 1
    assert said["longest run of a top note"] == 8


def test_loudness_and_register_are_told_from_what_was_heard() -> None:
    said = figures(SCALE, Stretch.of([line([p + 12 for p in C_MAJOR], velocity_bin=18)]))
    assert said["louder than heard"] == 8
    assert said["register moved, semitones"] == 12
    assert said["velocity"] == 74


def test_a_scale_repeats_nothing_and_falls_half_on_beats() -> None:
    said = figures(SCALE, SCALE)
    assert said["top note again"] == 0
    assert said["longest run of a top note"] == 1
    assert said["onsets on beats"] == 0.5
    assert said["notes in the key heard"] == 1
    assert said["register moved, semitones"] == 0


def test_the_top_line_is_the_highest_of_each_chord() -> None:
    music = Stretch.of([measure([(0, 60, 16, 4), (0, 72, 16, 4), (8, 64, 16, 4)])])
    assert music.top_line().tolist() == [72, 64]


def test_of_silence_is_said_only_that_it_is_empty() -> None:
    said = figures(SCALE, SILENCE)
    assert said["empty measures"] == said["silent steps"] == 1
    assert said["notes a measure"] == 0
    assert math.isnan(said["notes in the key heard"])
    assert longest_run(SILENCE.top_line()) == 0
