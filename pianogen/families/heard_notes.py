"""What was heard lately, note after note, as a leaning of what is drawn.

A network that was trained on much music says what is likely in general; in this piece it is
likelier that what was heard comes again: the same waits from the same step of the measure, the
same keys there, the same lengths and loudness near in pitch. Of a value that was heard r times as
often as it usually is, the log odds rise by log r. How much what counts was chosen on a validation
split: by how likely music becomes, and how near continuations come to what follows. Pure; knows no
network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pianogen.families.arithmetic import Ints
from pianogen.families.sizes import DURATIONS, key_of
from pianogen.grid import KEYS, MAX_DURATION, Measure

HORIZON = 64  # steps: the longest wait told from longer ones
FADING = 0.7  # a measure, of how much a note counts

# --- waits ---
NEAR_WAIT = 8.0  # semitones over which waits after a note are alike
DOUBT = 8.0  # notes: what is usual counts as many as these
DOUBT_PLACE = 0.6  # notes at the same step of the measure, as which what comes elsewhere counts
DOUBT_STEP = 1.0  # notes, spread over the measure, that count as begun at every step
LANDING = 0.5  # of the logarithm of how often something began where a wait ends

# --- keys ---
KEY_PLACE = 64.0  # times as much counts a key heard at the same step of the measure
KEY_OTHER = 0.1  # times, one that began with the note before while this does not, or otherwise
KEY_DOUBT = 10.0  # notes heard there that count as much as the network

# --- loudness and lengths ---
NEAR_TOUCH = 3.0  # semitones over which they are alike
TOUCH_DOUBT = 20.0  # as DOUBT
TOUCH_DOUBT_PLACE = 0.2  # as DOUBT_PLACE

Floats64 = NDArray[np.float64]
CLASSES = np.abs(np.arange(MAX_DURATION + 1)[:, None] - np.array(DURATIONS)).argmin(axis=1)


@dataclass(frozen=True, slots=True, eq=False)
class HeardNotes:
    """Notes heard (n,), oldest first, in measures of so many steps: how much each counts, its
    onset, key, velocity bin, index of its length, and the wait before it; and of the note before it
    the key, the step in the measure, and how many notes began above it in its step."""

    steps: int
    weight: Floats64
    onset: Ints
    key: Ints
    velocity: Ints
    length: Ints
    wait: Ints
    before: Ints
    place: Ints
    rank: Ints

    @classmethod
    def of(cls, heard: Sequence[Measure]) -> HeardNotes:
        """Of measures that follow each other; the first note, whose wait is not known, is left
        out."""
        rows: list[tuple[int, ...]] = []
        line, last = 0, (0, 0, 0, 0)  # time, key, place and rank of the note before
        for age, measure in zip(range(len(heard) - 1, -1, -1), heard, strict=True):
            for note in measure.notes:
                now, key = line + note.onset, key_of(note.pitch)
                wait, length = min(now - last[0], HORIZON), int(CLASSES[note.duration])
                rows.append((age, note.onset, key, note.velocity_bin, length, wait, *last[1:]))
                last = (now, key, note.onset, 0 if wait else last[3] + 1)
            line += measure.meter.steps
        ages, *rest = np.array(rows[1:], np.int64).reshape(-1, 9).T
        steps = heard[-1].meter.steps if heard else 1
        return cls(steps, np.power(FADING, ages, dtype=np.float64), *rest)

    def waits(self, place: int, rank: int, key: int, usual: Floats64) -> Floats64:
        """How much likelier each wait 0..64 is than usual after a note of a key at a step of the
        measure with so many above it, in nats; usual: shares (65,)."""
        weight = self.weight * np.exp(-np.abs(self.before - key) / NEAR_WAIT)
        weight = np.where(self.rank == rank, weight, 0.0)
        shares = self._landing(place, _shares(self.wait, weight, usual, DOUBT))
        here = np.where(self.place == place, weight, 0.0)
        leaning: Floats64 = np.log(_shares(self.wait, here, shares, DOUBT_PLACE) / usual)
        return leaning

    def keys(self, place: int, chances: Floats64, *, is_within: bool) -> Floats64:
        """Chances (88,) of the keys of a note at a step of the measure, begun with the one before
        it or not, and to them those of the keys heard so; not a key that has none."""
        weight = np.where(self.onset == place, self.weight, self.weight / KEY_PLACE)
        weight *= np.where((self.wait == 0) == is_within, 1.0, KEY_OTHER)
        counts = np.bincount(self.key, weight, KEYS)
        return chances + counts * (chances > 0) / KEY_DOUBT

    def _landing(self, place: int, shares: Floats64) -> Floats64:
        """Of waits from a step of the measure, those likelier that end where something began: who
        is out of time finds back."""
        begun = np.where(self.wait > 0, self.weight, 0.0)
        often = np.bincount(self.onset, begun, self.steps) + DOUBT_STEP / self.steps
        ends = often[(place + np.arange(1, len(shares))) % self.steps]
        leant = shares[1:] * (ends / often.mean()) ** LANDING
        leant *= shares[1:].sum() / leant.sum()
        return np.concatenate([shares[:1], leant])

    def loudness(self, place: int, key: int, usual: Floats64) -> Floats64:
        """As `waits`, of the velocity bins 0..31 of a note of a key at a step of the measure."""
        return self._touches(self.velocity, place, key, usual)

    def lengths(self, place: int, key: int, usual: Floats64) -> Floats64:
        """As `waits`, of the indices into DURATIONS of a note of a key at a step of the measure."""
        return self._touches(self.length, place, key, usual)

    def _touches(self, values: Ints, place: int, key: int, usual: Floats64) -> Floats64:
        weight = self.weight * np.exp(-np.abs(self.key - key) / NEAR_TOUCH)
        shares = _shares(values, weight, usual, TOUCH_DOUBT)
        here = np.where(self.onset == place, weight, 0.0)
        leaning: Floats64 = np.log(_shares(values, here, shares, TOUCH_DOUBT_PLACE) / usual)
        return leaning


def _shares(values: Ints, weight: Floats64, usual: Floats64, doubt: float) -> Floats64:
    """Of each value the share it has in what was heard and `doubt` notes as usual."""
    counts = np.bincount(values, weight, len(usual))
    shares: Floats64 = (counts + doubt * usual) / (counts.sum() + doubt)
    return shares
