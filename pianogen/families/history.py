"""What is known of music a step at a time, for playing: the same numbers as `features.Features`."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pianogen.families.features import (
    AHEAD,
    DECAYS,
    DURATIONS,
    MEMORIES,
    MEMORY_KEYS,
    as_shares,
    duration_classes,
    harmony,
    lookbacks,
    marked,
    planes,
    rhythm,
    values,
)
from pianogen.grid import KEYS, VELOCITY_BINS


class History:
    """The past of one voice, up to the present step.

    `planes`, `rhythm` and `harmony` are of what came before the present step; `play` says what
    begins there and moves on to the next. `copy()` is cheap: tensors are replaced, never written
    into, and the list of the past is all that is copied.
    """

    def __init__(self, steps: int, device: torch.device) -> None:
        self.steps = steps
        self.level = torch.zeros(len(DECAYS), 3, KEYS, device=device)
        self.silent = torch.zeros(KEYS, device=device)
        self.past = [self.silent] * (4 * steps)  # onsets, (88,) a step, oldest first
        self.counts = [0] * (4 * steps)  # how many
        self.latest = self.silent
        self.since = 1  # steps since the newest onset, or since the step before the first
        self.remaining = torch.zeros(KEYS, dtype=torch.long, device=device)  # steps still to sound
        self.fade = torch.exp(-1 / torch.tensor(DECAYS, device=device))[:, None, None]
        self.memory = torch.zeros(
            len(MEMORIES), KEYS, VELOCITY_BINS + len(DURATIONS), device=device
        )
        self.fade_memory = torch.exp(-1 / torch.tensor(MEMORIES, device=device))[:, None, None]
        self.classes = duration_classes().to(device)
        self.distance = (
            torch.arange(KEYS, device=device)[:, None] - torch.arange(KEYS, device=device)
        ).abs() / MEMORY_KEYS

    def copy(self) -> History:
        """An independent history with the same past."""
        other = History.__new__(History)
        other.__dict__.update(self.__dict__, past=self.past[:], counts=self.counts[:])
        return other

    @property
    def held(self) -> Tensor:
        """(88,) 1 where a key sounds on from before."""
        return (self.remaining > 0).float()

    def planes(self) -> Tensor:
        """What the note head reads at the present step, (14, 88)."""
        before = torch.stack([self.past[-back] for back in lookbacks(self.steps)])
        return planes(self.held, self.level, before, self.latest)

    def rhythm(self) -> Tensor:
        """When notes came, (20,)."""
        earlier = [
            [self.counts[ahead - back] if ahead < back else 0 for ahead in range(AHEAD)]
            for back in lookbacks(self.steps)
        ]
        new = self.silent.new_tensor
        return rhythm(new(earlier), new(float(self.since)), self.held)

    def harmony(self) -> Tensor:
        """Pitch-class profiles over a beat and a measure, (24,)."""
        return harmony(self.level)

    def remembered(self, key: int, above: Sequence[tuple[int, int, int]]) -> Tensor:
        """As the function of this name, for a note on `key` now, (2, 64).

        above: the notes chosen before it in its chord, (key, velocity bin, length class) each.
        """
        near = torch.exp(-self.distance[key])
        sums = torch.einsum("k,nkv->nv", near, self.memory)
        for other, velocity, length_class in above:
            marks = marked(*near.new_tensor([[velocity], [length_class]]).long())
            sums = sums + near[other] * marks
        return as_shares(sums)

    def play(self, keys: Tensor, velocities: Tensor, durations: Tensor) -> None:
        """Begin these notes now (each (n,) int64) and go on to the next step."""
        self.since += 1
        self.memory = self._with(keys, velocities, durations) * self.fade_memory
        self.level = self.level * self.fade
        rolls = None
        if len(keys):
            rolls = self.level.new_zeros(3, KEYS)
            for roll, value in zip(rolls, values(velocities, durations), strict=True):
                roll[keys] = value
            self.level = self.level + rolls
            self.remaining = self.remaining.clone()
            self.remaining[keys] = torch.maximum(durations, self.remaining[keys])
            self.latest, self.since = rolls[0], 1
        self.remaining = (self.remaining - 1).clamp(min=0)
        del self.past[0], self.counts[0]
        self.past.append(self.silent if rolls is None else rolls[0])
        self.counts.append(len(keys))

    def _with(self, keys: Tensor, velocities: Tensor, durations: Tensor) -> Tensor:
        if len(keys) == 0:
            return self.memory
        memory = self.memory.clone()
        memory[:, keys] += marked(velocities, self.classes[durations])
        return memory

    def silence(self, key: int) -> None:
        """End a key that sounds on from before, now."""
        self.remaining = self.remaining.clone()
        self.remaining[key] = 0
