"""Which files there are to prepare, and what is known of each.

A source is a manifest (CSV, one file a row, paths from its own folder), a folder of MIDI files or
one such file. Nothing is heard here.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pianogen.errors import DataError
from pianogen.shards import SPLITS, Piece

MIDI_SUFFIXES = (".mid", ".midi")
WITH_VOICE = "-voice"  # ends the stem of a song's file that has the voice on top of the piano part


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A MIDI file to prepare: where it is, what is known of it, and how its measures are found.

    beats: its annotation file, if it has one. has_lines: whether its measure lines are known.
    """

    root: Path
    piece: Piece
    beats: Path | None = None
    has_lines: bool = True
    is_clean: bool = False


def find_files(source: Path) -> Iterator[SourceFile]:
    """The files of a source; raises DataError for what is no source or holds none."""
    if source.suffix.lower() == ".csv":
        yield from _of_manifest(source)
        return
    if not source.exists():
        raise DataError(f"{source}: there is no such file or folder")
    found = sorted(p for p in source.rglob("*") if p.suffix.lower() in MIDI_SUFFIXES)
    if source.is_file():
        found = [source]
    if not found:
        raise DataError(f"{source}: holds no MIDI files (.mid, .midi)")
    root = source if source.is_dir() else source.parent
    yield from (_of_folder(root, path) for path in found)


def _of_manifest(manifest: Path) -> Iterator[SourceFile]:
    try:
        with open(manifest, encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, ValueError) as error:
        raise DataError(f"{manifest}: cannot be read ({error})") from error
    for number, row in enumerate(rows, start=2):
        try:
            yield _of_row(manifest.parent, row)
        except KeyError as error:
            raise DataError(f"{manifest}: has no column {error}") from error
        except ValueError as error:
            raise DataError(f"{manifest}, line {number}: {error}") from error


def _of_row(root: Path, row: dict[str, str]) -> SourceFile:
    if row["split"] not in SPLITS:
        raise ValueError(f"split {row['split']!r} is none of {', '.join(SPLITS)}")
    same = ("path", "corpus", "kind", "composer", "title", "split", "velocity", "licence")
    return SourceFile(
        root=root,
        piece=_unheard(group=row["piece_group"], **{name: row[name] for name in same}),
        beats=root / row["beats_path"] if row["beats_kind"] == "annotation" else None,
        has_lines=row["beats_kind"] != "none",
        is_clean=row["weights_clean"] == "1",
    )


def _of_folder(root: Path, path: Path) -> SourceFile:
    stem = path.stem.removesuffix(WITH_VOICE)
    piece = _unheard(
        path=path.relative_to(root).as_posix(),
        corpus=root.resolve().name,
        kind="file",
        composer="",
        title=path.stem,
        group=stem,
        split=split_of(stem),
        velocity="",  # told from the notes
        licence="unknown",
    )
    return SourceFile(root, piece)


def _unheard(**known: str) -> Piece:
    return Piece(**known, weight=1.0, first_measure=0, n_measures=0, n_notes=0, seconds=0.0)


def split_of(stem: str) -> str:
    """The split of a file by its name alone: of ten, eight train, one validation and one test."""
    tenth = hashlib.sha256(stem.encode()).digest()[0] % 10
    return "train" if tenth < 8 else "validation" if tenth == 8 else "test"


def chosen_files(
    files: Sequence[SourceFile], clean_only: bool, corpora: Sequence[str] | None
) -> list[SourceFile]:
    """Those of these corpora, and clean where asked; raises DataError if that leaves none."""
    there = sorted({file.piece.corpus for file in files})
    for name in corpora or ():
        if name not in there:
            raise DataError(f"there is no corpus {name!r} here, only {', '.join(there)}")
    kept = [
        file
        for file in files
        if (file.is_clean or not clean_only) and (not corpora or file.piece.corpus in corpora)
    ]
    if not kept:
        raise DataError("no file is left to prepare: none is marked weights_clean in a manifest")
    return kept
