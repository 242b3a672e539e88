"""Continuations as tables: beside the real ones, by themselves, by corpus, and how much of them
stands in the training music already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from pianogen.by_piece import mean_of
from pianogen.comparison import REAL, Context, Music, compare
from pianogen.memorisation import LONG, WAYS, Ints, Training
from pianogen.report import Breakdown, Figure, Part, Table

Answers = Mapping[str, Sequence[Music | None]]
BY_CORPUS = {"notes in the key heard": "in the key", "notes sounding": "sounding",
             "note length, steps": "length, steps", "silent steps": "silent"}  # fmt: skip

OVERLAP_NOTES = (
    "Share of its histogram that a continuation has in common with the real one, 0..1, mean of",
    "the contexts with its 95 % interval by bootstrap over pieces; below, histograms of all",
    "contexts poured together. Another piece: what really follows elsewhere, in other music of",
    "the same meter.",
)
ALONE_NOTES = (
    "Means over contexts with their 95 % intervals by bootstrap over pieces. The key is estimated",
    "from what was heard; beats are quarter notes; the top line is the highest note of each step",
    "with onsets.",
)
CORPUS_NOTES = (
    "In brackets: pieces. As above: the share of the notes in the key that was heard, notes",
    "sounding at once, how long notes are, and the share of the steps that are silent.",
)
COPIED_NOTES = (
    "Notes of the longest run that stands in the training music with the same keys at the same",
    "distances: at the same pitches; all transposed alike, as training does; in the top line.",
    "New: leaving out runs that stand in what was heard as well, for to quote the player is no",
    f"memorisation. Long: share of continuations with a run of {LONG} notes or more. In training:",
    "what really follows in pieces of the training split, which stands there whole.",
)


def tables(places: Sequence[Context], answers: Answers, seed: int) -> dict[str, Table | Breakdown]:
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
        "continuations by corpus": _by_corpus(places, answers, seed),
    }


def _by_corpus(places: Sequence[Context], answers: Answers, seed: int) -> Breakdown:
    corpora: dict[str, list[int]] = {}
    for number, place in enumerate(places):
        corpora.setdefault(place.piece.corpus, []).append(number)
    parts = {}
    for name, mine in sorted(corpora.items(), key=lambda part: -len(part[1])):
        here = [places[number] for number in mine]
        figures = {
            who: compare(here, [music[number] for number in mine], seed).alone
            for who, music in answers.items()
        }
        parts[name] = Part(len({place.piece.group for place in here}), figures)
    who = ("model", REAL, "another piece", "unigram")
    return Breakdown("Continuations by corpus", parts, who, BY_CORPUS, CORPUS_NOTES)


def memorised(
    training: Training, places: Sequence[Context], answers: Answers, known: Sequence[Context],
    seed: int,
) -> Table:  # fmt: skip
    """How long the longest copied runs are. known: contexts from the training music itself."""
    columns = {
        who: _of_runs(training, places, music, seed)
        for who, music in answers.items()
        if who != "silence"
    }
    columns["in training"] = _of_runs(training, known, [context.real for context in known], seed)
    return Table("Memorisation: notes in the longest copied run", columns, COPIED_NOTES)


def _of_runs(
    training: Training, places: Sequence[Context], answers: Sequence[Music | None], seed: int
) -> dict[str, Figure]:
    pairs = [(p, a) for p, a in zip(places, answers, strict=True) if a is not None]
    groups = [place.piece.group for place, _ in pairs]
    runs = training.copied([place.heard for place, _ in pairs], [answer for _, answer in pairs])
    notes = [float(sum(len(m.notes) for m in answer)) for _, answer in pairs]
    figures: dict[str, Figure] = {"notes in a continuation": mean_of(notes, groups, seed)}
    for way in WAYS:
        figures |= _spread(way, runs[way][:, 0], groups, seed)
        figures |= _spread(f"{way}, new", runs[way][:, 1], groups, seed)
    return figures


def _spread(name: str, notes: Ints, groups: Sequence[str], seed: int) -> dict[str, Figure]:
    if not len(notes):
        return {}
    is_long = [float(count >= LONG) for count in notes]
    return {
        f"{name}: mean": mean_of([float(count) for count in notes], groups, seed),
        f"{name}: median": float(np.median(notes)),
        f"{name}: 95th %": float(np.quantile(notes, 0.95)),
        f"{name}: longest": float(notes.max()),
        f"{name}: long": mean_of(is_long, groups, seed),
    }
