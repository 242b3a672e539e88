"""The melody networks: what they are told, and that they learn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from pianogen.families.flat_notes import Notes
from pianogen.families.melody import Melody, lines_of, windows_of
from pianogen.families.melody_networks import GruModel, LstmAttention, Vae
from pianogen.families.symbols import (
    END,
    Model,
    cells_of,
)
from pianogen.generate import continuation
from pianogen.grid import Meter
from pianogen.losses import minimised
from pianogen.sampling import Sampling
from tests.made import line
from tests.music import as_window, random_measures
from tests.small_melodies import (
    COLD,
    EVERY,
    SIZES,
    network,
    player_of,
    voice_of,
)

# --- the networks -------------------------------------------------------------------------------


@pytest.mark.parametrize("model", EVERY)
def test_numpy_tells_each_symbol_as_torch_does(model: Model) -> None:
    made, music = network(model), random_measures(5, seed=4)
    _, inputs = lines_of(as_window(music))
    cells = cells_of(32)
    with torch.no_grad():
        match made.model:
            case GruModel():
                expected = made.model(inputs)[0, 4 * cells : 5 * cells]
            case LstmAttention():
                last = torch.arange(4 * cells, 5 * cells)
                expected = made.model(windows_of(inputs, torch.zeros_like(last), last, 20))
            case Vae():
                mean, _ = made.model.encoded(inputs[:, 1:], torch.tensor([4 * cells]))
                expected = made.model.decoded(inputs[:, :-1], mean)[0, 4 * cells :]
    player = player_of(made)
    numpy_model = player.model
    past = player.empty(Meter())
    for measure in music[:4]:
        past = player.heard(past, measure)
    state = numpy_model.ready(past.state, past.line, cells, np.zeros(player.noises, np.float32))
    for place in range(cells):
        given_with = inputs[0, 4 * cells + place].numpy()
        logits, state = numpy_model.next(state, given_with[None])
        np.testing.assert_allclose(logits[0], expected[place].numpy(), atol=2e-5)


@pytest.mark.parametrize("model", ["gru", "vae"])
def test_no_symbol_is_told_from_itself_or_what_follows(model: Model) -> None:
    made = network(model)
    _, one = lines_of(as_window(random_measures(3, seed=3)))
    _, other = lines_of(as_window(random_measures(3, seed=8)))
    place = 20
    mixed = torch.cat([one[:, : place + 1], other[:, place + 1 :]], dim=1)
    latent = torch.randn(1, 4)
    with torch.no_grad():
        told = [_of_all(made, x, latent) for x in (one, mixed)]
    assert torch.equal(told[0][:, : place + 1], told[1][:, : place + 1])
    assert not torch.equal(told[0], told[1])


def _of_all(made: Melody, inputs: torch.Tensor, latent: torch.Tensor) -> torch.Tensor:
    match made.model:
        case GruModel():
            logits: torch.Tensor = made.model(inputs)
            return logits
        case Vae():
            return made.model.decoded(inputs, latent)
    raise AssertionError(made.model)


def test_a_window_ends_with_what_stands_before_the_symbol_told() -> None:
    _, inputs = lines_of(as_window(random_measures(2, seed=3)))
    windows = windows_of(inputs, torch.tensor([0, 0]), torch.tensor([2, 25]), 4)
    assert torch.equal(windows[0, 1:], inputs[0, :3])
    assert windows[0, 0].tolist() == [END, END, END, END, 0, 0]
    assert torch.equal(windows[1], inputs[0, 22:26])


def test_scores_are_divided_by_the_root_of_a_heads_size() -> None:
    made = network("lstm_attention").model
    assert isinstance(made, LstmAttention)
    states = torch.randn(1, 20, 32)
    reference = torch.nn.MultiheadAttention(32, 4, batch_first=True)
    with torch.no_grad():
        reference.in_proj_weight.copy_(torch.cat([made.query.weight, made.keys.weight]))
        reference.in_proj_bias.copy_(torch.cat([made.query.bias, made.keys.bias]))
        reference.out_proj.weight.copy_(torch.eye(32))
        expected, _ = reference(states[:, -1:], states, states)
        found = made._attended(states[:, -1], states)
    torch.testing.assert_close(found, expected[:, 0], atol=1e-5, rtol=1e-5)


def test_the_latent_is_read_of_the_measures_before_the_cut_alone() -> None:
    made = network("vae").model
    assert isinstance(made, Vae)
    _, one = lines_of(as_window(random_measures(3, seed=3)))
    _, other = lines_of(as_window(random_measures(3, seed=8)))
    mixed = torch.cat([one[:, :17], other[:, 17:]], dim=1)
    read_of = torch.tensor([16])
    with torch.no_grad():
        mean, _ = made.encoded(one[:, 1:], read_of)
        again, _ = made.encoded(mixed[:, 1:], read_of)
        further, _ = made.encoded(mixed[:, 1:], read_of * 2)
    assert torch.equal(mean, again)
    assert not torch.equal(mean, further)


@pytest.mark.parametrize("model", EVERY)
def test_silence_and_every_term_can_be_told(model: Model) -> None:
    made, empty = network(model), torch.zeros(0, dtype=torch.long)
    silence = Notes(2, 2, 12, empty, empty, empty, empty, empty)
    losses = made.losses(silence, torch.ones(2))
    assert set(losses) == set(Melody.FIGURES)
    assert all(torch.isfinite(term.mean) for term in losses.values())


# --- it learns ----------------------------------------------------------------------------------

TUNE = (line((60, 62, 64, 65, 67, 67, 64, 62)), line((60, 64, 67, 72), every=8))


@pytest.mark.parametrize(("model", "updates"), [("gru", 60), ("lstm_attention", 60), ("vae", 80)])
def test_it_learns_a_tune_by_heart_and_carries_it_on(model: Model, updates: int) -> None:
    torch.manual_seed(1)
    sizes = replace(
        SIZES[model], embedding=32, hidden=32, layers=1, dropout=0.0, word_dropout=0.0,
        latent_weight=0.01,
    )  # fmt: skip
    made, notes = Melody(sizes), as_window([*TUNE, *TUNE])
    optimiser = torch.optim.Adam(made.parameters(), 0.02)
    for _ in range(updates):
        losses = made.losses(notes, torch.ones(1))
        made.zero_grad()
        minimised(losses, made.WEIGHTS).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    assert made.eval().losses(notes, torch.ones(1))["symbol"].mean < 0.03
    for sampling in (COLD, Sampling(decoding="max"), Sampling(decoding="beam", candidates=4)):
        answer = continuation(voice_of(made), [*TUNE, *TUNE], 2, sampling, seed=3)
        played = [[(n.onset, n.pitch, n.duration) for n in m.notes] for m in answer]
        assert played == [[(n.onset, n.pitch, n.duration) for n in m.notes] for m in TUNE]
