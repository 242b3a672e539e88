"""The notes of one step, drawn from the top down in several drafts, without torch.

A draft that has come to its stop is no longer computed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pianogen.families.arithmetic import Bools, Floats, Ints, gelu, parts
from pianogen.families.cpu_echo import Recalled
from pianogen.families.cpu_hearing import CLASS, OF_CLASS, profile
from pianogen.families.cpu_weights import BLOCK, Weights
from pianogen.families.sizes import (
    FINGERS,
    FLOOR,
    MOST,
    NEAR,
    NO_KEY,
    NOWHERE,
    PLANES,
    RECENT,
    ROWS,
    STOP,
)
from pianogen.families.steering import Push, lean_of
from pianogen.grid import KEYS, LOWEST_KEY, VELOCITY_BINS
from pianogen.sampling import Sampling

AROUND: Floats = (np.abs(np.arange(KEYS)[:, None] - np.arange(KEYS)) <= NEAR).astype(np.float32)


class Wishes:
    """A `Sampling` as arrays. hidden (89, 89): what is added to the logits of the keys and of the
    stop where the lowest key so far is that of the row: only lower keys, and those in range; no
    stop before the first. lean (89,): what is added to logits to draw from."""

    def __init__(self, sampling: Sampling, push: Push) -> None:
        low, high = sampling.low_pitch - LOWEST_KEY, sampling.high_pitch - LOWEST_KEY
        keys = np.arange(KEYS)
        inside = (keys >= low) & (keys <= high)
        open_ = np.ones((KEYS + 1, KEYS + 1), bool)
        open_[:, :STOP] = (keys < np.arange(KEYS + 1)[:, None]) & inside
        open_[NO_KEY, STOP] = False
        self.hidden = np.where(open_, 0, NOWHERE).astype(np.float32)
        self.lean, self.push = np.array(lean_of(sampling, push), np.float32), push
        self.is_leaning = bool(self.lean.any())
        self.anything = bool((inside & (self.lean[:STOP] == 0)).any())
        self.most = min(sampling.max_polyphony, FINGERS)
        self.polyphony = sampling.max_polyphony
        self.rhythm = np.float32(sampling.rhythm_temperature)
        self.pitch, self.min_p = sampling.temperature, sampling.min_p
        self.velocity, self.length = sampling.velocity_temperature, sampling.duration_temperature


def drawn_index(logits: Floats, temperature: float, noise: Floats, min_p: float = 0.0) -> Ints:
    """An index a row, by its probability at the temperature; noise (N,) in 0..1."""
    tempered = logits / np.float64(temperature)
    tempered -= tempered.max(axis=1, keepdims=True)
    chances = np.exp(tempered, out=tempered)
    if min_p > 0:
        chances *= chances >= min_p  # the likeliest is 1 here
    sums = chances.cumsum(axis=1)
    passed = sums <= noise[:, None] * sums[:, -1:]
    index: Ints = np.minimum(passed.sum(axis=1), logits.shape[1] - 1)
    return index


@dataclass(frozen=True, eq=False)
class Ground:
    """What the choices of a step start from, of R drafts.

    field (R, 88, C), register (R, 88), what the stop (R, 64) and the touch (R, X) take from the
    state; left (R, 89) what a lowest key leaves of the rows brought back, to the stop.
    """

    field: Floats
    register: Floats
    stop: Floats
    touch: Floats
    left: Floats


@dataclass(frozen=True, eq=False)
class Memory:
    """What loudness and length are told at a step, of R drafts.

    level (R, 9, 88) counts, loudness and lengths over three spans; decayed marks, (88, 128) of
    each; thought (R, 2, n), key_of (n,) and marks (n, 64) of the notes an echo brings back.
    """

    level: Floats
    decayed: list[Floats]
    faded: Floats  # (2,) what is left of each of its two spans
    thought: Floats
    key_of: Ints
    marks: Floats


@dataclass(frozen=True, eq=False)
class Chosen:
    """One note in each of some drafts: ranks of the drafts, (n,) each."""

    rank: Ints
    key: Ints
    bins: Ints
    lengths: Ints  # indices into DURATIONS


@dataclass(frozen=True, eq=False)
class Decision:
    """What was drawn from which logits, for its nats: of ranks among the drafts of the step."""

    kind: int  # 1 pitch, 2 velocity, 3 length
    rank: Ints
    logits: Floats
    index: Ints


class Chords:
    """Draws the notes of a step."""

    def __init__(self, weights: Weights, wishes: Wishes, drafts: int) -> None:
        self._weights, self._wishes = weights, wishes
        config = weights.config
        margin = config.width // 2
        self._inside = slice(margin, margin + KEYS)
        wide = KEYS + 2 * margin
        self._rows = np.zeros((drafts, wide, PLANES + ROWS), np.float32)
        self._fields = np.zeros((drafts, wide, config.channels), np.float32)

    # --- before the first note ------------------------------------------------------------------

    def ground(self, planes: Floats, recalled: Recalled, state: Floats) -> Ground:
        """From planes (R, 88, 14), what was recalled, and the states (R, H) with it."""
        weights, R = self._weights, len(planes)
        both = state @ weights.ground + weights.ground_bias
        film, register, copy, stop, touch = parts(both, weights.ground_sizes)
        channels = film.shape[1] // 4
        scale1, shift1, scale2, shift2 = (x[:, None] for x in parts(film, [channels] * 4))
        rows = self._rows[:R]
        rows[:, self._inside, :PLANES] = planes
        rows[:, self._inside, PLANES:] = recalled.rows.swapaxes(1, 2)
        x = self._along_keys(rows, 0)
        x *= scale1
        x += shift1
        fields = self._fields[:R]
        np.maximum(x, 0, out=fields[:, self._inside])
        x = self._along_keys(fields, 1)
        x *= scale2
        x += shift2
        likely = np.log(recalled.rows * np.float32(1 / FLOOR) + np.float32(1))
        register = register + np.matmul(copy[:, None], likely)[:, 0]
        left = np.zeros((R, KEYS + 1), np.float32)
        np.cumsum(weights.remaining @ recalled.rows, axis=1, out=left[:, 1:])
        return Ground(x, register, stop, touch, left)

    def _along_keys(self, padded: Floats, layer: int) -> Floats:
        """The convolution along the keyboard: (R, 88 + margins, in) -> (R, 88, C), no bias."""
        weight = self._weights.along_keys[layer]
        R, size, (draft, key, number) = len(padded), len(weight), padded.strides
        shape, strides = (R, KEYS // BLOCK, size), (draft, BLOCK * key, number)
        blocks: Floats = np.ndarray(shape, np.float32, padded, strides=strides)  # they overlap
        return (blocks.reshape(-1, size) @ weight).reshape(R, KEYS, -1)

    # --- note by note ---------------------------------------------------------------------------

    def draw(
        self, ground: Ground, memory: Memory, noise: Floats
    ) -> tuple[list[Chosen], list[Decision]]:
        """The notes of R drafts of a step, from noise (R, 30), and what they were
        drawn from."""
        weights, wishes = self._weights, self._wishes
        at = np.arange(len(noise))
        lowest, above = np.full(len(at), NO_KEY), np.zeros((len(at), 3), np.float32)
        field, overall = ground.field, _overall(memory.level)
        chosen, decisions = [], []
        for finger in range(wishes.most):
            logits, mixed = self._scores(ground, at, field, lowest, finger)
            lot = noise[at, 3 * finger]
            leaning = logits + wishes.lean if wishes.is_leaning else logits
            index = drawn_index(leaning, wishes.pitch, lot, wishes.min_p)
            decisions.append(Decision(1, at, logits, index))
            going = index != STOP
            if not going.all():
                if not going.any():
                    break
                at, index, mixed, above = at[going], index[going], mixed[going], above[going]
                field = field[going]
            told = [
                mixed[np.arange(len(at)), index],
                *_touch(memory.level, overall, at, index),
                above,
            ]
            note, drawn = self._touched(ground, memory, at, index, told, noise[:, 3 * finger + 1 :])
            chosen.append(note)
            decisions += drawn
            if finger + 1 < wishes.most:
                field = field + weights.influence[index]
                lowest = index
                above = np.stack(
                    [np.ones(len(at)), note.bins / (VELOCITY_BINS - 1), note.lengths / 32],
                    1,
                    dtype=np.float32,
                )
        return chosen, decisions

    def _scores(
        self, ground: Ground, at: Ints, field: Floats, lowest: Ints, finger: int
    ) -> tuple[Floats, Floats]:
        """Logits (L, 89), the stop last, and the mixed field (L, 88, C)."""
        weights, L = self._weights, len(at)
        x = np.maximum(field, 0).reshape(-1, field.shape[2]) @ weights.mix
        x += weights.mix_bias
        np.maximum(x, 0, out=x)
        logits = np.empty((L, KEYS + 1), np.float32)
        logits[:, :STOP] = (x @ weights.score).reshape(L, KEYS)
        logits[:, :STOP] += ground.register[at]
        mixed = x.reshape(L, KEYS, -1)
        if finger == 0:
            logits[:, STOP] = 0  # not to be drawn
        else:
            hidden = ground.stop[at] + mixed.sum(axis=1) @ weights.stop_of_field
            hidden += weights.stop_of_lowest[lowest] + weights.stop_of_count[min(finger, MOST)]
            logits[:, STOP] = gelu(hidden) @ weights.stop_out
            logits[:, STOP] += weights.stop_out_bias + ground.left[at, lowest]
        logits += self._wishes.hidden[lowest]
        return logits, mixed

    def _touched(
        self, ground: Ground, memory: Memory, at: Ints, key: Ints, told: list[Floats], noise: Floats
    ) -> tuple[Chosen, list[Decision]]:
        """How loud and how long the chosen keys are."""
        weights, wishes = self._weights, self._wishes
        both = ground.touch[at] + weights.touch_of_key[key] + told[0] @ weights.touch_of_field
        both += np.concatenate(told[1:], axis=1) @ weights.touch_of_rest
        velocity, duration, loud, long = parts(both, weights.touch_sizes)
        recent = self._recent(memory, at, key)
        logits = gelu(velocity) @ weights.velocity + weights.velocity_bias
        logits += np.matmul(loud[:, None], recent[:, :, 0])[:, 0]
        bins = drawn_index(logits, wishes.velocity, noise[at, 0])
        played = (bins / np.float32(VELOCITY_BINS - 1)).astype(np.float32)[:, None]
        duration = duration + played * weights.touch_of_played
        longs = gelu(duration) @ weights.duration + weights.duration_bias
        longs += np.matmul(long[:, None], recent[:, :, 1])[:, 0]
        lengths = drawn_index(longs, wishes.length, noise[at, 1])
        decisions = [Decision(2, at, logits, bins), Decision(3, at, longs, lengths)]
        note = Chosen(at, key, bins, lengths)
        self._remember(memory, note)
        return note, decisions

    def _recent(self, memory: Memory, at: Ints, key: Ints) -> Floats:
        """Logarithms of shares of bins and of lengths near the keys, (L, 4, 2, 32)."""
        near, L = self._weights.near[key], len(at)
        counts = np.empty((L, RECENT, 2, VELOCITY_BINS), np.float32)
        for row, (rank, weight) in enumerate(zip(at.tolist(), near, strict=True)):
            faded = (weight @ memory.decayed[rank]).reshape(2, 2, -1)
            np.multiply(faded, memory.faded[:, None, None], out=counts[row, :2])
        thought = memory.thought[at] * near[:, memory.key_of][:, None]
        n = len(memory.key_of)
        counts[:, 2:] = (thought.reshape(2 * L, n) @ memory.marks).reshape(L, 2, 2, -1)
        counts += np.float32(0.003)
        counts /= counts.sum(axis=3, keepdims=True) + np.float32(0.003)
        return np.log(counts, out=counts)

    @staticmethod
    def _remember(memory: Memory, note: Chosen) -> None:
        """The notes below are told of this one, and later steps, too."""
        one = 1 / memory.faded
        for rank, key, bin_, length in zip(
            note.rank.tolist(),
            note.key.tolist(),
            note.bins.tolist(),
            note.lengths.tolist(),
            strict=True,
        ):
            marks = memory.decayed[rank][key].reshape(2, 2, -1)
            marks[:, 0, bin_] += one
            marks[:, 1, length] += one


def _overall(level: Floats) -> Floats:
    """Loudness over three spans, and length over a measure, of all keys: (R, 4)."""
    total = level.sum(axis=2).reshape(len(level), -1, 3)
    shares = total[..., 1:] / (total[..., :1] + np.float32(0.1))
    return np.concatenate([shares[..., 0], shares[:, 1:2, 1]], axis=1)


def _touch(level: Floats, overall: Floats, at: Ints, key: Ints) -> list[Floats]:
    """How loud and how long what was just played was, as `touches.touch`, (L, 7)."""
    near = np.matmul(level[at], AROUND[key][:, :, None]).reshape(len(at), -1, 3)
    local = near[..., 1:] / (near[..., :1] + np.float32(0.1))
    told = overall[at]
    return [told[:, :3], local[:, 1:, 0], told[:, 3:], local[:, 1:2, 1]]


def planes_of(
    held: Bools, count: Floats, before: list[Floats], latest: Floats, lines: Ints
) -> Floats:
    """The rows the note head reads, as `features.planes`, (R, 88, 14); count (R, 3, 88)."""
    R = len(held)
    planes = np.empty((R, KEYS, PLANES), np.float32)
    planes[..., 0] = held
    planes[..., 1:4] = np.log(count + np.float32(1)).swapaxes(1, 2)
    shares = profile(count @ OF_CLASS) * np.float32(2)
    planes[..., 4:7] = shares[..., CLASS].swapaxes(1, 2)
    for place, roll in enumerate(before, 7):
        planes[..., place] = roll
    planes[..., 11] = latest
    planes[..., 12:] = 0
    rows = np.arange(R)
    for place in (0, 1):
        planes[rows, lines[:, place], 12 + place] = latest[rows, lines[:, place]]
    return planes
