"""Figures of a checkpoint on held-out music, each beside what knows nothing scores on it.

What the network believes of true music, in nats a note and in the published element-wise figures;
continuations that were played, beside the real ones; and how much of them it has by heart. The
baselines are fitted on the training split; of the held-out splits only the one asked for is
opened. The same seed gives the same figures.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from pianogen import continued, pictures, two_sample
from pianogen.checkpoint import load, load_continuation, resolve
from pianogen.comparison import (
    ANSWERED,
    HEARD,
    REAL,
    Context,
    Music,
    Played,
    find_contexts,
    play,
    rivals,
)
from pianogen.dataset import Batch, Windows
from pianogen.errors import CheckpointError, ConfigError
from pianogen.families.hybrid import Hybrid
from pianogen.families.hybrid_player import HybridVoice
from pianogen.memorisation import Notes, Training
from pianogen.one_step import MODEL, Baselines, Reading
from pianogen.progress import told
from pianogen.report import Report
from pianogen.sampling import Sampling, plain
from pianogen.shards import Shard

BATCH_STEPS, LONGEST_WINDOW = 4096, 16  # grid steps in a batch, measures in a window
ONE_DRAFT = "model, one draft"
FITTED = 400  # batches of the training split that the baselines see


def evaluate(
    data: Path, split: str, *, checkpoint: str, sampling: Sampling, contexts: int = 100,
    seed: int = 0, batches: int | None = None, device: str = "cpu", threads: int = 1,
    pictures_to: Path | None = None,
) -> Report:  # fmt: skip
    """Evaluate a checkpoint on a split of prepared data.

    contexts: places from which continuations are played. batches: how many of the split, at
    least 1, are read one step ahead, spread evenly; all where it is None. pictures_to: a folder
    for piano rolls of a few continuations. Raises DataError, CheckpointError, and ConfigError
    where a setting is out of range, scikit-learn is missing, or there can be no pictures.
    """
    if batches is not None and batches < 1:
        raise ConfigError(f"batches must be at least 1, is {batches}")
    torch.set_num_threads(threads)
    two_sample.check()
    if pictures_to is not None:
        pictures.check()
    voice = load_continuation(checkpoint, device=device)
    if not isinstance(voice, HybridVoice):
        raise CheckpointError(f"{resolve(checkpoint)}: only the hybrid can be evaluated so far")
    held_out, training = Shard.open(data, split), Shard.open(data, "train")
    baselines = Baselines.fit(_batches(training, FITTED, "batches fitted to"))
    saved = load(checkpoint)
    network = Hybrid.of(saved.config, saved.weights, device)
    reading = _read(network, held_out, batches, baselines)
    places = find_contexts(held_out, contexts, seed)
    played = play(voice, told(places, len(places), "continuations"), sampling, seed)
    single = _of_one_draft(voice, places, sampling, seed)
    others = find_contexts(held_out, contexts, seed + 1)
    answers = rivals(places, others, baselines.unigram, sampling.max_polyphony, seed)
    order = {REAL: answers.pop(REAL), MODEL: played.answers, **answers}
    known = find_contexts(training, contexts, seed)
    tables = {
        **reading.tables(seed),
        **continued.tables(places, order, seed),
        **two_sample.two_sample(places, order | single, seed, MODEL),
        "memorisation": continued.memorised(_library(training), places, order, known, seed),
    }
    if pictures_to is not None:
        pictures.draw_continuations(pictures_to, places, played.answers)
    about = {
        "checkpoint": str(checkpoint),
        "split": split,
        "sampling": plain(sampling),
        "seed": seed,
        "teacher forced": reading.counted(),
        "played": _counted(places, played),
    }
    return Report(about, tables, played.ms_per_measure)


def _of_one_draft(
    voice: HybridVoice, places: Sequence[Context], sampling: Sampling, seed: int
) -> dict[str, tuple[Music | None, ...]]:
    """The same continuations without a choice among drafts, where there was one."""
    if sampling.candidates == 1:
        return {}
    alone = replace(sampling, candidates=1)
    waiting = told(places, len(places), "continuations of one draft")
    return {ONE_DRAFT: play(voice, waiting, alone, seed).answers}


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


def _batches(shard: Shard, limit: int | None, what: str) -> Iterator[Batch]:
    windows = Windows(shard, steps=BATCH_STEPS, measures=LONGEST_WINDOW)
    batches = list(windows.every(limit))  # notes alone: a few megabytes
    return told(batches, len(batches), what)


def _read(network: Hybrid, held_out: Shard, limit: int | None, baselines: Baselines) -> Reading:
    reading = Reading(network, held_out, baselines)
    for batch in _batches(held_out, limit, "batches read"):
        reading.read(batch)
    return reading
