"""The hybrid in numpy: the notes that torch draws, to the last one, and never a need of it."""

import json
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pianogen.checkpoint import Checkpoint, load, load_continuation, save
from pianogen.errors import CheckpointError
from pianogen.families.arithmetic import gelu, log_sum, normed, panels, product, softmax
from pianogen.families.drawn import Theme, written
from pianogen.families.hybrid import Hybrid
from pianogen.families.hybrid_player import HybridVoice
from pianogen.families.sizes import NOISE
from pianogen.grid import Measure, Meter, Note
from pianogen.keys import ALL_CLASSES
from pianogen.sampling import Sampling
from tests.music import TINY, arrays, random_measures, tiny_hybrid, voice_of, weights_of

ROOT = Path(__file__).parent.parent
FREE = Sampling(1.0, 1.0, 1.0, 1.0)
USUAL = Sampling(0.95, 0.5, 0.8, 1.0)


def noise_of(seed: int, meter: Meter, drafts: int = 4) -> np.ndarray:
    return np.random.default_rng(seed).random((drafts, meter.steps, NOISE), dtype=np.float32)


def same_drafts(
    voices: tuple[HybridVoice, HybridVoice], measures: list[Measure], sampling: Sampling, seed: int
) -> None:
    """Both voices, having heard the measures, draw the same from the same noise."""
    meter, drawn = measures[0].meter, []
    for voice in voices:
        voice.reset(meter)
        for measure in measures:
            voice.listen(measure)
        drawn.append(voice.draw(sampling, noise_of(seed, meter)))
    for row in range(4):
        ours, theirs = (written(meter, drafts, row) for drafts in drawn)
        assert ours == theirs
    np.testing.assert_allclose(drawn[0].nats, drawn[1].nats, atol=1e-3, rtol=1e-4)


@cache
def both(seed: int) -> tuple[HybridVoice, HybridVoice]:
    network = tiny_hybrid(seed)
    return voice_of(network), voice_of(network, "torch")


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 1000),
    heard=st.integers(0, 6),
    meter=st.sampled_from([Meter(4, 4), Meter(3, 4), Meter(2, 4), Meter(7, 8), Meter(4, 2)]),
    most=st.integers(1, 12),
    low=st.sampled_from([0, 50, 109]),
    min_p=st.sampled_from([0.0, 0.05]),
    density=st.sampled_from([0.25, 1.0, 1.7, 4.0]),
    scale=st.sampled_from([ALL_CLASSES, (0, 2, 4, 5, 7, 9, 11), (6,)]),
)
def test_the_same_noise_gives_the_notes_that_torch_draws(
    seed: int, heard: int, meter: Meter, most: int, low: int, min_p: float, density: float,
    scale: tuple[int, ...],
) -> None:  # fmt: skip
    sampling = replace(
        FREE, max_polyphony=most, low_pitch=low, high_pitch=127, min_p=min_p, density=density,
        pitch_classes=scale,
    )  # fmt: skip
    measures = random_measures(heard, seed, meter) or [Measure(meter)]
    same_drafts(both(seed % 2), measures, sampling, seed)


@st.composite
def themes_of(draw: st.DrawFn) -> tuple[HybridVoice, list[Theme]]:
    """Up to four pasts of their own length in one meter, each with a sampling of its own."""
    meter = draw(st.sampled_from([Meter(4, 4), Meter(3, 4), Meter(2, 4)]))
    voice, themes = both(0)[0], []
    for number in range(draw(st.integers(1, 4))):
        sampling = replace(
            FREE,
            temperature=draw(st.sampled_from([0.7, 1.0])),
            max_polyphony=draw(st.sampled_from([1, 2, 6, 12])),
            low_pitch=draw(st.sampled_from([0, 50, 109])),
            high_pitch=127,
            min_p=draw(st.sampled_from([0.0, 0.05])),
            density=draw(st.sampled_from([0.5, 1.0, 2.0])),
            pitch_classes=draw(st.sampled_from([ALL_CLASSES, (0, 2, 4, 5, 7, 9, 11)])),
        )
        player = voice.another()
        player.reset(meter)
        for measure in random_measures(draw(st.integers(0, 5)), seed=number, meter=meter):
            player.listen(measure)
        noise = noise_of(draw(st.integers(0, 99)), meter, draw(st.integers(1, 12)))
        themes.append(player.theme(sampling, noise))
    return voice, themes


@settings(max_examples=25, deadline=None)
@given(themes_of())
def test_what_is_drawn_from_several_pasts_at_once_is_what_each_gives_alone(
    given_themes: tuple[HybridVoice, list[Theme]],
) -> None:
    voice, themes = given_themes
    for theme, together in zip(themes, voice.engine.drawn(themes), strict=True):
        (alone,) = voice.engine.drawn([theme])
        meter = Meter(theme.noise.shape[1], 32)
        assert len(together.nats) == len(theme.noise)
        for row in range(len(theme.noise)):
            assert written(meter, together, row) == written(meter, alone, row)
        np.testing.assert_allclose(together.nats, alone.nats, atol=1e-3, rtol=1e-4)


def test_two_who_answer_at_once_go_on_as_if_each_had_been_alone() -> None:
    voice = both(0)[0]
    heard = random_measures(2, seed=1), random_measures(4, seed=2)

    def pair() -> list[HybridVoice]:
        voices = [voice.another() for _ in heard]
        for one, measures in zip(voices, heard, strict=True):
            for measure in measures:
                one.listen(measure)
        return voices

    two = Sampling(candidates=2), Sampling(candidates=5)
    together, alone = pair(), pair()
    for seed in range(3):
        wishes = [(one, sampling, seed) for one, sampling in zip(together, two, strict=True)]
        answers = together[0].answer_all(wishes)
        assert answers == [one.answer(s, seed) for one, s in zip(alone, two, strict=True)]


def test_the_default_checkpoint_plays_the_notes_that_torch_draws() -> None:
    saved = load("default")
    voices = voice_of(Hybrid.of(saved.config, saved.weights, "cpu"), "torch")
    ours = load_continuation("default")
    assert isinstance(ours, HybridVoice)
    chords = [(48, 64, 67, 72), (50, 65, 69, 77), (43, 59, 65, 74), (48, 64, 67, 76)]
    measures = [
        Measure(Meter(), tuple(Note(8 * i, p, 14 + i, 8) for i, p in enumerate(chord)))
        for chord in chords
    ]
    same_drafts((ours, voices), measures, USUAL, seed=3)
    steered = replace(USUAL, density=2.0, pitch_classes=(1, 3, 6, 8, 10))
    same_drafts((ours, voices), measures, steered, seed=3)


def test_a_measure_full_of_notes_is_heard_as_torch_hears_it() -> None:
    full = Measure(
        Meter(),
        tuple(Note(step, 30 + 7 * n + step % 5, 9, 2) for step in range(32) for n in range(9)),
    )
    same_drafts(both(0), [full, *random_measures(1, seed=2)], FREE, seed=4)


@pytest.mark.parametrize("step", [0, 9, 20])
def test_what_is_drawn_does_not_depend_on_the_noise_of_later_steps(step: int) -> None:
    voice, noise = both(0)[0], noise_of(5, Meter())
    voice.reset(Meter())
    voice.listen(random_measures(1, seed=6)[0])
    one = voice.draw(FREE, noise)
    other = noise.copy()
    other[:, step:] = 1 - other[:, step:]
    two = voice.draw(FREE, other)
    for name in ("keys", "bins", "lengths", "cuts"):
        np.testing.assert_array_equal(getattr(one, name)[:, :step], getattr(two, name)[:, :step])
    assert not np.array_equal(one.keys[:, step:], two.keys[:, step:])


def test_a_past_is_never_changed_by_what_comes_after_it() -> None:
    voice = both(0)[0]
    voice.reset(Meter())
    for measure in random_measures(2, seed=7):
        voice.listen(measure)
    mark = voice.mark()
    before = [np.array(x) for x in arrays(mark.past)]
    first = voice.answer(FREE, seed=1)
    voice.listen(first)
    for ours, theirs in zip(arrays(mark.past), before, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    voice.rewind(mark)
    assert voice.answer(FREE, seed=1) == first


def run_without_torch(code: str) -> str:
    """Output of Python code where importing torch fails."""
    hide = "import sys; sys.modules['torch'] = None\n"
    done = subprocess.run(
        [sys.executable, "-c", hide + code], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_loading_hearing_and_answering_on_a_cpu_need_no_torch() -> None:
    code = """
from pianogen.checkpoint import load_continuation
from pianogen.device import device_name
from pianogen.grid import Measure, Note
from pianogen.sampling import Sampling
voice = load_continuation("default", device=device_name("cpu"))
voice.listen(Measure(notes=(Note(0, 60, 16, 8),)))
voice.answer(Sampling(candidates=2), 1)
assert not [name for name in sys.modules if name.startswith("torch.")]
"""
    run_without_torch(code)


def test_auto_is_the_cpu_where_there_is_no_driver_and_torch_is_not_asked() -> None:
    code = """
from pianogen import device
from pianogen.errors import ConfigError
device._has_driver = lambda: False
print(device.device_name("auto"))
try:
    device.device_name("cuda")
except ConfigError as error:
    print(error)
"""
    assert run_without_torch(code) == (
        "cpu\ndevice cuda: no CUDA device can be used here; choose --device cpu\n"
    )


def test_what_needs_torch_says_so_in_one_line() -> None:
    code = """
from pianogen.cli import main
sys.stderr = sys.stdout
print(main(["train", "--data", "nowhere", "--out", "nowhere"]))
"""
    assert run_without_torch(code) == (
        "pianogen train: error: needs torch, which is not installed here: pip install torch\n2\n"
    )


@pytest.mark.parametrize(
    ("name", "value"), [("heads", 4), ("window", 3), ("channels", 4), ("touch", 8), ("conv", 8)]
)
def test_weights_of_another_configuration_are_one_line(
    tmp_path: Path, name: str, value: int
) -> None:
    path, weights = tmp_path / "x.safetensors", weights_of(tiny_hybrid())
    save(path, Checkpoint("hybrid", {**vars(TINY), name: value}, weights))
    with pytest.raises(CheckpointError, match="do not fit its configuration"):
        load_continuation(path)


def test_weights_that_are_missing_are_one_line(tmp_path: Path) -> None:
    path, weights = tmp_path / "x.safetensors", weights_of(tiny_hybrid())
    del weights["touch.keys.weight"]
    save(path, Checkpoint("hybrid", json.loads(json.dumps(vars(TINY))), weights))
    with pytest.raises(CheckpointError, match="do not fit its configuration"):
        load_continuation(path)


rows = st.integers(0, 10**6).map(
    lambda seed: np.random.default_rng(seed).normal(0, 3, (5, 64)).astype(np.float32)
)


@given(rows)
def test_functions_are_those_of_torch(x: np.ndarray) -> None:
    t, one, zero = torch.from_numpy(x.copy()), np.ones(64, np.float32), np.zeros(64, np.float32)
    close = {"atol": 2e-6, "rtol": 1e-5}
    np.testing.assert_allclose(gelu(x), torch.nn.functional.gelu(t), **close)
    np.testing.assert_allclose(softmax(x.copy()), torch.softmax(t, -1), **close)
    np.testing.assert_allclose(log_sum(x), torch.logsumexp(t, -1), **close)
    expected = torch.nn.functional.layer_norm(t, (64,))
    np.testing.assert_allclose(normed(x.copy(), one, zero), expected, **close)


@pytest.mark.parametrize("outputs", [64, 192, 33])
def test_weights_in_panels_multiply_as_whole_ones(outputs: int) -> None:
    rng = np.random.default_rng(0)
    x, weight = (rng.random(shape, dtype=np.float32) for shape in ((3, 20), (20, outputs)))
    np.testing.assert_allclose(product(x, panels(weight)), x @ weight, rtol=1e-5)
