"""What knows nothing and what only repeats, and the element-wise figures they score."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from pianogen.baselines import Hold, Repeat, Unigram, log_sets
from pianogen.dataset import Windows
from pianogen.elements import by_repeat, by_unigram, element_sums, published, silent
from pianogen.grid import Measure, Meter
from pianogen.nats import nats_a_note
from pianogen.shards import Shard
from pianogen.windowed import Windowed, until_next
from tests.made import C_MAJOR, line, measure, prepared


def windowed(tmp_path: Path, music: Sequence[Measure]) -> Windowed:
    """All of some music in one window."""
    folder = prepared(tmp_path / "made", {("a", "train"): music})
    (batch,) = Windows(Shard.open(folder, "train"), steps=1, measures=len(music)).every()
    return Windowed.of(batch)


@pytest.fixture
def repeating(tmp_path: Path) -> Windowed:
    return windowed(tmp_path, [line(C_MAJOR)] * 8)


def test_all_sets_of_a_size_have_chance_1_together() -> None:
    odds = np.array([[0.1, 0.5, 0.02, 3.0, 1.0]])
    for size in range(6):
        chosen = [list(keys) for keys in itertools.combinations(range(5), size)]
        sets = np.zeros((len(chosen), 5), np.bool_)
        for row, keys in enumerate(chosen):
            sets[row, keys] = True
        assert np.exp(log_sets(odds, sets)).sum() == pytest.approx(1)


def test_the_unigrams_chances_sum_to_1(repeating: Windowed) -> None:
    unigram = Unigram.fit([repeating])
    for chances in (unigram.counts, unigram.velocity, unigram.duration):
        assert chances.sum() == pytest.approx(1)
    assert ((unigram.chances(32) > 0) & (unigram.chances(32) < 1)).all()


def test_the_unigram_knows_places_in_the_measure(repeating: Windowed) -> None:
    chances = Unigram.fit([repeating]).chances(32)
    assert (chances[::4] > 0.9).all()
    assert (np.delete(chances, np.arange(0, 32, 4)) < 0.1).all()


def test_a_meter_never_seen_has_the_mean_chance_everywhere(repeating: Windowed) -> None:
    chances = Unigram.fit([repeating]).chances(24)
    assert chances == pytest.approx([64.5 / 257] * 24)


def test_unigram_samples_are_in_the_meter_and_of_the_keys(repeating: Windowed) -> None:
    rng = np.random.default_rng(0)
    drawn = Unigram.fit([repeating]).sample(Meter(), 20, rng)
    assert {m.meter for m in drawn} == {Meter()}
    pitches = [note.pitch for m in drawn for note in m.notes]
    assert np.isin(pitches, C_MAJOR).mean() > 0.5
    assert len(pitches) > 100


def test_repeat_is_nearly_certain_on_repeating_music(repeating: Windowed) -> None:
    unigram = Unigram.fit([repeating])
    repeat = nats_a_note(Repeat.fit(unigram, [repeating]).nats(repeating))
    alone = nats_a_note(unigram.nats(repeating))
    assert repeat["  pitch"] < 0.3 * alone["  pitch"]
    assert repeat["duration"] < 0.2 * alone["duration"]
    assert repeat["pitch and timing"] == repeat["  pitch"] + repeat["  timing"]


def test_hold_is_nearly_certain_where_all_is_as_loud(repeating: Windowed) -> None:
    unigram = Unigram.fit([repeating])
    held = nats_a_note(Hold.fit(unigram, [repeating]).nats(repeating))
    assert held["velocity, weighted"] < 0.1 < nats_a_note(unigram.nats(repeating))["duration"]
    assert np.isnan(held["  pitch"])


def test_repeat_in_a_first_measure_is_the_unigram(tmp_path: Path, repeating: Windowed) -> None:
    unigram = Unigram.fit([repeating])
    repeat = Repeat.fit(unigram, [repeating])
    once = windowed(tmp_path / "once", [line(C_MAJOR), Measure()])
    first = once.roll(np.ones(len(once.key), int)).sum()
    assert repeat.nats(once)["note"] == pytest.approx(unigram.nats(once)["note"])
    assert first == len(C_MAJOR)


def test_velocities_count_as_their_kind_does(tmp_path: Path) -> None:
    flat = windowed(tmp_path, [line(C_MAJOR)] * 2)
    assert nats_a_note(Unigram.fit([flat]).nats(flat))["velocity, where played"] > 0
    assert flat.weight.tolist() == [1.0]


def test_repeating_music_is_predicted_right_by_repeating(repeating: Windowed) -> None:
    scores = published(element_sums(repeating, by_repeat(repeating, Unigram.fit([repeating]))))
    # All but the first measure, which nothing came before.
    assert scores["onset F1"] >= 7 / 8
    assert scores["rhythm alignment"] == 1
    assert scores["velocity MAE, notes"] == 0


def test_silence_scores_99_percent_on_an_almost_silent_roll(tmp_path: Path) -> None:
    music = windowed(tmp_path, [line([60] * 8), line([60] * 8)])
    scores = published(element_sums(music, silent(music, holds=False)))
    assert scores["note accuracy"] == 127 / 128
    assert scores["velocity MAE, elements"] == pytest.approx(66 / 127 / 128)
    assert scores["velocity MAE, notes"] == pytest.approx(66 / 127)
    assert scores["onset F1"] == 0
    held = published(element_sums(music, silent(music, holds=True)))
    assert held["velocity MAE, notes"] == pytest.approx(66 / 127 / 16)  # the first note alone


def test_holding_knows_what_sounds_on_but_nothing_new(tmp_path: Path) -> None:
    music = windowed(tmp_path, [measure([(0, 60, 16, 64)]), Measure()])
    scores = published(element_sums(music, silent(music, holds=True)))
    assert scores["note accuracy"] == 1 - 1 / (64 * 128)


def test_what_is_held_ends_with_the_note_and_a_newer_one_takes_over(tmp_path: Path) -> None:
    music = windowed(tmp_path, [measure([(0, 60, 10, 16), (8, 60, 20, 4)]), Measure()])
    held = music.held()[0, :, 60 - 21] * 127
    assert held[:20].round().tolist() == [0, *[42] * 8, *[82] * 3, *[42] * 4, *[0] * 4]


def test_the_next_onset_is_counted_in_steps(tmp_path: Path) -> None:
    begins = np.zeros((1, 64), np.bool_)
    begins[0, [5, 50]] = True
    distance, known = until_next(begins)
    assert distance[0, [0, 5, 6, 49, 50]].tolist() == [5, 0, 31, 1, 0]
    assert known[0].sum() == 51


def test_the_unigrams_prediction_is_its_likeliest(repeating: Windowed) -> None:
    prediction = by_unigram(repeating, Unigram.fit([repeating]))
    assert prediction.onset.any(axis=2)[0, :8].tolist() == [True, *[False] * 3] * 2
    assert prediction.rhythm[0, :5].tolist() == [0, 3, 2, 1, 0]
