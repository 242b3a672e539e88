"""The notes of one step, drawn from the top down in several drafts, without torch.

A draft that has come to its stop is no longer computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pianogen.families.arithmetic import Bools, Floats, Ints, gelu, parts
from pianogen.families.cpu_echo import Chosen, Recalled
from pianogen.families.cpu_hearing import CLASS, OF_CLASS, profile
from pianogen.families.cpu_weights import BLOCK, Weights
from pianogen.families.drawn import Theme
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

Floats64: TypeAlias = NDArray[np.float64]

AROUND: Floats = (np.abs(np.arange(KEYS)[:, None] - np.arange(KEYS)) <= NEAR).astype(np.float32)


class Wishes:
    """How each of some drafts is to be drawn, as arrays: a `Sampling` and a push a theme.

    of (N,): which theme's a draft is. hidden (themes, 89, 89): what is added to the logits of the
    keys and of the stop where the lowest key so far is that of the row: only lower keys, and those
    in range; no stop before the first. lean (themes, 89): what is added to logits to draw from.
    All else is (N,); always, wanting and goal are the push's.
    """

    def __init__(self, themes: Sequence[Theme], of: Ints) -> None:
        samplings, pushes = [t.sampling for t in themes], [t.push for t in themes]

        def each(name: str, of_whom: Sequence[Sampling | Push] = samplings) -> Floats64:
            return np.array([getattr(one, name) for one in of_whom], np.float64)[of]

        inside = np.array([_inside(sampling) for sampling in samplings])
        self.of = of
        self.hidden = np.where([_open(keys) for keys in inside], 0, NOWHERE).astype(np.float32)
        leans = [lean_of(t.sampling, t.push) for t in themes]
        self.lean = np.array(leans, np.float32)
        self.is_leaning = bool(self.lean.any())
        self.anything = (inside & (self.lean[:, :STOP] == 0)).any(axis=1)[of]
        self.polyphony = np.array([sampling.max_polyphony for sampling in samplings])[of]
        self.most = np.minimum(self.polyphony, FINGERS)
        self.rhythm = each("rhythm_temperature").astype(np.float32)
        self.pitch, self.min_p = each("temperature"), each("min_p")
        self.velocity, self.length = each("velocity_temperature"), each("duration_temperature")
        self.always = each("always", pushes).astype(np.float32)
        self.wanting = each("wanting", pushes).astype(np.float32)
        self.goal = each("goal", pushes)
        self.is_pushing = bool(self.always.any() or self.wanting.any())
        self.is_bounded = bool(self.min_p.any())


def _inside(sampling: Sampling) -> Bools:
    """Which keys are in range, (88,)."""
    keys = np.arange(KEYS)
    inside: Bools = (keys >= sampling.low_pitch - LOWEST_KEY) & (
        keys <= sampling.high_pitch - LOWEST_KEY
    )
    return inside


def _open(inside: Bools) -> Bools:
    """Which keys, and whether the stop, may come below each lowest key so far, (89, 89)."""
    open_ = np.ones((KEYS + 1, KEYS + 1), bool)
    open_[:, :STOP] = (np.arange(KEYS) < np.arange(KEYS + 1)[:, None]) & inside
    open_[NO_KEY, STOP] = False
    return open_


def drawn_index(
    logits: Floats, temperature: Floats64, noise: Floats, min_p: Floats64 | None = None
) -> Ints:
    """An index a row, by its probability at its temperature; all but the logits (N,), noise in
    0..1."""
    tempered = logits / temperature[:, None]
    tempered -= tempered.max(axis=1, keepdims=True)
    chances = np.exp(tempered, out=tempered)
    if min_p is not None:
        chances *= chances >= min_p[:, None]  # the likeliest is 1 here
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
class Decision:
    """What was drawn from which logits, for its nats: of ranks among the drafts of the step."""

    kind: int  # 1 pitch, 2 velocity, 3 length
    rank: Ints
    logits: Floats
    index: Ints


class Chords:
    """Draws the notes of a step."""

    def __init__(self, weights: Weights, wishes: Wishes) -> None:
        self._weights, self._wishes = weights, wishes
        drafts = len(wishes.of)
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
        self, rows: Ints, ground: Ground, memory: Memory, noise: Floats
    ) -> tuple[list[Chosen], list[Decision]]:
        """The notes of a step in drafts `rows` (R,), from noise (R, 30), and what they were
        drawn from."""
        weights, wishes = self._weights, self._wishes
        at, most = np.arange(len(noise)), wishes.most[rows]
        least = most.min()
        lowest, above = np.full(len(at), NO_KEY), np.zeros((len(at), 3), np.float32)
        field, overall = ground.field, _overall(memory.level)
        chosen, decisions = [], []
        for finger in range(most.max()):
            if finger >= least:
                going = most[at] > finger
                at, field, lowest, above = (x[going] for x in (at, field, lowest, above))
                if not len(at):
                    break
            row = rows[at]
            logits, mixed = self._scores(ground, at, field, lowest, finger)
            logits += wishes.hidden[wishes.of[row], lowest]
            lot = noise[at, 3 * finger]
            leaning = logits + wishes.lean[wishes.of[row]] if wishes.is_leaning else logits
            min_p = wishes.min_p[row] if wishes.is_bounded else None
            index = drawn_index(leaning, wishes.pitch[row], lot, min_p)
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
            lots = noise[:, 3 * finger + 1 :]
            note, drawn = self._touched(rows, ground, memory, at, index, told, lots)
            chosen.append(note)
            decisions += drawn
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
        """Logits (L, 89), the stop last, of all keys, and the mixed field (L, 88, C)."""
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
        return logits, mixed

    def _touched(
        self,
        rows: Ints,
        ground: Ground,
        memory: Memory,
        at: Ints,
        key: Ints,
        told: list[Floats],
        noise: Floats,
    ) -> tuple[Chosen, list[Decision]]:
        """How loud and how long the chosen keys are."""
        weights, wishes, row = self._weights, self._wishes, rows[at]
        both = ground.touch[at] + weights.touch_of_key[key] + told[0] @ weights.touch_of_field
        both += np.concatenate(told[1:], axis=1) @ weights.touch_of_rest
        velocity, duration, loud, long = parts(both, weights.touch_sizes)
        recent = self._recent(memory, at, key)
        logits = gelu(velocity) @ weights.velocity + weights.velocity_bias
        logits += np.matmul(loud[:, None], recent[:, :, 0])[:, 0]
        bins = drawn_index(logits, wishes.velocity[row], noise[at, 0])
        played = (bins / np.float32(VELOCITY_BINS - 1)).astype(np.float32)[:, None]
        duration = duration + played * weights.touch_of_played
        longs = gelu(duration) @ weights.duration + weights.duration_bias
        longs += np.matmul(long[:, None], recent[:, :, 1])[:, 0]
        lengths = drawn_index(longs, wishes.length[row], noise[at, 1])
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
