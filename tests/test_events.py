"""Events: what is trained by which optimiser, and how its voice plays."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pianogen.errors import ConfigError
from pianogen.families.cpu_streams import load_events
from pianogen.families.events import Events
from pianogen.families.flat_notes import Notes
from pianogen.families.note_by_note import EventsConfig
from pianogen.families.note_stream import Outcomes, Rows
from pianogen.families.voice import Voice
from pianogen.grid import Measure, Meter, Note
from pianogen.losses import minimised
from pianogen.sampling import Sampling
from tests.music import as_window, random_measures
from tests.note_by_note import heard, learn, said_by_numpy, tune, untrained, weights_of

TINY = EventsConfig(embedding=16, hidden=24, head=16, notes=40, dropout=0.0)
COLD = Sampling(
    temperature=0.01, rhythm_temperature=0.01, velocity_temperature=0.01, duration_temperature=0.01
)
HOT = Sampling(temperature=1.2, rhythm_temperature=1.2)


def network() -> Events:
    made = untrained(Events(TINY))
    assert isinstance(made, Events)
    return made


def voice_of(network: Events) -> Voice:
    return load_events(vars(network.config), weights_of(network), "cpu")


@pytest.fixture(scope="module")
def random_voice() -> Voice:
    return voice_of(network())


@pytest.fixture(scope="module")
def learnt() -> tuple[Voice, dict[str, float]]:
    torch.manual_seed(1)
    network = Events(replace(TINY, hidden=48, head=32, embedding=32, notes=64))
    figures = learn(network, 250, 1e-2)
    return voice_of(network), figures


def test_it_learns_a_tune_by_heart(learnt: tuple[Voice, dict[str, float]]) -> None:
    _, figures = learnt
    assert figures["pitch"] < 0.05
    assert figures["pitch in time"] < 0.05
    assert figures["accuracy"] > 0.98
    assert figures["time"] < 0.1
    assert figures["velocity"] < 0.001


@pytest.mark.parametrize("cold", [COLD, Sampling(decoding="max"), Sampling(decoding="beam")])
def test_what_it_knows_by_heart_it_goes_on_with_to_the_note(
    learnt: tuple[Voice, dict[str, float]], cold: Sampling
) -> None:
    voice = heard(learnt[0], tune(4))
    assert [voice.answer(cold, seed) for seed in range(4)] == tune(8)[4:]


def test_time_and_loudness_teach_their_own_heads_alone() -> None:
    made = network().train()
    owners = {}
    for number, optimiser in enumerate(made.optimisers(0.0)):
        for group in optimiser.param_groups:
            for weight in group["params"]:
                assert id(weight) not in owners
                owners[id(weight)] = number
    assert len(owners) == len(list(made.parameters()))
    for number, name in ((1, "time"), (2, "velocity")):
        made.zero_grad(set_to_none=True)
        losses = made.losses(as_window(random_measures(4)), torch.ones(1))
        losses[name].mean.backward()  # type: ignore[no-untyped-call]
        moved = {p for p, w in made.named_parameters() if w.grad is not None and w.grad.any()}
        assert moved
        assert {owners[id(dict(made.named_parameters())[p])] for p in moved} == {number}


def test_pitch_teaches_embedding_lstm_and_its_own_head() -> None:
    made = network().train()
    losses = made.losses(as_window(random_measures(4)), torch.ones(1))
    minimised(losses, {"pitch": 1.0, "pitch in time": 1.0}).backward()  # type: ignore[no-untyped-call]
    touched = {name.split(".")[0] for name, w in made.named_parameters() if w.grad is not None}
    assert touched == {"reading", "lstm", "pitch", "in_time"}


def test_loudness_that_nobody_recorded_teaches_nothing() -> None:
    losses = network().losses(as_window(random_measures(4)), torch.zeros(1))
    assert float(losses["velocity"].mean.detach()) == 0


def test_the_voice_says_what_the_network_says() -> None:
    made = network()
    notes = as_window(random_measures(2, seed=3))
    rows = Rows.of(notes, len(notes.key))
    with torch.no_grad():
        _, in_time, time, velocity = made.said(rows)
    said = said_by_numpy(voice_of(made).player, rows, 32)  # type: ignore[arg-type]
    for column, (logits, wait, loudness) in enumerate(said):
        free = in_time[0, column] > -1e8
        np.testing.assert_allclose(
            np.array(logits)[free.numpy()], in_time[0, column][free], atol=1e-4
        )
        np.testing.assert_allclose(wait, time[0, column], atol=1e-4)
        np.testing.assert_allclose(loudness, velocity[0, column], atol=1e-4)


@given(st.integers(0, 30))
@settings(max_examples=10)
def test_nothing_depends_on_what_comes_later(number: int) -> None:
    made = network()
    notes = as_window(random_measures(2, seed=4))
    number = min(number, len(notes.key) - 2)
    key = notes.key.clone()
    key[number + 1 :] = (key[number + 1 :] + 7) % 88
    rows, other = (Rows.of(x, len(notes.key)) for x in (notes, replace(notes, key=key)))
    with torch.no_grad():
        before, after = made.said(rows), made.said(other)
    assert torch.equal(before[0][:, : number + 2], after[0][:, : number + 2])
    assert torch.equal(before[2][:, : number + 2], after[2][:, : number + 2])
    assert torch.equal(before[3][:, : number + 2], after[3][:, : number + 2])


def test_long_windows_make_rows_that_begin_in_their_midst() -> None:
    notes = as_window(random_measures(4))
    whole, cut = Rows.of(notes, 10_000), Rows.of(notes, 7)
    assert cut.key.shape[1] == 7
    assert torch.equal(whole.key[whole.is_note], cut.key[cut.is_note])
    assert torch.equal(whole.given.key[whole.is_note], cut.given.key[cut.is_note])
    assert torch.equal(whole.given.lately[whole.is_note], cut.given.lately[cut.is_note])


def test_a_window_without_notes_teaches_nothing() -> None:
    none = torch.zeros(0, dtype=torch.long)
    losses = network().losses(Notes(2, 2, 32, none, none, none, none, none), torch.ones(2))
    assert float(minimised(losses, Events.WEIGHTS).detach()) == 0


def test_outcomes_tell_what_came_where_a_number_was_said() -> None:
    outcomes = Outcomes(9, 4, 8.0)
    said, was = torch.tensor([2.0, 2.1, 7.0]), torch.tensor([0, 3, 1])
    outcomes.learn(said, was)
    assert outcomes.shares[2].nonzero().flatten().tolist() == [0, 3]
    assert outcomes.nats(said, was).tolist() == pytest.approx([0.69, 0.69, 0.0], abs=0.1)


def test_the_same_seed_plays_the_same_and_another_one_something_else(random_voice: Voice) -> None:
    heard(random_voice, random_measures(3))
    mark = random_voice.mark()
    first = random_voice.answer(HOT, 1)
    random_voice.rewind(mark)
    assert random_voice.answer(HOT, 1) == first
    random_voice.rewind(mark)
    assert any(random_voice.answer(HOT, seed) != first for seed in range(2, 6))


def test_another_voice_has_heard_nothing_and_plays_as_the_first(random_voice: Voice) -> None:
    music = random_measures(3)
    heard(random_voice, music)
    other = random_voice.another()
    assert other.answer(HOT, 7) == heard(random_voice.another(), []).answer(HOT, 7)
    assert heard(other, music).answer(HOT, 7) == heard(random_voice, music).answer(HOT, 7)


def test_it_begins_from_nothing(random_voice: Voice) -> None:
    heard(random_voice, [])
    answers = [random_voice.answer(HOT, seed) for seed in range(8)]
    assert any(not answer.is_silent for answer in answers)


samplings = st.builds(
    Sampling,
    temperature=st.floats(0.05, 2),
    rhythm_temperature=st.floats(0.05, 2),
    min_p=st.sampled_from([0.0, 0.3]),
    max_polyphony=st.integers(1, 32),
    low_pitch=st.integers(0, 60),
    high_pitch=st.integers(61, 127),
    density=st.sampled_from([0.25, 1.0, 4.0]),
    pitch_classes=st.sampled_from([(0,), (0, 4, 7), tuple(range(12))]),
)
meters = st.sampled_from([Meter(), Meter(3, 4), Meter(1, 32), Meter(7, 8), Meter(8, 4)])


@given(meters, samplings, st.integers(0, 5))
@settings(max_examples=40)
def test_whatever_is_asked_every_note_is_within_it(
    random_voice: Voice, meter: Meter, sampling: Sampling, seed: int
) -> None:
    heard(random_voice, random_measures(3, seed, meter), meter)
    for number in range(2):
        played = random_voice.answer(sampling, number)
        assert played.meter == meter
        onsets = [note.onset for note in played.notes]
        assert all(onsets.count(onset) <= min(10, sampling.max_polyphony) for onset in onsets)
        for note in played.notes:
            assert max(21, sampling.low_pitch) <= note.pitch <= min(108, sampling.high_pitch)
            assert note.pitch % 12 in sampling.pitch_classes
            assert 0 <= note.velocity_bin < 32
            assert 1 <= note.duration <= 255


def test_it_hears_what_no_piano_plays(random_voice: Voice) -> None:
    everything = Measure(Meter(), tuple(Note(0, pitch, 31, 255) for pitch in range(128)))
    heard(random_voice, [everything, Measure(Meter()), Measure(Meter())])
    random_voice.answer(Sampling(), 0)


def test_after_a_long_rest_it_plays_on(random_voice: Voice) -> None:
    heard(random_voice, [*random_measures(2), *[Measure(Meter())] * 10])
    assert any(not random_voice.answer(HOT, seed).is_silent for seed in range(8))


def test_where_no_key_is_free_nothing_is_played(random_voice: Voice) -> None:
    heard(random_voice, random_measures(2))
    nowhere = Sampling(low_pitch=0, high_pitch=20)
    assert random_voice.answer(nowhere, 0).is_silent


def test_more_notes_are_played_where_more_are_asked_for(random_voice: Voice) -> None:
    def count(density: float) -> int:
        heard(random_voice, random_measures(4, seed=8))
        sampling = Sampling(density=density, usual_notes=20)
        return sum(len(random_voice.answer(sampling, seed).notes) for seed in range(6))

    assert count(0.25) < count(1.0) < count(4.0)


def test_sizes_that_cannot_be_are_refused() -> None:
    with pytest.raises(ConfigError, match="events"):
        EventsConfig(hidden=0)
    with pytest.raises(ConfigError, match="dropout"):
        EventsConfig(dropout=1.0)


def test_playing_needs_no_torch() -> None:
    check = "import sys; import pianogen.families.cpu_streams; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", check], check=True)
