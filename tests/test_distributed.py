"""Two processes under torchrun do what one does with the same batches."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
import yaml

from pianogen.cli import main
from pianogen.dataset import Windows
from pianogen.recipe import read_config
from pianogen.shards import Shard
from pianogen.trainer import Trainer
from tests.music import TINY
from tests.prepared import prepared_folder

# Without dropout, whose masks each process draws for its own windows.
MODEL = asdict(replace(TINY, dropout=0.0, attention_dropout=0.0))
SETTINGS = {
    "steps": 6, "batch_steps": 512, "measures": 4, "warmup": 2, "decay": 0.0, "validate_every": 3,
    "log_every": 1, "device": "cpu", "precision": "float32", "model": MODEL,
}  # fmt: skip


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs that part half way: `one` goes on in one process, `two` in two."""
    folder = tmp_path_factory.mktemp("runs")
    prepared_folder(folder / "data")
    (folder / "recipe.yaml").write_text(yaml.safe_dump({"train": SETTINGS}))
    assert main([*command(folder, "one"), *recipe(folder), "--steps", "3"]) == 0
    shutil.copytree(folder / "one", folder / "two")
    go_on = ["--resume", "--steps", "6"]
    assert main([*command(folder, "one"), *go_on]) == 0
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [sys.executable, *launch, "-m", "pianogen.cli", *command(folder, "two"), *go_on],
        capture_output=True, text=True, timeout=300, env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder


def recipe(folder: Path) -> list[str]:
    return ["--recipe", str(folder / "recipe.yaml")]


def command(folder: Path, out: str) -> list[str]:
    return ["train", "--data", str(folder / "data"), "--out", str(folder / out)]


def figures(run: Path, kind: str) -> list[dict[str, float]]:
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [row[kind] for row in rows if kind in row]


@pytest.mark.parametrize("kind", ["training", "validation"])
def test_two_processes_come_to_the_losses_of_one(runs: Path, kind: str) -> None:
    one, two = figures(runs / "one", kind), figures(runs / "two", kind)
    assert len(one) == len(two) == {"training": 6, "validation": 2}[kind]
    for alone, together in zip(one, two, strict=True):
        assert together == pytest.approx(alone, rel=1e-5)


def test_two_processes_come_to_the_gradients_and_weights_of_one(runs: Path) -> None:
    one, two = (state(runs / run) for run in ("one", "two"))
    assert one.step == two.step == 6
    weights = zip(one.network.named_parameters(), two.network.parameters(), strict=True)
    for (name, alone), together in weights:
        mine, theirs = slots(one, alone), slots(two, together)
        moment = "exp_avg" if "exp_avg" in mine else "momentum_buffer"
        torch.testing.assert_close(theirs[moment], mine[moment], rtol=1e-4, atol=1e-6)
        if moment == "momentum_buffer":  # what is made of it is rounded to bfloat16
            torch.testing.assert_close(together, alone, rtol=0, atol=2e-3)
            continue
        # What is constant is taken away again by a batch norm: the gradient of its weight is
        # rounding alone, which Adam divides by itself. All others must agree.
        felt = mine["exp_avg_sq"].sqrt() > 1e-6
        assert felt.any() or name.endswith("conv.conv.bias")
        torch.testing.assert_close(together[felt], alone[felt], rtol=0, atol=1e-4)


def slots(trainer: Trainer, weight: torch.Tensor) -> dict[str, torch.Tensor]:
    """What its optimiser keeps of a weight."""
    return next(o.state[weight] for o in trainer.optimisers if weight in o.state)


def test_two_processes_come_to_the_batch_statistics_of_one(runs: Path) -> None:
    one, two = (dict(state(runs / run).network.named_buffers()) for run in ("one", "two"))
    statistics = [name for name in one if "running" in name]
    assert statistics
    for name in statistics:  # a mean has in it the convolution's bias, which drifts unfelt
        drift = 1e-4 if name.endswith("running_mean") else 1e-5
        torch.testing.assert_close(two[name], one[name], rtol=1e-5, atol=drift)


def state(run: Path) -> Trainer:
    training = Shard.open(run.parent / "data", "train")
    trainer = Trainer(read_config(run), torch.device("cpu"), training)
    trainer.load_state(run / "state.safetensors")
    return trainer


def test_the_shares_of_a_batch_are_the_whole_of_it(runs: Path) -> None:
    windows = Windows(Shard.open(runs / "data", "train"), steps=512, measures=4)
    whole = windows.batch(0, 1)
    shares = [whole.share(rank, 3) for rank in range(3)]
    assert sum(share.notes.windows for share in shares) == whole.notes.windows
    rows = [
        (rank + 3 * window, time, key)
        for rank, share in enumerate(shares)
        for window, time, key in zip(
            share.notes.window.tolist(), share.notes.time.tolist(), share.notes.key.tolist(),
            strict=True,
        )
    ]  # fmt: skip
    notes = whole.notes
    every = zip(notes.window.tolist(), notes.time.tolist(), notes.key.tolist(), strict=True)
    assert sorted(rows) == sorted(every)


def test_a_process_may_not_be_left_without_windows(
    runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("pianogen.distributed.size", lambda: 64)
    assert main([*command(runs, "none"), *recipe(runs)]) == 2
    assert "raise --batch-steps" in capsys.readouterr().err
