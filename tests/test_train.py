"""Training: the same updates whether or not it was stopped, and checkpoints that play."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pianogen.checkpoint import load, load_continuation
from pianogen.cli import main
from pianogen.dataset import NO_AUGMENTATION, Augmentation, Windows, runs_of
from pianogen.errors import CheckpointError, ConfigError, DataError
from pianogen.grid import HIGHEST_KEY, LOWEST_KEY, Measure, Meter, Note
from pianogen.progress import Progress
from pianogen.recipe import TrainConfig, read_config
from pianogen.sampling import Sampling
from pianogen.shards import Shard
from pianogen.train import train
from pianogen.trainer import Trainer
from tests.music import TINY
from tests.prepared import prepared_folder

CONFIG = TrainConfig(
    steps=6, batch_steps=512, measures=4, warmup=2, validate_every=3, log_every=1, model=TINY,
    device="cpu",
)  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepared_folder(tmp_path_factory.mktemp("data"))


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(Progress, "say", lambda self, text: None)
    return


def lines(run: Path) -> list[dict[str, float]]:
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in row.items() if k != "steps_per_second"} for row in rows]


def test_a_run_that_was_stopped_goes_on_to_the_same_weights(data: Path, tmp_path: Path) -> None:
    train(data, tmp_path / "whole", CONFIG)

    class Killed(BaseException):
        pass

    def die(self: Trainer, *_: object) -> None:
        if self.step == 5:
            raise Killed
        return update(self, *_)  # type: ignore[arg-type]

    update = Trainer.update
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "update", die)
        with pytest.raises(Killed):
            train(data, tmp_path / "stopped", CONFIG)
    train(data, tmp_path / "stopped", read_config(tmp_path / "stopped"), resume=True)
    for name in ("best.safetensors", "last.safetensors"):
        whole, stopped = (load(tmp_path / run / name).weights for run in ("whole", "stopped"))
        assert all(np.array_equal(whole[k], stopped[k]) for k in whole)
    assert lines(tmp_path / "whole")[-1] == lines(tmp_path / "stopped")[-1]


def test_training_lowers_the_loss_and_the_checkpoint_plays(data: Path, tmp_path: Path) -> None:
    config = replace(CONFIG, steps=30, validate_every=15, learning_rate=5e-3)
    train(data, tmp_path, config)
    validations = [row["validation"]["loss"] for row in lines(tmp_path) if "validation" in row]  # type: ignore[index]
    assert validations[-1] < validations[0]
    checkpoint = load(tmp_path / "last.safetensors")
    assert checkpoint.family == "hybrid"
    assert json.loads(checkpoint.extra["corpora"]) == ["made-up"]
    voice = load_continuation(tmp_path)
    voice.listen(Measure(Meter(), (Note(0, 60, 12, 8),)))
    assert voice.answer(Sampling(), 0).meter == Meter()


def test_an_exported_checkpoint_is_half_as_large_and_says_what_it_is(
    data: Path, tmp_path: Path
) -> None:
    train(data, tmp_path, replace(CONFIG, steps=3))
    out, credits_ = tmp_path / "out.safetensors", tmp_path / "credits.md"
    credits_.write_text("by everybody")
    how = ["--licence", "CC0-1.0", "--attribution", str(credits_)]
    assert main(["export", str(tmp_path), str(out), *how]) == 0
    exported = load(out)
    assert exported.extra["licence"] == "CC0-1.0"
    assert exported.extra["attribution"] == "by everybody"
    assert out.stat().st_size < 0.6 * (tmp_path / "best.safetensors").stat().st_size
    assert load_continuation(out).answer(Sampling(), 1).meter == Meter()


def test_a_run_is_not_written_over(data: Path, tmp_path: Path) -> None:
    train(data, tmp_path, replace(CONFIG, steps=3))
    with pytest.raises(DataError, match="holds a run already"):
        train(data, tmp_path, CONFIG)


@pytest.mark.parametrize("fewer", [0, 1])
def test_a_run_that_has_its_updates_is_told_so_and_left_as_it_is(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fewer: int
) -> None:
    config = replace(CONFIG, steps=2)
    train(data, tmp_path / "run", config)
    before = {path: path.read_bytes() for path in (tmp_path / "run").iterdir()}
    said: list[str] = []
    monkeypatch.setattr(Progress, "say", lambda self, text: said.append(text))
    again = replace(config, steps=2 - fewer)
    assert train(data, tmp_path / "run", again, resume=True) == {}
    assert {path: path.read_bytes() for path in (tmp_path / "run").iterdir()} == before
    (line,) = said
    assert line.endswith("has its 2 updates: to go on, give more with --steps")


def test_there_must_be_something_to_resume(data: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nothing to resume"):
        train(data, tmp_path / "none", CONFIG, resume=True)
    with pytest.raises(DataError, match="no run to resume"):
        read_config(tmp_path / "none")


def test_the_rate_rises_stays_and_falls() -> None:
    config = TrainConfig(steps=100, learning_rate=1.0, warmup=10, decay=0.2)
    assert [config.rate(step) for step in (0, 9, 50, 80)] == [0.1, 1.0, 1.0, 1.0]
    assert config.rate(90) == pytest.approx(0.5)
    assert config.rate(100) == 0.0
    with pytest.raises(ConfigError, match="at least 1"):
        TrainConfig(steps=0)


def test_batches_come_from_their_number_alone(data: Path) -> None:
    shard = Shard.open(data, "train")
    one = Windows(shard, steps=512, measures=4, augmentation=Augmentation())
    two = Windows(shard, steps=512, measures=4, augmentation=Augmentation())
    assert torch.equal(one.batch(0, 5).notes.key, two.batch(0, 5).notes.key)
    assert len(one.batch(0, 5).notes.key) != len(one.batch(0, 6).notes.key)


@pytest.mark.parametrize("number", range(12))
def test_varied_windows_stay_on_the_grid_and_the_piano(data: Path, number: int) -> None:
    how = Augmentation(transpose=40, double=0.5, articulation=0.9)
    windows = Windows(Shard.open(data, "train"), steps=512, measures=4, augmentation=how)
    notes = windows.batch(1, number).notes
    assert notes.key.min() >= 0
    assert notes.key.max() <= HIGHEST_KEY - LOWEST_KEY
    assert notes.time.min() >= 0
    assert notes.time.max() < notes.length
    assert notes.velocity.min() >= 0
    assert notes.velocity.max() <= 31
    assert notes.duration.min() >= 1
    place = (notes.window * notes.length + notes.time) * 128 - notes.key
    assert (place.diff() > 0).all()  # by window, time and from the top down, none twice


def test_no_window_crosses_a_break_or_a_change_of_meter(data: Path) -> None:
    shard = Shard.open(data, "train")
    for run in runs_of(shard):
        rows = shard.measures[run.first : run.first + run.count]
        assert (rows["steps"] == run.steps).all()
        assert not rows["is_break"][1:].any()


def test_every_window_of_a_split_is_seen_unvaried(data: Path) -> None:
    shard = Shard.open(data, "validation")
    windows = Windows(shard, steps=512, measures=4)
    assert windows.augmentation == NO_AUGMENTATION
    seen = sum(batch.notes.windows * batch.notes.measures for batch in windows.every())
    assert 0.5 * len(shard) < seen <= len(shard)


def test_the_weights_a_file_counts_with_reach_the_batch(data: Path) -> None:
    shard = Shard.open(data, "validation")
    kinds = {
        float(w) for b in Windows(shard, steps=512, measures=4).every() for w in b.velocity_weight
    }
    assert kinds <= {0.0, 0.25, 1.0}
    assert np.isfinite(list(kinds)).all()


@pytest.mark.parametrize(
    ("content", "says"), [(b"", "cannot be read"), (b"not weights at all", "cannot be read")]
)
def test_a_damaged_checkpoint_is_one_clear_line(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=says):
        load(path)
    with pytest.raises(CheckpointError, match="sha256"):
        load(path, sha256="00")
    with pytest.raises(CheckpointError, match="does not exist"):
        load(tmp_path / "y.safetensors")
