"""The within-step head: which notes begin together, how loud each, how long.

Notes of a step are chosen one at a time from the top down until a stop. Every key is scored by
the same small convolution along the keyboard, so that what is learnt of an interval in one
place holds in all; notes already chosen add their intervals to the scores of those below.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pianogen.families.flat_notes import loudness
from pianogen.families.sizes import (
    DURATIONS,
    FLOOR,
    INTERVALS,
    LOUDNESS,
    MOST,
    NO_KEY,
    PLANES,
    RECENT,
    ROWS,
    STOP,
    WAVES,
)
from pianogen.grid import KEYS, VELOCITY_BINS


@dataclass(frozen=True)
class Decisions:
    """Each note and each stop of the steps with onsets, in order; D decisions, M steps.

    step (D,) index into the M steps; chosen (D, 88) keys already taken in the step; count (D,);
    lowest (D,) the lowest of them, NO_KEY before the first; target (D,) key or STOP.
    of_note (N,) which decision chose each note.
    """

    step: Tensor
    chosen: Tensor
    count: Tensor
    lowest: Tensor
    target: Tensor
    of_note: Tensor

    @classmethod
    def of(cls, step: Tensor, key: Tensor, steps: int) -> Decisions:
        """From the notes of M steps, sorted by step and from the top down; (N,) each."""
        N = len(step)
        per_step = torch.bincount(step, minlength=steps)
        first = per_step.cumsum(0) - per_step
        rank = torch.arange(N, device=step.device) - first[step]
        of_note = torch.arange(N, device=step.device) + step  # a stop more for each step before
        D = N + steps
        stop_at = per_step.cumsum(0) + torch.arange(steps, device=step.device)
        target = step.new_full((D,), STOP)
        target[of_note] = key
        all_steps = step.new_zeros(D)
        all_steps[of_note] = step
        all_steps[stop_at] = torch.arange(steps, device=step.device)
        count = step.new_zeros(D)
        count[of_note], count[stop_at] = rank, per_step
        lowest = step.new_full((D,), NO_KEY)
        lowest[of_note + 1] = key
        taken = torch.zeros(D + 1, KEYS, device=step.device)
        taken[of_note + 1, key] = 1.0  # running sum within the step
        total = taken.cumsum(0)[:D]
        start = first + torch.arange(steps, device=step.device)
        return cls(all_steps, total - total[start][all_steps], count, lowest, target, of_note)


@dataclass(frozen=True)
class Ground:
    """What the choices of M steps start from: field (M, 88, C), register (M, 88), the state
    (M, H), and the rows brought back (M, 8, 88)."""

    field: Tensor
    register: Tensor
    state: Tensor
    echo: Tensor

    def __getitem__(self, rows: Tensor) -> Ground:
        return Ground(self.field[rows], self.register[rows], self.state[rows], self.echo[rows])


class PitchHead(nn.Module):
    """Scores every key for the next note of a step, and the stop."""

    def __init__(self, state: int, channels: int, width: int) -> None:
        super().__init__()
        self.first = nn.Conv1d(PLANES + ROWS, channels, width, padding=width // 2)
        self.second = nn.Conv1d(channels, channels, width, padding=width // 2)
        self.film = nn.Linear(state, 4 * channels)
        self.interval = nn.Parameter(torch.randn(2 * INTERVALS + 2, channels) * 0.1)
        self.interval_class = nn.Parameter(torch.randn(12, channels) * 0.1)
        self.mix = nn.Linear(channels, channels)
        self.score = nn.Linear(channels, 1, bias=False)
        self.register = nn.Parameter(torch.zeros(KEYS))
        self.register_by_state = nn.Linear(state, WAVES)
        self.copy = nn.Linear(state, ROWS)
        self.remaining = nn.Linear(ROWS, 1, bias=False)
        for weight in (self.copy.weight, self.copy.bias, self.remaining.weight):
            nn.init.zeros_(weight)
        self.counts = nn.Embedding(MOST + 1, 32)
        self.lows = nn.Embedding(KEYS + 1, 32)
        self.stop = nn.Sequential(nn.Linear(state + channels + 64, 64), nn.GELU(), nn.Linear(64, 1))
        distance = torch.arange(KEYS) - torch.arange(KEYS)[:, None]  # [chosen, scored]
        self.register_buffer("distance", distance, persistent=False)
        place = torch.linspace(0, torch.pi, KEYS)
        waves = torch.stack([torch.cos(place * n) for n in range(WAVES)])
        self.register_buffer("waves", waves, persistent=False)
        self.distance: Tensor
        self.waves: Tensor

    def ground(self, planes: Tensor, echo: Tensor, state: Tensor) -> Ground:
        """From planes (M, 14, 88), rows brought back (M, 8, 88) and states (M, H)."""
        scale1, shift1, scale2, shift2 = self.film(state).unsqueeze(-1).chunk(4, dim=1)
        planes = torch.cat([planes, echo.to(planes.dtype)], dim=1)
        x = F.relu(self.first(planes) * (1 + scale1) + shift1)
        x = self.second(x) * (1 + scale2) + shift2
        register = self.register + self.register_by_state(state) @ self.waves.to(state.dtype)
        likely = torch.log1p(echo.float() / FLOOR)
        copied = torch.einsum("mr,mrk->mk", self.copy(state).float(), likely)
        return Ground(x.transpose(1, 2), register + copied, state, echo)

    def influence(self) -> Tensor:
        """What a chosen key adds to the field of every other, (88, 88 * C)."""
        near = self.interval[self.distance.clamp(-INTERVALS - 1, INTERVALS) + INTERVALS + 1]
        near = near * (self.distance.abs() <= INTERVALS).unsqueeze(-1)
        return (near + self.interval_class[self.distance % 12]).flatten(start_dim=1)

    def forward(
        self, ground: Ground, chosen: Tensor, count: Tensor, lowest: Tensor, influence: Tensor
    ) -> tuple[Tensor, Tensor]:
        """One row a decision -> logits (D, 89), the stop last, and the mixed field (D, 88, C)."""
        x = F.relu(ground.field + torch.matmul(chosen, influence).view(ground.field.shape))
        x = F.relu(self.mix(x))
        keys = self.score(x).squeeze(-1) + ground.register
        below = torch.arange(KEYS, device=lowest.device) < lowest[:, None]
        keys = keys.float().masked_fill(~below, -1e9)
        summary = torch.cat(
            [ground.state, x.mean(dim=1), self.counts(count.clamp(max=MOST)), self.lows(lowest)],
            dim=1,
        )
        left = torch.einsum("drk,dk->dr", ground.echo.float(), below.float())
        stop = self.stop(summary).float() + self.remaining(left).float()
        stop = stop.masked_fill(count[:, None] == 0, -1e9)
        return torch.cat([keys, stop], dim=1), x


class TouchHead(nn.Module):
    """How loud and how long a note is, given what was just played and the chord so far.

    Music repeats its loudness and lengths more often than it changes them, so what was just
    played near the note is held against each choice directly, as strongly as the state says.
    """

    def __init__(self, state: int, channels: int, hidden: int) -> None:
        super().__init__()
        self.keys = nn.Embedding(KEYS, 32)
        inputs = state + channels + 32 + LOUDNESS + 3
        self.velocity = nn.Sequential(
            nn.Linear(inputs, hidden), nn.GELU(), nn.Linear(hidden, VELOCITY_BINS)
        )
        self.duration = nn.Sequential(
            nn.Linear(inputs + 1, hidden), nn.GELU(), nn.Linear(hidden, len(DURATIONS))
        )
        self.trust = nn.Linear(inputs, 2 * RECENT)  # of each histogram: loudness, length
        nn.init.zeros_(self.trust.weight)
        nn.init.zeros_(self.trust.bias)

    def inputs(
        self, state: Tensor, field: Tensor, key: Tensor, touch: Tensor, above: Tensor
    ) -> Tensor:
        """One row a note; field (N, C) at its key, above (N, 3) the chord's note above it."""
        return torch.cat([state, field, self.keys(key).to(state.dtype), touch, above], dim=1)

    def loudness(self, inputs: Tensor, remembered: Tensor) -> Tensor:
        """Logits of the velocity bin, (N, 32); remembered (N, 4, 64)."""
        trust = self.trust(inputs)[:, :RECENT].float()
        shares = remembered[:, :, :VELOCITY_BINS]
        logits: Tensor = self.velocity(inputs).float()
        return logits + torch.einsum("nm,nmv->nv", trust, shares)

    def length(self, inputs: Tensor, velocity: Tensor, remembered: Tensor) -> Tensor:
        """Logits of the index into DURATIONS, (N, 32), given the velocity bin (N,)."""
        played = loudness(velocity).unsqueeze(1).to(inputs.dtype)
        trust = self.trust(inputs)[:, RECENT:].float()
        shares = remembered[:, :, VELOCITY_BINS:]
        logits: Tensor = self.duration(torch.cat([inputs, played], dim=1)).float()
        return logits + torch.einsum("nm,nmd->nd", trust, shares)
