"""Notes: sequences of 50, what is told of them, and how they are played."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pianogen.errors import ConfigError
from pianogen.families.cpu_streams import load_notes
from pianogen.families.note_by_note import NotesConfig
from pianogen.families.note_stream import Rows
from pianogen.families.notes import NoteSequences
from pianogen.families.voice import Voice
from pianogen.grid import Meter
from pianogen.sampling import Sampling
from tests.music import as_window, random_measures
from tests.note_by_note import heard, learn, past_of, said_by_numpy, tune, untrained, weights_of

TINY = NotesConfig(embedding=16, hidden=24, dropout=0.0)
COLD = Sampling(
    temperature=0.01, rhythm_temperature=0.01, velocity_temperature=0.01, duration_temperature=0.01
)
HOT = Sampling(temperature=1.2, rhythm_temperature=1.2)


def network() -> NoteSequences:
    made = untrained(NoteSequences(TINY))
    assert isinstance(made, NoteSequences)
    return made


def voice_of(network: NoteSequences) -> Voice:
    return load_notes(vars(network.config), weights_of(network), "cpu")


@pytest.fixture(scope="module")
def random_voice() -> Voice:
    return voice_of(network())


@pytest.fixture(scope="module")
def learnt() -> tuple[Voice, dict[str, float]]:
    torch.manual_seed(1)
    network = NoteSequences(replace(TINY, hidden=48, embedding=32))
    figures = learn(network, 300, 1e-2)
    return voice_of(network), figures


def test_it_learns_a_tune_by_heart(learnt: tuple[Voice, dict[str, float]]) -> None:
    _, figures = learnt
    assert figures["pitch"] < 0.05
    assert figures["accuracy"] > 0.98  # as published: on what was trained on
    assert figures["step"] < 0.05
    assert figures["duration"] < 0.05


@pytest.mark.parametrize("cold", [COLD, Sampling(decoding="max")])
def test_what_it_knows_by_heart_it_goes_on_with_to_the_note(
    learnt: tuple[Voice, dict[str, float]], cold: Sampling
) -> None:
    voice = heard(learnt[0], tune(4))
    assert [voice.answer(cold, seed) for seed in range(4)] == tune(8)[4:]


def test_a_sequence_holds_fifty_notes() -> None:
    rows = Rows.of(as_window(random_measures(8)), NotesConfig().notes)
    assert rows.key.shape[1] == 50


def test_one_optimiser_owns_every_parameter() -> None:
    made = network()
    (optimiser,) = made.optimisers(0.0)
    owned = [weight for group in optimiser.param_groups for weight in group["params"]]
    assert len(owned) == len(list(made.parameters()))


def test_accuracy_is_how_often_the_likeliest_pitch_comes() -> None:
    made = network()
    notes = as_window(random_measures(4))
    rows = Rows.of(notes, TINY.notes)
    with torch.no_grad():
        logits = made.said(rows)[0]
        told = made.losses(notes, torch.ones(1))["accuracy"].mean
    hits = (logits.argmax(dim=-1) == rows.key)[rows.is_note]
    assert float(told) == pytest.approx(float(hits.float().mean()))


def test_the_voice_says_what_the_network_says() -> None:
    made = network()
    notes = as_window(random_measures(2, seed=3))
    rows = Rows.of(notes, 50)
    with torch.no_grad():
        _, in_time, step, duration = made.said(rows)
    said = said_by_numpy(voice_of(made).player, rows, 32)  # type: ignore[arg-type]
    for column, (logits, wait, length) in enumerate(said):
        free = in_time[0, column] > -1e8
        np.testing.assert_allclose(
            np.array(logits)[free.numpy()], in_time[0, column][free], atol=1e-4
        )
        np.testing.assert_allclose(wait, step[0, column], atol=1e-4)
        np.testing.assert_allclose(length, duration[0, column], atol=1e-4)


def test_what_lies_further_back_than_fifty_notes_is_forgotten(random_voice: Voice) -> None:
    heard(random_voice, random_measures(12))
    assert len(past_of(random_voice).carried.notes) == 50


def test_the_same_seed_plays_the_same(random_voice: Voice) -> None:
    heard(random_voice, random_measures(3))
    mark = random_voice.mark()
    first = random_voice.answer(HOT, 1), random_voice.answer(HOT, 2)
    random_voice.rewind(mark)
    assert (random_voice.answer(HOT, 1), random_voice.answer(HOT, 2)) == first
    other = heard(random_voice.another(), random_measures(3))
    assert (other.answer(HOT, 1), other.answer(HOT, 2)) == first


@given(
    st.sampled_from([Meter(), Meter(3, 4), Meter(1, 32), Meter(8, 4)]),
    st.sampled_from([0.25, 1.0, 4.0]),
    st.sampled_from([(0,), (2, 5, 9), tuple(range(12))]),
    st.integers(0, 5),
)
@settings(max_examples=30)
def test_whatever_is_asked_every_note_is_within_it(
    random_voice: Voice, meter: Meter, density: float, classes: tuple[int, ...], seed: int
) -> None:
    heard(random_voice, random_measures(3, seed, meter), meter)
    sampling = replace(HOT, density=density, pitch_classes=classes, low_pitch=40, high_pitch=90)
    for number in range(2):
        played = random_voice.answer(sampling, number)
        assert played.meter == meter
        for note in played.notes:
            assert 40 <= note.pitch <= 90
            assert note.pitch % 12 in classes
            assert 0 <= note.velocity_bin < 32
            assert 1 <= note.duration <= 192


@pytest.mark.parametrize("most", [1, 2, 3])
def test_no_more_begin_at_once_than_may_sound(random_voice: Voice, most: int) -> None:
    heard(random_voice, random_measures(3))
    sampling = replace(HOT, density=4.0, max_polyphony=most)
    answers = [random_voice.answer(sampling, seed) for seed in range(6)]
    onsets = [[note.onset for note in answer.notes] for answer in answers]
    assert max(steps.count(step) for steps in onsets for step in steps) == most


def test_it_begins_from_nothing(random_voice: Voice) -> None:
    heard(random_voice, [])
    answers = [random_voice.answer(HOT, seed) for seed in range(8)]
    assert any(not answer.is_silent for answer in answers)


def test_sizes_that_cannot_be_are_refused() -> None:
    with pytest.raises(ConfigError, match="notes"):
        NotesConfig(notes=0)
