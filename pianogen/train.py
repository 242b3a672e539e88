"""Training: windows in, checkpoints and metrics.jsonl out. Resumes to the same state.

    RUN/config.json           what it was started with
    RUN/metrics.jsonl         a line a log and a line a validation
    RUN/best.safetensors      lowest validation loss (averaged weights)
    RUN/last.safetensors      newest (averaged weights)
    RUN/state.safetensors     what --resume goes on from: weights, average, optimisers

Every random draw of an update comes from (seed, number of the update), so a run that was killed
and resumed goes the way of one that was not. Under torchrun each process takes its share of the
same batch, and the first one writes.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

import torch

from pianogen import distributed
from pianogen.checkpoint import Checkpoint, save
from pianogen.dataset import Batch, Windows
from pianogen.device import choose_device
from pianogen.errors import ConfigError, DataError
from pianogen.files import write_whole
from pianogen.progress import Progress
from pianogen.recipe import TrainConfig
from pianogen.shards import Shard
from pianogen.trainer import Trainer

VALIDATION_BATCHES = 48
AHEAD = 3  # batches made before they are needed
NOT_TO_SHARE = re.compile(r"\b(NC|ND)\b")  # in a licence: no commercial use, no derivatives


def train(data: Path, out: Path, config: TrainConfig, *, resume: bool = False) -> dict[str, float]:
    """Run to the last update and return the newest validation figures; none of a run that was
    there already, which is told and left as it is."""
    torch.set_num_threads(config.threads)
    device = choose_device(config.device)
    with distributed.together(device):
        if not resume and (out / "state.safetensors").exists():
            raise DataError(
                f"{out} holds a run already: go on with --resume, or choose another --out"
            )
        training = Shard.open(data, "train")
        trainer = Trainer(config, device, training)
        if resume:
            trainer.load_state(out / "state.safetensors")
            if trainer.step >= config.steps:
                say = Progress(config.steps, trainer.step).say
                say(f"{out} has its {trainer.step} updates: to go on, give more with --steps")
                return {}
        return _run(trainer, training, Shard.open(data, "validation"), out)


def _run(trainer: Trainer, training: Shard, held_out: Shard, out: Path) -> dict[str, float]:
    config = trainer.config
    windows = training_windows(training, config)
    checks = Windows(held_out, steps=config.batch_steps, measures=config.measures)
    figures: dict[str, float] = {}
    with _log(out, config) as log, Progress(config.steps, trainer.step) as bar:
        warning = licence_warning(training)
        if warning:
            bar.say(warning)
        for row in _updates(trainer, windows):
            log.write(json.dumps(row) + "\n")
            bar.show(row)
            if trainer.step % config.validate_every == 0 or trainer.step == config.steps:
                figures = trainer.validate(checks.every(VALIDATION_BATCHES))
                log.write(json.dumps({"step": trainer.step, "validation": figures}) + "\n")
                bar.say(f"update {trainer.step}: validation {_line(figures)}")
                _keep(trainer, out, training, figures)
            log.flush()
    return figures


def training_windows(shard: Shard, config: TrainConfig) -> Windows:
    """The windows a run draws from; raises ConfigError where a process could be left with none."""
    windows = Windows(
        shard, steps=config.batch_steps, measures=config.measures,
        augmentation=config.augmentation,
    )  # fmt: skip
    if windows.fewest() < distributed.size():
        raise ConfigError(
            f"train: {distributed.size()} processes, but a batch may hold {windows.fewest()} "
            "windows; raise --batch-steps"
        )
    return windows


def batches(windows: Windows, seed: int, numbers: range, device: torch.device) -> Iterator[Batch]:
    """This process's share of batches by their numbers, on the device, made ahead of their use
    by a thread so that the device need not wait."""

    def make(number: int) -> Batch:
        share = windows.batch(seed, number).share(distributed.rank(), distributed.size())
        return share.pinned() if device.type == "cuda" else share

    return (batch.to(device) for batch in _ahead(make, numbers))


def _ahead(make: Callable[[int], Batch], numbers: range) -> Iterator[Batch]:
    with ThreadPoolExecutor(max_workers=1) as thread:
        coming = deque(thread.submit(make, number) for number in numbers[:AHEAD])
        for place in range(len(numbers)):
            batch = coming.popleft().result()
            if place + AHEAD < len(numbers):
                coming.append(thread.submit(make, numbers[place + AHEAD]))
            yield batch


def _updates(trainer: Trainer, windows: Windows) -> Iterator[dict[str, Any]]:
    config, device = trainer.config, trainer.device
    sums, began = trainer.running(), time.perf_counter()
    for batch in batches(windows, config.seed, range(trainer.step, config.steps), device):
        sums.add(trainer.update(batch), batch.notes.windows * batch.notes.length)
        due = trainer.step % config.log_every == 0 or trainer.step % config.validate_every == 0
        if due or trainer.step == config.steps:
            figures, steps = trainer.told(sums)  # the one place that waits for the device
            seconds = time.perf_counter() - began
            rate = {"learning_rate": config.rate(trainer.step - 1)}
            speed = {"steps_per_second": round(steps / seconds)}
            yield {"step": trainer.step, **rate, **speed, "training": figures}
            sums, began = trainer.running(), time.perf_counter()


def _log(out: Path, config: TrainConfig) -> TextIO:
    """The run's log, and its configuration written; of several processes only the first's."""
    if distributed.rank() > 0:
        return open(os.devnull, "w")
    out.mkdir(parents=True, exist_ok=True)
    write_whole(out / "config.json", json.dumps(asdict(config), indent=2).encode())
    return (out / "metrics.jsonl").open("a")


def _keep(trainer: Trainer, out: Path, data: Shard, figures: dict[str, float]) -> None:
    is_best = figures["loss"] < trainer.best
    trainer.best = min(trainer.best, figures["loss"])
    if distributed.rank() > 0:
        return
    checkpoint = Checkpoint(
        trainer.config.family,
        asdict(trainer.config.model),
        {name: weight.cpu().numpy() for name, weight in trainer.averaged().items()},
        {**provenance(data), "updates": str(trainer.step), "figures": json.dumps(figures)},
    )
    save(out / "last.safetensors", checkpoint)
    if is_best:
        save(out / "best.safetensors", checkpoint)
    trainer.save_state(out / "state.safetensors")


def provenance(data: Shard) -> dict[str, str]:
    """What a checkpoint must say of the music it was trained on."""
    corpora = sorted({piece.corpus for piece in data.pieces})
    licences = sorted({piece.licence for piece in data.pieces})
    return {"corpora": json.dumps(corpora), "corpora_licences": json.dumps(licences)}


def licence_warning(data: Shard) -> str:
    """One line where some of the music may not be shared in a trained form; else nothing."""
    bound = {p.corpus: p.licence for p in data.pieces if NOT_TO_SHARE.search(p.licence)}
    if not bound:
        return ""
    which = ", ".join(f"{corpus} ({licence})" for corpus, licence in sorted(bound.items()))
    return f"for your own use: weights trained on this music may not be shared: {which}"


def _line(figures: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.3f}" for name, value in figures.items())
