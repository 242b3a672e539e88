"""What is known of music, as tensors: rolls, decayed pitch profiles, earlier measures.

Two ways to the same numbers, which a test holds together: `Features.of` here for whole windows
(training) and `history.History` a step at a time (playing). Everything at step t is made from notes
before t, so a network may read all of it without seeing what it is to predict.

Keys are pitches counted from A0: 0..87. T counts steps from the window's first.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pianogen.grid import HIGHEST_KEY, KEYS, LOWEST_KEY, VELOCITY_BINS

DECAYS = (8.0, 32.0, 128.0)  # steps: a beat, a 4/4 measure, four
PLANES = 14  # rows a key that the note head reads, see `planes`
LOUDNESS = 7  # numbers a note that velocity and duration read, see `touch`
RHYTHM = 20  # numbers a step on when notes came before, see `rhythm`
HARMONY = 24  # pitch-class profiles over a beat and a measure
NEAR = 7  # semitones either side that count as near a key
MEMORIES = (6.0, 64.0)  # steps over which a note's loudness and length are remembered
MEMORY_KEYS = 5.0  # semitones over which they are
AHEAD = 4  # places of an earlier measure looked at, from the present one on

# The lengths the model chooses from, in steps: all up to a half note, then the usual ones.
DURATIONS = (*range(1, 17), 18, 20, 22, 24, 28, 32, 36, 40, 44, 48, 56, 64, 80, 96, 128, 192)


def key_of(pitch: int) -> int:
    """The key (0..87) of a pitch (0..127), brought into the piano's range by octaves."""
    while pitch < LOWEST_KEY:
        pitch += 12
    while pitch > HIGHEST_KEY:
        pitch -= 12
    return pitch - LOWEST_KEY


def duration_classes() -> Tensor:
    """For each duration 0..255 in steps the index of the nearest of DURATIONS; (256,) int64."""
    lengths = torch.tensor(DURATIONS)
    return (torch.arange(256)[:, None] - lengths).abs().argmin(dim=1)


def lookbacks(steps: int) -> tuple[int, int, int, int]:
    """How far back the same place lies half a measure, one, two and four measures ago."""
    return (max(steps // 2, 1), steps, 2 * steps, 4 * steps)


@dataclass(frozen=True)
class Notes:
    """A batch of windows as flat notes, by window, time and from the top down.

    Each (N,) int64: window 0..B-1, time 0..T-1 in steps, key 0..87 (one of a kind a step),
    velocity bin 0..31, duration 1..255 in steps.
    """

    windows: int  # B
    measures: int  # K in each window
    steps: int  # S in each measure; T = K * S
    window: Tensor
    time: Tensor
    key: Tensor
    velocity: Tensor
    duration: Tensor

    @property
    def length(self) -> int:
        """Steps in a window, T."""
        return self.measures * self.steps


@dataclass(frozen=True)
class Features:
    """Rolls and what is derived from them, for B windows of T steps; all float32.

    onset, sounding: (B, T, 88) 1 where a note begins, or sounds (its first step included).
    velocity: (B, T, 32) how many notes begin in each bin.
    Of what came before t: held (B, T, 88), latest (B, T, 88), rhythm (B, T, 20), harmony
    (B, T, 24), and level (B, T, 3, 3, 88), decayed counts, loudness and lengths a key.
    """

    steps: int
    onset: Tensor
    sounding: Tensor
    velocity: Tensor
    held: Tensor
    latest: Tensor
    rhythm: Tensor
    harmony: Tensor
    level: Tensor

    @classmethod
    def of(cls, notes: Notes) -> Features:
        """Build everything from the notes, on their device."""
        B, T, S = notes.windows, notes.length, notes.steps
        rolls = notes.key.new_zeros((3, B, T, KEYS), dtype=torch.float32)
        where = (notes.window, notes.time, notes.key)
        for roll, value in zip(rolls, values(notes.velocity, notes.duration), strict=True):
            roll[where] = value
        onset = rolls[0]
        velocity = onset.new_zeros(B, T, VELOCITY_BINS)
        velocity.index_put_(
            (notes.window, notes.time, notes.velocity), onset.new_ones(()), accumulate=True
        )
        held = _spans(notes, onset, after=1)
        latest, since = _latest(onset)
        level = _decayed(rolls)
        return cls(
            steps=S,
            onset=onset,
            sounding=_spans(notes, onset, after=0),
            velocity=velocity,
            held=held,
            latest=latest,
            rhythm=_rhythm(onset, S, since, held),
            harmony=harmony(level),
            level=level,
        )

    def planes_at(self, window: Tensor, time: Tensor) -> Tensor:
        """What the note head reads at some steps, (M, 14, 88)."""
        rows = []
        for back in lookbacks(self.steps):
            known = (time >= back).to(self.onset.dtype)
            rows.append(self.onset[window, (time - back).clamp(min=0)] * known[:, None])
        where = (window, time)
        return planes(self.held[where], self.level[where], torch.stack(rows, 1), self.latest[where])


def values(velocity: Tensor, duration: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What the three rolls hold for each note: that it is there, how loud, how long."""
    return torch.ones_like(velocity, dtype=torch.float32), loudness(velocity), length(duration)


def loudness(velocity_bin: Tensor) -> Tensor:
    """A velocity bin (0..31) as a number in 0..1."""
    return velocity_bin.float() / (VELOCITY_BINS - 1)


def length(duration: Tensor) -> Tensor:
    """A duration in steps as a number in 0..1, each doubling one eighth."""
    return torch.log2(duration.float()) / 8


def shift(x: Tensor, steps: int) -> Tensor:
    """(B, T, ...) moved later by `steps`, with zeros before."""
    if steps >= x.shape[1]:
        return torch.zeros_like(x)
    return torch.cat([torch.zeros_like(x[:, :steps]), x[:, :-steps]], dim=1)


def _spans(notes: Notes, onset: Tensor, *, after: int) -> Tensor:
    """(B, T, 88) 1 from `after` steps past each onset to the note's end."""
    B, T = onset.shape[:2]
    edges = onset.new_zeros(B, T + 2, KEYS)
    one = onset.new_ones(())
    end = (notes.time + notes.duration).clamp(max=T + 1)
    edges.index_put_((notes.window, notes.time + after, notes.key), one, accumulate=True)
    edges.index_put_((notes.window, end, notes.key), -one, accumulate=True)
    return (edges.cumsum(dim=1)[:, :T] > 0.5).float()


def _decayed(rolls: Tensor) -> Tensor:
    """(3, B, T, 88) -> (B, T, decays, 3, 88): sums over s < t of a roll decayed since s + 1."""
    T = rolls.shape[2]
    age = torch.arange(T)[:, None] - torch.arange(T)[None, :] - 1
    weights = torch.stack([torch.exp(-age.clamp(min=0) / tau) * (age >= 0) for tau in DECAYS])
    flat = rolls.permute(2, 1, 0, 3).reshape(T, -1)  # (T, B * 3 * 88)
    sums = torch.matmul(weights.to(flat.device), flat)  # (decays, T, B * 3 * 88)
    return sums.view(len(DECAYS), T, rolls.shape[1], 3, KEYS).permute(2, 1, 0, 3, 4)


def _latest(onset: Tensor) -> tuple[Tensor, Tensor]:
    """The notes of the newest step before t that had any, (B, T, 88), and steps since, (B, T)."""
    B, T = onset.shape[:2]
    time = torch.arange(T, device=onset.device)
    last = torch.where(onset.any(dim=2), time, -1).cummax(dim=1).values
    last = torch.cat([last.new_full((B, 1), -1), last[:, :-1]], dim=1)  # strictly before t
    rows = onset.gather(1, last.clamp(min=0)[:, :, None].expand(B, T, KEYS))
    return rows * (last >= 0)[:, :, None], (time - last).float()


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


def _rhythm(onset: Tensor, steps: int, since: Tensor, held: Tensor) -> Tensor:
    count = onset.sum(dim=2)
    rows = []
    for back in lookbacks(steps):
        for ahead in range(AHEAD):
            known = back > ahead  # what lies at or after t is not to be seen
            rows.append(shift(count, back - ahead) if known else torch.zeros_like(count))
    earlier = torch.stack(rows, dim=-1).view(*count.shape, 4, AHEAD)
    return rhythm(earlier, since, held)


def touch(level: Tensor, key: Tensor) -> Tensor:
    """How loud and how long what was just played was: (N, 7) for N notes.

    level: (N, decays, 3, 88) at each note's step; key: (N,). Loudness over three spans,
    loudness near the key over a measure and four, length over a measure and near the key.
    """
    total = level.sum(dim=-1)  # (N, decays, 3)
    overall = total[..., 1:] / (total[..., :1] + 0.1)
    distance = (torch.arange(KEYS, device=key.device) - key[:, None]).abs()
    nearby = torch.einsum("ndck,nk->ndc", level, (distance <= NEAR).to(level.dtype))
    local = nearby[..., 1:] / (nearby[..., :1] + 0.1)
    return torch.cat(
        [overall[:, :, 0], local[:, 1:, 0], overall[:, 1:2, 1], local[:, 1:2, 1]], dim=1
    )


def remembered(notes: Notes) -> Tensor:
    """How often each velocity bin and each length was just played near each note.

    (N, 2, 64) shares in logarithms, for two memories: 32 bins, then 32 indices into DURATIONS,
    of the notes before it and of those above it in its chord, the nearest counting most.
    """
    return as_shares(memory_at(notes, notes.window, notes.time, notes.key, chord=True))


def memory_at(
    notes: Notes, window: Tensor, time: Tensor, key: Tensor, *, chord: bool = False
) -> Tensor:
    """What is remembered at other places, (Q, 2, 64) weighted counts, of the notes before them.

    window, time, key: (Q,) each, by window. chord: the places are the notes themselves, and
    those above in the same step count as before.
    """
    marks = marked(notes.velocity, duration_classes().to(notes.key.device)[notes.duration])
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


def marked(velocity: Tensor, length_class: Tensor) -> Tensor:
    """A note's velocity bin and length class as ones among zeros, (N, 64)."""
    one_hot = torch.nn.functional.one_hot
    parts = [one_hot(velocity, VELOCITY_BINS), one_hot(length_class, len(DURATIONS))]
    return torch.cat(parts, dim=1).float()


def as_shares(sums: Tensor) -> Tensor:
    """(..., 64) weighted counts of bins and of lengths as logarithms of smoothed shares."""
    counts = sums.view(*sums.shape[:-1], 2, VELOCITY_BINS) + 0.003
    shares = counts / (counts.sum(dim=-1, keepdim=True) + 0.003)
    return torch.log(shares).flatten(start_dim=-2)
