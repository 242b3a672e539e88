"""What training minimises and tells: parts of a loss, each a sum over so many things."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pianogen import distributed


@dataclass(frozen=True, slots=True)
class Term:
    """A sum (of nats, of errors, of hits), and over how many things; both are scalars."""

    total: Tensor
    count: Tensor

    @property
    def mean(self) -> Tensor:
        """The sum over a thing; 0 for none."""
        return self.total / self.count.clamp(min=1)

    @classmethod
    def over(cls, values: Tensor) -> Term:
        """Of one number for each thing, of any shape."""
        return cls(values.sum(), values.new_tensor(float(values.numel())))

    @classmethod
    def among(cls, values: Tensor, which: Tensor) -> Term:
        """Of one number for each thing, those where `which`, of the same shape, is true."""
        return cls((values * which).sum(), which.sum().to(values.dtype))


Losses = Mapping[str, Term]  # by name
Weights = Mapping[str, float]  # by name: how much a term counts in what is minimised


def minimised(losses: Losses, weights: Weights) -> Tensor:
    """What training goes down on: the means of the terms that have a weight, weighted."""
    return torch.stack([weight * losses[name].mean for name, weight in weights.items()]).sum()


def over_the_whole_batch(losses: Losses) -> Losses:
    """This process's sums beside the counts of all, so that totals and gradients add up."""
    if distributed.size() == 1:
        return losses
    counts = distributed.summed(torch.stack([term.count.float() for term in losses.values()]))
    return {n: replace(t, count=c) for (n, t), c in zip(losses.items(), counts, strict=True)}


class Running:
    """Sums of losses so far, and of the grid steps they are over. They stay on their device until
    they are read."""

    def __init__(self, weights: Weights, names: tuple[str, ...], device: torch.device) -> None:
        self._weights, self._names = weights, names
        self._sums = torch.zeros(2 * len(names) + 1, dtype=torch.float64, device=device)

    def add(self, losses: Losses, steps: int) -> None:
        """Add one batch's; steps: grid steps in it."""
        terms = [losses[name] for name in self._names]
        parts = [part.detach().double() for term in terms for part in (term.total, term.count)]
        self._sums += torch.stack([*parts, self._sums.new_tensor(float(steps))])

    def read(self) -> tuple[dict[str, float], int]:
        """The means by name with the loss, and the grid steps, of all processes together: the one
        place that waits for the device."""
        *sums, steps = distributed.summed(self._sums).tolist()
        pairs = zip(self._names, sums[::2], sums[1::2], strict=True)
        figures = {name: total / max(count, 1.0) for name, total, count in pairs}
        figures["loss"] = sum(weight * figures[name] for name, weight in self._weights.items())
        return figures, int(steps)
