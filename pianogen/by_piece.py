"""Sums kept piece by piece, and figures with intervals by bootstrap over pieces.

Notes of a piece are alike, and so are its windows: to draw them anew one by one would make
figures look far surer than they are. Pieces are drawn instead, all of a piece or nothing of it
(the cluster bootstrap: Davison and Hinkley, Bootstrap Methods and their Application, 1997).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pianogen.metrics import Estimate
from pianogen.nats import Sums
from pianogen.shards import Shard
from pianogen.windowed import Floats

if TYPE_CHECKING:
    from pianogen.dataset import Batch

DRAWS = 1000
Figures = Callable[[Sums], Mapping[str, Floats]]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a window comes from. group: pieces of one group hold the same music, and count as
    one. meter: the one it begins in."""

    group: str
    corpus: str
    meter: str


def origins(shard: Shard, batch: Batch) -> list[Origin]:
    """Where each window of a batch comes from: (B,)."""
    firsts = np.array([piece.first_measure for piece in shard.pieces])
    places = batch.first_measure.numpy()
    found = []
    for number, place in zip(np.searchsorted(firsts, places, side="right"), places, strict=True):
        piece, row = shard.pieces[number - 1], shard.measures[place]
        meter = f"{row['numerator']}/{row['denominator']}"
        found.append(Origin(piece.group, piece.corpus, meter))
    return found


class Tally:
    """Sums of many windows, each with where it comes from."""

    def __init__(self) -> None:
        self.origins: list[Origin] = []
        self._sums: dict[str, list[Floats]] = {}

    def add(self, origins: Iterable[Origin], sums: Sums) -> None:
        """Sums over some windows: (B,) each, and as many origins."""
        self.origins.extend(origins)
        for name, values in sums.items():
            self._sums.setdefault(name, []).append(values)

    def total(self) -> dict[str, float]:
        """The sums over everything."""
        return {name: float(np.concatenate(parts).sum()) for name, parts in self._sums.items()}

    def estimates(
        self, figures: Figures, seed: int, where: Callable[[Origin], bool] = lambda _: True
    ) -> dict[str, Estimate]:
        """Figures of the windows that are asked for, each with its 95 % interval.

        count is how many pieces had something to say of a figure. Raises ValueError where no
        window is asked for.
        """
        chosen = np.array([where(origin) for origin in self.origins], np.bool_)
        groups = [origin.group for origin, yes in zip(self.origins, chosen, strict=True) if yes]
        sums = {name: np.concatenate(parts)[chosen] for name, parts in self._sums.items()}
        return bootstrapped(sums, groups, figures, seed)


def bootstrapped(
    sums: Sums, groups: Sequence[str], figures: Figures, seed: int
) -> dict[str, Estimate]:
    """Figures of sums, (n,) each, with 95 % intervals: what they come to when as many groups as
    there are, out of n entries' groups, are drawn with replacement, 1,000 times.

    Of a single group there is no interval. Raises ValueError for no entry at all.
    """
    if not groups:
        raise ValueError("there is nothing to estimate from")
    _, member = np.unique(groups, return_inverse=True)
    G = int(member.max()) + 1
    by_group = {
        name: np.asarray(np.bincount(member, values, G), np.float64)
        for name, values in sums.items()
    }
    times = np.random.default_rng(seed).multinomial(G, np.full(G, 1 / G), size=DRAWS)
    drawn = figures({name: times @ values for name, values in by_group.items()})
    alone = figures(by_group)
    whole = figures({name: np.asarray(values.sum()) for name, values in by_group.items()})
    return {
        name: _estimate(float(value), drawn[name], int((~np.isnan(alone[name])).sum()))
        for name, value in whole.items()
    }


def _estimate(value: float, drawn: Floats, count: int) -> Estimate:
    known = drawn[~np.isnan(drawn)]
    if count < 2 or not len(known):
        return Estimate(value, np.nan, np.nan, count)
    low, high = np.quantile(known, [0.025, 0.975])
    return Estimate(value, float(low), float(high), count)


def mean_of(values: Sequence[float], groups: Sequence[str], seed: int) -> Estimate:
    """The mean of what is not nan, its interval by bootstrap over groups; nan for nothing."""
    known = ~np.isnan(np.asarray(values, np.float64))
    if not known.any():
        return Estimate(np.nan, np.nan, np.nan, 0)
    sums = {"value": np.asarray(values, np.float64)[known], "count": np.ones(int(known.sum()))}
    mine = [group for group, yes in zip(groups, known, strict=True) if yes]
    return bootstrapped(sums, mine, lambda s: {"": s["value"] / s["count"]}, seed)[""]
