"""The family of chords: what its network learns, and what it plays."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pianogen.checkpoint import Checkpoint, save
from pianogen.errors import ConfigError
from pianogen.families.chord_beliefs import Beliefs
from pianogen.families.chord_frames import (
    ChordsConfig,
    Frames,
    measures_of,
)
from pianogen.families.chord_lines import Lines, Scene
from pianogen.families.chords import Chords
from pianogen.families.chords_player import ChordsPlayer, load
from pianogen.families.steering import Push
from pianogen.families.voice import Voice
from pianogen.grid import KEYS, LOWEST_KEY, Measure, Meter
from pianogen.losses import minimised
from pianogen.sampling import Sampling
from pianogen.shards import Shard
from tests.made import measure, prepared
from tests.music import as_window, random_measures

ROOT = Path(__file__).parent.parent
TINY = ChordsConfig(feature=32, vocabulary=96, rank=8, channels=4, width=5, dropout=0.0)
FREE = Sampling(max_polyphony=32)


def tiny_chords(config: ChordsConfig = TINY, seed: int = 0) -> Chords:
    torch.manual_seed(seed)
    network = Chords(config).eval()
    music = Frames.of_measures(random_measures(12, seed), config.frame)
    known = np.unique(np.packbits(music.sounding[0], axis=1), axis=0)
    known = known[known.any(axis=1)][: config.vocabulary - 1]
    network.vocabulary[1 : 1 + len(known)] = torch.from_numpy(known)
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(torch.randn_like(weight) * 0.1)
    return network


def voice_of(network: Chords) -> Voice:
    weights = {name: weight.numpy() for name, weight in network.state_dict().items()}
    return load(vars(network.config), weights, "cpu")


def player_of(network: Chords) -> ChordsPlayer:
    weights = {name: weight.numpy() for name, weight in network.state_dict().items()}
    return ChordsPlayer(Beliefs(network.config, weights))


# --- the network --------------------------------------------------------------------------------


@pytest.mark.parametrize("config", [TINY, replace(TINY, cell="gru"), replace(TINY, frame=8)])
def test_the_voice_believes_what_the_network_does(config: ChordsConfig) -> None:
    network, player = tiny_chords(config), player_of(tiny_chords(config))
    music = random_measures(6, 3)
    past = player.empty(Meter())
    for heard in music:
        past = player.heard(past, heard)
    scene = Scene(player.beliefs, past, FREE, Push())
    lines = [scene.start(2)]
    rng = np.random.default_rng(0)
    for _ in range(scene.a_measure - 1):
        chords = rng.integers(0, 20, 2)
        lines.append(scene.said(lines[-1], np.arange(2), chords, rng.random(2, dtype=np.float32)))
    for row in range(2):
        _assert_same(network, music, lines, row)


def _assert_same(network: Chords, music: list[Measure], lines: list[Lines], row: int) -> None:
    config, last = network.config, lines[-1]
    heard = Frames.of_measures(music, config.frame)
    empty = np.zeros((1, 1, KEYS), np.bool_)
    whole = Frames(
        *(
            np.concatenate([table, mine[row : row + 1], empty], axis=1)
            for table, mine in ((heard.sounding, last.sounding), (heard.struck, last.struck))
        )
    )
    with torch.no_grad():
        logits, _ = network.believed(whole, Meter().steps)
    played = logits[-len(lines) :].numpy()
    ours = np.stack([one.belief.logits[row] for one in lines])
    is_chord = (network.vocabulary > 0).any(dim=1).numpy()
    np.testing.assert_allclose(ours[:, is_chord], played[:, is_chord], atol=2e-4)


PIECE = (
    measure([(0, 48, 16, 16), (0, 64, 16, 8), (8, 67, 16, 8), (16, 50, 16, 16), (16, 65, 16, 4),
             (20, 65, 16, 4), (24, 65, 16, 8)]),
    measure([(0, 47, 16, 32), (0, 62, 16, 4), (4, 62, 16, 4), (8, 67, 16, 16), (28, 71, 16, 4)]),
    measure([(0, 48, 16, 8), (0, 52, 16, 8), (0, 72, 16, 8), (16, 55, 16, 24)]),
    measure([(8, 60, 16, 8), (16, 60, 16, 8), (24, 60, 16, 2)]),
)  # fmt: skip


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Chords:
    """A small network that has seen one piece over and over."""
    folder = prepared(tmp_path_factory.mktemp("made"), {("a", "train"): PIECE * 4})
    torch.manual_seed(0)
    config = ChordsConfig(feature=64, vocabulary=256, rank=16, channels=4, width=5, dropout=0.0)
    network = Chords.for_training(config, Shard.open(folder, "train"))
    notes, weight = as_window(list(PIECE * 2)), torch.ones(1)
    optimisers = network.optimisers(0.0)
    for _ in range(50):
        for optimiser in optimisers:
            for group in optimiser.param_groups:
                group["lr"] = 1e-2
        network.zero_grad()
        loss = minimised(network.losses(notes, weight), network.WEIGHTS)
        loss.backward()  # type: ignore[no-untyped-call]
        for optimiser in optimisers:
            optimiser.step()
    return network.eval()


def test_it_learns_a_piece_by_heart(taught: Chords) -> None:
    losses = taught.losses(as_window(list(PIECE * 2)), torch.ones(1))
    means = {name: term.mean.item() for name, term in losses.items()}
    assert means["chord"] < 0.02
    assert means["strike"] < 0.02
    assert means["accuracy"] == 1.0
    assert means["unknown"] == 0.0


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(decoding="max"),
        Sampling(decoding="beam", candidates=4),
        replace(FREE, temperature=0.01, rhythm_temperature=0.01, duration_temperature=0.01,
                velocity_temperature=0.01),
    ],
)  # fmt: skip
def test_it_goes_on_with_what_it_learnt(taught: Chords, sampling: Sampling) -> None:
    voice = voice_of(taught)
    voice.reset(Meter())
    for heard in PIECE * 2:
        voice.listen(heard)
    assert tuple(voice.answer(sampling, seed) for seed in range(6)) == (PIECE * 2)[:6]


def test_what_comes_later_changes_nothing_before() -> None:
    network, music = tiny_chords(), random_measures(4, 5)
    other = [*music[:2], *random_measures(2, 6)]
    with torch.no_grad():
        one, two = (
            network.believed(Frames.of_measures(m, 2), Meter().steps)[0] for m in (music, other)
        )
    assert torch.equal(one[:33], two[:33])  # the first frame that may differ is not yet heard
    assert not torch.equal(one[34:], two[34:])


def test_half_known_music_is_trained_on_the_nearest_chords() -> None:
    network = tiny_chords().train()
    losses = network.losses(as_window(random_measures(3, 9)), torch.ones(1))
    assert set(losses) == set(Chords.FIGURES)
    assert losses["unknown"].mean > 0
    assert torch.isfinite(minimised(losses, Chords.WEIGHTS))
    assert Chords.derived({"chord": 0.0}) == {"perplexity": 1.0}


# --- what it plays ------------------------------------------------------------------------------

METERS = st.sampled_from(
    [Meter(), Meter(3, 4), Meter(6, 8), Meter(7, 16), Meter(1, 32), Meter(4, 2)]
)
SAMPLINGS = st.builds(
    Sampling,
    temperature=st.sampled_from([0.01, 0.8, 3.0]),
    rhythm_temperature=st.sampled_from([0.01, 1.0, 3.0]),
    min_p=st.sampled_from([0.0, 0.1]),
    max_polyphony=st.integers(1, 32),
    low_pitch=st.integers(0, 60),
    high_pitch=st.integers(60, 127),
    density=st.sampled_from([0.25, 1.0, 4.0]),
    pitch_classes=st.sets(st.integers(0, 11), min_size=1).map(tuple),
    candidates=st.integers(1, 3),
    decoding=st.sampled_from(["sample", "max", "beam"]),
    repetition_penalty=st.sampled_from([1.0, 2.0]),
)
SEEDS = st.integers(0, 2**32 - 1)


@settings(max_examples=20)
@given(METERS, SAMPLINGS, SEEDS)
def test_every_note_is_one_that_may_be_played(meter: Meter, sampling: Sampling, seed: int) -> None:
    voice = voice_of(tiny_chords())
    voice.reset(meter)
    for heard in random_measures(2, seed, meter):
        voice.listen(heard)
    measure = voice.answer(sampling, seed)
    for note in measure.notes:
        assert sampling.low_pitch <= note.pitch <= sampling.high_pitch
        assert note.pitch % 12 in sampling.pitch_classes
        assert note.onset % 2 == 0
    onsets = [note.onset for note in measure.notes]
    assert all(onsets.count(step) <= min(10, sampling.max_polyphony) for step in onsets)


@settings(max_examples=20)
@given(METERS, SEEDS, st.floats(0.25, 4.0))
def test_what_was_drawn_is_what_is_heard(meter: Meter, seed: int, density: float) -> None:
    player, past = player_of(tiny_chords()), None
    past = player.empty(meter)
    for heard in random_measures(2, seed, meter):
        past = player.heard(past, heard)
    sampling = replace(FREE, temperature=1.0, rhythm_temperature=1.0, density=density)
    measure = player.played(past, (), sampling, np.random.default_rng(seed))
    frames, _ = player.framed(past, measure)
    again = measures_of(frames, meter, 2)[0]
    assert [(n.onset, n.pitch) for n in again.notes] == [(n.onset, n.pitch) for n in measure.notes]


def test_more_notes_are_played_where_more_are_asked_for() -> None:
    counts = []
    for density in (0.25, 1.0, 4.0):
        voice = voice_of(tiny_chords())
        for heard in random_measures(3, 2):
            voice.listen(heard)
        sampling = replace(FREE, density=density)
        counts.append(sum(len(voice.answer(sampling, seed).notes) for seed in range(6)))
    assert counts == sorted(counts)
    assert counts[0] < counts[2] / 2


def test_the_same_seed_plays_the_same_and_a_mark_brings_it_back() -> None:
    voice = voice_of(tiny_chords())
    for heard in random_measures(3, 1):
        voice.listen(heard)
    mark = voice.mark()
    first = [voice.answer(Sampling(), seed) for seed in range(3)]
    voice.rewind(mark)
    assert [voice.answer(Sampling(), seed) for seed in range(3)] == first
    voice.rewind(mark)
    assert voice.answer(Sampling(), 7) != first[0]


def test_another_voice_has_heard_nothing_and_shares_the_weights() -> None:
    voice = voice_of(tiny_chords())
    fresh = voice.another()
    nothing = fresh.answer(Sampling(), 0)
    for heard in random_measures(3, 1):
        voice.listen(heard)
    assert voice.answer(Sampling(), 0) != nothing
    assert voice.another().answer(Sampling(), 0) == nothing


def test_a_note_that_sounds_over_the_line_is_not_struck_by_it() -> None:
    player = player_of(tiny_chords())
    past = player.heard(player.empty(Meter()), measure([(16, 60, 16, 24)]))
    assert past.ringing[60 - LOWEST_KEY] == 4
    frames, ringing = player.framed(past, measure([(16, 72, 16, 4)]))
    sounds = frames.sounding[0, :, 60 - LOWEST_KEY]
    assert np.flatnonzero(sounds).tolist() == [0, 1, 2, 3]
    assert not frames.struck[0, :, 60 - LOWEST_KEY].any()
    assert not ringing.any()


def test_a_lot_of_0_draws_nothing_that_cannot_be() -> None:
    player = player_of(tiny_chords())
    past = player.empty(Meter())
    lots = np.zeros((1, 2), np.float32)
    keys = player.beliefs.vocabulary.keys
    none, some = (
        Scene(player.beliefs, past, replace(FREE, low_pitch=low, high_pitch=127), Push(always=50.0))
        for low in (109, 0)
    )
    assert not keys[none.drawn(none.start(1), lots)].any()
    assert keys[some.drawn(some.start(1), lots)].any()


def test_a_chord_that_began_lately_is_the_less_likely_the_oftener() -> None:
    player = player_of(tiny_chords())
    known = player.beliefs.vocabulary.keys[3] > 0
    pitches = [int(key) + LOWEST_KEY for key in np.flatnonzero(known)]
    twice = measure((onset, pitch, 16, 8) for pitch in pitches for onset in (0, 16))
    past = player.heard(player.empty(Meter()), twice)
    free, held = (
        Scene(player.beliefs, past, replace(FREE, repetition_penalty=by), Push()).told
        for by in (1.0, 2.0)
    )
    assert not free.any()
    assert np.flatnonzero(held).tolist() == [3]
    assert np.isclose(held[3], 2 * np.log(2))


def test_anything_may_be_heard() -> None:
    voice = voice_of(tiny_chords())
    voice.listen(Measure())
    voice.listen(
        measure((step, pitch, 31, 255) for step in range(32) for pitch in range(0, 128, 3))
    )
    assert voice.answer(Sampling(), 0).meter == Meter()


def test_a_checkpoint_plays_without_torch(tmp_path: Path) -> None:
    weights = {name: weight.numpy() for name, weight in tiny_chords().state_dict().items()}
    save(tmp_path / "it.safetensors", Checkpoint("chords", vars(TINY), weights))
    code = f"""
import sys
sys.modules["torch"] = None
from pianogen.checkpoint import load_continuation
from pianogen.sampling import Sampling
print(len(load_continuation({str(tmp_path / "it.safetensors")!r}).answer(Sampling(), 1).notes))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 0


def test_sizes_that_cannot_be_are_refused() -> None:
    for values in ({"frame": 0}, {"frame": 65}, {"vocabulary": 1}, {"width": 4}, {"dropout": 1.0}):
        with pytest.raises(ConfigError, match="chords"):
            ChordsConfig(**values)
