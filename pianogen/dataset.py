"""Prepared measures to training windows: which are drawn, and how they are varied.

A window is K measures of one meter without a break. All windows of a batch have the same shape,
so nothing is padded. Notes travel; rolls are built where the network is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from pianogen.errors import ConfigError, DataError
from pianogen.families.flat_notes import COLUMNS, Notes
from pianogen.grid import HIGHEST_KEY, LOWEST_KEY, MAX_DURATION, STEPS_PER_BEAT, VELOCITY_BINS
from pianogen.measure_rows import Rows
from pianogen.shards import Shard

SHORTEST_METER = 8  # steps; shorter measures are left to their neighbours' windows
VOICE_ON_TOP = "-voice.mid"  # repeats the piano part beside it
VELOCITY_WEIGHT = {"recorded": 1.0, "edited": 1.0, "score": 0.25, "flat": 0.0}


@dataclass(frozen=True)
class Augmentation:
    """How windows are varied; every chance is 0..1.

    transpose: semitones either way, within the piano. velocity: bins either way, and a scale
    of up to `velocity_scale` either way. double: chance that a window is heard at twice its
    note values (each measure becomes two). articulation: chance that all lengths shrink by one
    factor, down to `shortest`. metric_shift: chance that a window begins half a measure later,
    where half is whole beats, so that music begins elsewhere in the measure and keeps its meter.
    """

    transpose: int = 6
    velocity: int = 3
    velocity_scale: float = 0.2
    double: float = 0.08
    articulation: float = 0.2
    shortest: float = 0.5
    metric_shift: float = 0.1

    def __post_init__(self) -> None:
        if not all(0 <= c <= 1 for c in (self.double, self.articulation, self.metric_shift)):
            raise ConfigError("augmentation: chances must be 0 to 1")
        if not (0 < self.shortest <= 1 and 0 <= self.velocity_scale < 1):
            raise ConfigError("augmentation: shortest and velocity_scale must be shares, 0 to 1")
        if min(self.transpose, self.velocity) < 0:
            raise ConfigError("augmentation: transpose and velocity must be at least 0")


NO_AUGMENTATION = Augmentation(
    transpose=0, velocity=0, velocity_scale=0.0, double=0.0, articulation=0.0, shortest=1.0,
    metric_shift=0.0,
)  # fmt: skip


@dataclass(frozen=True)
class Run:
    """Consecutive measures of one piece and one meter, [first, first + count)."""

    first: int
    count: int
    steps: int
    piece: int


@dataclass(frozen=True)
class Batch:
    """Windows as flat notes, how much each window's velocities count, and the measure of its
    split that each begins with (always on the CPU)."""

    notes: Notes
    velocity_weight: torch.Tensor  # (B,) float32
    first_measure: torch.Tensor  # (B,) int64

    def to(self, device: torch.device) -> Batch:
        """The same batch on another device."""
        return self._each(lambda column: column.to(device, non_blocking=True))

    def pinned(self) -> Batch:
        """The same batch in memory that a CUDA device reads while the processor goes on."""
        return self._each(lambda column: column.pin_memory())

    def share(self, rank: int, size: int) -> Batch:
        """Every `size`-th window from `rank` on, 0..size - 1, numbered anew."""
        notes = self.notes
        mine = notes.window % size == rank
        columns = {name: getattr(notes, name)[mine] for name in COLUMNS}
        columns["window"] = columns["window"] // size
        count = len(range(rank, notes.windows, size))
        share = Notes(count, notes.measures, notes.steps, **columns)
        return Batch(share, self.velocity_weight[rank::size], self.first_measure[rank::size])

    def _each(self, change: Callable[[torch.Tensor], torch.Tensor]) -> Batch:
        notes = self.notes
        columns = {name: change(getattr(notes, name)) for name in COLUMNS}
        changed = Notes(notes.windows, notes.measures, notes.steps, **columns)
        return Batch(changed, change(self.velocity_weight), self.first_measure)


def runs_of(shard: Shard) -> list[Run]:
    """Every stretch of at least two measures that windows may be cut from."""
    runs = []
    table = shard.measures
    for number, piece in enumerate(shard.pieces):
        first, end = piece.first_measure, piece.first_measure + piece.n_measures
        steps = table["steps"][first:end].astype(int)
        new = np.flatnonzero((np.diff(steps) != 0) | (table["is_break"][first + 1 : end] > 0)) + 1
        for a, b in zip([0, *new], [*new, len(steps)], strict=True):
            if b - a >= 2 and steps[a] >= SHORTEST_METER:
                runs.append(Run(first + int(a), int(b - a), int(steps[a]), number))
    return runs


def half_measures(table: Rows) -> NDArray[np.int64]:
    """Steps in half of each measure, (m,) of MEASURE_ROW -> (m,); 0 where half is no whole number
    of beats: 4/4, 2/2, 2/4 and, in dotted beats, 6/8 and 12/8 have halves, 3/4 and 9/8 do not."""
    upper, lower = table["numerator"].astype(np.int64), table["denominator"]
    is_compound = (upper > 3) & (upper % 3 == 0) & (lower >= 8)
    beats = np.where(is_compound, upper // 3, upper)
    return np.where(beats % 2 == 0, table["steps"].astype(np.int64) // 2, 0)


class Windows:
    """Batches of windows from one split; the same seed and number give the same batch.

    steps: grid steps in a batch, about. measures: the longest window.
    """

    def __init__(
        self, shard: Shard, *, steps: int, measures: int = 16,
        augmentation: Augmentation = NO_AUGMENTATION,
    ) -> None:  # fmt: skip
        self.shard, self.steps, self.measures = shard, steps, measures
        self.augmentation = augmentation
        self.pieces = shard.pieces
        self.halves = half_measures(shard.measures)
        self.buckets: dict[tuple[int, int], list[Run]] = {}
        for run in runs_of(shard):
            self.buckets.setdefault((run.steps, self._fit(run.count)), []).append(run)
        if not self.buckets:
            raise DataError("the prepared data has no two measures in a row to train on")
        self._weights = {
            shape: np.array([r.count * self.pieces[r.piece].weight for r in runs], dtype=float)
            for shape, runs in self.buckets.items()
        }

    def fewest(self) -> int:
        """Windows in the smallest batch."""
        return min(self._size(shape) for shape in self.buckets)

    def _size(self, shape: tuple[int, int]) -> int:
        return max(1, self.steps // (shape[0] * shape[1]))

    def _fit(self, count: int) -> int:
        fit = self.measures
        while fit > count:
            fit //= 2
        return max(fit, 2)

    def batch(self, seed: int, number: int) -> Batch:
        """Training batch `number`: windows drawn by their share of the music, and varied."""
        rng = np.random.default_rng((seed, number))
        shapes = list(self.buckets)
        mass = np.array([self._weights[s].sum() * s[0] for s in shapes])
        shape = shapes[rng.choice(len(shapes), p=mass / mass.sum())]
        weights = self._weights[shape]
        size = self._size(shape)
        chosen = rng.choice(len(weights), size=size, p=weights / weights.sum())
        runs = [self.buckets[shape][i] for i in chosen]
        starts = [run.first + int(rng.integers(run.count - shape[1] + 1)) for run in runs]
        shifted = rng.random(size) < self.augmentation.metric_shift
        lates = [
            self._half(run, start, shape[1]) if late else 0
            for run, start, late in zip(runs, starts, shifted, strict=True)
        ]
        return self._collate(shape, runs, starts, rng, lates)

    def _half(self, run: Run, start: int, measures: int) -> int:
        """Steps by which a window may begin later: half a measure, if the run goes on for one
        measure more than the window and every measure has that half; else 0."""
        if start + measures >= run.first + run.count:
            return 0
        return int(self.halves[start : start + measures + 1].min())

    def every(self, limit: int | None = None) -> Iterator[Batch]:
        """Windows side by side over the whole split, unvaried; at most `limit` batches, spread
        evenly."""
        places = [
            (shape, run, run.first + offset)
            for shape, runs in sorted(self.buckets.items())
            for run in runs
            if not self.pieces[run.piece].path.endswith(VOICE_ON_TOP)
            for offset in range(0, run.count - shape[1] + 1, shape[1])
        ]
        groups = []
        for shape in sorted({place[0] for place in places}):
            mine = [place for place in places if place[0] == shape]
            size = self._size(shape)
            groups += [mine[i : i + size] for i in range(0, len(mine), size)]
        if limit is not None and len(groups) > limit:
            groups = [groups[i] for i in np.linspace(0, len(groups) - 1, limit).astype(int)]
        rng = np.random.default_rng(0)
        for group in groups:
            yield self._collate(group[0][0], [g[1] for g in group], [g[2] for g in group], rng)

    def _collate(
        self, shape: tuple[int, int], runs: list[Run], starts: list[int],
        rng: np.random.Generator, lates: list[int] | None = None,
    ) -> Batch:  # fmt: skip
        steps, measures = shape
        rows = [
            self._vary(self._window(start, measures, steps, late), steps * measures, rng)
            for start, late in zip(starts, lates or [0] * len(starts), strict=True)
        ]
        window = np.repeat(np.arange(len(rows)), [len(r) for r in rows])
        notes = np.concatenate(rows).astype(np.int64)
        order = np.lexsort((-notes[:, 1], notes[:, 0], window))
        window, notes = window[order], notes[order]
        place = (window * measures * steps + notes[:, 0]) * 128 + notes[:, 1]
        fresh = np.ones(len(place), dtype=bool)
        fresh[1:] = place[1:] != place[:-1]
        columns = [torch.from_numpy(c.copy()) for c in (window[fresh], *notes[fresh].T)]
        counts = [VELOCITY_WEIGHT.get(self.pieces[run.piece].velocity, 1.0) for run in runs]
        return Batch(
            Notes(len(rows), measures, steps, *columns),
            torch.tensor(counts, dtype=torch.float32),
            torch.tensor(starts, dtype=torch.long),
        )

    def _window(self, start: int, measures: int, steps: int, late: int) -> NDArray[np.int64]:
        """Rows (time, key, velocity bin, duration) of `measures` measures from `late` steps into
        measure `start` on."""
        wide = measures + (late > 0)
        bounds = self.shard.measures["first_note"][start : start + wide + 1].astype(np.int64)
        notes = self.shard.notes[bounds[0] : bounds[-1]].astype(np.int64)
        notes[:, 0] += np.repeat(np.arange(wide), np.diff(bounds)) * steps - late
        notes[:, 1] = _into_piano(notes[:, 1]) - LOWEST_KEY
        return notes[(notes[:, 0] >= 0) & (notes[:, 0] < measures * steps)] if late else notes

    def _vary(
        self, notes: NDArray[np.int64], length: int, rng: np.random.Generator
    ) -> NDArray[np.int64]:
        how = self.augmentation
        if len(notes) == 0 or how == NO_AUGMENTATION:
            return notes
        if rng.random() < how.double and length % (4 * STEPS_PER_BEAT) == 0:
            half = int(rng.integers(2)) * (length // 2)
            notes = notes[(notes[:, 0] >= half) & (notes[:, 0] < half + length // 2)]
            notes[:, 0] = (notes[:, 0] - half) * 2
            notes[:, 3] *= 2
            if len(notes) == 0:
                return notes
        if rng.random() < how.articulation:
            notes[:, 3] = np.ceil(notes[:, 3] * rng.uniform(how.shortest, 1.0))
        low = max(-how.transpose, -int(notes[:, 1].min()))
        high = min(how.transpose, HIGHEST_KEY - LOWEST_KEY - int(notes[:, 1].max()))
        notes[:, 1] += rng.integers(low, high + 1)
        scale = 1 + rng.uniform(-how.velocity_scale, how.velocity_scale)
        moved = np.rint(notes[:, 2] * scale) + rng.integers(-how.velocity, how.velocity + 1)
        notes[:, 2] = moved.clip(0, VELOCITY_BINS - 1)
        notes[:, 3] = notes[:, 3].clip(1, MAX_DURATION)
        return notes


def _into_piano(pitch: NDArray[np.int64]) -> NDArray[np.int64]:
    """Pitches beyond the keyboard, brought onto it by octaves."""
    below = np.maximum(LOWEST_KEY - pitch + 11, 0) // 12
    above = np.maximum(pitch - HIGHEST_KEY + 11, 0) // 12
    folded: NDArray[np.int64] = pitch + 12 * below - 12 * above
    return folded
