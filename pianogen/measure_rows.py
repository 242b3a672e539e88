"""Measures as arrays: what is written to disk, memory-mapped and counted over.

    notes     (n, 4) uint8      onset step, pitch, velocity bin, duration in steps
    measures  (m,) MEASURE_ROW  where its notes begin, its meter, its tempo, whether it continues

Notes lie by measure, then onset, then from the top down. Knows nothing of files.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pianogen.grid import HIGHEST_KEY, LOWEST_KEY, Measure, Meter, Note

MEASURE_ROW = np.dtype(
    [
        ("first_note", np.uint32),
        ("numerator", np.uint8),
        ("denominator", np.uint8),
        ("steps", np.uint8),  # 1..64
        ("is_break", np.uint8),  # 1: does not continue the row before
        ("tempo", np.float32),  # quarter notes a minute, at the measure line
    ]
)

Notes = NDArray[np.uint8]
Rows = NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class MeasureRows:
    """Measures and their notes as arrays; one extra last row holds first_note = len(notes)."""

    notes: Notes  # (n, 4)
    measures: Rows  # (m + 1,)

    def __len__(self) -> int:
        return len(self.measures) - 1

    def measure(self, index: int) -> Measure:
        """Measure `index` (0..len - 1) as a value."""
        if not 0 <= index < len(self):
            raise IndexError(f"measure {index} of {len(self)}")
        row = self.measures[index]
        notes = self.notes[int(row["first_note"]) : int(self.measures[index + 1]["first_note"])]
        meter = Meter(int(row["numerator"]), int(row["denominator"]))
        return Measure(meter, tuple(Note(*note) for note in notes.tolist()))

    def all_measures(self) -> tuple[Measure, ...]:
        """Every measure as a value, breaks or not."""
        return tuple(self.measure(index) for index in range(len(self)))

    def tempo(self, index: int) -> float:
        """The tempo at the line of measure `index`, in quarter notes a minute."""
        return float(self.measures[index]["tempo"])

    def without_opening_silence(self) -> MeasureRows:
        """The same from the first measure in which a note begins."""
        first_notes = self.measures["first_note"]
        first = int(np.searchsorted(first_notes, 0, side="right")) - 1
        if first <= 0:
            return self
        measures = self.measures[first:].copy()
        measures["is_break"][0] = 1
        return MeasureRows(self.notes, measures)


def joined(pieces: list[MeasureRows]) -> MeasureRows:
    """Pieces one after another."""
    shift, notes, measures = 0, [np.zeros((0, 4), np.uint8)], []
    for piece in pieces:
        rows = piece.measures[:-1].copy()
        rows["first_note"] += shift
        shift += len(piece.notes)
        notes.append(piece.notes)
        measures.append(rows)
    end = np.zeros(1, MEASURE_ROW)
    end["first_note"] = shift
    return MeasureRows(np.concatenate(notes), np.concatenate([*measures, end]))


def into_piano(pitch: NDArray[np.int64]) -> NDArray[np.int64]:
    """Pitches beyond the keyboard, brought onto it by octaves."""
    below = np.maximum(LOWEST_KEY - pitch + 11, 0) // 12
    above = np.maximum(pitch - HIGHEST_KEY + 11, 0) // 12
    folded: NDArray[np.int64] = pitch + 12 * below - 12 * above
    return folded
