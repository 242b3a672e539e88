"""Figures as a table to read and as JSON to keep."""

from __future__ import annotations

import json
import math
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pianogen.errors import ConfigError
from pianogen.files import write_whole
from pianogen.metrics import Estimate

WIDTH, LABEL, CELL = 113, 29, 14  # characters
WHO_CELL, BARE_CELL = 12, 6  # columns of a table that has who in its rows

FEW = 5  # pieces; what is said of fewer is hardly more than of each by itself

Figure = float | Estimate
Columns = Mapping[str, Mapping[str, Figure]]


@dataclass(frozen=True, slots=True)
class Table:
    """Figures side by side. columns: who, then what. notes: what must be said of them."""

    title: str
    columns: Columns
    notes: Sequence[str] = ()

    def __str__(self) -> str:
        rows = dict.fromkeys(row for column in self.columns.values() for row in column)
        head = " " * LABEL + "".join(f"{who:>{CELL}}" for who in self.columns)
        lines = [
            f"{row:<{LABEL}}"
            + "".join(f"{_cell(column.get(row)):>{CELL}}" for column in self.columns.values())
            for row in rows
        ]
        return "\n".join([self.title, *(f"  {note}" for note in self.notes), "", head, *lines])

    def as_dict(self) -> dict[str, dict[str, Any]]:
        """The figures as plain values: who, then what."""
        return {
            who: {row: _plain(figure) for row, figure in column.items()}
            for who, column in self.columns.items()
        }


@dataclass(frozen=True, slots=True)
class Block:
    """Some columns of a Standing. headings: figure -> what stands over its column. is_bare: without
    intervals, in narrow columns. notes: what must be said of them."""

    headings: Mapping[str, str]
    is_bare: bool = False
    notes: Sequence[str] = ()

    @property
    def cell(self) -> int:
        """Characters of a column."""
        return BARE_CELL if self.is_bare else WHO_CELL


@dataclass(frozen=True, slots=True)
class Standing:
    """The same figures of many, one below the other: who, then what; in blocks of columns."""

    title: str
    columns: Columns
    blocks: Sequence[Block]

    def __str__(self) -> str:
        return "\n\n".join([self.title, *map(self._block, self.blocks)])

    def _block(self, block: Block) -> str:
        heads = [textwrap.wrap(words, block.cell - 1) for words in block.headings.values()]
        deep = max(map(len, heads))
        above = [[""] * (deep - len(words)) + words for words in heads]
        lines = [" " * LABEL + _cells(words, block.cell) for words in zip(*above, strict=True)]
        write = _short if block.is_bare else _rounded
        for who, column in self.columns.items():
            figures = (write(column.get(row)) for row in block.headings)
            lines.append(f"{who:<{LABEL}}" + _cells(figures, block.cell))
        notes = [*(f"  {note}" for note in block.notes), ""] if block.notes else []
        return "\n".join([*notes, *lines])

    def as_dict(self) -> dict[str, dict[str, Any]]:
        """The figures as plain values: who, then what."""
        return Table(self.title, self.columns).as_dict()


@dataclass(frozen=True, slots=True)
class Part:
    """Part of the music: how many pieces it has, and its figures: who, then what."""

    pieces: int
    columns: Columns

    @property
    def is_few(self) -> bool:
        """Whether it is too small to say much of."""
        return self.pieces < FEW


@dataclass(frozen=True, slots=True)
class Breakdown:
    """The same figures for each part of the music.

    parts by name. who, what: whose figures the table to read has, and which, each what under a
    heading; the plain values have all.
    """

    title: str
    parts: Mapping[str, Part]
    who: Sequence[str]
    what: Mapping[str, str]
    notes: Sequence[str] = ()

    def __str__(self) -> str:
        lines = [self.title, *(f"  {note}" for note in self.notes)]
        if any(part.is_few for part in self.parts.values()):
            lines.append(f"  Few: under {FEW} pieces, whose figures and intervals say little.")
        lines += ["", " " * LABEL + "".join(f"{heading:>{CELL}}" for heading in self.what.values())]
        for name, part in self.parts.items():
            few = ", few" if part.is_few else ""
            lines.append(f"{name} ({part.pieces}{few})")
            known = [who for who in self.who if part.columns.get(who)]
            lines += [self._line(who, part.columns[who]) for who in known]
        return "\n".join(lines)

    def _line(self, who: str, column: Mapping[str, Figure]) -> str:
        cells = "".join(f"{_cell(column.get(row)):>{CELL}}" for row in self.what)
        return f"{'  ' + who:<{LABEL}}" + cells

    def as_dict(self) -> dict[str, dict[str, Any]]:
        """The figures as plain values: part, then its pieces, whether they are few, and who,
        then what."""
        return {
            name: {
                "pieces": part.pieces,
                "is_few": part.is_few,
                **Table(self.title, part.columns).as_dict(),
            }
            for name, part in self.parts.items()
        }


@dataclass(frozen=True, slots=True)
class Report:
    """What an evaluation found. about: what was evaluated, on what, how; the same seed gives
    the same tables, but for those of time and memory. ms_per_measure: how long playing took, in
    milliseconds a measure, of one who played alone."""

    about: Mapping[str, Any]
    tables: Mapping[str, Table | Breakdown | Standing]
    ms_per_measure: float | None = None

    def __str__(self) -> str:
        about = "\n".join(_said(name, value) for name, value in self.about.items())
        tables = "\n\n".join(str(table) for table in self.tables.values())
        if self.ms_per_measure is not None:
            about += f"\nspeed: {self.ms_per_measure:.0f} ms a measure played"
        return f"{about}\n\n{tables}"

    def as_dict(self) -> dict[str, Any]:
        """The same as plain values; what is not known is null, what has no bound "infinite"."""
        tables = {name: table.as_dict() for name, table in self.tables.items()}
        speed = {} if self.ms_per_measure is None else {"ms_per_measure": self.ms_per_measure}
        return {**self.about, **speed, **tables}

    def write_json(self, path: Path) -> None:
        """Write it whole; raises ConfigError where that fails."""
        try:
            write_whole(path, (json.dumps(self.as_dict(), indent=1) + "\n").encode())
        except OSError as error:
            raise ConfigError(f"{path}: cannot be written ({error.strerror})") from error


def _said(name: str, value: Any) -> str:
    if isinstance(value, Mapping):
        value = ", ".join(f"{part.replace('_', ' ')} {n}" for part, n in value.items())
    return textwrap.fill(f"{name}: {value}", WIDTH, subsequent_indent="  ")


def _cell(figure: Figure | None) -> str:
    if figure is None:
        return ""
    if isinstance(figure, Estimate):
        return f"{_number(figure.mean)}{_spread(figure)}"
    return _number(figure)


def _cells(texts: Iterable[str], width: int) -> str:
    return "".join(f"{text:>{width}}" for text in texts)


def _rounded(figure: Figure | None) -> str:
    """A figure to 3 places with its interval."""
    if figure is None or not isinstance(figure, Estimate) or math.isnan(figure.mean):
        return _cell(figure)
    return f"{figure.mean:.{1 if abs(figure.mean) >= 20 else 3}f}{_spread(figure)}"


def _short(figure: Figure | None) -> str:
    """A figure in at most 5 characters, without its interval."""
    if figure is None:
        return ""
    value = figure.mean if isinstance(figure, Estimate) else figure
    if math.isnan(value):
        return "-"
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2 if abs(value) > 1 else 3
    return f"{value:.{digits}f}"


def _number(value: float) -> str:
    if math.isnan(value):
        return "-"
    if math.isinf(value):
        return "infinite"
    return f"{value:.1f}" if abs(value) >= 20 else f"{value:.{3 if abs(value) >= 0.1 else 4}f}"


def _spread(figure: Estimate) -> str:
    half = (figure.high - figure.low) / 2
    if math.isnan(half):
        return ""
    digits = 1 if half >= 1 else 2 if half >= 0.1 else 3
    return f"±{half:.{digits}f}".replace("±0.", "±.")


def _plain(figure: Figure) -> Any:
    if isinstance(figure, Estimate):
        return {name: _plain(value) for name, value in asdict(figure).items()}
    if math.isnan(figure):
        return None
    return "infinite" if math.isinf(figure) else figure
