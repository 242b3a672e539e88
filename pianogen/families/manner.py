"""How loud and how long notes are played by a family that does not say so itself: as heard.

A note takes after one of those heard lately: the nearer it stood in the measure and on the
keyboard, and the later it was heard, the likelier. Pure; knows no network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pianogen.families.arithmetic import chosen
from pianogen.grid import STEPS_PER_BEAT, Measure

LATELY = 4  # measures with notes
UNHEARD_BIN, UNHEARD_STEPS = 16, STEPS_PER_BEAT // 2  # where nothing was heard
STEPS, SEMITONES, MEASURES = 4.0, 5.0, 2.0  # of distance, each as far as the others
EASE = 0.3  # at temperature 1: how much of such a distance does not matter

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Manner:
    """Notes heard, one entry each: onset in its measure (steps), pitch, velocity bin, duration in
    steps, and how many measures ago."""

    onset: Ints
    pitch: Ints
    bins: Ints
    lengths: Ints
    age: Ints

    @classmethod
    def of(cls, heard: Sequence[Measure]) -> Manner:
        """Of the last measures in which something begins, oldest first."""
        filled = [measure for measure in heard if measure.notes][-LATELY:]
        rows = [
            (note.onset, note.pitch, note.velocity_bin, note.duration, age)
            for age, measure in enumerate(reversed(filled))
            for note in measure.notes
        ]
        return cls(*np.array(rows, np.int64).reshape(-1, 5).T)

    def velocity_bin(self, onset: int, pitch: int, temperature: float, uniform: float) -> int:
        """How loud (0..31) a note at a step of the measure is; uniform: a number in 0..1 that
        decides."""
        one = self._like(onset, pitch, temperature, uniform)
        return UNHEARD_BIN if one is None else int(self.bins[one])

    def duration(self, onset: int, pitch: int, temperature: float, uniform: float) -> int:
        """How long (steps, 1..255) a note at a step of the measure is."""
        one = self._like(onset, pitch, temperature, uniform)
        return UNHEARD_STEPS if one is None else int(self.lengths[one])

    def _like(self, onset: int, pitch: int, temperature: float, uniform: float) -> int | None:
        if not len(self.onset):
            return None
        away = np.abs(self.onset - onset) / STEPS + np.abs(self.pitch - pitch) / SEMITONES
        away += self.age / MEASURES
        return chosen(-away / (EASE * temperature), uniform)
