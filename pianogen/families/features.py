"""What is known of music, as tensors: rolls, decayed pitch profiles, earlier measures.

Two ways to the same numbers, which a test holds together: `Features.of` here for whole windows
(training, hearing) and `drafts.Drafts` a step at a time (playing). Everything at step t is made
from notes before t, so a network may read all of it without seeing what it is to predict.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from pianogen.families.flat_notes import Notes, constant, mark_places, values
from pianogen.families.sizes import AHEAD, DECAYS, MARKS, MEMORIES, lookbacks
from pianogen.grid import KEYS, VELOCITY_BINS


@dataclass(frozen=True)
class History:
    """What of the past the next measures are told, at a measure line; never changed.

    level (3, 3, 88) decayed counts, loudness and lengths a key; memory (2, 88, 64) decayed marks a
    key; remaining and age (88,) int64 steps for which a key still sounds, and since it was struck;
    onsets (4 * S, 88) of the last four measures; latest (88,) the notes of the newest step that
    had any, since () float steps since then; velocity (32,) bins of the newest step.
    """

    level: Tensor
    memory: Tensor
    remaining: Tensor
    age: Tensor
    onsets: Tensor
    latest: Tensor
    since: Tensor
    velocity: Tensor

    @classmethod
    def empty(cls, steps: int, device: torch.device) -> History:
        """Before anything was heard, in measures of `steps` steps."""

        def zeros(*shape: int) -> Tensor:
            return torch.zeros(shape, device=device)

        return cls(
            level=zeros(len(DECAYS), 3, KEYS),
            memory=zeros(len(MEMORIES), KEYS, MARKS),
            remaining=zeros(KEYS).long(),
            age=zeros(KEYS).long(),
            onsets=zeros(4 * steps, KEYS),
            latest=zeros(KEYS),
            since=zeros() + 1,
            velocity=zeros(VELOCITY_BINS),
        )

    def after(self, notes: Notes, features: Features) -> History:
        """The past once one window of notes is over, too. notes: of this history's meter."""
        T, device = notes.length, notes.key.device
        shape, time = (KEYS + 1, T), torch.arange(T, device=device)
        end = torch.zeros(shape, dtype=torch.long, device=device)
        end[notes.key, notes.time] = notes.time + notes.duration
        remaining = (torch.maximum(end[:KEYS].amax(dim=1), self.remaining) - T).clamp(min=0)
        onset = features.onset[0]
        newest = torch.where(onset.T > 0, time, -1).amax(dim=1)
        age = torch.where(newest >= 0, T - newest, self.age + T)
        spans = constant(MEMORIES, device)[:, None]
        weight = torch.exp((notes.time - T) / spans).repeat(1, 2)
        memory = F.pad(self.memory, (0, 0, 0, 1)).flatten(start_dim=1) * torch.exp(-T / spans)
        memory = memory.index_add(1, torch.cat(mark_places(notes)), weight)
        last = torch.where(onset.any(dim=1), time, -1).amax()
        sounds = last >= 0
        return History(
            level=features.final,
            memory=memory.view(len(MEMORIES), KEYS + 1, MARKS)[:, :KEYS],
            remaining=remaining,
            age=age * (remaining > 0),
            onsets=torch.cat([self.onsets, onset])[-len(self.onsets) :],
            latest=torch.where(
                sounds, onset.index_select(0, last.clamp(min=0)[None])[0], self.latest
            ),
            since=torch.where(sounds, (T - last).float(), self.since + T),
            velocity=features.velocity[0, -1],
        )


@dataclass(frozen=True)
class Features:
    """Rolls and what is derived from them, for B windows of T steps; all float32.

    onset, sounding: (B, T, 88) 1 where a note begins, or sounds (its first step included).
    velocity: (B, T, 32) how many notes begin in each bin. before: (B, 4 * S + T, 88) onsets with
    those of the four measures before. Of what came before t: held (B, T, 88), latest (B, T, 88),
    rhythm (B, T, 20), harmony (B, T, 24), and level (B, T, 3, 3, 88), decayed counts, loudness and
    lengths a key; final (3, 3, 88), what level comes to at the end of the first window.
    """

    steps: int
    onset: Tensor
    sounding: Tensor
    velocity: Tensor
    before: Tensor
    held: Tensor
    latest: Tensor
    rhythm: Tensor
    harmony: Tensor
    level: Tensor
    final: Tensor

    @classmethod
    def of(cls, notes: Notes, past: History | None = None) -> Features:
        """Build everything from the notes, on their device; past: of the one window, if any."""
        B, T, S = notes.windows, notes.length, notes.steps
        rolls = notes.key.new_zeros((3, B, T, KEYS + 1), dtype=torch.float32)
        where = (notes.window, notes.time, notes.key)
        for roll, value in zip(rolls, values(notes.velocity, notes.duration), strict=True):
            roll[where] = value
        rolls = rolls[..., :KEYS]
        onset = rolls[0]
        velocity = onset.new_zeros(B, T, VELOCITY_BINS)
        velocity.index_put_(
            (notes.window, notes.time, notes.velocity),
            (notes.key < KEYS).to(velocity.dtype),
            accumulate=True,
        )
        past = past or History.empty(S, notes.key.device)
        over = past.remaining > torch.arange(T, device=onset.device)[:, None]
        held = torch.maximum(_spans(notes, onset, after=1), over.float())
        before = torch.cat([past.onsets.expand(B, -1, -1), onset], dim=1)
        latest, since = _latest(onset, past)
        level = _decayed(rolls, past.level)
        return cls(
            steps=S,
            onset=onset,
            sounding=torch.maximum(_spans(notes, onset, after=0), over.float()),
            velocity=velocity,
            before=before,
            held=held,
            latest=latest,
            rhythm=_rhythm(before.sum(dim=2), S, since, held),
            harmony=harmony(level[:, :T]),
            level=level[:, :T],
            final=level[0, T],
        )

    def planes_at(self, window: Tensor, time: Tensor) -> Tensor:
        """What the note head reads at some steps, (M, 14, 88)."""
        now = time + 4 * self.steps
        rows = [self.before[window, now - back] for back in lookbacks(self.steps)]
        where = (window, time)
        return planes(self.held[where], self.level[where], torch.stack(rows, 1), self.latest[where])


def delayed(x: Tensor, first: Tensor | None = None) -> Tensor:
    """(B, T, ...) a step later: `first` (...), else zeros, and then all but the last."""
    before = torch.zeros_like(x[:, :1]) if first is None else first.expand_as(x[:, :1])
    return torch.cat([before, x[:, :-1]], dim=1)


def _spans(notes: Notes, onset: Tensor, *, after: int) -> Tensor:
    """(B, T, 88) 1 from `after` steps past each onset to the note's end."""
    B, T = onset.shape[:2]
    edges = onset.new_zeros(B, T + 2, KEYS + 1)
    one = onset.new_ones(())
    end = (notes.time + notes.duration).clamp(max=T + 1)
    edges.index_put_((notes.window, notes.time + after, notes.key), one, accumulate=True)
    edges.index_put_((notes.window, end, notes.key), -one, accumulate=True)
    return (edges.cumsum(dim=1)[:, :T, :KEYS] > 0.5).float()


def _decayed(rolls: Tensor, past: Tensor) -> Tensor:
    """(3, B, T, 88) -> (B, T + 1, decays, 3, 88): sums over s < t of a roll decayed since s + 1,
    from `past` (decays, 3, 88) at t = 0."""
    T, device = rolls.shape[2], rolls.device
    age = torch.arange(T + 1, device=device)[:, None] - torch.arange(T, device=device) - 1
    spans = constant(DECAYS, device)[:, None, None]
    weights = torch.exp(-age.clamp(min=0) / spans) * (age >= 0)
    flat = rolls.permute(2, 1, 0, 3).reshape(T, -1)  # (T, B * 3 * 88)
    sums = torch.matmul(weights, flat)  # (decays, T + 1, B * 3 * 88)
    sums = sums.view(len(DECAYS), T + 1, rolls.shape[1], 3, KEYS).permute(2, 1, 0, 3, 4)
    gone = torch.exp(-torch.arange(T + 1, device=device)[:, None] / spans[:, 0, 0])
    return sums + gone[:, :, None, None] * past


def _latest(onset: Tensor, past: History) -> tuple[Tensor, Tensor]:
    """The notes of the newest step before t that had any, (B, T, 88), and steps since, (B, T)."""
    B, T = onset.shape[:2]
    time = torch.arange(T, device=onset.device)
    last = torch.where(onset.any(dim=2), time, -1).cummax(dim=1).values
    last = torch.cat([last.new_full((B, 1), -1), last[:, :-1]], dim=1)  # strictly before t
    rows = onset.gather(1, last.clamp(min=0)[:, :, None].expand(B, T, KEYS))
    known = last >= 0
    since = torch.where(known, (time - last).float(), past.since + time)
    return torch.where(known[:, :, None], rows, past.latest), since


def classes(x: Tensor) -> Tensor:
    """(..., 88) summed over octaves: (..., 12), class 0 the lowest key's."""
    padded = torch.nn.functional.pad(x, (0, 96 - KEYS))
    return padded.view(*x.shape[:-1], 8, 12).sum(dim=-2)


def spread(profile: Tensor) -> Tensor:
    """(..., 12) given back to each key of its class: (..., 88)."""
    return profile.repeat(*([1] * (profile.dim() - 1)), 8)[..., :KEYS]


def profile(count: Tensor) -> Tensor:
    """(..., 88) decayed counts -> (..., 12) shares of each pitch class."""
    sums = classes(count)
    return sums / (sums.sum(dim=-1, keepdim=True) + 0.5)


def planes(held: Tensor, level: Tensor, before: Tensor, latest: Tensor) -> Tensor:
    """The rows the note head reads, (..., 14, 88).

    Held on from before; onsets decayed over three spans; pitch-class profile of the three at
    the key's class; onsets half a measure, one, two and four ago; the newest step's notes,
    its top and its bass.
    """
    count = level[..., 0, :]  # (..., 3, 88)
    place = torch.arange(1, KEYS + 1, device=latest.device, dtype=latest.dtype)
    height = latest * place
    depth = latest * (KEYS + 1 - place)
    top = (height == height.amax(dim=-1, keepdim=True)).float() * latest
    bass = (depth == depth.amax(dim=-1, keepdim=True)).float() * latest
    return torch.cat(
        [
            held.unsqueeze(-2),
            torch.log1p(count),
            2 * spread(profile(count)),
            before,
            torch.stack([latest, top, bass], dim=-2),
        ],
        dim=-2,
    )


def harmony(level: Tensor) -> Tensor:
    """Pitch-class profiles over a beat and a measure, (..., 24)."""
    return 4 * profile(level[..., :2, 0, :]).flatten(start_dim=-2)


def rhythm(earlier: Tensor, since: Tensor, held: Tensor) -> Tensor:
    """When notes came, (..., 20).

    earlier: (..., 4, 4) how many began half a measure, one, two and four ago, and up to three
    steps after that; since: (...) steps since the newest onset; held: (..., 88).
    """
    near = since.clamp(max=64)
    rest = torch.stack(
        [torch.log2(near) / 6, (since == 1).float(), (since > 32).float(), held.sum(-1) / 8], -1
    )
    return torch.cat([earlier.flatten(start_dim=-2) / 4, rest], dim=-1)


def _rhythm(before: Tensor, steps: int, since: Tensor, held: Tensor) -> Tensor:
    """before (B, 4 * S + T): how many began, from four measures before the first step on."""
    T = since.shape[1]
    rows = []
    for back in lookbacks(steps):
        for ahead in range(AHEAD):
            first = 4 * steps - back + ahead
            known = back > ahead  # what lies at or after t is not to be seen
            rows.append(before[:, first : first + T] if known else torch.zeros_like(since))
    earlier = torch.stack(rows, dim=-1).view(*since.shape, 4, AHEAD)
    return rhythm(earlier, since, held)
