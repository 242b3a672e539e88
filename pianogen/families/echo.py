"""What the music did when it stood like this before: attention over earlier onsets.

    onset j: the state before it ─ key       the notes that came there ─ value
    onset i: the state before it ─ query ──> keys alike ──> what came there, as rows a key

A state holds what led up to an onset, so a query like an earlier key means that the music comes
by the same place again; what came then is the best guess at what comes now (an induction head,
Olsson et al. 2022, "In-context learning and induction heads", with notes themselves as values).
Some heads bring the notes back as they were, some moved to where the top line is now, some to
where the bass is; two tell loudness and lengths whom to take after.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pianogen.families.sizes import HEADS, MIDDLE_C, NOWHERE, PLACES, REACH, ROWS, SAME
from pianogen.grid import KEYS


@dataclass(frozen=True)
class Packed:
    """Some steps of B windows, side by side: M places a window.

    index (B, M) int64 their times; here (B, M) bool whether a place is filled; rank (B, T) int64
    the place of each time that has one.
    """

    index: Tensor
    here: Tensor
    rank: Tensor

    @classmethod
    def of(cls, wanted: Tensor) -> Packed:
        """wanted (B, T) bool."""
        count = wanted.sum(dim=1)
        most = int(count.max()) if wanted.numel() else 0
        rank = wanted.long().cumsum(dim=1) - 1
        index = torch.argsort((~wanted).to(torch.uint8), dim=1, stable=True)[:, :most]
        here = torch.arange(most, device=wanted.device) < count[:, None]
        return cls(index, here, rank)

    def pack(self, x: Tensor) -> Tensor:
        """(B, T, C) -> (B, M, C)."""
        return x.gather(1, self.index[..., None].expand(-1, -1, x.shape[-1]))


@dataclass(frozen=True)
class Slots:
    """What onsets leave behind: (..., M, ...) of M onsets.

    time (M,) or (B, M) int64 in steps; key and value (..., M, heads, size); notes (..., M, 88) and
    the same by distance from the top line and from the bass before them, (..., M, 175) each.
    """

    time: Tensor
    key: Tensor
    value: Tensor
    notes: Tensor
    by_top: Tensor
    by_bass: Tensor


@dataclass(frozen=True)
class Recalled:
    """What the asking steps are reminded of: Q a window, of M onsets.

    added (B, Q, H) to the state; rows (B, Q, 8, 88) the notes brought back, 0..1; touching
    (B, 2, Q, M) how much loudness and lengths are reminded of each.
    """

    asking: Packed
    onsets: Packed
    added: Tensor
    rows: Tensor
    touching: Tensor


class Echo(nn.Module):
    """Attention from steps to the onsets before them."""

    def __init__(self, state: int, size: int) -> None:
        super().__init__()
        self.size = size
        self.query = nn.Linear(state, HEADS * size)
        self.key = nn.Linear(state, HEADS * size)
        self.value = nn.Linear(state + KEYS, HEADS * size)
        self.out = nn.Linear(HEADS * size, state)
        self.ago = nn.Parameter(torch.zeros(HEADS, REACH))
        self.place = nn.Parameter(torch.zeros(HEADS, PLACES))
        self.nothing = nn.Parameter(torch.zeros(HEADS))
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def slots(self, time: Tensor, state: Tensor, notes: Tensor, lines: Tensor) -> Slots:
        """What onsets leave: their times, the states (..., M, H) before them, their notes
        (..., M, 88), and the outer lines (..., M, 2) before them."""
        heads = (HEADS, self.size)
        value = self.value(torch.cat([state, notes.to(state.dtype)], dim=-1))
        return Slots(
            time,
            self.key(state).unflatten(-1, heads),
            value.unflatten(-1, heads),
            notes,
            relative(notes, lines[..., 0]),
            relative(notes, lines[..., 1]),
        )

    def asked(self, state: Tensor) -> Tensor:
        """States (..., H) as queries (..., heads, size)."""
        query: Tensor = self.query(state).unflatten(-1, (HEADS, self.size)) * self.size**-0.5
        return query

    def bias(self, distance: Tensor, steps: int) -> Tensor:
        """distance (..., Q, M) in steps, in measures of `steps` -> (..., heads, Q, M)."""
        measure = (distance // steps).clamp(0, REACH - 1)
        within = distance % steps
        within = torch.minimum(within, steps - within).clamp(max=PLACES - 1)
        table = self.ago[:, measure] + self.place[:, within]
        return table.movedim(0, -3).masked_fill((distance <= 0).unsqueeze(-3), NOWHERE)

    def attend(self, logits: Tensor) -> Tensor:
        """Logits (..., heads, Q, M) -> weights of the same shape; what is missing to 1 goes to
        nothing at all."""
        nothing = self.nothing[:, None, None].expand(*logits.shape[:-1], 1)
        return torch.softmax(torch.cat([logits, nothing], dim=-1), dim=-1)[..., :-1]

    def blend(self, weights: Tensor, slots: Slots) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Weights (B, heads, Q, M) over slots (B or 1, M, ...): values (B, Q, heads * size), and
        notes as they were (B, 4, Q, 88), by the top line and by the bass (B, 2, Q, 175)."""
        by_top, by_bass = weights[:, SAME:ROWS].chunk(2, dim=1)
        value = weights.to(slots.value.dtype) @ slots.value.transpose(1, 2)
        return (
            value.transpose(1, 2).flatten(start_dim=2),
            weights[:, :SAME] @ slots.notes.unsqueeze(1),
            by_top @ slots.by_top.unsqueeze(1),
            by_bass @ slots.by_bass.unsqueeze(1),
        )

    def told(
        self, value: Tensor, same: Tensor, by_top: Tensor, by_bass: Tensor, lines: Tensor
    ) -> tuple[Tensor, Tensor]:
        """What `blend` gave, and the outer lines (B, Q, 2) now -> what is added to the state,
        (B, Q, H), and the rows brought back, (B, Q, 8, 88)."""
        top, bass = lines.unsqueeze(1).unbind(dim=-1)
        rows = torch.cat([same, absolute(by_top, top), absolute(by_bass, bass)], dim=1)
        added: Tensor = self.out(value)
        return added, rows.transpose(1, 2)

    def forward(
        self, state: Tensor, onset: Tensor, latest: Tensor, asked: Tensor, steps: int
    ) -> Recalled:
        """Whole windows at once. state (B, T, H); onset and latest (B, T, 88); asked (B, T) bool,
        the steps that ask; steps in a measure."""
        onsets, asking = Packed.of(onset.any(dim=-1)), Packed.of(asked)
        lines = outer_lines(latest)
        slots = self.slots(onsets.index, onsets.pack(state), onsets.pack(onset), onsets.pack(lines))
        distance = asking.index[:, :, None] - onsets.index[:, None, :]
        distance = distance.masked_fill(~onsets.here[:, None, :], 0)
        query = self.asked(asking.pack(state)).transpose(1, 2)
        logits = (query @ slots.key.permute(0, 2, 3, 1)).float() + self.bias(distance, steps)
        weights = self.attend(logits)
        added, rows = self.told(*self.blend(weights, slots), asking.pack(lines))
        return Recalled(asking, onsets, added, rows, weights[:, ROWS:])


def relative(notes: Tensor, line: Tensor) -> Tensor:
    """(..., 88) by key -> (..., 175) by distance from the key `line` (...), -87..87."""
    padded = F.pad(notes, (KEYS - 1, KEYS - 1))
    at = line[..., None] + torch.arange(2 * KEYS - 1, device=notes.device)
    return padded.gather(-1, at)


def absolute(moved: Tensor, line: Tensor) -> Tensor:
    """(..., 175) by distance from the key `line` (...) -> (..., 88) by key."""
    at = torch.arange(KEYS, device=moved.device) - line[..., None] + KEYS - 1
    return moved.gather(-1, at.expand(*moved.shape[:-1], KEYS))


def outer_lines(latest: Tensor) -> Tensor:
    """Top and bass key of (..., 88) notes, (..., 2) int64; middle C where there are none."""
    place = torch.arange(KEYS, device=latest.device)
    there = latest > 0
    top = torch.where(there, place, -1).amax(dim=-1)
    bass = torch.where(there, place, KEYS).amin(dim=-1)
    none = top < 0
    return torch.stack([top.masked_fill(none, MIDDLE_C), bass.masked_fill(none, MIDDLE_C)], dim=-1)
