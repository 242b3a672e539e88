"""What can be said of a stretch of music in numbers, and how near two stretches are.

Pure: measures in, numbers out. Only the notes that begin within a stretch count; what rings on
past its end is cut there, so that music which was going on and music which stops compare.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pianogen.grid import STEPS_PER_BEAT, VELOCITIES_PER_BIN, VELOCITY_BINS, Measure
from pianogen.keys import PITCH_CLASSES, Key, best_key

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

DENSITIES = (0, 1, 2, 4, 6, 9, 13, 18, 25, 35)  # notes a measure: where each bin begins
LENGTHS = (1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33)  # steps
MOST_SOUNDING = 10  # notes a step told apart


@dataclass(frozen=True, slots=True, eq=False)
class Stretch:
    """Consecutive measures of one meter as arrays, one entry a note, in order.

    measures, steps: how many, and steps in each. onset: step from the first line. pitch 0..127.
    velocity_bin 0..31. duration: steps, cut where the stretch ends.
    """

    measures: int
    steps: int
    onset: Ints
    pitch: Ints
    velocity_bin: Ints
    duration: Ints

    @classmethod
    def of(cls, measures: Sequence[Measure]) -> Stretch:
        """From measures; raises ValueError for none, or measures of different lengths."""
        lengths = {measure.meter.steps for measure in measures}
        if len(lengths) != 1:
            raise ValueError("a stretch is at least one measure, all equally long")
        steps = lengths.pop()
        rows = [
            (number * steps + note.onset, note.pitch, note.velocity_bin, note.duration)
            for number, measure in enumerate(measures)
            for note in measure.notes
        ]
        onset, pitch, velocity_bin, duration = np.array(rows, np.int64).reshape(-1, 4).T
        cut = np.minimum(duration, len(measures) * steps - onset)
        return cls(len(measures), steps, onset, pitch, velocity_bin, cut)

    @property
    def length(self) -> int:
        """Steps in all."""
        return self.measures * self.steps

    def sounding(self) -> Ints:
        """Notes sounding at each step, (length,); a pitch struck again counts once."""
        edges = np.zeros((self.length + 1, 128), np.int64)
        np.add.at(edges, (self.onset, self.pitch), 1)
        np.add.at(edges, (self.onset + self.duration, self.pitch), -1)
        return np.asarray((edges.cumsum(axis=0)[:-1] > 0).sum(axis=1), np.int64)

    def top_line(self) -> Ints:
        """The highest pitch that begins at each step with onsets, in time."""
        begins = np.unique(self.onset)
        return np.array([self.pitch[self.onset == step].max() for step in begins], np.int64)


# --- histograms, compared by overlap ------------------------------------------------------------


def histograms(stretch: Stretch) -> dict[str, Floats]:
    """Counts, by what is counted.

    pitch classes: notes, 12 bins. onset density: measures by the notes that begin in them, 10
    bins. polyphony: steps by notes sounding, 0..10 and more. velocity: notes, 32 bins. note
    length: notes by duration, 11 bins.
    """
    a_measure = np.bincount(stretch.onset // stretch.steps, minlength=stretch.measures)
    return {
        "pitch classes": _counts(stretch.pitch % PITCH_CLASSES, PITCH_CLASSES),
        "onset density": _counts(_binned(a_measure, DENSITIES), len(DENSITIES)),
        "polyphony": _counts(stretch.sounding().clip(max=MOST_SOUNDING), MOST_SOUNDING + 1),
        "velocity": _counts(stretch.velocity_bin, VELOCITY_BINS),
        "note length": _counts(_binned(stretch.duration, LENGTHS), len(LENGTHS)),
    }


def _counts(values: NDArray[Any], bins: int) -> Floats:
    return np.bincount(values, minlength=bins).astype(np.float64)


def _binned(values: NDArray[Any], beginnings: Sequence[int]) -> Ints:
    return np.searchsorted(beginnings, values, side="right") - 1


def overlap(a: Floats, b: Floats) -> float:
    """The area two histograms share once each is scaled to 1: 0 (nothing) to 1 (the same).

    Swain and Ballard's histogram intersection (1991). Two empty ones are the same, an empty
    one shares nothing with another.
    """
    if not a.sum() or not b.sum():
        return float(a.sum() == b.sum())
    return float(np.minimum(a / a.sum(), b / b.sum()).sum())


# --- the key ------------------------------------------------------------------------------------


def estimate_key(stretch: Stretch) -> Key | None:
    """The key that fits best how long each pitch class lasts; None where no note begins."""
    if not len(stretch.pitch):
        return None
    weights = stretch.duration.astype(np.float64)
    return best_key(np.bincount(stretch.pitch % PITCH_CLASSES, weights, PITCH_CLASSES).tolist())


def share_in_key(stretch: Stretch, key: Key | None) -> float:
    """Share of the notes that belong to the key's scale, 0..1; nan without notes or key.

    Notes at random score 0.58 in major, 0.67 in minor.
    """
    if key is None:
        return math.nan
    return _mean(np.isin(stretch.pitch % PITCH_CLASSES, key.scale))


# --- one number each ----------------------------------------------------------------------------


def figures(heard: Stretch, answer: Stretch) -> dict[str, float]:
    """What describes an answer beside what was heard; nan where it has no notes to say it of.

    Shares are 0..1. Beats are quarter notes from the measure line. The top line is the highest
    note of each step with onsets; "again" is one with the pitch of the one before it.
    """
    sounding = answer.sounding()
    filled = np.unique(answer.onset // answer.steps)
    top = answer.top_line()
    begins = np.unique(answer.onset) % answer.steps
    loudness = _mean(bin_centres(answer.velocity_bin))
    moved = _mean(answer.pitch) - _mean(heard.pitch)
    return {
        "notes in the key heard": share_in_key(answer, estimate_key(heard)),
        "onsets on beats": _mean(begins % STEPS_PER_BEAT == 0),
        "empty measures": 1 - len(filled) / answer.measures,
        "silent steps": _mean(sounding == 0),
        "notes a measure": len(answer.onset) / answer.measures,
        "notes an onset": len(answer.onset) / len(begins) if len(begins) else math.nan,
        "notes sounding": _mean(sounding),
        "note length, steps": _mean(answer.duration),
        "velocity": loudness,
        "louder than heard": loudness - _mean(bin_centres(heard.velocity_bin)),
        "top note again": _mean(top[1:] == top[:-1]),
        "longest run of a top note": float(longest_run(top)),
        "register moved, semitones": moved,
        "register moved either way": abs(moved),
    }


def bin_centres(bins: Ints) -> Ints:
    """The MIDI velocities (2..126) at the centres of bins."""
    return bins * VELOCITIES_PER_BIN + VELOCITIES_PER_BIN // 2


def longest_run(values: Ints) -> int:
    """How many equal values stand side by side at most; 0 for none."""
    changes = np.flatnonzero(values[1:] != values[:-1]) + 1
    edges = np.concatenate([[0], changes, [len(values)]])
    return int(np.diff(edges).max())


def _mean(values: NDArray[Any]) -> float:
    return float(values.mean()) if len(values) else math.nan


# --- how sure a figure is ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its 95 % interval, and how many pieces had something to say of it."""

    mean: float
    low: float
    high: float
    count: int
