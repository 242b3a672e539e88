"""Can real continuations be told from others? A classifier tries, on pieces it has not seen.

Real continuations against as many others of the same contexts, by `pianogen.likeness` and
gradient-boosted trees. How often a real one ranks before another is the area under the ROC
curve: 0.5 where they cannot be told apart, 1 where they always can. The test is that of Lopez-Paz
and Oquab, Revisiting classifier two-sample tests (2017). The trees, of scikit-learn, are imported
when they are needed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pianogen.character import Bools
from pianogen.comparison import ANSWERED, REAL, Context, Music
from pianogen.errors import ConfigError
from pianogen.grid import HIGHEST_KEY, LOWEST_KEY, Note
from pianogen.likeness import Heard, likeness
from pianogen.metrics import Estimate, Floats, Ints
from pianogen.report import Figure, Table

FOLDS = 5
FEWEST = 50  # contexts; from fewer the trees learn so little that any music would pass
DRAWS = 1000  # of the bootstrap
HALVINGS = 5  # of the real continuations against themselves
TOLD = 10  # numbers that give a candidate away
TWINS = 0.8  # rank correlation over which two numbers say the same
TREES: dict[str, Any] = {
    "max_iter": 200, "learning_rate": 0.08, "max_leaf_nodes": 6, "max_bins": 32,
    "max_features": 0.1, "l2_regularization": 1.0, "early_stopping": False,
}  # fmt: skip

NUDGED, AGAIN, SELF = "real, nudged", "repeat the last 4", "real against real"
NOTES = (
    "Area under the ROC curve, 0.5..1: how often a classifier ranks a real continuation before",
    "one of the other kind, neither from a piece it has seen; 0.5 is perfect. In 5 folds by piece,",
    "95 % interval over pieces. With more contexts it tells more apart: compare like with like.",
    "Nudged: a fifth of the pitches moved by 1 or 2 semitones. Real against real: two halves.",
)
TOLD_NOTES = (
    f"The {TOLD} numbers that alone tell it best from the real continuations, of those that say",
    f"nearly the same only the best (rank correlation over {TWINS}). *: less what was heard.",
)


# --- the material -------------------------------------------------------------------------------


def nudge(music: Music, rng: np.random.Generator) -> Music:
    """The same music with a fifth of its pitches moved by 1 or 2 semitones either way.

    No note leaves the piano or lands on another that begins with it; one with nowhere to go
    stays.
    """
    taken = [{(n.onset, n.pitch) for n in measure.notes} for measure in music]
    places = [(number, note) for number, m in enumerate(music) for note in m.notes]
    moved: dict[tuple[int, Note], Note] = {}
    for index in rng.permutation(len(places))[: round(len(places) / 5)]:
        number, note = places[index]
        free = [p for p in _near(note.pitch) if (note.onset, p) not in taken[number]]
        if free:
            other = replace(note, pitch=int(rng.choice(free)))
            taken[number] ^= {(note.onset, note.pitch), (note.onset, other.pitch)}
            moved[number, note] = other
    return tuple(
        replace(m, notes=tuple(moved.get((number, note), note) for note in m.notes))
        for number, m in enumerate(music)
    )


def _near(pitch: int) -> list[int]:
    around = (pitch - 2, pitch - 1, pitch + 1, pitch + 2)
    return [p for p in around if LOWEST_KEY <= p <= HIGHEST_KEY]


@dataclass(frozen=True, slots=True, eq=False)
class Numbers:
    """Numbers of continuations. names: of the columns; values: (continuations, names), nan
    where there is nothing to say; group: which piece each is of, (continuations,)."""

    names: tuple[str, ...]
    values: Floats
    group: Ints

    @classmethod
    def of(cls, rows: Sequence[Mapping[str, float]], group: Ints) -> Numbers:
        """One row a continuation; a name missing from a row is nan there."""
        names = tuple(dict.fromkeys(name for row in rows for name in row))
        values = np.array([[row.get(name, math.nan) for name in names] for row in rows])
        return cls(names, values.reshape(len(rows), len(names)), group)


@dataclass(frozen=True, slots=True, eq=False)
class Told:
    """How well a candidate is told from the real: `area`, and by which numbers. `by`: the name of
    a number, then its own area, 0.5..1, its mean over the real and over the candidate."""

    area: Estimate
    by: Mapping[str, tuple[float, float, float]]


class Listener:
    """Contexts and what really follows, taken in once to judge any number of candidates."""

    def __init__(self, contexts: Sequence[Context]) -> None:
        self._heard = [Heard.of(context.heard) for context in contexts]
        self._real = self._likeness([context.real for context in contexts])
        groups = [context.piece.group for context in contexts]
        self._group = np.unique(groups, return_inverse=True)[1]

    def _likeness(self, answers: Sequence[Music | None]) -> list[dict[str, float]]:
        pairs = zip(self._heard, answers, strict=True)
        return [likeness(heard, a) if a is not None else {} for heard, a in pairs]

    def tell(self, answers: Sequence[Music | None], seed: int = 0) -> Told:
        """Hold answers, one a context, against the real; contexts without one are left out."""
        rows = self._likeness(answers)
        known = np.array([n for n, answer in enumerate(answers) if answer is not None], np.int64)
        both = [self._real[n] for n in known] + [rows[n] for n in known]
        numbers = Numbers.of(both, np.tile(self._group[known], 2))
        is_other = np.arange(len(both)) >= len(known)
        area = _estimate(numbers, [is_other], len(known), seed)
        return Told(area, {} if math.isnan(area.mean) else _tells(numbers, is_other))

    def tell_halves(self, seed: int = 0) -> Estimate:
        """One half of the real continuations against the other: near 0.5. Halved five times.

        Of every two neighbours, by piece, one at random is in each half, so that a fold has
        about as many of each; where it has not, the trees lean to what it has fewer of.
        """
        numbers = Numbers.of(self._real, self._group)
        rng = np.random.default_rng((seed, 3))
        halves = [_half(self._group, rng) for _ in range(HALVINGS)]
        return _estimate(numbers, halves, len(self._real), seed)


def _half(group: Ints, rng: np.random.Generator) -> Bools:
    is_other = np.zeros(len(group), bool)
    pairs = np.argsort(group, kind="stable")[: len(group) // 2 * 2].reshape(-1, 2)
    is_other[pairs[np.arange(len(pairs)), rng.integers(2, size=len(pairs))]] = True
    return is_other


# --- the classifier -----------------------------------------------------------------------------


def check() -> None:
    """Raises ConfigError where scikit-learn is missing."""
    try:
        import sklearn  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            "the two-sample test needs scikit-learn: pip install 'pianogen[train]', "
            "from a checkout pip install -e '.[train]'"
        ) from error


def _estimate(numbers: Numbers, labels: Sequence[Bools], contexts: int, seed: int) -> Estimate:
    """The mean area over ways to label the continuations; the interval is of one such way."""
    pieces = len(np.unique(numbers.group))
    if contexts < FEWEST or pieces < FOLDS:
        return Estimate(math.nan, math.nan, math.nan, contexts)
    rng = np.random.default_rng((seed, 4))
    drawn = rng.multinomial(pieces, np.full(pieces, 1 / pieces), DRAWS)
    _, group = np.unique(numbers.group, return_inverse=True)
    weights = np.concatenate([np.ones((1, len(group)), np.int64), drawn[:, group]])
    areas = np.array(
        [area(_scores(numbers, is_other, seed), is_other, weights) for is_other in labels]
    )
    low, high = np.nanquantile(areas[:, 1:], [0.025, 0.975])
    return Estimate(float(areas[:, 0].mean()), float(low), float(high), contexts)


def _scores(numbers: Numbers, is_other: Bools, seed: int) -> Floats:
    """How little like real each is, 0..1, by trees that saw no music of its piece."""
    check()
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.model_selection import GroupKFold
    from threadpoolctl import threadpool_limits

    scores = np.zeros(len(is_other))
    with threadpool_limits(1):
        for seen, unseen in GroupKFold(FOLDS).split(numbers.values, is_other, numbers.group):
            trees = HistGradientBoostingClassifier(**TREES, random_state=seed)
            told = _varies(numbers.values[seen])
            if told.any():
                trees.fit(numbers.values[seen][:, told], is_other[seen])
                scores[unseen] = trees.predict_proba(numbers.values[unseen][:, told])[:, 1]
    return scores


def _varies(values: Floats) -> Bools:
    """Which columns have two different known values, without which they tell nothing."""
    unknown = np.isnan(values)
    low = np.where(unknown, np.inf, values).min(axis=0)
    high = np.where(unknown, -np.inf, values).max(axis=0)
    return np.asarray(low < high, np.bool_)


def area(scores: Floats, is_other: Bools, weights: NDArray[np.int64]) -> Floats:
    """The area under the ROC curve for each row of weights, (draws,); ties count half.

    scores, is_other: (n,). weights: (draws, n), how often each counts. nan without both kinds.
    """
    order = np.argsort(scores, kind="stable")
    begins = np.flatnonzero(np.diff(scores[order], prepend=-np.inf) > 0)
    others = np.add.reduceat((weights * is_other)[:, order], begins, axis=1)
    reals = np.add.reduceat((weights * ~is_other)[:, order], begins, axis=1)
    before = reals.cumsum(axis=1) - reals / 2
    pairs = others.sum(axis=1) * reals.sum(axis=1)
    return np.asarray((others * before).sum(axis=1) / np.where(pairs, pairs, np.nan), np.float64)


# --- what gives it away -------------------------------------------------------------------------


def _tells(numbers: Numbers, is_other: Bools) -> dict[str, tuple[float, float, float]]:
    """The numbers that tell best, the best first, twins left out."""
    areas = [_alone(column, is_other) for column in numbers.values.T]
    kept: list[int] = []
    ranks: list[Floats] = []
    for index in np.argsort([-a for a in areas], kind="stable").tolist():
        rank = _ranks(numbers.values[:, index])
        if len(kept) < TOLD and all(abs(rank @ other) <= TWINS for other in ranks):
            kept.append(index)
            ranks.append(rank)
    return {
        numbers.names[n]: (
            areas[n],
            _known_mean(numbers.values[~is_other, n]),
            _known_mean(numbers.values[is_other, n]),
        )
        for n in kept
    }


def _alone(column: Floats, is_other: Bools) -> float:
    """The area of one number by itself, whichever way it leads; where it is known."""
    known = ~np.isnan(column)
    if not (known & is_other).any() or not (known & ~is_other).any():
        return 0.5
    ones = np.ones((1, int(known.sum())), np.int64)
    value = float(area(column[known], is_other[known], ones)[0])
    return max(value, 1 - value)


def _ranks(column: Floats) -> Floats:
    """Ranks about their mean, of length 1: two such multiplied are their rank correlation."""
    unknown = np.isnan(column)
    middle = 0.0 if unknown.all() else np.nanmedian(column)
    filled = np.where(unknown, middle, column)
    _, place, counts = np.unique(filled, return_inverse=True, return_counts=True)
    rank = (counts.cumsum() - counts / 2)[place]
    rank = rank - rank.mean()
    return np.asarray(rank / max(float(np.sqrt(rank @ rank)), 1e-9), np.float64)


def _known_mean(column: Floats) -> float:
    known = column[~np.isnan(column)]
    return float(known.mean()) if len(known) else math.nan


# --- the tables ---------------------------------------------------------------------------------


def two_sample(
    contexts: Sequence[Context], answers: Mapping[str, Sequence[Music | None]], seed: int,
    candidate: str = "model",
) -> dict[str, Table]:  # fmt: skip
    """Everyone who answered against the real continuations, and what gives the candidate away.

    answers: by name, one a context; the real are known from the contexts. Fewer than 50
    contexts give no figures. The same seed gives the same tables. Raises ConfigError where
    scikit-learn is missing.
    """
    check()
    rng = np.random.default_rng((seed, 5))
    own = {
        NUDGED: [nudge(context.real, rng) for context in contexts],
        AGAIN: [context.heard[-ANSWERED:] for context in contexts],
    }
    everyone = {**answers, **own}
    everyone.pop(REAL, None)
    listener = Listener(contexts)
    told = {who: listener.tell(made, seed) for who, made in everyone.items()}
    areas: dict[str, Figure] = {who: one.area for who, one in told.items()}
    areas[SELF] = listener.tell_halves(seed)
    by = told[candidate].by if candidate in told else {}
    columns = {
        who: {name: values[n] for name, values in by.items()}
        for n, who in enumerate(("AUC alone", REAL, candidate))
    }
    return {
        "two samples": Table("Told from the real continuation", {"AUC": areas}, NOTES),
        "what gives it away": Table("What gives it away", columns, TOLD_NOTES),
    }
