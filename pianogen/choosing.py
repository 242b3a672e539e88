"""Which of several drafts of a measure to play. Pure; knows no model.

A draft's score is a weighted sum of traits: how surprised the model was by it, a note, and how
far it departs from what was heard, in key, density, rhythm, register, loudness and length, and
how much it repeats. Where the weights are those of a classifier that tells true next measures
from drafts, exp(score) is how much likelier a draft is in true music than from the model; one
drawn by that from N drafts comes the nearer to true music the larger N is (sampling importance
resampling, Rubin 1987). `pianogen.weighing` fits them; a checkpoint carries its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from pianogen.grid import Measure
from pianogen.sampling import Sampling

Floats = NDArray[np.float64]

HEARD = 16  # measures that a draft is held against
LATE = 4  # of which the last tell what it should be like
ONSETS = 0.75  # of a density asked for, what goes into more onsets; the rest into thicker chords
AS_HEARD = Sampling()
LIKE = ("rhythm", "top moves", "bass moves", "classes", "pitches")
TRAITS = (
    "surprise", "touch surprise", "out of key", "fuller", "emptier", "more onsets", "fewer onsets",
    "mean pitch", "highest", "lowest", "loudness", "length", "notes an onset", "top leaps", "empty",
    *(f"{what} like any" for what in LIKE), *(f"{what} like the last" for what in LIKE),
    *(f"{what} repeated" for what in LIKE), "top pairs heard", "bass pairs heard",
    "chords heard", "chord classes heard", "harmony like any",
    "loudness spread", "loudness jumps in chords", "loudness jumps", "length spread",
    "pitch spread", "pitch class spread", "low",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Draft:
    """A measure, and its negative log-likelihood in nats: timing, pitch, velocity, length."""

    measure: Measure
    nats: tuple[float, ...]


def choose(
    heard: Sequence[Measure], drafts: Sequence[Draft], weights: Floats, noise: Floats,
    sampling: Sampling = AS_HEARD,
) -> int:  # fmt: skip
    """The place of the draft to play.

    weights (42,) of `TRAITS`; noise (N,) uniform numbers in 0..1, one a draft. sampling: what was
    asked for, which no draft should be marked down for.
    """
    if len(drafts) == 1:
        return 0
    phrase = Phrase.of(heard, sampling)
    score = np.array([phrase.traits(draft) @ weights for draft in drafts])
    gumbel = -np.log(-np.log(noise.clip(1e-12, 1 - 1e-12)))
    return int(np.argmax(score + gumbel))


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """What of one measure is compared: sets in the order of `LIKE`, notes (n, 4) of onset, pitch,
    bin and duration, the top line, the pairs of moves in the outer lines, the chords that begin,
    how long each pitch class sounds, (12,) of length 1, and what `_means` and `_spreads` say of
    notes, where there are any."""

    sets: tuple[frozenset[tuple[int, int]], ...]
    notes: Floats
    top: Floats
    pairs: tuple[frozenset[tuple[int, int]], frozenset[tuple[int, int]]]
    chords: tuple[frozenset[int], ...]
    harmony: Floats
    means: Floats | None
    spreads: Floats | None

    @classmethod
    def of(cls, measure: Measure) -> Shape:
        """Of a measure; empty where it is silent."""
        rows = [(n.onset, n.pitch, n.velocity_bin, n.duration) for n in measure.notes]
        top = {onset: pitch for onset, pitch, _, _ in reversed(rows)}  # from the top down, so
        bass = {onset: pitch for onset, pitch, _, _ in rows}  # the first and the last of each
        steps = sorted(bass)
        moves = [
            [(step, line[step] - line[before]) for before, step in pairwise(steps)]
            for line in (top, bass)
        ]
        sets = (
            frozenset((step, 0) for step in steps),
            *(frozenset(line) for line in moves),
            frozenset((onset, pitch % 12) for onset, pitch, _, _ in rows),
            frozenset((onset, pitch) for onset, pitch, _, _ in rows),
        )
        pairs = [frozenset((a, b) for (_, a), (_, b) in pairwise(line)) for line in moves]
        chords: dict[int, set[int]] = {}
        harmony = np.zeros(12)
        for onset, pitch, _, duration in rows:
            chords.setdefault(onset, set()).add(pitch)
            harmony[pitch % 12] += min(duration, measure.meter.steps - onset)
        notes = np.array(rows, dtype=np.float64).reshape(-1, 4)
        return cls(
            sets,
            notes,
            np.array([top[step] for step in steps], dtype=np.float64),
            (pairs[0], pairs[1]),
            tuple(frozenset(chord) for chord in chords.values()),
            harmony / max(float(np.sqrt((harmony**2).sum())), 1.0),
            _means(notes, len(steps)) if rows else None,
            _spreads(notes) if rows else None,
        )

    @property
    def onsets(self) -> int:
        """Steps on which something begins."""
        return len(self.sets[0])


@lru_cache(maxsize=4 * HEARD)
def _heard(measure: Measure) -> Shape:
    """The shape of a measure that was heard, and is held against drafts for some time."""
    return Shape.of(measure)


def _spreads(notes: Floats) -> Floats:
    """In the order of the last of `TRAITS`: standard deviations of bins, jumps of bins from note
    to note of a chord and from top to top, deviations of lengths in octaves and of pitches,
    entropy of the pitch classes, and the lowest pitch."""
    onset, pitch, bins, length = notes.T
    jumps, together = np.abs(np.diff(bins)), np.diff(onset) == 0
    tops = bins[np.r_[True, ~together]]
    share = np.bincount(pitch.astype(int) % 12, minlength=12) / len(pitch)
    return np.array(
        [
            bins.std(),
            jumps[together].mean() if together.any() else 0.0,
            np.abs(np.diff(tops)).mean() if len(tops) > 1 else 0.0,
            np.log2(length).std(),
            pitch.std() / 12,
            -float((share[share > 0] * np.log(share[share > 0])).sum()),
            pitch.min() / 12,
        ]
    )


def _means(notes: Floats, onsets: int) -> Floats:
    """Mean pitch, highest, lowest, mean bin, mean length in octaves, notes an onset."""
    _, pitch, bins, length = notes.T
    return np.array(
        [
            pitch.mean(), pitch.max(), pitch.min(), bins.mean(), np.log2(length).mean(),
            len(pitch) / max(onsets, 1),
        ]
    )  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Phrase:
    """What drafts are held against: the last measures that were heard."""

    shapes: tuple[Shape, ...]
    surprise: Floats  # (12,) of each pitch class, nats
    usual: float  # mean surprise of the notes heard themselves
    means: Floats | None
    spreads: Floats | None
    notes: float  # a measure
    onsets: float
    leap: float  # mean move of the top line, semitones
    pairs: tuple[frozenset[tuple[int, int]], ...]  # of moves, in the outer lines
    chords: frozenset[frozenset[int]]
    classes: frozenset[frozenset[int]]  # of the chords

    @classmethod
    def of(cls, heard: Sequence[Measure], sampling: Sampling = AS_HEARD) -> Phrase:
        """Of all measures heard, of which the last are looked at, as if they had been as full as
        is asked for, and in the scale."""
        shapes = tuple(_heard(measure) for measure in heard[-HEARD:])
        sounding, late = [shape for shape in shapes if len(shape.notes)], shapes[-LATE:]
        classes = np.zeros(12)
        for shape in sounding:
            np.add.at(classes, shape.notes[:, 1].astype(int) % 12, 1.0)
        classes[~np.isin(np.arange(12), sampling.pitch_classes)] = 0
        surprise = -np.log((classes + 0.5) / (classes.sum() + 6))
        leaps = [np.abs(np.diff(s.top)).mean() for s in sounding if s.onsets > 1]
        notes = float(np.mean([len(s.notes) for s in late])) if late else 0.0
        fuller = _fuller(sampling, notes)
        return cls(
            shapes,
            surprise,
            float((classes * surprise).sum() / max(classes.sum(), 1.0)),
            _thicker(_mean([shape.means for shape in sounding[-LATE:]]), fuller),
            _mean([shape.spreads for shape in sounding[-LATE:]]),
            fuller * notes,
            fuller**ONSETS * float(np.mean([s.onsets for s in late])) if late else 0.0,
            float(np.mean(leaps)) if leaps else 0.0,
            tuple(frozenset().union(*(s.pairs[line] for s in shapes)) for line in (0, 1)),
            frozenset(chord for s in shapes for chord in s.chords),
            frozenset(_classes(chord) for s in shapes for chord in s.chords),
        )

    def traits(self, draft: Draft) -> Floats:
        """The numbers of `TRAITS`, (42,)."""
        shape = Shape.of(draft.measure)
        timing, pitch, velocity, length = draft.nats
        count = len(shape.notes)
        fuller = np.log((1 + count) / (1 + self.notes))
        busier = np.log((1 + shape.onsets) / (1 + self.onsets))
        values = np.zeros(len(TRAITS))
        values[:2] = (timing + pitch) / (count + 1), (velocity + length) / (count + 1)
        values[3:7] = max(fuller, 0), max(-fuller, 0), max(busier, 0), max(-busier, 0)
        if count == 0:
            values[14] = 1.0
            return values
        classes = shape.notes[:, 1].astype(int) % 12
        values[2] = float(self.surprise[classes].mean()) - self.usual
        if self.means is not None and shape.means is not None:
            values[7:13] = np.abs(shape.means - self.means) / (12, 12, 12, 8, 1, 1)
        if self.spreads is not None and shape.spreads is not None:
            values[35:] = shape.spreads - self.spreads
        if shape.onsets > 1:
            values[13] = abs(float(np.abs(np.diff(shape.top)).mean()) - self.leap) / 4
        values[15:30] = self._likeness(shape)
        for line in (0, 1):
            values[30 + line] = len(shape.pairs[line] & self.pairs[line]) / max(
                len(shape.pairs[line]), 1
            )
        values[32] = np.mean([chord in self.chords for chord in shape.chords])
        values[33] = np.mean([_classes(chord) in self.classes for chord in shape.chords])
        values[34] = max((float(shape.harmony @ s.harmony) for s in self.shapes), default=0.0)
        return values

    def _likeness(self, shape: Shape) -> list[float]:
        """How like any measure heard it is, how like the last, and whether it repeats one."""
        alike = [
            [_shared(own, other.sets[n]) for other in self.shapes]
            for n, own in enumerate(shape.sets)
        ]
        best = [max(row, default=0.0) for row in alike]
        last = [row[-1] if row else 0.0 for row in alike]
        return [*best, *last, *(float(value == 1.0) for value in best)]


def _mean(rows: Sequence[Floats | None]) -> Floats | None:
    there = [row for row in rows if row is not None]
    return np.mean(there, axis=0) if there else None


def _fuller(sampling: Sampling, notes: float) -> float:
    """How many times the notes a measure that were heard are asked for."""
    if sampling.density == 1 or not (sampling.usual_notes and notes):
        return sampling.density
    return sampling.density * sampling.usual_notes / notes


def _thicker(means: Floats | None, fuller: float) -> Floats | None:
    """The same with chords as thick as go with that, never less than a note."""
    if means is None or fuller == 1:
        return means
    return np.append(means[:-1], max(means[-1] * fuller ** (1 - ONSETS), 1.0))


def _classes(chord: frozenset[int]) -> frozenset[int]:
    return frozenset(pitch % 12 for pitch in chord)


def _shared(one: frozenset[tuple[int, int]], two: frozenset[tuple[int, int]]) -> float:
    """How much two sets have in common, 0..1."""
    return len(one & two) / max(len(one), len(two), 1)
