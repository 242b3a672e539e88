from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pianogen.errors import ConfigError
from pianogen.families.features import Features, Notes
from pianogen.families.head import STOP, Decisions
from pianogen.families.hybrid import Hybrid, HybridConfig, rhythm_targets
from pianogen.families.hybrid_player import HybridVoice, _Run
from pianogen.grid import Measure, Meter, Note
from pianogen.sampling import Sampling, limit_polyphony
from tests.music import TINY, as_window, random_measures, tiny_hybrid

FREE = Sampling(temperature=1.0, velocity_temperature=1.0, rhythm_temperature=1.0)


def changed_from(notes: Notes, t: int) -> Notes:
    """The same notes before step t; other pitches, velocities and lengths from it on."""
    later = notes.time >= t
    return replace(
        notes,
        key=torch.where(later, (notes.key + 5) % 88, notes.key),
        velocity=torch.where(later, 31 - notes.velocity, notes.velocity),
        duration=torch.where(later, notes.duration % 7 + 1, notes.duration),
    )


@pytest.mark.parametrize("t", [0, 5, 31, 32, 33, 64, 100])
def test_nothing_before_a_step_depends_on_it_or_on_what_follows(t: int) -> None:
    network, notes = tiny_hybrid(), as_window(random_measures(5, seed=3))
    other = changed_from(notes, t)
    with torch.no_grad():
        one = network.states(Features.of(notes), notes)
        two = network.states(Features.of(other), other)
    assert torch.equal(one[:, : t + 1], two[:, : t + 1])  # step t is given what came before it
    assert not torch.equal(one[:, t + 1 :], two[:, t + 1 :])


def test_notes_of_a_step_are_scored_without_those_below_them() -> None:
    step, key = torch.tensor([0, 0, 0, 1]), torch.tensor([60, 50, 40, 30])
    choices = Decisions.of(step, key, 2)
    assert choices.target.tolist() == [60, 50, 40, STOP, 30, STOP]
    assert [row.nonzero().flatten().tolist() for row in choices.chosen] == [
        [], [60], [50, 60], [40, 50, 60], [], [30],
    ]  # fmt: skip
    assert choices.count.tolist() == [0, 1, 2, 3, 0, 1]
    assert choices.lowest.tolist() == [88, 60, 50, 40, 88, 30]
    assert choices.of_note.tolist() == [0, 1, 2, 4]


def states_heard(voice: HybridVoice, measures: list[Measure]) -> torch.Tensor:
    """The decoder's states while the measures are listened to one after another."""
    heard = []
    for measure in measures:
        run = _Run(voice.network, voice.past, voice.influence)
        states = run.states

        def keep(given: torch.Tensor, at: int = 0, states=states) -> torch.Tensor:  # type: ignore[no-untyped-def]
            result: torch.Tensor = states(given, at)
            heard.append(result[0])
            return result

        run.states = keep  # type: ignore[method-assign]
        with torch.inference_mode():
            run.hear(measure)
            voice.past = run.finish()
    return torch.cat(heard)


@pytest.mark.parametrize("meter", [Meter(4, 4), Meter(6, 8), Meter(2, 4)])
def test_listening_measure_by_measure_equals_encoding_the_whole_past(meter: Meter) -> None:
    network, measures = tiny_hybrid(), random_measures(7, seed=4, meter=meter)
    notes = as_window(measures)
    voice = HybridVoice(network)
    voice.reset(meter)
    with torch.no_grad():
        whole = network.states(Features.of(notes), notes)[0]
    assert (states_heard(voice, measures) - whole).abs().max() < 1e-5


def test_playing_a_measure_leaves_what_listening_to_it_leaves() -> None:
    voice = HybridVoice(tiny_hybrid())
    voice.listen(random_measures(1, seed=5)[0])
    before = voice.mark()
    measure = voice.answer(replace(FREE, max_polyphony=32), seed=1)
    played = voice.past
    voice.rewind(before)
    voice.listen(measure)
    for one, two in zip(played.memory, voice.past.memory, strict=True):
        torch.testing.assert_close(one, two, atol=1e-5, rtol=1e-4)
    assert torch.equal(played.history.remaining, voice.past.history.remaining)
    assert measure.notes


def test_the_same_context_sampling_and_seed_give_the_same_measure() -> None:
    voice = HybridVoice(tiny_hybrid())
    voice.listen(random_measures(1, seed=6)[0])
    before = voice.mark()
    first = voice.answer(FREE, seed=7)
    voice.rewind(before)
    assert voice.answer(FREE, seed=7) == first
    voice.rewind(before)
    assert voice.answer(FREE, seed=8) != first


@settings(max_examples=10, deadline=None)
@given(
    seed=st.integers(0, 1000),
    most=st.integers(1, 8),
    low=st.integers(0, 110),
    span=st.integers(0, 60),
    meter=st.sampled_from([Meter(4, 4), Meter(3, 4), Meter(7, 8)]),
)
def test_what_is_played_keeps_to_the_grid_the_range_and_the_polyphony(
    seed: int, most: int, low: int, span: int, meter: Meter
) -> None:
    voice = HybridVoice(tiny_hybrid())
    voice.reset(meter)
    sampling = replace(FREE, max_polyphony=most, low_pitch=low, high_pitch=min(low + span, 127))
    measures = [voice.answer(sampling, seed + n) for n in range(2)]
    assert measures == list(limit_polyphony_within(measures, most))
    for note in (note for measure in measures for note in measure.notes):
        assert 0 <= note.onset < meter.steps
        assert low <= note.pitch <= low + span
        assert 0 <= note.velocity_bin <= 31
        assert note.duration >= 1


def limit_polyphony_within(measures: list[Measure], most: int) -> tuple[Measure, ...]:
    """Each measure limited by itself: what a voice promises of the measure it gives."""
    silent = Measure(measures[0].meter)
    return tuple(limit_polyphony([m, *[silent] * 8], most)[0] for m in measures)


def test_a_voice_keeps_to_its_meter() -> None:
    voice = HybridVoice(tiny_hybrid())
    with pytest.raises(ConfigError, match="reset first"):
        voice.listen(Measure(Meter(3, 4)))
    with pytest.raises(ConfigError, match="needs measures"):
        voice.reset(Meter(1, 16))


def test_notes_beyond_the_piano_are_heard_an_octave_in() -> None:
    voice = HybridVoice(tiny_hybrid())
    voice.listen(Measure(Meter(), (Note(0, 0, 10, 4), Note(0, 127, 10, 4))))
    assert sum(voice.past.history.counts) == 2


def test_steps_to_the_next_onset_are_known_only_where_the_window_tells() -> None:
    begins = torch.zeros(1, 40, dtype=torch.bool)
    begins[0, [2, 5]] = True
    target, known = rhythm_targets(begins)
    assert target[0, :6].tolist() == [2, 1, 0, 2, 1, 0]
    assert known[0, :9].all()  # from 6 to 8 the next 31 steps are there, all silent
    assert target[0, 8] == 31
    assert not known[0, 9:].any()


def test_the_losses_are_finite_for_silence_and_for_one_note() -> None:
    network = Hybrid(TINY)
    for measures in ([Measure(), Measure()], [Measure(Meter(), (Note(0, 60, 9, 4),)), Measure()]):
        losses = network.losses(as_window(measures), torch.ones(1))
        assert torch.isfinite(losses.total())


def test_a_configuration_that_cannot_be_built_says_so() -> None:
    with pytest.raises(ConfigError, match="hidden must divide"):
        HybridConfig(hidden=30, heads=4)
