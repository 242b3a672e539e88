"""Hand-made music: measures, and a prepared folder of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from pianogen.grid import Measure, Meter, Note
from pianogen.shards import Piece, write_shards
from tests.prepared import as_rows

C_MAJOR = (60, 62, 64, 65, 67, 69, 71, 72)


def measure(notes: Iterable[tuple[int, int, int, int]] = (), meter: Meter | None = None) -> Measure:
    """A measure of (onset, pitch, velocity bin, duration)."""
    return Measure(meter or Meter(), tuple(Note(*note) for note in notes))


def line(pitches: Sequence[int], *, every: int = 4, velocity_bin: int = 16) -> Measure:
    """One measure of single notes, `every` steps apart and as long."""
    return measure((i * every, pitch, velocity_bin, every) for i, pitch in enumerate(pitches))


def piece(name: str, split: str, velocity: str = "recorded") -> Piece:
    """A piece of which only the name, the split and the kind of velocities matter."""
    return Piece(
        path=f"{name}.mid", corpus="made", kind="score", composer="", title=name, group=name,
        split=split, velocity=velocity, licence="CC0 1.0", weight=1.0,
        first_measure=0, n_measures=0, n_notes=0, seconds=1.0,
    )  # fmt: skip


def prepared(out: Path, music: Mapping[tuple[str, str], Sequence[Measure]]) -> Path:
    """A prepared folder of pieces by (name, split)."""
    write_shards(out, [(piece(*name), as_rows(list(measures))) for name, measures in music.items()])
    return out
