"""The prepared folder: measures as memory-mapped arrays, one set a split, and an index.

    OUT/index.json                  grid version, pieces, counts; written last, so that a folder
                                    with an index is complete
    OUT/{split}.notes.npy           (N, 4) uint8: onset, pitch, velocity bin, duration
    OUT/{split}.measures.npy        MEASURE_ROW, and a last row with first_note = N

Splits are train, validation and test. Knows nothing of where the music came from.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from pianogen.errors import DataError
from pianogen.files import write_whole
from pianogen.grid import GRID_VERSION
from pianogen.measure_rows import MeasureRows, Notes, Rows, joined

SPLITS = ("train", "validation", "test")
INDEX = "index.json"
SHORTEST_METER = 8  # steps; shorter measures are left to their neighbours' windows
VOICE_ON_TOP = "-voice.mid"  # repeats the piano part beside it
# How much a piece's velocities count, by how they came about.
VELOCITY_WEIGHT = {"recorded": 1.0, "edited": 1.0, "score": 0.25, "flat": 0.0}


@dataclass(frozen=True, slots=True)
class Piece:
    """One file's measures in its split.

    first_measure indexes the split's measures. weight: how much of it is new music, 0..1.
    group: pieces with the same group hold the same music. seconds: to the last onset.
    """

    path: str
    corpus: str
    kind: str
    composer: str
    title: str
    group: str
    split: str
    velocity: str
    licence: str
    weight: float
    first_measure: int
    n_measures: int
    n_notes: int
    seconds: float


def write_shards(out: Path, pieces: Sequence[tuple[Piece, MeasureRows]]) -> tuple[Piece, ...]:
    """Write a prepared folder; the pieces come back with their place in it.

    Every file is written beside its place and moved there; an older index goes first.
    """
    try:
        if (out / INDEX).exists():
            (out / INDEX).unlink()
        placed = [piece for split in SPLITS for piece in _write_split(out, split, pieces)]
        write_whole(out / INDEX, _index(placed).encode())
    except OSError as error:
        raise DataError(f"{out}: cannot be written ({error.strerror})") from error
    return tuple(placed)


def _write_split(out: Path, split: str, pieces: Sequence[tuple[Piece, MeasureRows]]) -> list[Piece]:
    mine = [(piece, rows) for piece, rows in pieces if piece.split == split]
    whole = joined([rows for _, rows in mine])
    write_array(out / f"{split}.notes.npy", whole.notes)
    write_array(out / f"{split}.measures.npy", whole.measures)
    firsts = np.cumsum([0] + [len(rows) for _, rows in mine]).tolist()
    return [
        Piece(**{**asdict(piece), "first_measure": first, "n_measures": len(rows)})
        for (piece, rows), first in zip(mine, firsts, strict=False)
    ]


def write_array(path: Path, rows: NDArray[Any]) -> None:
    """Write an array as a .npy file, whole."""
    file = BytesIO()
    np.save(file, rows)
    write_whole(path, file.getvalue())


def _index(pieces: Sequence[Piece]) -> str:
    head = {"grid_version": GRID_VERSION, "counts": counts(pieces)}
    lines = ",\n".join(json.dumps(asdict(piece), ensure_ascii=False) for piece in pieces)
    return json.dumps(head, indent=1)[:-2] + f',\n "pieces": [\n{lines}\n]}}\n'


def counts(pieces: Sequence[Piece]) -> dict[str, dict[str, dict[str, float]]]:
    """By split and corpus: pieces, measures, notes and hours (each file counted whole)."""
    table: dict[str, dict[str, dict[str, float]]] = {split: {} for split in SPLITS}
    for piece in pieces:
        row = table[piece.split].setdefault(
            piece.corpus, {"pieces": 0, "measures": 0, "notes": 0, "hours": 0.0}
        )
        row["pieces"] += 1
        row["measures"] += piece.n_measures
        row["notes"] += piece.n_notes
        row["hours"] = round(row["hours"] + piece.seconds / 3600, 6)
    return table


@dataclass(frozen=True, slots=True, eq=False)
class Shard(MeasureRows):
    """One split of a prepared folder, its arrays mapped from disk."""

    pieces: tuple[Piece, ...]

    @classmethod
    def open(cls, folder: Path, split: str) -> Self:
        """Open a split; raises DataError, one line, where the folder cannot be used."""
        index = read_index(folder)
        try:
            pieces = tuple(Piece(**piece) for piece in index["pieces"] if piece["split"] == split)
            notes = _mapped(folder / f"{split}.notes.npy")
            measures = _mapped(folder / f"{split}.measures.npy")
            is_whole = int(measures[-1]["first_note"]) == len(notes)
        except (OSError, ValueError, TypeError, KeyError, IndexError) as error:
            raise DataError(f"{folder}: the {split} split cannot be read ({error})") from error
        if not is_whole or len(measures) - 1 != sum(piece.n_measures for piece in pieces):
            raise DataError(f"{folder}: the {split} split does not fit its index; prepare it again")
        return cls(notes, measures, pieces)


def read_index(folder: Path) -> Mapping[str, Any]:
    """The index of a prepared folder; raises DataError if it cannot be used."""
    try:
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        version = index["grid_version"]
    except FileNotFoundError as error:
        raise DataError(
            f"{folder}: no prepared data here; make it with pianogen prepare SOURCE --out {folder}"
        ) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{folder / INDEX}: cannot be read ({error})") from error
    if version != GRID_VERSION:
        raise DataError(
            f"{folder}: prepared for grid version {version}, this is {GRID_VERSION}; "
            "prepare it again"
        )
    return index  # type: ignore[no-any-return]


def _mapped(path: Path) -> Notes | Rows:
    try:
        return np.load(path, mmap_mode="r")  # type: ignore[no-any-return]
    except ValueError:  # an empty array cannot be mapped
        return np.load(path)  # type: ignore[no-any-return]
