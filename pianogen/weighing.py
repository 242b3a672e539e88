"""Fits the weights by which drafts are chosen: what tells the true next measure from drafts of it.

At places all over the training split a measure is drafted several times; a conditional logit
(McFadden 1974) learns to find the true one among them by the traits of `choosing`. Its weights
are those of the logarithm of how much likelier a draft is in true music than from the model.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from pianogen.checkpoint import load, load_continuation, resolve, save
from pianogen.choosing import TRAITS, Draft, Floats, Phrase
from pianogen.comparison import ANSWERED, Context, find_contexts
from pianogen.errors import CheckpointError
from pianogen.families.flat_notes import Notes
from pianogen.families.hybrid import Hybrid
from pianogen.families.hybrid_player import HybridVoice
from pianogen.families.listening import table
from pianogen.families.sizes import NOISE, STOP
from pianogen.grid import Measure
from pianogen.progress import told
from pianogen.sampling import Sampling
from pianogen.shards import Shard

DRAFTS = 8  # beside each true measure
RIDGE = 0.08  # of the squared weights of standardised traits, a place
ROUNDS = 200  # of the optimiser


def gather(
    voice: HybridVoice, network: Hybrid, contexts: Iterable[Context], sampling: Sampling, seed: int
) -> NDArray[np.float64]:
    """Traits of the true next measure and of drafts of it, (places, 1 + 8, 42), the true one first;
    two places a context. Measures in which nothing begins are left out. `voice` draws as `network`
    believes."""
    rng = np.random.default_rng(seed)
    rows = []
    for context in contexts:
        meter, heard = context.heard[-1].meter, list(context.heard)
        voice.reset(meter)
        for measure in heard:
            voice.listen(measure)
        nats = surprise(network, [*heard, *context.real])[-ANSWERED:]
        for number, real in enumerate(context.real):
            if number % 2 == 0 and not real.is_silent:
                noise = rng.random((DRAFTS, meter.steps, NOISE)).astype(np.float32)
                drafts = voice.drafts(sampling, noise)
                phrase = Phrase.of(heard)
                true = Draft(real, nats[number])
                rows.append(np.stack([phrase.traits(draft) for draft in (true, *drafts)]))
            voice.listen(real)
            heard.append(real)
    return np.stack(rows) if rows else np.zeros((0, 1 + DRAFTS, len(TRAITS)))


@torch.inference_mode()
def surprise(network: Hybrid, measures: Sequence[Measure]) -> list[tuple[float, ...]]:
    """Nats of timing, pitch, velocity and length of every measure, given those before it."""
    steps, device = measures[0].meter.steps, network.onset.weight.device
    notes = _window(measures, device)
    believed = network.predict(notes)
    begins = believed.begins.float()
    timing = F.binary_cross_entropy_with_logits(believed.onset, begins, reduction="none")[0]
    stops = (believed.choices == STOP).long()  # one for each step with onsets, after its notes
    step = believed.begins[0].nonzero().flatten()[stops.cumsum(0) - stops]
    parts = (
        (torch.arange(notes.length, device=device), timing),
        (step, F.cross_entropy(believed.pitch, believed.choices, reduction="none")),
        (notes.time, F.cross_entropy(believed.velocity, notes.velocity, reduction="none")),
        (notes.time, F.cross_entropy(believed.duration, believed.lengths, reduction="none")),
    )
    sums = [torch.bincount(at // steps, nats, minlength=len(measures)) for at, nats in parts]
    return [tuple(row) for row in torch.stack(sums, dim=1).tolist()]


def _window(measures: Sequence[Measure], device: torch.device) -> Notes:
    steps = measures[0].meter.steps
    tables = [table(measure, device) for measure in measures]
    time = torch.cat([part.time + n * steps for n, part in enumerate(tables)])
    rest = [torch.cat([getattr(t, x) for t in tables]) for x in ("key", "velocity", "duration")]
    return Notes(1, len(measures), steps, torch.zeros_like(time), time, *rest)


def fit(traits: Floats) -> Floats:
    """Weights (42,) from traits (places, 1 + drafts, 42), the true measure first."""
    flat = traits.reshape(-1, traits.shape[-1])
    scale = flat.std(axis=0)
    scale[scale < 1e-9] = np.inf  # a trait that never differs tells nothing
    x = torch.from_numpy((traits - flat.mean(axis=0)) / scale)
    weights = torch.zeros(x.shape[-1], dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([weights], max_iter=ROUNDS, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        value = -torch.log_softmax(x @ weights, dim=1)[:, 0].mean() + RIDGE * (weights**2).sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimiser.step(loss)  # type: ignore[no-untyped-call]
    fitted: Floats = weights.detach().numpy() / scale
    return fitted


def weigh(
    path: str | Path, data: Path, sampling: Sampling, *, contexts: int, seed: int, device: str
) -> tuple[float, float]:
    """Fit the weights of a checkpoint and write it back with them.

    Returns how often the true measure has the best score of nine, before and after, at places
    that were not fitted to. Raises DataError and CheckpointError.
    """
    file = resolve(path)
    checkpoint = load(file)
    voice = load_continuation(file, device=device)
    if not isinstance(voice, HybridVoice):
        raise CheckpointError(f"{file}: only the hybrid chooses among drafts")
    places = find_contexts(Shard.open(data, "train"), contexts, seed)
    network = Hybrid.of(checkpoint.config, checkpoint.weights, device)
    traits = gather(voice, network, told(places, len(places), "places"), sampling, seed)
    held_out, old = traits[::5], voice.engine.choice
    kept = np.delete(traits, np.s_[::5], axis=0)
    before, after = right(held_out, old), right(held_out, fit(kept))
    weights = {**checkpoint.weights, "choice": fit(traits).astype(np.float32)}
    save(file, replace(checkpoint, weights=weights))
    return before, after


def right(traits: Floats, weights: Floats) -> float:
    """How often the true measure has the best score, 0..1; one of several best counts its share."""
    score = traits @ weights
    is_best = score >= score.max(axis=1, keepdims=True)
    return float((is_best[:, 0] / is_best.sum(axis=1)).mean())
