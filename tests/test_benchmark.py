"""The benchmark measures the loop as it trains; no figure of it is held to anything."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pianogen import benchmark as benchmarking
from pianogen.benchmark import Speed, measured, settings
from pianogen.cli import main
from pianogen.dataset import Windows
from pianogen.recipe import TrainConfig
from pianogen.shards import Shard
from pianogen.train import batches
from tests.music import TINY
from tests.prepared import prepared_folder

CONFIG = TrainConfig(batch_steps=256, measures=4, model=TINY, device="cpu", precision="float32")


def test_what_is_measured_is_given_with_its_setting(tmp_path: Path) -> None:
    speed = measured(prepared_folder(tmp_path), CONFIG, 1)
    assert speed.config == CONFIG
    assert speed.steps_per_second > 0
    assert 0 <= speed.waiting <= 1
    assert speed.peak_mib > 0


def test_the_processor_is_measured_with_one_thread_and_with_two() -> None:
    found = settings(CONFIG)
    assert {s.threads for s in found} == {1, 2}
    assert {s.precision for s in found} <= {"bfloat16", "float32"}
    assert all(replace(s, threads=1, precision="float32") == CONFIG for s in found)


def test_the_command_prints_a_line_a_setting(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [Speed("cpu", CONFIG, 3541.4, 0.012, 1_200.0)]
    monkeypatch.setattr(benchmarking, "benchmark", lambda data, config, updates: rows)
    assert main(["benchmark", "--data", "anywhere"]) == 0
    heading, line = capsys.readouterr().out.splitlines()
    assert line.split() == ["cpu", "1", "float32", "256", "3541", "1.2%", "1200", "MiB"]
    assert heading.endswith("peak memory")
    assert main(["benchmark", "--data", "anywhere", "--updates", "0"]) == 2


def test_batches_made_ahead_are_those_of_their_numbers(tmp_path: Path) -> None:
    windows = Windows(Shard.open(prepared_folder(tmp_path), "train"), steps=256, measures=4)
    made = list(batches(windows, 1, range(3, 9), torch.device("cpu")))
    assert len(made) == 6
    for number, batch in zip(range(3, 9), made, strict=True):
        assert torch.equal(batch.notes.key, windows.batch(1, number).notes.key)
