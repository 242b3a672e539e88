"""The figures of steering, on a little music and a little untrained network."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pianogen.checkpoint import Checkpoint, save
from pianogen.cli import main
from pianogen.report import Report
from pianogen.sampling import Sampling
from pianogen.steer import AS_IT_IS, steer
from tests.made import C_MAJOR, line, prepared
from tests.music import TINY, tiny_hybrid, weights_of

MUSIC = [line([p + shift for p in C_MAJOR]) for shift in (0, 5, 7, 0)] * 4


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    return prepared(folder, {(name, "validation"): MUSIC for name in "ab"})


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("run") / "tiny.safetensors"
    save(path, Checkpoint("hybrid", vars(TINY), weights_of(tiny_hybrid())))
    return str(path)


@pytest.fixture(scope="module")
def report(data: Path, checkpoint: str) -> Report:
    return steer(data, "validation", checkpoint=checkpoint, sampling=Sampling(), contexts=3)


def test_what_is_asked_for_is_told_beside_what_was_played(report: Report) -> None:
    figures = report.as_dict()
    density = figures["density"]
    assert list(density) == ["density 0.25", "density 0.5", AS_IT_IS, "density 2", "density 4"]
    assert density[AS_IT_IS]["times as many"]["mean"] == density[AS_IT_IS]["off, a place"] == 1
    assert density["density 4"]["times as many"]["mean"] > 1
    scale = figures["scale"]
    assert scale["scale heard"]["in the scale heard"]["mean"] == 1
    assert scale["tritone away"]["in the one a tritone away"]["mean"] == 1
    assert 0 < scale[AS_IT_IS]["in the scale heard"]["mean"] < 1
    assert figures["register"]["C4 to B4"]["notes C4 to B4"]["mean"] == 1


def test_all_is_in_the_scale_heard_where_that_is_asked_and_no_other(
    data: Path, checkpoint: str
) -> None:
    report = steer(
        data, "validation", checkpoint=checkpoint, sampling=Sampling(), contexts=3,
        is_in_scale_heard=True,
    )  # fmt: skip
    scale = report.as_dict()["scale"]
    assert scale[AS_IT_IS] == scale["scale heard"]
    assert scale["tritone away"]["in the one a tritone away"]["mean"] == 1


def test_every_column_has_what_it_costs(report: Report) -> None:
    for table in ("density", "scale", "register"):
        for column in report.as_dict()[table].values():
            assert {"pitch classes", "onset density", "polyphony"} <= set(column)


def test_the_table_is_as_wide_as_the_others(report: Report) -> None:
    assert max(map(len, str(report).splitlines())) <= 113
    assert "nan" not in str(report)


def test_the_command_writes_the_same_figures_again(
    data: Path, checkpoint: str, tmp_path: Path, report: Report, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "figures.json"
    asked = ["steer", "--data", str(data), "--checkpoint", checkpoint, "--contexts", "3"]
    assert main([*asked, "--json", str(path), "--preset", "published", "--candidates", "1",
                 "--max-polyphony", "6"]) == 0  # fmt: skip
    assert "tritone away" in capsys.readouterr().out
    assert json.loads(path.read_text())["density"] == report.as_dict()["density"]
