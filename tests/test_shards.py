"""The prepared folder: what is written is read, and what does not fit is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from pianogen.errors import DataError
from pianogen.grid import Measure, Meter, Note
from pianogen.hearing import hear_file
from pianogen.measure_rows import MEASURE_ROW, MeasureRows
from pianogen.shards import INDEX, Piece, Shard, write_shards
from tests.midi_files import STEP, note, signature, write


def piece(name: str, split: str) -> Piece:
    return Piece(
        path=f"{name}.mid",
        corpus="études",
        kind="score",
        composer="",
        title=name,
        group=name,
        split=split,
        velocity="flat",
        licence="CC0 1.0",
        weight=1.0,
        first_measure=0,
        n_measures=0,
        n_notes=0,
        seconds=1.0,
    )


@pytest.fixture
def rows(tmp_path: Path) -> MeasureRows:
    """Two measures: 3/4 with a chord, 4/4 with one note."""
    chord = [note(8 * STEP, pitch, 8 * STEP) for pitch in (60, 64, 67)]
    change = signature(24 * STEP, 4, 4)
    last = note(30 * STEP, 72, STEP)
    return hear_file(write(tmp_path / "a.mid", [signature(0, 3, 4), change, last, *chord]))


MEASURES = (
    Measure(Meter(3, 4), tuple(Note(8, pitch, 20, 8) for pitch in (67, 64, 60))),
    Measure(Meter(), (Note(6, 72, 20, 1),)),
)


def test_what_is_written_is_read(tmp_path: Path, rows: MeasureRows) -> None:
    out = tmp_path / "out"
    write_shards(
        out, [(piece(n, s), rows) for n, s in [("a", "train"), ("b", "test"), ("c", "train")]]
    )
    shard = Shard.open(out, "train")
    assert len(shard) == 4
    assert shard.all_measures() == MEASURES * 2
    assert [(p.title, p.first_measure, p.n_measures) for p in shard.pieces] == [
        ("a", 0, 2),
        ("c", 2, 2),
    ]
    assert shard.measures["is_break"][:-1].tolist() == [1, 0, 1, 0]
    assert Shard.open(out, "test").all_measures() == MEASURES


def test_the_arrays_are_mapped_and_of_their_types(tmp_path: Path, rows: MeasureRows) -> None:
    write_shards(tmp_path / "out", [(piece("a", "train"), rows)])
    shard = Shard.open(tmp_path / "out", "train")
    assert isinstance(shard.notes, np.memmap)
    assert shard.notes.dtype == np.uint8
    assert shard.notes.tolist() == [[8, 67, 20, 8], [8, 64, 20, 8], [8, 60, 20, 8], [6, 72, 20, 1]]
    assert shard.measures.dtype == MEASURE_ROW
    assert shard.measures["first_note"].tolist() == [0, 3, 4]
    assert shard.measures["steps"].tolist() == [24, 32, 0]


def test_a_split_without_pieces_is_empty(tmp_path: Path, rows: MeasureRows) -> None:
    write_shards(tmp_path / "out", [(piece("a", "train"), rows)])
    shard = Shard.open(tmp_path / "out", "validation")
    assert (len(shard), len(shard.notes), shard.pieces) == (0, 0, ())


def test_there_is_no_measure_outside_the_split(tmp_path: Path, rows: MeasureRows) -> None:
    for index in (-1, 2):
        with pytest.raises(IndexError):
            rows.measure(index)


def test_opening_silence_is_left_out(tmp_path: Path) -> None:
    late = hear_file(write(tmp_path / "a.mid", [note(70 * STEP, 60, STEP)]))
    cut = late.without_opening_silence()
    assert (len(late), len(cut)) == (3, 1)
    assert cut.measure(0).notes == (Note(6, 60, 20, 1),)
    assert cut.measures["is_break"][0] == 1


def damaged(out: Path, **changes: object) -> None:
    index = json.loads((out / INDEX).read_text())
    (out / INDEX).write_text(json.dumps({**index, **changes}))


def test_a_folder_that_cannot_be_used_is_refused_in_one_line(
    tmp_path: Path, rows: MeasureRows
) -> None:
    out = tmp_path / "out"
    with pytest.raises(DataError, match="no prepared data here"):
        Shard.open(out, "train")
    write_shards(out, [(piece("a", "train"), rows)])
    damaged(out, grid_version=99)
    with pytest.raises(DataError, match="grid version 99"):
        Shard.open(out, "train")
    damaged(out, grid_version=1, pieces=[])
    with pytest.raises(DataError, match="does not fit its index"):
        Shard.open(out, "train")
    (out / "train.notes.npy").unlink()
    with pytest.raises(DataError, match="cannot be read"):
        Shard.open(out, "train")
    (out / INDEX).write_text("{")
    with pytest.raises(DataError, match="cannot be read"):
        Shard.open(out, "train")


def test_writing_again_leaves_no_trace_of_the_last_time(tmp_path: Path, rows: MeasureRows) -> None:
    out = tmp_path / "out"
    write_shards(out, [(piece("a", "train"), rows), (piece("b", "test"), rows)])
    write_shards(out, [(piece("c", "test"), rows)])
    assert [p.title for split in ("train", "test") for p in Shard.open(out, split).pieces] == ["c"]
    assert not [path for path in out.iterdir() if path.name.startswith(".")]


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path, rows: MeasureRows) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be written"):
        write_shards(tmp_path / "file" / "out", [(piece("a", "train"), rows)])
