from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from pianogen.errors import ConfigError
from pianogen.families.drafts import draw
from pianogen.families.drawn import written
from pianogen.families.features import Features
from pianogen.families.flat_notes import Notes
from pianogen.families.head import Decisions
from pianogen.families.hybrid import Hybrid, rhythm_targets
from pianogen.families.hybrid_player import HybridVoice
from pianogen.families.listening import MOST_NOTES, hear, start_of, table
from pianogen.families.sizes import NOISE, STOP, HybridConfig
from pianogen.families.steering import push_of
from pianogen.families.torch_hybrid import wishes_of
from pianogen.grid import Measure, Meter, Note
from pianogen.losses import minimised
from pianogen.sampling import Sampling, limit_polyphony
from pianogen.weighing import surprise
from tests.music import TINY, arrays, as_window, random_measures, tiny_hybrid, voice_of

ENGINES = ("numpy", "torch")
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


def heard(
    measures: list[Measure], engine: str = "numpy", network: Hybrid | None = None
) -> HybridVoice:
    """A voice that has listened to some measures."""
    voice = voice_of(network or tiny_hybrid(), engine)
    voice.reset(measures[0].meter)
    for measure in measures:
        voice.listen(measure)
    return voice


def lots(count: int, seed: int, steps: int = 32) -> np.ndarray:
    """Noise for drafts."""
    return np.random.default_rng(seed).random((count, steps, NOISE), dtype=np.float32)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("meter", [Meter(4, 4), Meter(6, 8), Meter(2, 4)])
def test_what_is_drawn_is_as_likely_as_training_holds_it(meter: Meter, engine: str) -> None:
    measures, network = random_measures(5, seed=4, meter=meter), tiny_hybrid()
    voice = heard(measures, engine, network)
    drawn = voice.draw(replace(FREE, max_polyphony=32), lots(24, 1, meter.steps))
    whole = [row for row in range(24) if not drawn.cuts[row].any()]
    assert whole
    for row in whole[:4]:
        nats = surprise(network, [*measures, written(meter, drawn, row)])[-1]
        assert drawn.nats[row].tolist() == pytest.approx(nats, abs=2e-3, rel=1e-4)


@pytest.mark.parametrize("engine", ENGINES)
def test_drafts_do_not_depend_on_one_another(engine: str) -> None:
    voice, noise = heard(random_measures(2, seed=5), engine), lots(18, 2)
    many = voice.draw(FREE, noise)
    for row in (0, 1, 8, 15, 16, 17):
        alone = voice.draw(FREE, noise[row : row + 1])
        assert written(Meter(), alone, 0) == written(Meter(), many, row)


@pytest.mark.parametrize("engine", ENGINES)
def test_with_min_p_near_one_only_the_likeliest_pitches_are_drawn(engine: str) -> None:
    network = tiny_hybrid()
    with torch.no_grad():
        network.onset.bias.fill_(9.0)  # something begins on every step
    voice = heard(random_measures(2, seed=8), engine, network)
    for min_p, chords in ((0.99999, 1), (0.0, 4)):
        drawn = voice.draw(replace(FREE, min_p=min_p), lots(4, 7))
        assert len({tuple(keys) for keys in drawn.keys[:, 0].tolist()}) == chords


class Asked(TorchDispatchMode):
    """Notes the operations that wait for a device, or bring something to it."""

    WAITING = ("_local_scalar_dense", "nonzero", "masked_select", "equal", "lift_fresh", "unique")

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        name = func.overloadpacket.__name__
        if name in self.WAITING:
            self.names.add(name)
        return func(*args, **(kwargs or {}))


def test_torch_asks_the_device_nothing_inside_a_measure() -> None:
    voice = voice_of(tiny_hybrid(), "torch")
    voice.answer(FREE, seed=1)  # constants are brought to the device by the first call
    engine, now = voice.engine, voice.context.past
    notes = table(random_measures(1)[0], engine.device, MOST_NOTES)
    start = start_of(engine.network, now.past, now.left, 32)
    noise, push = torch.rand(2, 32, NOISE), push_of(Sampling(density=2), (), 32)
    wishes = wishes_of(FREE, push, engine.device)
    with torch.inference_mode(), Asked() as asked:
        hear(engine.network, now.past, notes)
        draw(engine.folded, start, wishes, noise)
    assert not asked.names
    with torch.inference_mode(), Asked() as asked:
        engine.network.predict(as_window(random_measures(1)))
    assert asked.names  # training may: the check can fail


@pytest.mark.parametrize("engine", ENGINES)
def test_listening_measure_by_measure_equals_encoding_the_whole_past(engine: str) -> None:
    measures, network = random_measures(7, seed=4), tiny_hybrid()
    notes = as_window(measures)
    features = Features.of(notes)
    with torch.no_grad():
        rolls = [
            x.view(1, 7, 32, -1) for x in (features.onset, features.sounding, features.velocity)
        ]
        whole, _ = network.encode(*rolls)
    past = heard(measures, engine, network).context.past
    memory = past.past.memory if engine == "torch" else np.stack(past.memories)
    np.testing.assert_allclose(memory, whole[0, -2:], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("engine", ENGINES)
def test_playing_a_measure_leaves_what_listening_to_it_leaves(engine: str) -> None:
    voice = heard(random_measures(1, seed=5), engine)
    before = voice.mark()
    measure = voice.answer(FREE, seed=1)
    assert measure.notes
    voice.catch_up()
    played = arrays(voice.mark())
    voice.rewind(before)
    voice.listen(measure)
    for ours, theirs in zip(played, arrays(voice.mark()), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_the_same_context_sampling_and_seed_give_the_same_measure() -> None:
    voice = voice_of(tiny_hybrid())
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
    voice = voice_of(tiny_hybrid())
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
    voice = voice_of(tiny_hybrid())
    with pytest.raises(ConfigError, match="reset first"):
        voice.listen(Measure(Meter(3, 4)))
    with pytest.raises(ConfigError, match="needs measures"):
        voice.reset(Meter(1, 16))


def test_notes_beyond_the_piano_are_heard_an_octave_in() -> None:
    voice = voice_of(tiny_hybrid())
    voice.listen(Measure(Meter(), (Note(0, 0, 10, 4), Note(0, 127, 10, 4))))
    assert voice.context.past.history.rolls[-1].sum() == 2


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
        assert torch.isfinite(minimised(losses, network.WEIGHTS))


def test_a_configuration_that_cannot_be_built_says_so() -> None:
    with pytest.raises(ConfigError, match="hidden must divide"):
        HybridConfig(hidden=30, heads=4)
