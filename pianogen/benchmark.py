"""How fast training goes here: grid steps a second of the loop as it trains, by setting.

Each setting is measured in a process of its own, so that threads and memory are its own too. A
figure says what this computer did at that time, beside whatever else it was doing.
"""

from __future__ import annotations

import math
import multiprocessing
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from pianogen.device import choose_device, is_bfloat16_fast
from pianogen.recipe import TrainConfig
from pianogen.shards import Shard
from pianogen.train import batches, training_windows
from pianogen.trainer import Trainer

WARM_UP = 2  # updates before the clock runs
THREADS = (1, 2)
CUDA_BATCHES = (16_384, 65_536, 131_072)  # grid steps
HEADING = "device  threads  precision  batch steps  steps/s  waiting for data  peak memory"


@dataclass(frozen=True)
class Speed:
    """What was measured. steps_per_second: grid steps trained on; waiting: share of the time
    spent before a batch was there, 0..1; peak_mib: of the device's memory on CUDA, else of the
    process."""

    device: str
    config: TrainConfig
    steps_per_second: float
    waiting: float
    peak_mib: float

    def __str__(self) -> str:
        c = self.config
        return (
            f"{self.device:6}  {c.threads:7}  {c.precision:9}  {c.batch_steps:11}  "
            f"{self.steps_per_second:7.0f}  {self.waiting:16.1%}  {self.peak_mib:7.0f} MiB"
        )


def benchmark(data: Path, config: TrainConfig, updates: int) -> Iterator[Speed]:
    """Measure every setting that can be had here, one after the other."""
    apart = multiprocessing.get_context("spawn")
    for setting in settings(config):
        with ProcessPoolExecutor(1, mp_context=apart) as process:
            yield process.submit(measured, data, setting, updates).result()


def settings(config: TrainConfig) -> list[TrainConfig]:
    """What to measure: the CPU with one and two threads, and CUDA with some sizes of batch, each
    in float32 and, where it is fast, in bfloat16."""
    of_cpu = [replace(config, device="cpu", threads=count) for count in THREADS]
    of_cuda = [replace(config, device="cuda", batch_steps=size) for size in CUDA_BATCHES]
    wanted = {"auto": of_cpu + of_cuda, "cpu": of_cpu, "cuda": of_cuda}[config.device]
    found = []
    for setting in wanted:
        if config.device == "auto" and setting.device == "cuda" and not torch.cuda.is_available():
            continue
        found.append(replace(setting, precision="float32"))
        if is_bfloat16_fast(choose_device(setting.device)):
            found.append(replace(setting, precision="bfloat16"))
    return found


def measured(data: Path, config: TrainConfig, updates: int) -> Speed:
    """Train for some updates after the first ones, and see how long they took."""
    torch.set_num_threads(config.threads)
    training = Shard.open(data, "train")
    trainer = Trainer(config, choose_device(config.device), training)
    device = trainer.device
    windows = training_windows(training, config)
    coming = batches(windows, config.seed, range(WARM_UP + updates), device)
    sums, waited, began = trainer.running(), 0.0, 0.0
    for number in range(WARM_UP + updates):
        if number == WARM_UP:
            sums.read()  # the device is done with what was asked of it before
            sums, waited, began = trainer.running(), 0.0, time.perf_counter()
        asked = time.perf_counter()
        batch = next(coming)
        waited += time.perf_counter() - asked
        sums.add(trainer.update(batch), batch.notes.windows * batch.notes.length)
    _, steps = sums.read()
    seconds = time.perf_counter() - began
    return Speed(device.type, config, steps / seconds, waited / seconds, _peak_mib(device))


def _peak_mib(device: torch.device) -> float:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    if sys.platform == "win32":
        return math.nan  # not told there
    import resource

    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
