"""How loud and how long notes near a note were: what velocity and duration are told.

Music repeats its loudness and lengths more often than it changes them. So notes are counted by
velocity bin and by length, the newest and the nearest in pitch counting most; and once more by
how much the present onset is reminded of theirs.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pianogen.families.echo import Recalled
from pianogen.families.flat_notes import Notes, length_classes, marked
from pianogen.families.sizes import MARKS, MEMORIES, MEMORY_KEYS, NEAR, TOUCHING
from pianogen.grid import KEYS, VELOCITY_BINS


def touch(level: Tensor, key: Tensor) -> Tensor:
    """How loud and how long what was just played was: (N, 7) for N notes.

    level: (N, decays, 3, 88) at each note's step; key: (N,). Loudness over three spans,
    loudness near the key over a measure and four, length over a measure and near the key.
    """
    distance = (torch.arange(KEYS, device=key.device) - key[:, None]).abs()
    nearby = torch.einsum("ndck,nk->ndc", level, (distance <= NEAR).to(level.dtype))
    return _touch(level.sum(dim=-1), nearby)


def touch_everywhere(level: Tensor) -> Tensor:
    """As `touch`, at every key: (N, decays, 3, 88) -> (N, 88, 7)."""
    keys = torch.arange(KEYS, device=level.device)
    near = ((keys[:, None] - keys).abs() <= NEAR).to(level.dtype)
    nearby = (level @ near).permute(0, 3, 1, 2)
    return _touch(level.sum(dim=-1).unsqueeze(1).expand_as(nearby), nearby)


def _touch(total: Tensor, nearby: Tensor) -> Tensor:
    """Sums of counts, loudness and lengths, (..., decays, 3), over all keys and near one."""
    overall = total[..., 1:] / (total[..., :1] + 0.1)
    local = nearby[..., 1:] / (nearby[..., :1] + 0.1)
    return torch.cat(
        [overall[..., 0], local[..., 1:, 0], overall[..., 1:2, 1], local[..., 1:2, 1]], dim=-1
    )


def memory_at(
    notes: Notes, window: Tensor, time: Tensor, key: Tensor, *, chord: bool = False
) -> Tensor:
    """What is remembered at other places, (Q, 2, 64) weighted counts, of the notes before them.

    window, time, key: (Q,) each, by window. chord: the places are the notes themselves, and
    those above in the same step count as before.
    """
    marks = marked(notes.velocity, length_classes(notes.duration))
    sums = marks.new_zeros(len(key), len(MEMORIES), marks.shape[1])
    places = torch.bincount(window, minlength=notes.windows).cumsum(0).tolist()
    bounds = torch.bincount(notes.window, minlength=notes.windows).cumsum(0).tolist()
    for w in range(notes.windows):
        at = slice(places[w - 1] if w else 0, places[w])
        past = slice(bounds[w - 1] if w else 0, bounds[w])
        age = time[at, None] - notes.time[None, past]
        far = (key[at, None] - notes.key[None, past]).abs() / MEMORY_KEYS
        before = torch.ones_like(far).tril(diagonal=-1) if chord else (age > 0).float()
        for n, span in enumerate(MEMORIES):
            weight = torch.exp(-age.clamp(min=0) / span - far) * before
            sums[at, n] = (weight @ marks[past]).to(sums.dtype)
    return sums


def reminded(notes: Notes, recalled: Recalled, window: Tensor, time: Tensor, key: Tensor) -> Tensor:
    """As `memory_at`, but each note counts by how much the asking step is reminded of its onset."""
    marks = marked(notes.velocity, length_classes(notes.duration))
    sums = marks.new_zeros(len(key), TOUCHING, MARKS)
    asking = recalled.asking.rank[window, time]
    onset = recalled.onsets.rank[notes.window, notes.time]
    places = torch.bincount(window, minlength=notes.windows).cumsum(0).tolist()
    bounds = torch.bincount(notes.window, minlength=notes.windows).cumsum(0).tolist()
    for w in range(notes.windows):
        at = slice(places[w - 1] if w else 0, places[w])
        past = slice(bounds[w - 1] if w else 0, bounds[w])
        far = (key[at, None] - notes.key[None, past]).abs() / MEMORY_KEYS
        weight = recalled.touching[w][:, asking[at]][:, :, onset[past]] * torch.exp(-far)
        sums[at] = (weight.to(marks.dtype) @ marks[past]).transpose(0, 1).to(sums.dtype)
    return sums


def as_shares(sums: Tensor) -> Tensor:
    """(..., 64) weighted counts of bins and of lengths as logarithms of smoothed shares."""
    counts = sums.view(*sums.shape[:-1], 2, VELOCITY_BINS) + 0.003
    shares = counts / (counts.sum(dim=-1, keepdim=True) + 0.003)
    return torch.log(shares).flatten(start_dim=-2)
