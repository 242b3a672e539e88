"""A network being trained: one update after another, its running average, and its whole state.

Knows nothing of where windows come from or what is written when; see `train`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor, nn

from pianogen import distributed
from pianogen.dataset import Batch
from pianogen.device import autocast
from pianogen.errors import DataError
from pianogen.families.trained import Trained
from pianogen.family import family, part
from pianogen.files import write_whole
from pianogen.losses import Losses, Running, minimised, over_the_whole_batch
from pianogen.recipe import TrainConfig
from pianogen.shards import Shard


class Trainer:
    """One run: the network, its averaged weights, the optimisers, and the update they are at."""

    def __init__(self, config: TrainConfig, device: torch.device, training: Shard) -> None:
        torch.manual_seed(config.seed)
        self.config, self.device = config, device
        made: type[Trained] = part(family(config.family).network)
        self.network = made.for_training(config.model, training).to(device)
        self.average = {k: v.detach().clone() for k, v in self.network.named_parameters()}
        self.optimisers = self.network.optimisers(config.weight_decay)
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
                group["lr"] = self.config.rate(self.step) * group.get("share", 1.0)
        with autocast(self.device, self.config.precision):
            losses = self.network.losses(batch.notes, batch.velocity_weight)
        self.network.zero_grad(set_to_none=True)
        loss = minimised(over_the_whole_batch(losses), self.network.WEIGHTS)
        loss.backward()  # type: ignore[no-untyped-call]
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
        """Every figure on the averaged weights; each process reads its share of the batches."""
        own = {k: v.detach().clone() for k, v in self.network.state_dict().items()}
        self.network.load_state_dict(self.averaged())
        self.network.eval()
        sums = self.running()
        for number, batch in enumerate(batches):
            if number % distributed.size() == distributed.rank():
                here = batch.to(self.device)
                with autocast(self.device, self.config.precision):
                    losses = self.network.losses(here.notes, here.velocity_weight)
                sums.add(losses, here.notes.windows * here.notes.length)
        self.network.load_state_dict(own)
        return self.told(sums)[0]

    def running(self) -> Running:
        """Sums of the network's losses, to add to."""
        return Running(self.network.WEIGHTS, self.network.FIGURES, self.device)

    def told(self, sums: Running) -> tuple[dict[str, float], int]:
        """What such sums come to, and the grid steps they are over."""
        figures, steps = sums.read()
        return {**figures, **self.network.derived(figures)}, steps

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
