"""Density and scale steer what is drawn: in both engines, and not at all where nothing is asked."""

import pickle
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pianogen.checkpoint import load_continuation
from pianogen.choosing import TRAITS, Draft, Phrase, choose
from pianogen.errors import ConfigError
from pianogen.families import steering
from pianogen.families.drawn import written
from pianogen.families.hybrid_player import HybridVoice
from pianogen.families.sizes import NOISE
from pianogen.families.steering import Push, push_of
from pianogen.grid import Measure, Meter, Note
from pianogen.keys import ALL_CLASSES, parse_scale
from pianogen.sampling import DENSEST, SPARSEST, Sampling, anchored, plain
from pianogen.weighing import surprise
from tests.made import C_MAJOR, line
from tests.music import random_measures, tiny_hybrid, voice_of

ENGINES = ("numpy", "torch")
FREE = Sampling(1.0, 1.0, 1.0, 1.0)
USUAL = Sampling(0.9, 0.8, 0.9, 1.0, min_p=0.01, max_polyphony=10)
scales = st.sets(st.integers(0, 11), min_size=1).map(tuple)
densities = st.floats(SPARSEST, DENSEST)


def lots(count: int, seed: int, steps: int = 32) -> np.ndarray:
    """Noise for drafts."""
    return np.random.default_rng(seed).random((count, steps, NOISE), dtype=np.float32)


@cache
def heard(engine: str, seed: int = 0) -> HybridVoice:
    """A voice of a tiny network that has heard two measures."""
    voice = voice_of(tiny_hybrid(seed), engine)
    for measure in random_measures(2, seed):
        voice.listen(measure)
    return voice


def drafted(voice: HybridVoice, sampling: Sampling, seed: int, count: int = 4) -> list[Measure]:
    drawn = voice.draw(sampling, lots(count, seed))
    return [written(Meter(), drawn, row) for row in range(count)]


# --- what may be asked ------------------------------------------------------------------------


def test_pitch_classes_are_a_set_in_order() -> None:
    asked = Sampling(pitch_classes=(7, 0, 4, 7))
    assert asked.pitch_classes == (0, 4, 7)
    assert asked == Sampling(pitch_classes=(0, 4, 7))
    assert len({asked, Sampling(pitch_classes=(4, 7, 0))}) == 1
    assert pickle.loads(pickle.dumps(asked)) == asked
    assert plain(asked)["pitch_classes"] == [0, 4, 7]
    assert Sampling().pitch_classes == ALL_CLASSES


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"density": 0.2}, "density must be 0.25 to 4, is 0.2"),
        ({"density": 5}, "density must be 0.25 to 4, is 5"),
        ({"density": float("nan")}, "density must be 0.25 to 4, is nan"),
        ({"usual_notes": -1}, "usual_notes must be 0 to 1000, is -1"),
        ({"pitch_classes": ()}, "pitch_classes must be at least one of 0 to 11"),
        ({"pitch_classes": (0, 12)}, "pitch_classes must be at least one of 0 to 11"),
    ],
)
def test_a_wish_out_of_range_is_named(settings: dict[str, float], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        Sampling(**settings)  # type: ignore[arg-type]


# --- what is drawn ----------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ENGINES)
def test_where_nothing_is_asked_nothing_steers(
    engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    voice = heard(engine)
    before, steered = drafted(voice, FREE, 1, 8), drafted(voice, replace(FREE, density=2), 1, 8)
    for name in ("MORE", "FEWER", "WANTING", "THICKER"):
        monkeypatch.setattr(steering, name, 40.0)
    assert drafted(voice, FREE, 1, 8) == before
    assert drafted(voice, replace(FREE, density=2), 1, 8) != steered  # where it is, they do


@pytest.mark.parametrize("engine", ENGINES)
@settings(max_examples=8, deadline=None)
@given(scale=scales, density=densities, seed=st.integers(0, 1000), low=st.integers(21, 100))
def test_no_note_is_ever_drawn_outside_the_scale(
    engine: str, scale: tuple[int, ...], density: float, seed: int, low: int
) -> None:
    sampling = replace(FREE, pitch_classes=scale, density=density, low_pitch=low)
    for measure in drafted(heard(engine), sampling, seed, 2):
        assert {note.pitch % 12 for note in measure.notes} <= set(scale)
        assert all(note.pitch >= low for note in measure.notes)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_range_without_any_note_of_the_scale_is_a_rest(engine: str) -> None:
    sampling = replace(FREE, low_pitch=60, high_pitch=61, pitch_classes=(2, 4))
    assert all(measure.is_silent for measure in drafted(heard(engine), sampling, 2))
    assert any(
        not measure.is_silent
        for measure in drafted(heard(engine), replace(sampling, high_pitch=62), 2)
    )


@pytest.mark.parametrize("engine", ENGINES)
def test_a_step_that_begins_has_a_note_whatever_the_scale(engine: str) -> None:
    network = tiny_hybrid()
    network.onset.bias.data.fill_(99.0)  # something begins on every step
    voice = voice_of(network, engine)
    for pitch_class in (0, 6):
        sampling = replace(FREE, pitch_classes=(pitch_class,), min_p=0.5)
        for measure in drafted(voice, sampling, pitch_class, 1):
            assert {note.onset for note in measure.notes} == set(range(32))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("density", [0.4, 1.0])
def test_how_likely_a_draft_is_does_not_hang_on_what_was_asked(engine: str, density: float) -> None:
    measures, network = random_measures(3, seed=4), tiny_hybrid()
    voice = voice_of(network, engine)
    for measure in measures:
        voice.listen(measure)
    asked = replace(FREE, max_polyphony=32, density=density, pitch_classes=(0, 2, 4, 5, 7, 9, 11))
    drawn = voice.draw(asked, lots(24, 1))
    whole = [row for row in range(24) if not drawn.cuts[row].any()]
    assert whole
    for row in whole[:4]:
        nats = surprise(network, [*measures, written(Meter(), drawn, row)])[-1]
        assert drawn.nats[row].tolist() == pytest.approx(nats, abs=2e-3, rel=1e-4)


def crowd(count: int) -> Measure:
    """A measure of so many notes."""
    return Measure(notes=tuple(Note(n % 32, 30 + n // 32, 16, 1) for n in range(count)))


def push(density: float, heard: list[Measure], steps: int = 32, **rest: float) -> Push:
    return push_of(Sampling(density=density, **rest), heard, steps)  # type: ignore[arg-type]


def test_the_goal_is_a_multiple_of_what_was_heard() -> None:
    assert push(2.0, [crowd(10)] * 5).goal == 20
    assert push(0.5, [crowd(10), Measure(), Measure()]).goal == 5
    assert push(2.0, [Measure()], 24).goal == 2 * steering.USUAL * 24
    assert push(2.0, [crowd(10)], usual_notes=7.0).goal == 14
    assert push(1.0, [crowd(10)], usual_notes=7.0) == Push()


@pytest.mark.parametrize(("density", "own"), [(4.0, 40), (2.0, 20), (0.5, 5), (0.25, 2)])
def test_a_few_measures_of_its_own_do_not_run_away_with_the_goal(density: float, own: int) -> None:
    heard = [crowd(10)] * 8
    assert push(density, [*heard, *[crowd(own)] * 4]).goal == 10 * density


def test_an_anchor_is_what_was_heard_at_first_for_good() -> None:
    asked = anchored(Sampling(density=4), [crowd(10), Measure(), crowd(14)])
    assert asked == Sampling(density=4, usual_notes=12)
    assert push_of(asked, [crowd(48)] * 16, 32).goal == 48
    assert anchored(Sampling(), [Measure()]) == anchored(Sampling(), []) == Sampling()


@given(densities, densities, st.lists(st.integers(0, 60).map(crowd), max_size=16))
def test_more_asked_for_is_never_less_pushed(a: float, b: float, heard: list[Measure]) -> None:
    less, more = (push(density, heard) for density in sorted((a, b)))
    assert less.always <= more.always
    assert less.thicker <= more.thicker


def test_the_default_checkpoint_plays_as_much_more_as_is_asked() -> None:
    voice = load_continuation("default")
    assert isinstance(voice, HybridVoice)
    notes = dict.fromkeys((0.25, 0.5, 1.0, 2.0, 4.0), 0)
    for seed, up in enumerate((0, 3, 7)):
        heard = [line([p + up for p in C_MAJOR]), line([p + up for p in C_MAJOR[::-1]])] * 2
        for measure in heard:
            voice.listen(measure)
        for density in notes:
            played = drafted(voice, replace(USUAL, density=density), seed)
            notes[density] += sum(len(measure.notes) for measure in played)
        voice.reset(Meter())
    assert sorted(notes.values()) == list(notes.values())
    assert notes[0.5] < 0.75 * notes[1.0]
    assert notes[2.0] > 1.5 * notes[1.0]


# --- which draft is played --------------------------------------------------------------------

MELODY = Measure(Meter(), tuple(Note(8 * i, p, 16, 8) for i, p in enumerate((60, 64, 67, 64))))
TWICE = Measure(Meter(), tuple(Note(4 * i, p, 16, 4) for i, p in enumerate((60, 64, 67, 64) * 2)))
HEARD = [MELODY] * 4


def traits(measure: Measure, sampling: Sampling) -> dict[str, float]:
    values = Phrase.of(HEARD, sampling).traits(Draft(measure, (2.0, 9.0, 5.0, 5.0)))
    return dict(zip(TRAITS, values.tolist(), strict=True))


def test_a_draft_as_full_as_asked_is_not_too_full() -> None:
    asked, usual = traits(TWICE, Sampling(density=2)), traits(TWICE, Sampling())
    assert usual["fuller"] > 0.5
    assert asked["fuller"] == asked["emptier"] == pytest.approx(0)
    assert asked["more onsets"] < usual["more onsets"]
    assert traits(MELODY, Sampling(density=2))["emptier"] > 0.5


def test_what_is_asked_for_counts_from_the_anchor() -> None:
    asked = Sampling(density=2, usual_notes=2)
    assert traits(MELODY, asked)["fuller"] == traits(MELODY, asked)["emptier"] == pytest.approx(0)
    assert traits(TWICE, replace(asked, density=1)) == traits(TWICE, Sampling())


def test_single_notes_are_the_thinnest_there_is() -> None:
    assert traits(MELODY, Sampling(density=0.25))["notes an onset"] == pytest.approx(0)


def test_what_was_heard_outside_the_scale_is_no_key_to_stay_in() -> None:
    foreign = parse_scale("f# major")
    high, low = (Measure(notes=(Note(0, pitch, 16, 8),)) for pitch in (66, 70))
    asked = Sampling(pitch_classes=foreign)
    assert traits(high, asked)["out of key"] == traits(low, asked)["out of key"]


def test_the_draft_as_full_as_asked_is_chosen() -> None:
    weights = np.array([-9.0 if name in ("fuller", "emptier") else 0.0 for name in TRAITS])
    drafts = [Draft(measure, (2.0, 9.0, 5.0, 5.0)) for measure in (MELODY, TWICE)]
    even = np.full(2, 0.5)
    assert choose(HEARD, drafts, weights, even) == 0
    assert choose(HEARD, drafts, weights, even, Sampling(density=2)) == 1
