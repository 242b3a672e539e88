"""The chords a network knows, counted over the training music in all its transpositions.

A chord is a set of the piano's 88 keys, packed into 11 bytes. The first of a vocabulary is the
empty one, silence; then the most frequent. A chord that is not in it is told by the nearest that
is. Pure numpy; knows no network.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from multiprocessing import get_context

import numpy as np
from numpy.typing import NDArray

from pianogen.families.arithmetic import Floats
from pianogen.families.chord_frames import Bools, Frames, Ints, frame_of, frames_in
from pianogen.grid import KEYS, LOWEST_KEY
from pianogen.measure_rows import MeasureRows, into_piano
from pianogen.shards import Shard

BYTES = KEYS // 8  # of a packed chord
PACKED = f"S{BYTES}"
TRANSPOSED = range(-6, 7)  # semitones; as the music is varied in training
# What counts how much between two chords: a key too many; one too few that is struck or an outer
# one; others count 1.
ADDED, STRUCK, OUTER = 2.0, 3.0, 2.0
A_JOB = 20_000  # measures counted by one process at a time

Packed = NDArray[np.uint8]  # (N, 11)


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """Chords, packed (V, 11) uint8. Rows that are empty beyond the first stand for no chord."""

    packed: Packed

    @cached_property
    def keys(self) -> Floats:
        """Which keys each has, (V, 88) of 0 and 1."""
        return np.unpackbits(self.packed, axis=1).astype(np.float32)

    @cached_property
    def is_chord(self) -> Bools:
        """Which rows stand for a chord, (V,)."""
        is_first = np.arange(len(self.packed)) == 0
        return np.asarray(is_first | (self.packed > 0).any(axis=1), np.bool_)

    @cached_property
    def _sorted(self) -> tuple[NDArray[np.bytes_], Ints]:
        rows = np.flatnonzero(self.is_chord)
        names = _names(self.packed[rows])
        order = names.argsort()
        return names[order], rows[order]

    def find(self, chords: Bools, struck: Bools | None = None) -> tuple[Ints, Bools]:
        """Of chords (N, 88) the rows, and whether each is known (N,).

        For one that is not, the row of the nearest: keys are missing rather than added, and those
        that are struck, if that is told (N, 88), or outer ones, last.
        """
        names, rows = self._sorted
        asked = _names(np.packbits(chords, axis=1))
        place = np.searchsorted(names, asked).clip(max=len(names) - 1)
        is_known = names[place] == asked
        found = rows[place]
        if not is_known.all():
            weight = _weights(chords, np.zeros_like(chords) if struck is None else struck)
            different, back = np.unique(weight[~is_known], axis=0, return_inverse=True)
            found[~is_known] = self._nearest(different)[back]
        return found, is_known

    def _nearest(self, weight: Floats) -> Ints:
        """Rows of the chords with the least cost, where each key that is not in one costs its
        weight (N, 88); of equals the most frequent."""
        added = ADDED * self.keys.sum(axis=1) + np.where(self.is_chord, 0, np.float32(1e9))
        cost = added - (weight + ADDED * (weight > 0)) @ self.keys.T
        return np.asarray(cost.argmin(axis=1), np.int64)


def _weights(chords: Bools, struck: Bools) -> Floats:
    """What each key counts that is missing in the chord told instead, (N, 88)."""
    weight = chords.astype(np.float32)
    some = np.flatnonzero(chords.any(axis=1))
    for outer in (chords.argmax(axis=1), KEYS - 1 - chords[:, ::-1].argmax(axis=1)):
        weight[some, outer[some]] = OUTER
    weight[chords & struck] = STRUCK
    return weight


def _names(packed: Packed) -> NDArray[np.bytes_]:
    """Each packed chord as one value that sorts; nothing is lost, as all are equally long."""
    return np.ascontiguousarray(packed).view(PACKED)[:, 0]


@dataclass(frozen=True, eq=False)
class Counted:
    """Different chords (N, 11), and in how many frames each sounds (N,)."""

    packed: Packed
    count: Ints

    @classmethod
    def over(cls, parts: Sequence[Counted]) -> Counted:
        """All of the parts together."""
        names = np.concatenate([_names(part.packed) for part in parts])
        different, which = np.unique(names, return_inverse=True)
        count = np.bincount(which, np.concatenate([part.count for part in parts]))
        packed = np.ascontiguousarray(different).view(np.uint8).reshape(-1, BYTES)
        return cls(packed, count.astype(np.int64))

    def transposed(self, semitones: int) -> Counted:
        """The same, so much higher; without those that would leave the piano."""
        keys = np.unpackbits(self.packed, axis=1)
        moved = np.roll(keys, semitones, axis=1)
        lost = keys[:, KEYS - semitones :] if semitones > 0 else keys[:, : -semitones or 0]
        stays = ~lost.any(axis=1)
        return Counted(np.packbits(moved[stays], axis=1), self.count[stays])


def build(music: Shard, frame: int, size: int, workers: int | None = None) -> Vocabulary:
    """The `size` most frequent chords of a split in all transpositions, silence first.

    The music is brought into frames by that many processes, by default one a core; however many
    there are, the chords are the same. Rows beyond the chords there are stay empty.
    """
    jobs = [
        (_part(music, first, min(first + A_JOB, len(music))), frame)
        for first in range(0, len(music), A_JOB)
    ]
    workers = min(workers or len(os.sched_getaffinity(0)), len(jobs))
    if workers <= 1:
        parts = [_count(job) for job in jobs]
    else:
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            parts = list(pool.map(_count, jobs))
    plain = Counted.over(parts)
    every = Counted.over([plain.transposed(semitones) for semitones in TRANSPOSED])
    order = np.argsort(-every.count, kind="stable")  # of equals, the one first in its bytes
    most = every.packed[order]
    most = most[most.any(axis=1)][: size - 1]
    packed = np.zeros((size, BYTES), np.uint8)
    packed[1 : 1 + len(most)] = most
    return Vocabulary(packed)


def _part(music: MeasureRows, first: int, end: int) -> MeasureRows:
    """Measures first..end as arrays of their own, small enough to be sent to a process."""
    rows = np.array(music.measures[first : end + 1])
    begins = int(rows["first_note"][0])
    notes = np.array(music.notes[begins : int(rows["first_note"][-1])])
    rows["first_note"] -= begins
    return MeasureRows(notes, rows)


def _count(job: tuple[MeasureRows, int]) -> Counted:
    """Chords of stretches of measures equally long."""
    part, frame = job
    steps = part.measures["steps"][:-1].astype(np.int64)
    breaks = (np.diff(steps) != 0) | (part.measures["is_break"][1:-1] > 0)
    edges = [0, *(np.flatnonzero(breaks) + 1).tolist(), len(steps)]
    counted = [
        _of_stretch(_part(part, first, end), int(steps[first]), frame)
        for first, end in pairwise(edges)
        if end > first
    ]
    return Counted.over(counted or [Counted(np.zeros((0, BYTES), np.uint8), np.zeros(0, np.int64))])


def _of_stretch(rows: MeasureRows, steps: int, frame: int) -> Counted:
    notes = rows.notes.astype(np.int64)
    firsts: Ints = rows.measures["first_note"].astype(np.int64)
    measure = np.repeat(np.arange(len(rows)), firsts[1:] - firsts[:-1])
    key = into_piano(notes[:, 1]) - LOWEST_KEY
    time = measure * steps + notes[:, 0]
    first, end = frame_of(time, steps, frame), frame_of(time + notes[:, 3], steps, frame)
    shape = (1, len(rows) * frames_in(steps, frame))
    frames = Frames.of(np.zeros_like(first), first, end, key, shape)
    chords = np.packbits(frames.sounding[0], axis=1)
    different, count = np.unique(_names(chords), return_counts=True)
    return Counted(np.ascontiguousarray(different).view(np.uint8).reshape(-1, BYTES), count)
