"""Figures as text and as plain values."""

from __future__ import annotations

import math

from pianogen.metrics import Estimate
from pianogen.report import FEW, Breakdown, Part, Table

MODEL = {"loss": Estimate(2.0, 1.9, 2.2, 7), "share": Estimate(0.995, 0.993, 0.997, 7)}
ALONE = {"loss": Estimate(3.0, math.nan, math.nan, 1), "share": math.inf}


def breakdown(**pieces: int) -> Breakdown:
    parts = {name: Part(n, {"model": MODEL, "nobody": ALONE}) for name, n in pieces.items()}
    return Breakdown("By corpus", parts, ("model",), {"loss": "nats", "share": "right"})


def test_an_interval_is_told_with_the_figure() -> None:
    lines = str(Table("Loss", {"model": MODEL, "nobody": ALONE})).splitlines()
    assert lines[-2].split() == ["loss", "2.000±.15", "3.000"]
    assert lines[-1].split() == ["share", "0.995±.002", "infinite"]


def test_a_part_of_few_pieces_says_so() -> None:
    text = str(breakdown(folk=FEW, art=FEW - 1))
    assert "\nfolk (5)\n" in text
    assert "\nart (4, few)\n" in text
    assert "under 5 pieces" in text
    assert "under 5 pieces" not in str(breakdown(folk=FEW))


def test_the_table_shows_some_and_the_plain_values_have_all() -> None:
    made = breakdown(folk=2)
    assert str(made).splitlines()[-1].split() == ["model", "2.000±.15", "0.995±.002"]
    part = made.as_dict()["folk"]
    assert (part["pieces"], part["is_few"]) == (2, True)
    assert part["model"]["loss"] == {"mean": 2.0, "low": 1.9, "high": 2.2, "count": 7}
    assert part["nobody"]["share"] == "infinite"
    assert part["nobody"]["loss"]["low"] is None
