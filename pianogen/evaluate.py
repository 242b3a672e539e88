"""Figures of a checkpoint on held-out music, each beside what knows nothing scores on it.

Three tables: nats a note, what the network believes of true music; the published element-wise
figures in their own definition; and continuations that were played, beside the real ones. The
baselines are fitted on the training split; of the held-out splits only the one asked for is
opened. The same seed gives the same figures.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch

from pianogen.baselines import Hold, Repeat, Unigram
from pianogen.checkpoint import load_continuation, resolve
from pianogen.comparison import (
    ANSWERED,
    HEARD,
    REAL,
    Context,
    Music,
    compare,
    find_contexts,
    play,
    rivals,
)
from pianogen.dataset import Windows
from pianogen.elements import by_repeat, by_unigram, element_sums, published, silent
from pianogen.errors import CheckpointError
from pianogen.families.hybrid import Hybrid
from pianogen.families.hybrid_player import HybridVoice
from pianogen.nats import Sums, nats_a_note, total
from pianogen.report import Figure, Report, Table
from pianogen.sampling import Sampling
from pianogen.shards import Shard
from pianogen.teacher_forcing import read
from pianogen.windowed import Windowed

BATCH_STEPS, LONGEST_WINDOW = 4096, 16  # grid steps in a batch, measures in a window
FITTED = 400  # batches of the training split that the baselines see
MODEL = "model"
T = TypeVar("T")

NATS_NOTES = (
    "Negative log-likelihood of true music one step ahead; lower is better. Timing is whether an",
    "onset comes at each step, pitch which notes begin there and that no more do. Velocity counts",
    "each piece as training does, then those where it was recorded or edited by hand, then those",
    "where it follows printed dynamics. Hold: as loud and as long as the note before.",
    "Silence holds every note to be impossible, and has no opinion on how it would sound.",
)
ELEMENT_NOTES = (
    "One step ahead of true music. An onset is predicted where its chance is over 0.5, then the",
    "likeliest notes until the likeliest is to stop; what was struck before sounds on for its true",
    "length (silence: nothing sounds; hold: nothing begins). Accuracy and the first velocity error",
    "are over all elements of the (steps x 128) roll of what sounds: nearly all are silent, so all",
    "do well. Rhythm alignment: the likeliest number of steps to the next onset is the true one.",
    "Velocity errors are of 1, the full range. A velocity is predicted as its median.",
)
OVERLAP_NOTES = (
    "Share of its histogram that a continuation has in common with the real one, 0..1, mean of",
    "the contexts with its 95 % interval; below, histograms of all contexts poured together.",
    "Another piece: what really follows elsewhere, in other music of the same meter.",
)
ALONE_NOTES = (
    "Means over contexts with their 95 % intervals. The key is estimated from what was heard;",
    "beats are quarter notes; the top line is the highest note of each step with onsets.",
)


def evaluate(
    data: Path, split: str, *, checkpoint: str, sampling: Sampling,
    contexts: int = 100, seed: int = 0, batches: int = 48, device: str = "cpu", threads: int = 1,
) -> Report:  # fmt: skip
    """Evaluate a checkpoint on a split of prepared data.

    contexts: places from which continuations are played. batches: of the split, spread evenly,
    from which nats and elements are counted. Raises DataError and CheckpointError.
    """
    torch.set_num_threads(threads)
    voice = load_continuation(checkpoint, device=device)
    if not isinstance(voice, HybridVoice):
        raise CheckpointError(f"{resolve(checkpoint)}: only the hybrid can be evaluated so far")
    held_out = Shard.open(data, split)
    baselines = _fit_baselines(Shard.open(data, "train"))
    forced, counted = _teacher_forced(voice.network, held_out, batches, baselines)
    places = find_contexts(held_out, contexts, seed)
    played = play(voice, _told(places, len(places), "continuations"), sampling, seed)
    others = find_contexts(held_out, contexts, seed + 1)
    answers = rivals(places, others, baselines.unigram, sampling.max_polyphony, seed)
    order = {REAL: answers.pop(REAL), MODEL: played.answers, **answers}
    notes = sum(len(m.notes) for answer in played.answers for m in answer)
    about = {
        "checkpoint": str(checkpoint),
        "split": split,
        "sampling": asdict(sampling),
        "seed": seed,
        "teacher forced": counted,
        "continuations": {
            "contexts": len(places),
            "pieces": len({context.piece.path for context in places}),
            "measures heard": HEARD,
            "measures played": ANSWERED * len(places),
            "notes played": notes,
        },
    }
    return Report(about, {**forced, **_continued(places, order, seed)}, played.ms_per_measure)


@dataclass(frozen=True, slots=True)
class _Baselines:
    unigram: Unigram
    repeat: Repeat
    hold: Hold


def _fit_baselines(training: Shard) -> _Baselines:
    windows = Windows(training, steps=BATCH_STEPS, measures=LONGEST_WINDOW)
    parts = _told(windows.every(FITTED), FITTED, "batches fitted to")
    music = [Windowed.of(batch) for batch in parts]
    unigram = Unigram.fit(music)
    return _Baselines(unigram, Repeat.fit(unigram, music), Hold.fit(unigram, music))


def _teacher_forced(
    network: Hybrid, held_out: Shard, batches: int, baselines: _Baselines
) -> tuple[dict[str, Table], dict[str, Any]]:
    """The tables of nats and elements, and what they were counted over."""
    nats: dict[str, list[Sums]] = {}
    elements: dict[str, list[Sums]] = {}
    windows = Windows(held_out, steps=BATCH_STEPS, measures=LONGEST_WINDOW)
    device, seen = network.onset.weight.device, 0
    for batch in _told(windows.every(batches), batches, "batches read"):
        music = Windowed.of(batch)
        sums, expected = read(network, batch.to(device), music)
        believed = {
            MODEL: sums,
            "hold": baselines.hold.nats(music),
            "repeat": baselines.repeat.nats(music),
            "unigram": baselines.unigram.nats(music),
        }
        predicted = {
            MODEL: expected,
            "silence": silent(music, holds=False),
            "hold": silent(music, holds=True),
            "repeat": by_repeat(music, baselines.unigram),
            "unigram": by_unigram(music, baselines.unigram),
        }
        for who, part in believed.items():
            nats.setdefault(who, []).append(part)
        for who, prediction in predicted.items():
            elements.setdefault(who, []).append(element_sums(music, prediction))
        seen += 1
    columns = {who: nats_a_note(total(parts)) for who, parts in nats.items()}
    impossible = {"pitch and timing": math.inf, "  pitch": math.nan, "  timing": math.inf}
    columns["silence"] = {row: impossible.get(row, math.nan) for row in columns[MODEL]}
    whole = total(nats[MODEL])
    counted = {"batches": seen, "steps": int(whole["steps"]), "notes": int(whole["notes"])}
    scores = {who: published(total(parts)) for who, parts in elements.items()}
    return {
        "nats": Table("Nats a note", columns, NATS_NOTES),
        "elements": Table("Element by element, as published", scores, ELEMENT_NOTES),
    }, counted


def _continued(
    places: tuple[Context, ...], answers: Mapping[str, Sequence[Music | None]], seed: int
) -> dict[str, Table]:
    """The tables of continuations, a column for each who answered."""
    compared = {who: compare(places, music, seed) for who, music in answers.items()}
    overlaps: dict[str, dict[str, Figure]] = {
        who: {**c.by_context, **{f"{name}, pooled": value for name, value in c.pooled.items()}}
        for who, c in compared.items()
    }
    alone = {who: c.alone for who, c in compared.items()}
    return {
        "overlaps": Table("Continuations: overlap with the real one", overlaps, OVERLAP_NOTES),
        "continuations": Table("Continuations: by themselves", alone, ALONE_NOTES),
    }


def _told(items: Iterable[T], count: int, what: str) -> Iterator[T]:
    """The same items, with a word on stderr now and then."""
    every = 1 if sys.stderr.isatty() else max(1, count // 4)
    for number, item in enumerate(items, 1):
        yield item
        if number % every == 0 or number == count:
            end = "\r" if sys.stderr.isatty() and number < count else "\n"
            print(f"{number}/{count} {what}", end=end, file=sys.stderr, flush=True)
