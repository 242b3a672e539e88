"""True music read one step ahead: every window's sums are its own, and parts add up."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pianogen.dataset import Windows
from pianogen.elements import by_repeat, element_sums, published, silent
from pianogen.grid import Meter
from pianogen.nats import Sums, nats_a_note, ratio, total
from pianogen.one_step import MODEL, Baselines, Reading
from pianogen.shards import Shard
from pianogen.teacher_forcing import read
from pianogen.windowed import Windowed
from tests.made import C_MAJOR, line, measure, prepared
from tests.music import random_measures, tiny_hybrid

WALTZ = random_measures(4, seed=1, meter=Meter(3, 4))
MARCH = random_measures(4, seed=2, meter=Meter(2, 4))


def opened(folder: Path, **music: list) -> Shard:
    return Shard.open(prepared(folder, {(name, "train"): m for name, m in music.items()}), "train")


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Shard:
    pieces = {name: random_measures(2, seed=n) for n, name in enumerate("abc")}
    return opened(tmp_path_factory.mktemp("several"), **pieces)


def asked(baselines: Baselines) -> dict[str, Callable[..., Sums]]:
    network = tiny_hybrid()
    return {
        "model": lambda batch, music: read(network, batch, music)[0],
        "elements": lambda batch, music: element_sums(music, read(network, batch, music)[1]),
        "hold": lambda _, music: baselines.hold.nats(music),
        "repeat": lambda _, music: baselines.repeat.nats(music),
        "unigram": lambda _, music: baselines.unigram.nats(music),
        "repeated": lambda _, music: element_sums(music, by_repeat(music, baselines.unigram)),
    }


def test_what_a_window_sums_to_does_not_hang_on_those_beside_it(several: Shard) -> None:
    (together,) = Windows(several, steps=3 * 64).every()
    alone = list(Windows(several, steps=64).every())
    baselines = Baselines.fit([together])
    for who, sums_of in asked(baselines).items():
        whole = sums_of(together, Windowed.of(together))
        each = [sums_of(batch, Windowed.of(batch)) for batch in alone]
        for name, values in whole.items():
            mine = [float(part[name][0]) for part in each]
            assert values.tolist() == pytest.approx(mine, rel=1e-4, nan_ok=True), (who, name)


def test_all_parts_are_pitch_timing_velocity_and_duration() -> None:
    sums = {name: np.array(value) for name, value in {
        "note": 6.0, "onset": 2.0, "velocity": 3.0, "velocity_weight": 1.5, "velocity_played": 2.0,
        "played": 1.0, "velocity_printed": 4.0, "printed": 2.0, "duration": 1.0, "notes": 4.0,
        "steps": 64.0,
    }.items()}  # fmt: skip
    assert {name: float(value) for name, value in nats_a_note(sums).items()} == {
        "all parts": 4.25, "pitch and timing": 2.0, "  pitch": 1.5, "  timing": 0.5,
        "velocity, weighted": 2.0, "velocity, where played": 2.0, "velocity, where printed": 2.0,
        "duration": 0.25,
    }  # fmt: skip


def test_a_total_is_over_windows_and_parts() -> None:
    parts = [{"notes": np.array([1.0, 2.0])}, {"notes": np.array([4.0])}]
    assert total(parts) == {"notes": 7}
    assert np.isnan(ratio(np.array(1.0), np.array(0.0)))


def test_figures_by_meter_are_those_of_its_pieces_alone(tmp_path: Path) -> None:
    network = tiny_hybrid()
    both = opened(tmp_path / "both", waltz=WALTZ, march=MARCH)
    waltz = opened(tmp_path / "waltz", waltz=WALTZ)
    baselines = Baselines.fit(Windows(both, steps=96).every())

    def figures(shard: Shard) -> dict:
        reading = Reading(network, shard, baselines)
        for batch in Windows(shard, steps=96).every():
            reading.read(batch)
        return {name: table.as_dict() for name, table in reading.tables(seed=0).items()}

    mixed, alone = figures(both), figures(waltz)
    assert set(mixed["nats by meter"]) == {"3/4", "2/4"}
    for who in (MODEL, "repeat", "unigram"):
        for row, estimate in alone["nats"][who].items():
            in_part = mixed["nats by meter"]["3/4"][who][row]["mean"]
            if estimate["mean"] is None:  # no printed dynamics
                assert in_part is None
            else:
                assert in_part == pytest.approx(estimate["mean"], rel=1e-4), (who, row)
    assert mixed["nats by corpus"]["made"][MODEL] == mixed["nats"][MODEL]
    assert mixed["elements by corpus"]["made"]["hold"] == mixed["elements"]["hold"]
    assert mixed["nats by corpus"]["made"]["pieces"] == 2


def test_nats_of_the_unigram_are_those_worked_out_by_hand(tmp_path: Path) -> None:
    """One key, on every other step, always as loud: each chance is a count with a little added."""
    music = [measure((s, 60, 9, 2) for s in range(0, 32, 2))] * 2
    (batch,) = Windows(opened(tmp_path, a=music), steps=64).every()
    nats = nats_a_note(Baselines.fit([batch]).unigram.nats(Windowed.of(batch)))
    one_note = 32.01 / (32 + 0.01 * 88)  # the chance that an onset is of one note
    struck, others = 32.5 / 33.88, 0.5 / 33.88  # the chances of the key, and of each other one
    odds, against = struck / (1 - struck), others / (1 - others)
    assert nats["  timing"] == pytest.approx(-2 * np.log(2.5 / 3))  # an onset or none, each step
    assert nats["  pitch"] == pytest.approx(-np.log(one_note * odds / (odds + 87 * against)))
    assert nats["velocity, weighted"] == pytest.approx(-np.log(33 / (32 + 32)))


def test_accuracy_of_a_window_is_of_its_own_steps(tmp_path: Path) -> None:
    shard = opened(tmp_path, loud=[line(C_MAJOR)] * 2, silent=[measure()] * 2)
    (batch,) = Windows(shard, steps=128).every()
    music = Windowed.of(batch)
    scores = published(element_sums(music, silent(music, holds=False)))
    assert scores["note accuracy"].tolist() == [127 / 128, 1]
    assert np.isnan(scores["velocity MAE, notes"]).tolist() == [False, True]
