"""Windows of music as numpy rolls, to score what a model and its baselines make of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pianogen.dataset import Batch
from pianogen.families.flat_notes import length_classes
from pianogen.grid import KEYS, VELOCITIES_PER_BIN

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

RHYTHMS = 32  # steps to the next onset: 0..30, and 31 for more
LOUDEST = 127


@dataclass(frozen=True, slots=True, eq=False)
class Windowed:
    """Notes of `windows` windows of `measures` measures of `steps` steps, one entry a note.

    window, time (steps from the window's first), key 0..87, velocity bin 0..31, duration in
    steps, and its class among the lengths a model chooses from. weight: one a window, how much
    its velocities count, 1 where they were played or edited by hand.
    """

    windows: int
    measures: int
    steps: int
    window: Ints
    time: Ints
    key: Ints
    velocity: Ints
    duration: Ints
    duration_class: Ints
    weight: Floats

    @classmethod
    def of(cls, batch: Batch) -> Windowed:
        """A batch of windows, from tensors."""
        notes = batch.notes
        return cls(
            windows=notes.windows,
            measures=notes.measures,
            steps=notes.steps,
            window=notes.window.numpy(),
            time=notes.time.numpy(),
            key=notes.key.numpy(),
            velocity=notes.velocity.numpy(),
            duration=notes.duration.numpy(),
            duration_class=length_classes(notes.duration).numpy(),
            weight=batch.velocity_weight.numpy().astype(np.float64),
        )

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of a roll: windows, steps in each, keys."""
        return self.windows, self.measures * self.steps, KEYS

    @property
    def where(self) -> tuple[Ints, Ints, Ints]:
        """Where in a roll each note begins."""
        return self.window, self.time, self.key

    @property
    def loudness(self) -> Floats:
        """Each note's velocity, 0..1."""
        return bin_loudness(self.velocity)

    def roll(self, values: NDArray[Any], empty: int = 0) -> NDArray[Any]:
        """One value a note, where it begins; `empty` elsewhere."""
        roll = np.full(self.shape, empty, values.dtype)
        roll[self.where] = values
        return roll

    def onsets(self) -> Bools:
        """Where notes begin."""
        return self.roll(np.ones(len(self.key), np.bool_))

    def held(self) -> Floats:
        """The velocity (0..1) of what sounds on from before each step, 0 where nothing does."""
        rolled = np.zeros(self.shape)
        lasting = np.minimum(self.duration, self.shape[1] - self.time) - 1
        note = np.repeat(np.arange(len(self.key)), lasting)
        first = np.repeat(lasting.cumsum() - lasting, lasting)
        time = self.time[note] + 1 + np.arange(len(note)) - first
        order = np.argsort(self.time[note], kind="stable")  # a pitch struck again is the newer
        note, time = note[order], time[order]
        rolled[self.window[note], time, self.key[note]] = self.loudness[note]
        return rolled

    def per_window(self, values: NDArray[Any], window: Ints | None = None) -> Floats:
        """(windows,) sums of values over each window; `window` tells whose each value is, the
        notes' where it is not given."""
        whose = self.window if window is None else window
        summed = np.bincount(whose, values.astype(np.float64), minlength=self.windows)
        return np.asarray(summed, np.float64)

    def note_before(self, values: NDArray[Any], empty: int = 0) -> NDArray[Any]:
        """One value a note: that of the note before it in its window; `empty` for the first."""
        before = np.full_like(values, empty)
        before[1:] = np.where(self.window[1:] == self.window[:-1], values[:-1], empty)
        return before

    def a_measure_ago(self, roll: NDArray[Any], empty: int = 0) -> NDArray[Any]:
        """The same roll one measure later: what stood at each place in the measure before."""
        later = np.full_like(roll, empty)
        later[:, self.steps :] = roll[:, : -self.steps]
        return later


def any_key(roll: Bools) -> Bools:
    """(B, T) where a roll has any key."""
    return np.asarray(roll.any(axis=2), np.bool_)


def bin_loudness(bins: Ints) -> Floats:
    """The velocities at the centres of bins (0..31), 0..1."""
    return (bins * VELOCITIES_PER_BIN + VELOCITIES_PER_BIN // 2) / LOUDEST


def until_next(begins: Bools) -> tuple[Ints, Bools]:
    """(B, T) steps to the next onset, 0..31 (31: that or more), and where the window shows it."""
    T = begins.shape[1]
    time = np.arange(T)
    coming = np.where(begins, time, 2 * T + RHYTHMS)
    soonest = np.minimum.accumulate(coming[:, ::-1], axis=1)[:, ::-1]
    known = (soonest < T) | (time + RHYTHMS - 1 < T)
    return np.minimum(soonest - time, RHYTHMS - 1), known
