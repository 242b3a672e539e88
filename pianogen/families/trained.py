"""What every network that is trained has in common, so that one loop trains them all."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pianogen.families.flat_notes import Notes
from pianogen.losses import Losses, Weights
from pianogen.shards import Shard

SMALL = 16  # rows or columns; a matrix that has no more is left to AdamW


class Trained(nn.Module):
    """A network of a family. Its constructor takes the family's sizes alone.

    WEIGHTS: how much each term of `losses` counts in what is minimised. FIGURES: all terms, with
    those that are only told. SIZES: the class of its configuration.
    """

    WEIGHTS: ClassVar[Weights]
    FIGURES: ClassVar[tuple[str, ...]]
    SIZES: ClassVar[type[Any]]

    config: Any

    @classmethod
    def for_training(cls, config: Any, training: Shard) -> Self:
        """A new network; one that needs to know its music beforehand looks here."""
        return cls(config)

    @classmethod
    def of(
        cls, config: Mapping[str, Any], weights: Mapping[str, NDArray[Any]], device: str
    ) -> Self:
        """A checkpoint's configuration and weights as a network on a device, in float32; raises
        RuntimeError where they do not fit."""
        network = cls(cls.SIZES(**config))
        tensors = {name: torch.from_numpy(np.array(weight)) for name, weight in weights.items()}
        network.load_state_dict(
            {k: w.float() if w.is_floating_point() else w for k, w in tensors.items()}
        )
        return network.to(device).eval()

    @abstractmethod
    def losses(self, notes: Notes, velocity_weight: Tensor) -> Losses:
        """Every term of FIGURES over a batch of windows; velocity_weight (B,) how much each
        window's velocities count, 0..1."""

    @classmethod
    def derived(cls, figures: Mapping[str, float]) -> dict[str, float]:
        """More to tell, from the means of the terms: a perplexity, say."""
        return {}

    def optimisers(self, weight_decay: float) -> tuple[torch.optim.Optimizer, ...]:
        """What changes its parameters. A group with a `share` has that share of the rate.

        Muon (Jordan et al. 2024) for the large matrices that multiply a layer's input, its step
        as large as AdamW's would be (Liu et al. 2025); AdamW for everything else.
        """
        layers = [m for m in self.modules() if isinstance(m, nn.Linear | nn.LSTM | nn.GRU)]
        matrices = [p for m in layers for p in m.parameters(recurse=False) if _is_large(p)]
        taken = {id(p) for p in matrices}
        rest = [p for p in self.parameters() if id(p) not in taken]
        tables = {"params": [p for p in rest if p.dim() >= 2], "weight_decay": weight_decay}
        others = {"params": [p for p in rest if p.dim() < 2], "weight_decay": 0.0}
        return (
            torch.optim.Muon(matrices, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw"),
            torch.optim.AdamW([tables, others], betas=(0.9, 0.98)),
        )


def _is_large(weight: Tensor) -> bool:
    return weight.dim() == 2 and min(weight.shape) > SMALL
