"""Sums by piece: where windows come from, and that pieces are drawn anew, not windows."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from pianogen.by_piece import Origin, Tally, bootstrapped, mean_of, origins
from pianogen.dataset import Windows
from pianogen.grid import Measure, Meter
from pianogen.nats import Sums, ratio
from pianogen.shards import Shard
from tests.made import measure, prepared

WALTZ = [measure([(0, 48, 12, 8)], Meter(3, 4))] * 4
JIG = [measure([(0, 60, 12, 4), (12, 62, 12, 4)], Meter(6, 8))] * 6
MARCH = [measure([(0, 50, 12, 8)])] * 4


def mean(sums: Sums) -> dict[str, np.ndarray]:
    return {"mean": ratio(sums["of"], sums["over"])}


def sums(*pairs: tuple[float, float]) -> dict[str, np.ndarray]:
    of, over = zip(*pairs, strict=True)
    return {"of": np.array(of), "over": np.array(over)}


def test_every_window_is_known_to_its_piece_and_meter(tmp_path: Path) -> None:
    music: dict[tuple[str, str], list[Measure]] = {
        ("waltz", "train"): WALTZ, ("jig", "train"): JIG, ("march", "train"): MARCH,
    }  # fmt: skip
    shard = Shard.open(prepared(tmp_path, music), "train")
    found = [o for batch in Windows(shard, steps=96, measures=2).every() for o in
             origins(shard, batch)]  # fmt: skip
    assert sorted((o.group, o.meter) for o in found) == sorted(
        [("waltz", "3/4")] * 2 + [("jig", "6/8")] * 3 + [("march", "4/4")] * 2
    )
    assert {o.corpus for o in found} == {"made"}


def test_a_figure_is_of_all_notes_not_of_windows() -> None:
    estimate = bootstrapped(sums((30, 10), (1, 1)), ["a", "b"], mean, seed=0)["mean"]
    assert estimate.mean == 31 / 11
    assert (estimate.low, estimate.high) == (1, 3)
    assert estimate.count == 2


def test_more_windows_of_a_piece_make_nothing_surer() -> None:
    few = bootstrapped(sums((3, 1), (1, 1), (2, 1)), ["a", "b", "c"], mean, seed=0)
    many = bootstrapped(sums(*[(3, 1), (1, 1), (2, 1)] * 50), ["a", "b", "c"] * 50, mean, seed=0)
    assert (many["mean"].low, many["mean"].high) == pytest.approx(
        (few["mean"].low, few["mean"].high)
    )


def test_more_pieces_do() -> None:
    values = [1.0, 2.0, 3.0] * 30
    few = mean_of(values, ["a", "b", "c"] * 30, seed=0)
    many = mean_of(values, [str(n) for n in range(90)], seed=0)
    assert many.high - many.low < (few.high - few.low) / 4
    spread = np.std(values) / math.sqrt(90)  # of a mean of 90, by the central limit theorem
    assert many.high - many.low == pytest.approx(2 * 1.96 * spread, rel=0.15)


def test_one_piece_has_no_interval_and_nothing_has_no_figure() -> None:
    alone = mean_of([1.0, 2.0], ["a", "a"], seed=0)
    assert (alone.mean, alone.count) == (1.5, 1)
    assert math.isnan(alone.low)
    assert mean_of([math.nan], ["a"], seed=0).count == 0
    with pytest.raises(ValueError, match="nothing"):
        bootstrapped({}, [], mean, seed=0)


def test_an_interval_holds_its_mean_and_leaves_out_what_is_not_known() -> None:
    estimate = mean_of([0.2, 0.4, math.nan, 0.6], list("abcd"), seed=1)
    assert estimate.mean == pytest.approx(0.4)
    assert 0.2 <= estimate.low < estimate.mean < estimate.high <= 0.6
    assert estimate == mean_of([0.2, 0.4, 0.6], list("abd"), seed=1)
    assert estimate.count == 3


def test_a_piece_that_says_nothing_of_a_figure_is_not_counted() -> None:
    estimate = bootstrapped(sums((3, 1), (1, 1), (0, 0)), ["a", "b", "c"], mean, seed=0)["mean"]
    assert (estimate.mean, estimate.count) == (2, 2)


def test_parts_are_counted_apart() -> None:
    tally = Tally()
    whole = [("a", "folk", "4/4"), ("b", "folk", "3/4"), ("c", "art", "4/4")]
    tally.add([Origin(*where) for where in whole[:2]], sums((4, 2), (6, 2)))
    tally.add([Origin(*whole[2])], sums((9, 3)))
    assert tally.total() == {"of": 19, "over": 7}

    def of(what: str, name: str) -> float:
        return tally.estimates(mean, 0, lambda o: getattr(o, what) == name)["mean"].mean

    assert (of("corpus", "folk"), of("corpus", "art")) == (10 / 4, 3)
    assert (of("meter", "4/4"), of("meter", "3/4")) == (13 / 5, 3)
    assert tally.estimates(mean, 0)["mean"].mean == 19 / 7
