"""Training: windows in, checkpoints and metrics.jsonl out. Resumes to the same state.

    RUN/config.json           what it was started with
    RUN/metrics.jsonl         a line a log and a line a validation
    RUN/best.safetensors      lowest validation loss (averaged weights)
    RUN/last.safetensors      newest (averaged weights)
    RUN/state.safetensors     what --resume goes on from: weights, average, optimiser

Every random draw of an update comes from (seed, number of the update), so a run that was killed
and resumed goes the way of one that was not.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pianogen.checkpoint import Checkpoint, save
from pianogen.dataset import Augmentation, Batch, Windows
from pianogen.device import autocast, choose_device
from pianogen.errors import ConfigError, DataError
from pianogen.families.hybrid import LOSS_WEIGHTS, Hybrid, HybridConfig, Losses
from pianogen.files import write_whole
from pianogen.shards import Shard

VALIDATION_BATCHES = 48


@dataclass(frozen=True)
class TrainConfig:
    """How to train. steps: updates in all; batch_steps: grid steps in one; measures: longest
    window. The learning rate rises over `warmup` updates, stays, and falls to 0 over the last
    `decay` share of them."""

    steps: int = 4000
    batch_steps: int = 4096
    measures: int = 16
    learning_rate: float = 1.5e-3
    weight_decay: float = 0.02
    warmup: int = 100
    decay: float = 0.35
    clip: float = 1.0
    average: float = 0.998
    seed: int = 0
    validate_every: int = 250
    log_every: int = 10
    device: str = "auto"
    threads: int = 1
    model: HybridConfig = field(default_factory=HybridConfig)
    augmentation: Augmentation = field(default_factory=Augmentation)

    def __post_init__(self) -> None:
        if min(self.steps, self.batch_steps, self.validate_every, self.log_every) < 1:
            raise ConfigError("train: steps, batch and intervals must be at least 1")

    def rate(self, step: int) -> float:
        """The learning rate of update `step` (from 0)."""
        falling = (self.steps - step) / max(1.0, self.decay * self.steps)
        return self.learning_rate * min((step + 1) / self.warmup, 1.0, max(falling, 0.0))


class Trainer:
    """One run: the network, its averaged weights, the optimiser, and the update they are at."""

    def __init__(self, config: TrainConfig, device: torch.device) -> None:
        torch.manual_seed(config.seed)
        self.config, self.device = config, device
        self.network = Hybrid(config.model).to(device)
        self.average = {k: v.detach().clone() for k, v in self.network.named_parameters()}
        self.optimiser = torch.optim.AdamW(_groups(self.network, config.weight_decay))
        self.step = 0
        self.best = math.inf

    def update(self, batch: Batch) -> Losses:
        """One step of gradient descent on one batch."""
        torch.manual_seed(self.config.seed * 1_000_003 + self.step)
        self.network.train()
        for group in self.optimiser.param_groups:
            group["lr"] = self.config.rate(self.step)
        with autocast(self.device):
            losses = self.network.losses(batch.notes, batch.velocity_weight)
        self.optimiser.zero_grad(set_to_none=True)
        losses.total().backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), self.config.clip)
        self.optimiser.step()
        self._average()
        self.step += 1
        return losses

    @torch.no_grad()
    def _average(self) -> None:
        keep = min(self.config.average, (1 + self.step) / (10 + self.step))
        for name, weight in self.network.named_parameters():
            self.average[name].lerp_(weight, 1 - keep)

    def averaged(self) -> dict[str, Tensor]:
        """The weights to ship: the running average, with the network's own buffers."""
        return {**self.network.state_dict(), **self.average}

    @torch.no_grad()
    def validate(self, batches: Iterable[Batch]) -> dict[str, float]:
        """Nats a note on the averaged weights."""
        own = {k: v.detach().clone() for k, v in self.network.state_dict().items()}
        self.network.load_state_dict(self.averaged())
        self.network.eval()
        sums: dict[str, float] = {}
        for batch in batches:
            here = batch.to(self.device)
            with autocast(self.device):
                losses = self.network.losses(here.notes, here.velocity_weight)
            add_losses(sums, losses)
        self.network.load_state_dict(own)
        return nats(sums)

    def save_state(self, path: Path) -> None:
        """All that `load_state` needs, as one safetensors file."""
        from safetensors.torch import save as to_bytes

        tensors = {f"network.{k}": v for k, v in self.network.state_dict().items()}
        tensors |= {f"average.{k}": v for k, v in self.average.items()}
        for index, slots in self.optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{index}.{slot}": value for slot, value in slots.items()}
        metadata = {"step": str(self.step), "best": repr(self.best)}
        packed = {k: v.detach().cpu().clone().contiguous() for k, v in tensors.items()}
        write_whole(path, to_bytes(packed, metadata=metadata))

    def load_state(self, path: Path) -> None:
        """Go on where `save_state` left off; raises DataError where there is nothing."""
        from safetensors import safe_open

        if not path.is_file():
            raise DataError(f"{path} does not exist: nothing to resume; start without --resume")
        with safe_open(path, framework="pt") as opened:
            metadata = opened.metadata()
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
        parts: dict[str, dict[str, Tensor]] = {"network": {}, "average": {}, "optimiser": {}}
        for name, tensor in tensors.items():
            part, rest = name.split(".", 1)
            parts[part][rest] = tensor
        self.network.load_state_dict(parts["network"])
        self.average = {k: v.to(self.device) for k, v in parts["average"].items()}
        state: dict[int, dict[str, Tensor]] = {}
        for name, tensor in parts["optimiser"].items():
            index, slot = name.split(".")
            state.setdefault(int(index), {})[slot] = tensor
        self.optimiser.load_state_dict({**self.optimiser.state_dict(), "state": state})
        self.step, self.best = int(metadata["step"]), float(metadata["best"])


def _groups(network: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Matrices and embeddings decay; biases, norms and scalars do not."""
    matrices = [p for p in network.parameters() if p.dim() >= 2]
    others = [p for p in network.parameters() if p.dim() < 2]
    return [
        {"params": matrices, "weight_decay": weight_decay, "betas": (0.9, 0.98)},
        {"params": others, "weight_decay": 0.0, "betas": (0.9, 0.98)},
    ]


def add_losses(sums: dict[str, float], losses: Losses) -> None:
    """Add one batch's sums to running ones."""
    for name, value in vars(losses).items():
        number = float(value.detach()) if isinstance(value, Tensor) else float(value)
        sums[name] = sums.get(name, 0.0) + number


def nats(sums: Mapping[str, float]) -> dict[str, float]:
    """Sums of losses as nats a note (rhythm: nats a step), and the training loss."""
    notes = max(sums["notes"], 1)
    figures = {
        "pitch": sums["note"] / notes,
        "timing": sums["onset"] / notes,
        "pitch_and_timing": (sums["note"] + sums["onset"]) / notes,
        "velocity": sums["velocity"] / max(sums["velocity_weight"], 1),
        "duration": sums["duration"] / notes,
        "rhythm": sums["rhythm"] / max(sums["rhythm_steps"], 1),
    }
    figures["loss"] = sum(weight * figures[name] for name, weight in LOSS_WEIGHTS.items())
    return figures


def read_config(out: Path) -> TrainConfig:
    """What a run was started with; raises DataError where there is no run."""
    try:
        content = json.loads((out / "config.json").read_text())
    except (OSError, ValueError) as error:
        raise DataError(f"{out}: no run to resume here ({error})") from error
    model = HybridConfig(**content.pop("model"))
    augmentation = Augmentation(**content.pop("augmentation"))
    return TrainConfig(**content, model=model, augmentation=augmentation)


def train(data: Path, out: Path, config: TrainConfig, *, resume: bool = False) -> dict[str, float]:
    """Run to the last update and return the newest validation figures."""
    torch.set_num_threads(config.threads)
    device = choose_device(config.device)
    training, held_out = Shard.open(data, "train"), Shard.open(data, "validation")
    windows = Windows(
        training, steps=config.batch_steps, measures=config.measures,
        augmentation=config.augmentation,
    )  # fmt: skip
    checks = Windows(held_out, steps=config.batch_steps, measures=config.measures)
    trainer = Trainer(config, device)
    if resume:
        trainer.load_state(out / "state.safetensors")
    elif (out / "state.safetensors").exists():
        raise DataError(f"{out} holds a run already: go on with --resume, or choose another --out")
    out.mkdir(parents=True, exist_ok=True)
    write_whole(out / "config.json", json.dumps(asdict(config), indent=2).encode())
    figures: dict[str, float] = {}
    with (out / "metrics.jsonl").open("a") as log, Progress(config.steps, trainer.step) as bar:
        for row in _updates(trainer, windows, device):
            log.write(json.dumps(row) + "\n")
            bar.show(row)
            if trainer.step % config.validate_every == 0 or trainer.step == config.steps:
                figures = trainer.validate(checks.every(VALIDATION_BATCHES))
                log.write(json.dumps({"step": trainer.step, "validation": figures}) + "\n")
                bar.say(f"update {trainer.step}: validation {_line(figures)}")
                _keep(trainer, out, training, figures)
            log.flush()
    return figures


def _updates(trainer: Trainer, windows: Windows, device: torch.device) -> Iterator[dict[str, Any]]:
    config = trainer.config
    sums: dict[str, float] = {}
    began = time.perf_counter()
    while trainer.step < config.steps:
        batch = windows.batch(config.seed, trainer.step)
        add_losses(sums, trainer.update(batch.to(device)))
        due = trainer.step % config.log_every == 0 or trainer.step % config.validate_every == 0
        if due or trainer.step == config.steps:
            seconds = time.perf_counter() - began
            rate = {"learning_rate": config.rate(trainer.step - 1)}
            speed = {"steps_per_second": round(sums["steps"] / seconds)}
            yield {"step": trainer.step, **rate, **speed, "training": nats(sums)}
            sums, began = {}, time.perf_counter()


def _keep(trainer: Trainer, out: Path, data: Shard, figures: dict[str, float]) -> None:
    checkpoint = Checkpoint(
        "hybrid",
        asdict(trainer.config.model),
        trainer.averaged(),
        {**provenance(data), "updates": str(trainer.step), "figures": json.dumps(figures)},
    )
    save(out / "last.safetensors", checkpoint)
    if figures["loss"] < trainer.best:
        trainer.best = figures["loss"]
        save(out / "best.safetensors", checkpoint)
    trainer.save_state(out / "state.safetensors")


def provenance(data: Shard) -> dict[str, str]:
    """What a checkpoint must say of the music it was trained on."""
    corpora = sorted({piece.corpus for piece in data.pieces})
    licences = sorted({piece.licence for piece in data.pieces})
    return {"corpora": json.dumps(corpora), "corpora_licences": json.dumps(licences)}


def _line(figures: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.3f}" for name, value in figures.items())


class Progress:
    """A bar in a terminal, a plain line now and then elsewhere."""

    def __init__(self, total: int, done: int) -> None:
        self.total, self.done = total, done

    def __enter__(self) -> Progress:
        import sys

        self._bar: Any = None
        if sys.stdout.isatty():
            from rich.progress import Progress as Bar

            self._bar = Bar()
            self._bar.start()
            self._task = self._bar.add_task("training", total=self.total, completed=self.done)
        return self

    def __exit__(self, *error: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def show(self, row: Mapping[str, Any]) -> None:
        """Move the bar, or print a line."""
        text = f"loss {row['training']['loss']:.3f}, {row['steps_per_second']} steps/s"
        if self._bar is not None:
            self._bar.update(self._task, completed=row["step"], description=text)
        elif row["step"] % 50 == 0:
            self.say(f"update {row['step']}/{self.total}: {text}")

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        if self._bar is not None:
            self._bar.console.print(text)
        else:
            print(text, flush=True)
