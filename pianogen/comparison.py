"""Continuations held against what the music really does: from places all over a split.

At each place 8 measures are heard and 4 follow. Who is asked what follows: the model; the music
itself; another piece at the same moment; the last measure again, four times; nobody; chance.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pianogen.baselines import Unigram
from pianogen.by_piece import mean_of
from pianogen.continuation import Continuation
from pianogen.errors import ConfigError, DataError
from pianogen.generate import continuation
from pianogen.grid import Measure
from pianogen.metrics import Estimate, Floats, Stretch, figures, histograms, overlap
from pianogen.sampling import Sampling, limit_polyphony, measure_seed
from pianogen.shards import SHORTEST_METER, VOICE_ON_TOP, Piece, Shard

HEARD, ANSWERED = 8, 4  # measures
REAL = "real"
Music = tuple[Measure, ...]


@dataclass(frozen=True, slots=True)
class Context:
    """A place in a piece: 8 measures of one meter, and the 4 that really follow."""

    piece: Piece
    heard: Music
    real: Music


def find_contexts(shard: Shard, count: int, seed: int) -> tuple[Context, ...]:
    """`count` places, the same share of them in every piece that is long enough.

    Pieces that repeat another with a voice on top are left out, as are places where nothing
    was heard. Raises ConfigError for less than one, DataError where no piece is long enough.
    """
    if count < 1:
        raise ConfigError(f"contexts must be at least 1, is {count}")
    pieces = [(piece, _places(shard, piece)) for piece in shard.pieces]
    usable = [(piece, places) for piece, places in pieces if len(places)]
    if not usable:
        raise DataError(f"no piece has {HEARD + ANSWERED} measures of one meter to evaluate on")
    rng = np.random.default_rng((seed, 1))
    contexts = []
    for index in range(count):
        piece, places = usable[index * len(usable) // count]
        first = int(places[rng.integers(len(places))])
        music = tuple(shard.measure(first + n) for n in range(HEARD + ANSWERED))
        contexts.append(Context(piece, music[:HEARD], music[HEARD:]))
    return tuple(contexts)


def _places(shard: Shard, piece: Piece) -> NDArray[np.int64]:
    """Where a context may begin."""
    if piece.path.endswith(VOICE_ON_TOP):
        return np.zeros(0, np.int64)
    first, end = piece.first_measure, piece.first_measure + piece.n_measures
    table, span = shard.measures[first : end + 1], HEARD + ANSWERED
    starts = np.arange(max(piece.n_measures - span + 1, 0))
    meter = table["numerator"].astype(int) * 256 + table["denominator"]
    breaks = np.concatenate([[0], (np.diff(meter[:-1]) != 0) | (table["is_break"][1:-1] > 0)])
    crossed = breaks.cumsum()
    is_whole = crossed[starts + span - 1] == crossed[starts]
    is_heard = table["first_note"][starts + HEARD] > table["first_note"][starts]
    return np.asarray(
        first + starts[is_whole & is_heard & (table["steps"][starts] >= SHORTEST_METER)], np.int64
    )


@dataclass(frozen=True, slots=True)
class Played:
    """What the model made of each context, and how long it took, in milliseconds a measure
    played, listening to the context included."""

    answers: tuple[Music, ...]
    ms_per_measure: float


def play_each(voice: Continuation, asked: Iterable[tuple[Context, Sampling]], seed: int) -> Played:
    """The model's continuation of every context, each drawn as is asked there."""
    answers, began = [], time.perf_counter()
    for index, (context, sampling) in enumerate(asked):
        own_seed = measure_seed(seed, index)
        answers.append(continuation(voice, context.heard, ANSWERED, sampling, own_seed))
    spent_ms = (time.perf_counter() - began) * 1000
    return Played(tuple(answers), spent_ms / max(len(answers) * ANSWERED, 1))


def rivals(
    contexts: Sequence[Context], elsewhere: Sequence[Context], unigram: Unigram, most: int,
    seed: int,
) -> dict[str, tuple[Music | None, ...]]:  # fmt: skip
    """What the others make of every context; chance is held to the polyphony of the model."""
    rng = np.random.default_rng((seed, 2))

    def by_chance(context: Context) -> Music:
        drawn = unigram.sample(context.heard[-1].meter, ANSWERED, rng)
        return limit_polyphony(drawn, most)

    answers: dict[str, Callable[[Context], Music]] = {
        REAL: lambda context: context.real,
        "repeat": lambda context: (context.heard[-1],) * ANSWERED,
        "silence": lambda context: (Measure(context.heard[-1].meter),) * ANSWERED,
        "unigram": by_chance,
    }
    made = {name: tuple(answer(c) for c in contexts) for name, answer in answers.items()}
    others = tuple(_another(context, elsewhere, i) for i, context in enumerate(contexts))
    return {REAL: made.pop(REAL), "another piece": others, **made}


def _another(context: Context, elsewhere: Sequence[Context], index: int) -> Music | None:
    """What really follows at the next place with other music in the context's meter."""
    others = (*elsewhere[index + 1 :], *elsewhere[:index])
    return next((other.real for other in others if _fits(context, other)), None)


def _fits(context: Context, other: Context) -> bool:
    same_meter = other.heard[-1].meter == context.heard[-1].meter
    return same_meter and other.piece.group != context.piece.group


@dataclass(frozen=True, slots=True)
class Comparison:
    """One who answered: overlaps with the real continuation, each context for itself and all
    contexts poured together, 0..1; and figures that need no comparison."""

    by_context: Mapping[str, Estimate]
    pooled: Mapping[str, float]
    alone: Mapping[str, Estimate]


def compare(contexts: Sequence[Context], answers: Sequence[Music | None], seed: int) -> Comparison:
    """One row a context; contexts without an answer are left out. Intervals are over pieces."""
    rows, single, groups = [], [], []
    for context, answer in zip(contexts, answers, strict=True):
        if answer is not None:
            stretch = Stretch.of(answer)
            rows.append((histograms(stretch), histograms(Stretch.of(context.real))))
            single.append(figures(Stretch.of(context.heard), stretch))
            groups.append(context.piece.group)
    names = rows[0][0] if rows else ()
    return Comparison(
        {n: mean_of([overlap(a[n], b[n]) for a, b in rows], groups, seed) for n in names},
        {n: overlap(_poured(a[n] for a, _ in rows), _poured(b[n] for _, b in rows)) for n in names},
        {n: mean_of([f[n] for f in single], groups, seed) for n in (single[0] if single else ())},
    )


def _poured(parts: Iterable[Floats]) -> Floats:
    return np.sum(list(parts), axis=0)  # type: ignore[no-any-return]
