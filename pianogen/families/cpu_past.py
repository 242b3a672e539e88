"""What the voice without torch holds of the past, and what each step of a measure is told.

a measure heard ──> Past ──> Surroundings: keys and values of the last measures
                     └─ Left of each of the last 16: the onsets that echoes are made of
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pianogen.families.arithmetic import Floats, Ints
from pianogen.families.cpu_weights import Weights
from pianogen.families.sizes import (
    AHEAD,
    DECAYS,
    DURATIONS,
    MARKS,
    MEMORIES,
    NOWHERE,
    PLACES,
    REACH,
    lookbacks,
)
from pianogen.grid import KEYS, MAX_DURATION, MAX_STEPS, VELOCITY_BINS, Meter


@dataclass(frozen=True, eq=False)
class Left:
    """What a measure leaves for echoes, of its m onsets and n notes.

    time (m,) steps; key and value (m, heads, size); notes (m, 88), and the same by distance from
    the top line and from the bass before them, (m, 175) each. slot_of, key_of (n,): which onset
    each note belongs to, and its key; marks (n, 64) ones at its velocity bin and length class.
    """

    time: Ints
    key: Floats
    value: Floats
    notes: Floats
    by_top: Floats
    by_bass: Floats
    slot_of: Ints
    key_of: Ints
    marks: Floats


@dataclass(frozen=True, eq=False)
class History:
    """What of the past the next measures are told, at a measure line.

    level (3, 3, 88) decayed counts, loudness and lengths a key; memory (88, 2 * 64) decayed marks;
    remaining and age (88,) steps for which a key still sounds, and since it was struck; rolls the
    onsets of the last four measures, (S, 88) each; latest (88,) the notes of the newest step that
    had any, since steps since then; velocity (32,) bins of the newest step.
    """

    level: Floats
    memory: Floats
    remaining: Ints
    age: Ints
    rolls: tuple[Floats, ...]
    latest: Floats
    since: int
    velocity: Floats


@dataclass(frozen=True, eq=False)
class Past:
    """All that was heard, as the network holds it. Never changed, only replaced.

    frames, second: what the convolutions carry over the measure line; h, c (3, H) of the decoder,
    the LSTM forwards and, always 0, the one backwards; memories (S, 2H) of the measures just
    before; left of more.
    """

    history: History
    frames: Floats
    second: Floats
    h: Floats
    c: Floats
    memories: tuple[Floats, ...] = ()
    left: tuple[Left, ...] = ()

    @classmethod
    def empty(cls, weights: Weights, meter: Meter) -> Past:
        """Before anything was heard."""
        config, S = weights.config, meter.steps

        def zeros(*shape: int) -> Floats:
            return np.zeros(shape, np.float32)

        history = History(
            level=zeros(len(DECAYS), 3, KEYS),
            memory=zeros(KEYS, len(MEMORIES) * MARKS),
            remaining=np.zeros(KEYS, np.int64),
            age=np.zeros(KEYS, np.int64),
            rolls=(zeros(S, KEYS),) * 4,
            latest=zeros(KEYS),
            since=1,
            velocity=zeros(VELOCITY_BINS),
        )
        return cls(
            history,
            frames=zeros(1, 2 * KEYS + VELOCITY_BINS + weights.place.shape[0]),
            second=zeros(3, config.conv),
            h=zeros(3, config.hidden),
            c=zeros(3, config.hidden),
        )


class Places:
    """What the steps of measures of S steps are told whatever is played: tables, made once.

    told (S, 48) and given (S, H): where a step lies. gone (S + 1, 3) and gone_of (S + 1, 2): how
    much is left of what was there at the measure line. earlier (S, 16): where in the counts of
    the last four measures and this one, and one place more that stays 0, to look.
    """

    def __init__(self, weights: Weights, steps: int) -> None:
        self.steps, self._weights = steps, weights
        self.told = weights.places(steps)
        self.given = self.told @ weights.place + weights.place_bias
        time = np.arange(steps + 1, dtype=np.float32)[:, None]
        self.gone = np.exp(-time / np.array(DECAYS, np.float32))
        self.gone_of = np.exp(-time / np.array(MEMORIES, np.float32))
        self.back = lookbacks(steps)
        first, never = 4 * steps + np.arange(steps), np.full(steps, 5 * steps)
        self.earlier = np.stack(
            [
                first - back + ahead if back > ahead else never
                for back in self.back
                for ahead in range(AHEAD)
            ],
            axis=1,
        )
        self.distances = self._by_distance()
        self._biases: dict[int, Floats] = {}

    def _by_distance(self) -> Floats:
        """(heads, D) how much an onset that many steps ago is favoured."""
        ago = np.arange((REACH + 2) * self.steps)
        measure = np.minimum(ago // self.steps, REACH - 1)
        within = ago % self.steps
        within = np.minimum(np.minimum(within, self.steps - within), PLACES - 1)
        table = self._weights.ago[:, measure] + self._weights.within[:, within]
        table[:, 0] = NOWHERE
        return table

    def bias(self, measures: int) -> Floats:
        """Of the attention to so many measures before: (S, heads, measures * S + 1)."""
        if measures not in self._biases:
            distances, S = self._weights.distances, self.steps
            offset = np.arange(S)[:, None] - np.arange(S) + MAX_STEPS - 1
            window = distances.shape[1]
            near = distances[:, window - measures :, offset]  # (heads, measures, S, S)
            flat = near.transpose(2, 0, 1, 3).reshape(S, len(distances), measures * S)
            self._biases[measures] = np.pad(flat, ((0, 0), (0, 0), (0, 1)))
        return self._biases[measures]


@dataclass(frozen=True, eq=False)
class Surroundings:
    """Keys (heads, size, M), values (heads, M, size) and biases (S, heads, M) of the measures
    before, and of a place that stands for nothing."""

    keys: Floats
    values: Floats
    bias: Floats

    @classmethod
    def of(cls, weights: Weights, places: Places, past: Past) -> Surroundings:
        """For all steps of the next measure."""
        rows = np.concatenate([*past.memories, weights.nothing[None]])
        split = rows.reshape(len(rows), 2, weights.config.heads, -1)
        keys = np.ascontiguousarray(split[:, 0].transpose(1, 2, 0))
        values = np.ascontiguousarray(split[:, 1].transpose(1, 0, 2))
        return cls(keys, values, places.bias(len(past.memories)))

    def attend(self, query: Floats, bias: Floats) -> Floats:
        """Queries (N, H), biases (N or 1, heads, M) -> what is attended to, (N, H)."""
        heads = self.keys.shape[0]
        asked = query.reshape(len(query), heads, -1).swapaxes(0, 1)
        logits: Floats = asked @ self.keys  # (heads, N, M)
        logits += bias.swapaxes(0, 1)
        np.exp(logits - logits.max(axis=2, keepdims=True), out=logits)
        found: Floats = logits @ self.values
        found /= logits.sum(axis=2)[..., None]
        out: Floats = found.swapaxes(0, 1).reshape(len(query), -1)
        return out


LENGTH_CLASSES: Ints = np.abs(
    np.arange(MAX_DURATION + 1)[:, None] - np.array(DURATIONS)
).argmin(axis=1)  # fmt: skip


def marked(bins: NDArray[np.int64], lengths: NDArray[np.int64]) -> Floats:
    """A note's velocity bin and length class as ones among zeros, (N, 64)."""
    marks = np.zeros((len(bins), MARKS), np.float32)
    row = np.arange(len(bins))
    marks[row, bins] = 1
    marks[row, lengths + VELOCITY_BINS] = 1
    return marks
