"""The hybrid by torch, for CUDA: hearing and drawing are captured as graphs there.

Shapes never change and the device is asked nothing inside a measure. On a CPU it plays the same
notes, slowly: that is what `cpu_hybrid` is held to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pianogen.families.drafts import Wishes, draw, unpacked
from pianogen.families.drawn import Drawn, Theme
from pianogen.families.flat_notes import Notes
from pianogen.families.folded import Folded
from pianogen.families.hybrid import Hybrid
from pianogen.families.listening import (
    MOST_NOTES,
    Left,
    Past,
    hear,
    nothing_left,
    start_of,
    table,
)
from pianogen.families.resident import Resident, cloned
from pianogen.families.sizes import NOISE, REACH, STOP
from pianogen.families.steering import Push, lean_of
from pianogen.grid import KEYS, LOWEST_KEY, Measure, Meter
from pianogen.sampling import Sampling

BATCHES = (1, 4, 16, 64, 256)  # drafts at once that are captured


@dataclass(frozen=True, eq=False)
class Heard:
    """A past, and what its last measures left for echoes: always of as many, those that never
    were standing for themselves."""

    past: Past
    left: tuple[Left, ...]


class TorchHybrid:
    """Hears measures and draws drafts; meets `hybrid_player.Engine`."""

    def __init__(self, network: Hybrid) -> None:
        self.network = network.eval()
        self.device = network.onset.weight.device
        if self.device.type == "cuda":  # no rounding to TF32: the notes are to be those of a CPU
            torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
        with torch.inference_mode():
            self.folded = Folded(network)
        self.choice = network.choice.double().cpu().numpy()
        self._hearing: dict[int, Resident[tuple[Past, Left]]] = {}
        self._drawing: dict[tuple[int, int], Resident[Tensor]] = {}

    @torch.inference_mode()
    def empty(self, meter: Meter) -> Heard:
        """The past before anything was heard."""
        nothing = nothing_left(self.network, meter)
        return Heard(Past.empty(self.network, meter), (nothing,) * REACH)

    @torch.inference_mode()
    def heard(self, before: Heard, measure: Measure) -> Heard:
        """The past once a measure is over, too."""
        past, newest = self._hear(before.past, table(measure, self.device, MOST_NOTES))
        return Heard(past, (*before.left, newest)[-REACH:])

    def _hear(self, past: Past, notes: Notes) -> tuple[Past, Left]:
        if notes.steps not in self._hearing:
            self._hearing[notes.steps] = Resident(partial(hear, self.network), past, notes)
        heard: tuple[Past, Left] = cloned(self._hearing[notes.steps](past, notes))
        return heard

    def drawn(self, themes: Sequence[Theme]) -> list[Drawn]:
        """Drafts of the measure after each past, one past after the other."""
        return [
            self._drawn(theme.past, theme.sampling, theme.push, theme.noise) for theme in themes
        ]

    @torch.inference_mode()
    def _drawn(
        self, before: Heard, sampling: Sampling, push: Push, noise: NDArray[np.float32]
    ) -> Drawn:
        N, steps, _ = noise.shape
        start = start_of(self.network, before.past, before.left, steps)
        wishes = wishes_of(sampling, push, self.device)
        size = next(size for size in BATCHES if size >= N)
        room = torch.zeros(size, steps, NOISE)
        room[:N] = torch.from_numpy(noise)
        room = room.to(self.device)
        if (steps, size) not in self._drawing:
            drawing = partial(draw, self.folded)
            self._drawing[steps, size] = Resident(drawing, start, wishes, room)
        return unpacked(self._drawing[steps, size](start, wishes, room).cpu()[:N], steps)


def wishes_of(sampling: Sampling, push: Push, device: torch.device) -> Wishes:
    """How to draw, as tensors."""
    keys = torch.arange(KEYS + 1, device=device)
    low, high = sampling.low_pitch - LOWEST_KEY, sampling.high_pitch - LOWEST_KEY
    outside = (keys != STOP) & ((keys < low) | (keys > high))
    lean = torch.tensor(lean_of(sampling, push), device=device)
    temperatures = (
        sampling.temperature, sampling.velocity_temperature,
        sampling.rhythm_temperature, sampling.duration_temperature,
    )  # fmt: skip
    return Wishes(
        torch.tensor(temperatures, device=device),
        torch.tensor(sampling.min_p, device=device),
        torch.tensor(sampling.max_polyphony, device=device),
        outside,
        lean,
        (~outside & (lean == 0))[:STOP].any(),
        torch.tensor((push.always, push.wanting, push.goal), device=device),
    )
