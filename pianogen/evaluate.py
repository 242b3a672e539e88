"""Figures of a checkpoint on held-out music, each beside what knows nothing scores on it.

What the network believes of true music: the hybrid in nats a note and in the published figures,
element by element, other families in the terms that their training counts; continuations that were
played, beside the real ones; and how much of them it has by heart. The baselines are fitted on the
training split; of the held-out splits only the one asked for is opened. The same seed gives the
same figures.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from pianogen import continued, pictures, two_sample
from pianogen.checkpoint import load, load_continuation
from pianogen.comparison import (
    ANSWERED,
    HEARD,
    REAL,
    Context,
    Music,
    Played,
    find_contexts,
    play_each,
    rivals,
)
from pianogen.continuation import Continuation
from pianogen.dataset import Batch, Windows
from pianogen.errors import ConfigError
from pianogen.families.hybrid import Hybrid
from pianogen.families.hybrid_player import HybridVoice
from pianogen.families.trained import Trained
from pianogen.family import family, part
from pianogen.family_figures import FamilyReading, one_step_ahead, round_trip
from pianogen.memorisation import Notes, Training
from pianogen.one_step import MODEL, Baselines, Reading
from pianogen.presets import Voicing
from pianogen.progress import told
from pianogen.report import Breakdown, Report, Table
from pianogen.sampling import Sampling
from pianogen.shards import Shard

BATCH_STEPS, LONGEST_WINDOW = 4096, 16  # grid steps in a batch, measures in a window
ONE_DRAFT = "model, one draft"
FITTED = 400  # batches of the training split that the baselines see


def evaluate(
    data: Path, split: str, *, checkpoint: str, sampling: Sampling, contexts: int = 100,
    seed: int = 0, batches: int | None = None, device: str = "cpu", threads: int = 1,
    pictures_to: Path | None = None, is_in_scale_heard: bool = False,
) -> Report:  # fmt: skip
    """Evaluate a checkpoint on a split of prepared data.

    contexts: places from which continuations are played. batches: how many of the split, at
    least 1, are read one step ahead, spread evenly; all where it is None. pictures_to: a folder
    for piano rolls of a few continuations. is_in_scale_heard: each continuation is drawn from the
    scale heard before it alone. Raises DataError, CheckpointError, and ConfigError where a
    setting is out of range, scikit-learn is missing, or there can be no pictures.
    """
    _check(batches, pictures_to)
    torch.set_num_threads(threads)
    voicing = Voicing(checkpoint, sampling, is_in_scale_heard)
    saved, voice = load(checkpoint), load_continuation(checkpoint, device=device)
    held_out, training = Shard.open(data, split), Shard.open(data, "train")
    known = Baselines.fit(_batches(training, FITTED, "batches fitted to"))
    network = part(family(saved.family).network).of(saved.config, saved.weights, device)
    if isinstance(network, Hybrid):
        ahead = _of_hybrid(network, held_out, batches, known, seed)
    else:
        ahead = _of_family(network, held_out, training, batches, seed)
    places = find_contexts(held_out, contexts, seed)
    played = _play(voice, voicing, places, "continuations", seed)
    single = _of_one_draft(voice, voicing, places, seed)
    others = find_contexts(held_out, contexts, seed + 1)
    answers = rivals(places, others, known.unigram, sampling.max_polyphony, seed)
    order = {REAL: answers.pop(REAL), MODEL: played.answers, **answers}
    learned = find_contexts(training, contexts, seed)
    tables = {
        **ahead.tables,
        **round_trip(saved.family, saved.config, places, seed),
        **continued.tables(places, order, seed),
        **two_sample.two_sample(places, order | single, seed, MODEL),
        "memorisation": continued.memorised(_library(training), places, order, learned, seed),
    }
    if pictures_to is not None:
        pictures.draw_continuations(pictures_to, places, played.answers)
    about = {
        "checkpoint": str(checkpoint),
        "split": split,
        "sampling": voicing.settings(),
        "seed": seed,
        "teacher forced": ahead.counted,
        "played": _counted(places, played),
    }
    return Report(about, tables, played.ms_per_measure)


def _check(batches: int | None, pictures_to: Path | None) -> None:
    """Before minutes are spent: whether all of it can be done; raises ConfigError."""
    if batches is not None and batches < 1:
        raise ConfigError(f"batches must be at least 1, is {batches}")
    two_sample.check()
    if pictures_to is not None:
        pictures.check()


@dataclass(frozen=True, slots=True)
class Ahead:
    """What a network makes of true music one step ahead, and of how much of it."""

    tables: Mapping[str, Table | Breakdown]
    counted: Mapping[str, int]


def _of_hybrid(
    network: Hybrid, held_out: Shard, limit: int | None, baselines: Baselines, seed: int
) -> Ahead:
    reading = Reading(network, held_out, baselines)
    for batch in _batches(held_out, limit, "batches read"):
        reading.read(batch)
    return Ahead(reading.tables(seed), reading.counted())


def _of_family(
    network: Trained, held_out: Shard, training: Shard, limit: int | None, seed: int
) -> Ahead:
    """A family's own terms; of the training split as many batches as of the other."""
    measures = int(getattr(network, "WINDOW", LONGEST_WINDOW))
    unseen = _batches(held_out, limit, "batches read", measures)
    there = FamilyReading(network, held_out).read_all(unseen)
    learned = _batches(training, there.batches, "training batches read", measures)
    here = FamilyReading(network, training).read_all(learned)
    return Ahead({"one step ahead": one_step_ahead(there, here, seed)}, there.counted())


def _play(
    voice: Continuation, voicing: Voicing, places: Sequence[Context], what: str, seed: int
) -> Played:
    waiting = told(places, len(places), what)
    return play_each(voice, ((place, voicing.after(place.heard)) for place in waiting), seed)


def _of_one_draft(
    voice: Continuation, voicing: Voicing, places: Sequence[Context], seed: int
) -> dict[str, tuple[Music | None, ...]]:
    """The hybrid's continuations without a choice among drafts, where there was one."""
    if voicing.sampling.candidates == 1 or not isinstance(voice, HybridVoice):
        return {}
    alone = replace(voicing, sampling=replace(voicing.sampling, candidates=1))
    return {ONE_DRAFT: _play(voice, alone, places, "continuations of one draft", seed).answers}


def _counted(places: Sequence[Context], played: Played) -> dict[str, int]:
    return {
        "contexts": len(places),
        "pieces": len({context.piece.group for context in places}),
        "measures heard": HEARD,
        "measures played": ANSWERED * len(places),
        "notes played": sum(len(m.notes) for answer in played.answers for m in answer),
    }


def _library(training: Shard) -> Training:
    firsts = [piece.first_measure for piece in training.pieces]
    return Training.of(Notes.of_rows(training, firsts))


def _batches(
    shard: Shard, limit: int | None, what: str, measures: int = LONGEST_WINDOW
) -> Iterator[Batch]:
    windows = Windows(shard, steps=BATCH_STEPS, measures=measures)
    batches = list(windows.every(limit))  # notes alone: a few megabytes
    return told(batches, len(batches), what)
