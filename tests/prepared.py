"""A tiny prepared folder for tests, made of random measures."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pianogen.grid import Measure, Meter
from pianogen.measure_rows import MEASURE_ROW, MeasureRows
from pianogen.shards import SPLITS, Piece, write_shards
from tests.music import random_measures

METERS = (Meter(4, 4), Meter(3, 4), Meter(2, 4))
VELOCITIES = ("recorded", "score", "flat")


def as_rows(measures: list[Measure], tempo: float = 100.0) -> MeasureRows:
    """Measures as the arrays a prepared folder holds; the first is a break."""
    notes, rows = [], []
    for number, measure in enumerate(measures):
        meter = measure.meter
        first = len(notes)
        rows.append((first, meter.numerator, meter.denominator, meter.steps, number == 0, tempo))
        notes += [(n.onset, n.pitch, n.velocity_bin, n.duration) for n in measure.notes]
    rows.append((len(notes), 4, 4, 32, 1, tempo))
    return MeasureRows(np.array(notes, np.uint8).reshape(-1, 4), np.array(rows, dtype=MEASURE_ROW))


def prepared_folder(folder: Path) -> Path:
    """Six pieces a split, of three meters, with all kinds of velocities."""
    pieces = []
    for split_number, split in enumerate(SPLITS):
        for number in range(6):
            rows = as_rows(random_measures(9, 10 * split_number + number, METERS[number % 3]))
            pieces.append((a_piece(split, number, rows), rows))
    write_shards(folder, pieces)
    return folder


def a_piece(split: str, number: int, rows: MeasureRows) -> Piece:
    """A piece of these measures, its velocities told in one of three ways."""
    return Piece(
        path=f"{split}-{number}.mid",
        corpus="made-up",
        kind="score",
        composer="nobody",
        title=str(number),
        group=f"{split}-{number}",
        split=split,
        velocity=VELOCITIES[number % 3],
        licence="CC0",
        weight=1.0,
        first_measure=0,
        n_measures=len(rows),
        n_notes=len(rows.notes),
        seconds=20.0,
    )
