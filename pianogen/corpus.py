"""Corpora to a prepared folder: which files there are, each heard, all written.

Which process hears a file changes nothing in the result.
"""

from __future__ import annotations

import csv
import io
import multiprocessing
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pianogen.errors import DataError, PianogenError
from pianogen.files import write_whole
from pianogen.grid import STEPS_PER_BEAT
from pianogen.hearing import hear_file
from pianogen.measure_rows import MeasureRows
from pianogen.shards import Piece, counts, write_shards
from pianogen.sources import WITH_VOICE, SourceFile, chosen_files, find_files

LEFT_OUT = "broken.csv"


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A file that was not prepared, and why."""

    path: str
    corpus: str
    outcome: str  # "broken" or "skipped"
    reason: str


Heard = tuple[Piece, MeasureRows]
Result = Heard | LeftOut


@dataclass(frozen=True, slots=True)
class Report:
    """What `prepare` did."""

    out: Path
    pieces: tuple[Piece, ...]
    left_out: tuple[LeftOut, ...]

    @property
    def hours(self) -> float:
        """Hours of music prepared, each file counted whole."""
        return sum(piece.seconds for piece in self.pieces) / 3600

    def __str__(self) -> str:
        outcomes = Counter(left.outcome for left in self.left_out)
        lines = [
            f"{split:<11}{corpus:<24}{row['pieces']:>6} files {row['measures']:>8} measures "
            f"{row['notes']:>9} notes {row['hours']:>7.1f} hours"
            for split, corpora in counts(self.pieces).items()
            for corpus, row in corpora.items()
        ]
        lines.append(
            f"{len(self.pieces)} files, {self.hours:.1f} hours, in {self.out}; "
            f"{outcomes['broken']} broken and {outcomes['skipped']} skipped ({LEFT_OUT} says why)"
        )
        return "\n".join(lines)


def prepare(
    sources: Sequence[Path],
    out: Path,
    *,
    workers: int | None = None,
    clean_only: bool = False,
    corpora: Sequence[str] | None = None,
    progress: bool = True,
) -> Report:
    """Hear every file of the sources and write the prepared folder.

    workers: processes, by default one a core. clean_only: only files whose manifest lets trained
    weights be shipped. corpora: only these. Raises DataError where nothing is left to prepare.
    """
    files = [file for source in sources for file in find_files(source)]
    files = chosen_files(files, clean_only, corpora)
    with _mapper(workers or os.cpu_count() or 1) as mapped:
        results = list(_told(mapped(_hear, files), len(files), progress))
    pieces = _weighed([result for result in results if not isinstance(result, LeftOut)])
    left_out = tuple(result for result in results if isinstance(result, LeftOut))
    write_whole(out / LEFT_OUT, _table(left_out).encode())
    if not pieces:
        raise DataError(f"none of the {len(files)} files can be used; first: {left_out[0].reason}")
    return Report(out, write_shards(out, pieces), left_out)


def _hear(file: SourceFile) -> Result:
    piece = file.piece
    if not file.has_lines:
        return LeftOut(piece.path, piece.corpus, "skipped", "no measure lines known")
    try:
        rows = hear_file(file.root / piece.path, beats=file.beats).without_opening_silence()
    except PianogenError as error:
        reason = str(error).replace(f"{file.root}{os.sep}", "")
        return LeftOut(piece.path, piece.corpus, "broken", reason)
    velocity = piece.velocity or _velocity_kind(rows)
    return replace(piece, velocity=velocity, n_notes=len(rows.notes), seconds=_seconds(rows)), rows


def _velocity_kind(rows: MeasureRows) -> str:
    levels = len(np.unique(rows.notes[:, 2]))
    return "flat" if levels == 1 else "score" if levels < 10 else "recorded"


def _seconds(rows: MeasureRows) -> float:
    measures = rows.measures[:-1]
    beats = measures["steps"] / STEPS_PER_BEAT
    return round(float(np.sum(beats * 60.0 / measures["tempo"].astype(np.float64))), 3)


def _weighed(heard: Sequence[Heard]) -> list[Heard]:
    """A song with the voice and its piano part count half each where both are there."""
    paths = {(piece.corpus, piece.path) for piece, _ in heard}

    def has_twin(piece: Piece) -> bool:
        path = Path(piece.path)
        plain = path.stem.removesuffix(WITH_VOICE)
        stem = plain if path.stem != plain else plain + WITH_VOICE
        return (piece.corpus, path.with_stem(stem).as_posix()) in paths

    return [(replace(p, weight=0.5) if has_twin(p) else p, rows) for p, rows in heard]


Mapped = Callable[[Callable[[SourceFile], Result], Sequence[SourceFile]], Iterable[Result]]


@contextmanager
def _mapper(workers: int) -> Iterator[Mapped]:
    """A map in order, over processes where there are several; fresh ones, so no state comes in."""
    if workers == 1:
        yield map
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        yield lambda hear, files: pool.map(hear, files, chunksize=16)


def _told(results: Iterable[Result], total: int, progress: bool) -> Iterator[Result]:
    """The results as they come, with a bar on a terminal and a line a tenth elsewhere."""
    if not progress:
        yield from results
        return
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    if console.is_terminal:
        yield from track(results, "hearing files", total, console=console)
        return
    for done, result in enumerate(results, start=1):
        if done * 10 // total != (done - 1) * 10 // total:
            console.print(f"hearing files: {done} of {total}", highlight=False)
        yield result


def _table(left_out: Sequence[LeftOut]) -> str:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(("path", "corpus", "outcome", "reason"))
    table.writerows((row.path, row.corpus, row.outcome, row.reason) for row in left_out)
    return text.getvalue()
