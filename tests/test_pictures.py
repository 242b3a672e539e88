"""Pictures: what is drawn, and one line where nothing can be."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pianogen.comparison import find_contexts
from pianogen.errors import ConfigError, DataError
from pianogen.pictures import (
    bars_of,
    check,
    draw_continuations,
    draw_losses,
    limits,
    read_losses,
    running_mean,
)
from pianogen.shards import Shard
from tests.made import C_MAJOR, line, measure, prepared

PNG = b"\x89PNG"


def written(run: Path, *rows: dict[str, Any]) -> Path:
    run.mkdir()
    (run / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return run


def test_a_picture_for_each_of_a_few_contexts(tmp_path: Path) -> None:
    music = [line(C_MAJOR)] * 20
    shard = Shard.open(prepared(tmp_path / "data", {("a", "validation"): music}), "validation")
    places = find_contexts(shard, 5, seed=0)
    paths = draw_continuations(tmp_path / "new", places, [music[:4]] * 5, count=2)
    assert [path.name for path in paths] == ["continuation-01.png", "continuation-02.png"]
    for path in paths:
        assert path.read_bytes().startswith(PNG)


def test_a_note_is_drawn_where_it_sounds_the_louder_the_darker() -> None:
    soft, loud = bars_of([measure(), measure([(4, 60, 0, 2), (8, 67, 31, 40)])], 100, "red")
    assert soft == (136, 60, 2, "red", 0.15)
    assert loud == (140, 67, 40, "red", 1.0)


def test_losses_are_read_by_part_and_the_later_of_two_counts(tmp_path: Path) -> None:
    run = written(
        tmp_path / "run",
        {"step": 10, "training": {"pitch": 3.0, "loss": 5.0}},
        {"step": 10, "validation": {"pitch": 2.0}},
        {"step": 10, "training": {"pitch": 2.5, "loss": 4.0}},
    )
    assert read_losses(run) == {
        "training": {"pitch": {10: 2.5}, "loss": {10: 4.0}},
        "validation": {"pitch": {10: 2.0}},
    }
    assert draw_losses(tmp_path, run).read_bytes().startswith(PNG)


def test_a_run_that_has_just_begun_can_be_drawn(tmp_path: Path) -> None:
    run = written(tmp_path / "run", {"step": 1, "training": {"loss": 5.0}})
    assert draw_losses(tmp_path, run).is_file()


def test_whatever_a_family_tells_is_drawn(tmp_path: Path) -> None:
    rows = [
        {"step": n, kind: {"chord": 3.0 / n, "accuracy": 1 - 1 / n, "perplexity": 0.0}}
        for n in range(1, 40)
        for kind in ("training", "validation")
    ]
    run = written(tmp_path / "run", *rows)
    (run / "config.json").write_text('{"family": "chords"}')
    assert draw_losses(tmp_path, run).read_bytes().startswith(PNG)


def test_an_axis_shows_where_a_run_settles_whichever_way_it_went() -> None:
    falling, rising = np.array([100.0, *range(9, 0, -1)]), np.array([-100.0, *range(1, 10)])
    assert limits(falling)[0] < 1
    assert 9 < limits(falling)[1] < 100
    assert -100 < limits(rising)[0] < 1
    assert limits(rising)[1] > 9
    assert limits(np.zeros(3))[0] < 0 < limits(np.zeros(3))[1]


def test_a_run_without_losses_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no losses to read"):
        read_losses(tmp_path)
    with pytest.raises(DataError, match="no losses in it yet"):
        read_losses(written(tmp_path / "empty"))
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "train')
    with pytest.raises(DataError, match="no losses to read"):
        read_losses(tmp_path)


def test_without_matplotlib_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ConfigError, match=r"pip install 'pianogen\[train\]'"):
        check()


def test_a_running_mean_is_of_what_came_before() -> None:
    assert running_mean(np.array([1.0, 3.0, 5.0, 9.0]), 2).tolist() == [1, 2, 4, 7]
    assert running_mean(np.array([4.0]), 1).tolist() == [4]
