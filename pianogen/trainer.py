"""A network being trained: one update after another, its running average, and its whole state.

Knows nothing of where windows come from or what is written when; see `train`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, MutableMapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pianogen import distributed
from pianogen.dataset import Batch
from pianogen.device import autocast
from pianogen.errors import DataError
from pianogen.families.hybrid import LOSS_WEIGHTS, Hybrid, Losses
from pianogen.files import write_whole
from pianogen.recipe import TrainConfig

SMALL = 16  # rows or columns; a matrix that has no more is left to AdamW


class Trainer:
    """One run: the network, its averaged weights, the optimisers, and the update they are at."""

    def __init__(self, config: TrainConfig, device: torch.device) -> None:
        torch.manual_seed(config.seed)
        self.config, self.device = config, device
        self.network = Hybrid(config.model).to(device)
        self.average = {k: v.detach().clone() for k, v in self.network.named_parameters()}
        self.optimisers = _optimisers(self.network, config.weight_decay)
        self.step = 0
        self.best = math.inf

    def update(self, batch: Batch) -> Losses:
        """One step of gradient descent on one batch, or on this process's share of one; the
        sums of that share. Reads nothing back from the device."""
        seed = self.config.seed * 1_000_003 + self.step
        torch.manual_seed(seed + 7_919 * distributed.rank())
        self.network.train()
        for optimiser in self.optimisers:
            for group in optimiser.param_groups:
                group["lr"] = self.config.rate(self.step)
        with autocast(self.device, self.config.precision):
            losses = self.network.losses(batch.notes, batch.velocity_weight)
        self.network.zero_grad(set_to_none=True)
        _over_the_whole_batch(losses).total().backward()  # type: ignore[no-untyped-call]
        distributed.sum_gradients(self.network.parameters())
        nn.utils.clip_grad_norm_(self.network.parameters(), self.config.clip)
        for optimiser in self.optimisers:
            optimiser.step()
        self._average()
        self.step += 1
        return losses

    @torch.no_grad()
    def _average(self) -> None:
        keep = min(self.config.average, (1 + self.step) / (10 + self.step))
        weights = dict(self.network.named_parameters())
        averages = [self.average[name] for name in weights]
        torch._foreach_lerp_(averages, list(weights.values()), 1 - keep)

    def averaged(self) -> dict[str, Tensor]:
        """The weights to ship: the running average, with the network's own buffers."""
        return {**self.network.state_dict(), **self.average}

    @torch.no_grad()
    def validate(self, batches: Iterable[Batch]) -> dict[str, float]:
        """Nats a note on the averaged weights; each process reads its share of the batches."""
        own = {k: v.detach().clone() for k, v in self.network.state_dict().items()}
        self.network.load_state_dict(self.averaged())
        self.network.eval()
        sums = no_losses(self.device)
        for number, batch in enumerate(batches):
            if number % distributed.size() == distributed.rank():
                here = batch.to(self.device)
                with autocast(self.device, self.config.precision):
                    losses = self.network.losses(here.notes, here.velocity_weight)
                add_losses(sums, losses)
        self.network.load_state_dict(own)
        return nats(over_processes(sums))

    def save_state(self, path: Path) -> None:
        """All that `load_state` needs, as one safetensors file."""
        from safetensors.torch import save as to_bytes

        tensors = {f"network.{k}": v for k, v in self.network.state_dict().items()}
        tensors |= {f"average.{k}": v for k, v in self.average.items()}
        for number, optimiser in enumerate(self.optimisers):
            for index, slots in optimiser.state_dict()["state"].items():
                place = f"optimiser.{number}.{index}"
                tensors |= {f"{place}.{slot}": value for slot, value in slots.items()}
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
        for number, optimiser in enumerate(self.optimisers):
            state: dict[int, dict[str, Tensor]] = {}
            for name, tensor in parts["optimiser"].items():
                owner, index, slot = name.split(".")
                if int(owner) == number:
                    state.setdefault(int(index), {})[slot] = tensor
            optimiser.load_state_dict({**optimiser.state_dict(), "state": state})
        self.step, self.best = int(metadata["step"]), float(metadata["best"])


def _optimisers(network: nn.Module, weight_decay: float) -> tuple[torch.optim.Optimizer, ...]:
    """Muon (Jordan et al. 2024) for the large matrices that multiply a layer's input, its step as
    large as AdamW's would be (Liu et al. 2025); AdamW for everything else."""
    layers = [m for m in network.modules() if isinstance(m, nn.Linear | nn.LSTM)]
    matrices = [p for m in layers for p in m.parameters(recurse=False) if _is_large(p)]
    taken = {id(p) for p in matrices}
    rest = [p for p in network.parameters() if id(p) not in taken]
    tables = {"params": [p for p in rest if p.dim() >= 2], "weight_decay": weight_decay}
    others = {"params": [p for p in rest if p.dim() < 2], "weight_decay": 0.0}
    return (
        torch.optim.Muon(matrices, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW([tables, others], betas=(0.9, 0.98)),
    )


def _is_large(weight: Tensor) -> bool:
    return weight.dim() == 2 and min(weight.shape) > SMALL


def _over_the_whole_batch(losses: Losses) -> Losses:
    """This process's sums beside the counts of all, so that totals and gradients add up."""
    if distributed.size() == 1:
        return losses
    notes = losses.note.new_tensor(float(losses.notes))
    counts = torch.stack([notes, losses.velocity_weight.float(), losses.rhythm_steps.float()])
    notes, weight, steps = distributed.summed(counts)
    return replace(losses, notes=notes, velocity_weight=weight, rhythm_steps=steps)


Sums = dict[str, Tensor]


def no_losses(device: torch.device) -> Sums:
    """Sums of nothing, to add losses to."""
    names = Losses.__dataclass_fields__
    return {name: torch.zeros((), dtype=torch.float64, device=device) for name in names}


def add_losses(sums: MutableMapping[str, Any], losses: Losses) -> None:
    """Add one batch's sums to running ones, which stay where the losses are."""
    for name, value in vars(losses).items():
        number = value.detach().double() if isinstance(value, Tensor) else value
        sums[name] = sums.get(name, 0.0) + number


def over_processes(sums: Sums) -> dict[str, float]:
    """Running sums of all processes together, read back from the device."""
    totals = distributed.summed(torch.stack(list(sums.values())))
    return dict(zip(sums, totals.tolist(), strict=True))


def nats(sums: Mapping[str, Any]) -> dict[str, float]:
    """Sums of losses as nats a note (rhythm: nats a step), and the training loss."""
    known = {name: float(value) for name, value in sums.items()}
    notes = max(known["notes"], 1)
    figures = {
        "pitch": known["note"] / notes,
        "timing": known["onset"] / notes,
        "pitch_and_timing": (known["note"] + known["onset"]) / notes,
        "velocity": known["velocity"] / max(known["velocity_weight"], 1),
        "duration": known["duration"] / notes,
        "rhythm": known["rhythm"] / max(known["rhythm_steps"], 1),
    }
    figures["loss"] = sum(weight * figures[name] for name, weight in LOSS_WEIGHTS.items())
    return figures
