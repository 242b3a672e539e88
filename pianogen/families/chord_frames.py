"""Measures as frames of sounding keys, and back. Pure numpy.

A frame is a stretch of the measure, `frame` steps long. Its chord is the set of keys that sound
in it, the empty set for silence. A key new in a chord is struck there; one that sounded in the
frame before is held or struck again, which the chord does not say, and a second table does:

    frame        0    1    2    3        C held through 0..2, E struck at 1 and again at 2:
    chord        C    CE   CE   -        the chords of 1 and 2 are the same,
    struck       C    E    E    -        what is struck makes two notes of it

A note is struck in the frame its onset lies in, and ends with the frame before the one its end
lies in, but lasts one frame at least. So lengths are right on average, notes that touch do not
overlap, and music written in whole frames comes back unchanged. Keys are 0..87 (see `sizes`).
Knows no network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pianogen.errors import ConfigError
from pianogen.families.sizes import key_of
from pianogen.grid import KEYS, LOWEST_KEY, MAX_STEPS, Measure, Meter, Note

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

Cell = Literal["lstm", "gru"]
UNHEARD = 16  # the velocity bin of notes that come back from frames, which do not say how loud


@dataclass(frozen=True)
class ChordsConfig:
    """Sizes of the network; what a checkpoint's metadata must hold to rebuild it.

    frame: steps a frame, 1..64; a sixteenth is 2, a quarter note 8. vocabulary: chords at most.
    """

    frame: int = 2
    cell: Cell = "lstm"
    feature: int = 512  # units of each of the two layers
    vocabulary: int = 16384
    rank: int = 64  # numbers a chord, beside those of its keys
    channels: int = 16  # of the convolution along the keyboard
    width: int = 25  # of it, keys
    dropout: float = 0.1

    def __post_init__(self) -> None:
        if not 1 <= self.frame <= MAX_STEPS:
            raise ConfigError(f"chords: frame must be 1 to {MAX_STEPS} steps, is {self.frame}")
        if min(self.feature, self.rank, self.channels) < 1 or self.vocabulary < 2:
            raise ConfigError("chords: sizes must be at least 1, the vocabulary at least 2")
        if self.width % 2 == 0 or not 0 <= self.dropout < 1:
            raise ConfigError("chords: width must be odd, and dropout at least 0 and less than 1")


def frames_in(steps: int, frame: int) -> int:
    """Frames in a measure of so many steps; the last may be a short one."""
    return -(-steps // frame)


def frame_of(time: Ints, steps: int, frame: int) -> Ints:
    """The frame that each time lies in; both count from the first measure line."""
    measure, step = np.divmod(time, steps)
    place: Ints = measure * frames_in(steps, frame) + step // frame
    return place


def step_of(place: Ints, steps: int, frame: int) -> Ints:
    """The step at which each frame begins."""
    measure, within = np.divmod(place, frames_in(steps, frame))
    step: Ints = measure * steps + within * frame
    return step


@dataclass(frozen=True, slots=True, eq=False)
class Frames:
    """What sounds in each frame and what is struck there, (rows, frames, 88) each; struck keys
    sound. What sounds in a row's first frame and is not struck was sounding before."""

    sounding: Bools
    struck: Bools

    @classmethod
    def of(cls, row: Ints, first: Ints, end: Ints, key: Ints, shape: tuple[int, int]) -> Frames:
        """Of notes that sound from frame `first` up to `end` in rows of frames, shape (rows,
        frames). One that is struck while its key sounds ends the note before; what lies outside
        of the row is cut off, an onset before it is not struck."""
        rows, length = shape
        end = np.maximum(end, first + 1)
        order = np.lexsort((end, first, key, row))
        row, first, end, key = row[order], first[order], end[order], key[order]
        again = (row[1:] == row[:-1]) & (key[1:] == key[:-1])
        end[:-1] = np.where(again, np.minimum(end[:-1], first[1:]), end[:-1])
        edges = np.zeros((rows, length + 1, KEYS), np.int32)
        np.add.at(edges, (row, first.clip(0, length), key), 1)
        np.add.at(edges, (row, end.clip(0, length), key), -1)
        struck = np.zeros((rows, length, KEYS), np.bool_)
        inside = (first >= 0) & (first < length)
        struck[row[inside], first[inside], key[inside]] = True
        return cls(edges.cumsum(axis=1)[:, :-1] > 0, struck)

    @classmethod
    def of_measures(cls, measures: Sequence[Measure], frame: int) -> Frames:
        """Of consecutive measures of one meter, as one row; pitches beyond the piano's keys are
        brought onto them by octaves."""
        steps = measures[0].meter.steps
        table = placed(measures)
        first = frame_of(table[:, 0], steps, frame)
        end = frame_of(table[:, 0] + table[:, 2], steps, frame)
        shape = (1, len(measures) * frames_in(steps, frame))
        return cls.of(np.zeros_like(first), first, end, table[:, 1], shape)

    def notes(self, row: int = 0) -> Ints:
        """The notes struck in a row, by frame and from the top down: (N, 3) of frame, key, and
        the frame in which it ends or that follows the last."""
        frame, key = np.nonzero(self.struck[row])
        stops = ~self.sounding[row] | self.struck[row]
        ends = [
            _next(stops[:, k], f + 1) for f, k in zip(frame.tolist(), key.tolist(), strict=True)
        ]
        table = np.stack([frame, key, np.array(ends, np.int64)], axis=1)
        return np.asarray(table[np.lexsort((-key, frame))], np.int64)


def _next(stops: Bools, first: int) -> int:
    """The first place from `first` on that is true, or the length."""
    rest = stops[first:]
    return first + (int(rest.argmax()) if rest.any() else len(rest))


def placed(measures: Sequence[Measure]) -> Ints:
    """The notes of measures of one meter: (N, 3) of step from the first line, key, duration."""
    rows = [
        (number * measure.meter.steps + note.onset, key_of(note.pitch), note.duration)
        for number, measure in enumerate(measures)
        for note in measure.notes
    ]
    return np.array(rows, np.int64).reshape(-1, 3)


def measures_of(frames: Frames, meter: Meter, frame: int) -> tuple[Measure, ...]:
    """The measures that a row of frames stands for, every note as loud as any other."""
    steps, (first, key, end) = meter.steps, frames.notes().T
    onset, ends = step_of(first, steps, frame), step_of(end, steps, frame)
    count = frames.struck.shape[1] // frames_in(steps, frame)
    notes: list[list[Note]] = [[] for _ in range(count)]
    for time, k, stop in zip(onset.tolist(), key.tolist(), ends.tolist(), strict=True):
        note = Note(time % steps, k + LOWEST_KEY, UNHEARD, stop - time)
        notes[time // steps].append(note)
    return tuple(Measure(meter, tuple(mine)) for mine in notes)


def round_trip(measures: Sequence[Measure], frame: int) -> dict[str, float]:
    """What is left of music that was brought into frames and back, as shares of its notes, 0..1.

    kept: of the pitch and within the frame of the onset. to the step: of those, at the very step.
    lengths: of those kept, at least half as long as before, and at most twice. All 1 where there
    are no notes. The measures are consecutive, of one meter.
    """
    before = placed(measures)
    if not len(before):
        return {"kept": 1.0, "to the step": 1.0, "lengths": 1.0}
    steps = measures[0].meter.steps
    back = placed(measures_of(Frames.of_measures(measures, frame), measures[0].meter, frame))
    after = {
        (place, key): (time, length) for place, (time, key, length) in _by_frame(back, steps, frame)
    }
    left = [
        (time, length, *after.pop((place, key)))
        for place, (time, key, length) in _by_frame(before, steps, frame)
        if (place, key) in after
    ]
    exact = sum(time == now for time, _, now, _ in left)
    alike = sum(length <= 2 * new <= 4 * length for _, length, _, new in left)
    count = max(len(left), 1)
    return {"kept": len(left) / len(before), "to the step": exact / count, "lengths": alike / count}


def _by_frame(table: Ints, steps: int, frame: int) -> list[tuple[int, tuple[int, int, int]]]:
    places = frame_of(table[:, 0], steps, frame)
    return [
        (place, (t, k, n)) for place, (t, k, n) in zip(places.tolist(), table.tolist(), strict=True)
    ]
