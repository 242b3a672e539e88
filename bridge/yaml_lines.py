"""YAML as a player wrote it: keys and values, each with its line, and nothing else.

Composed, never constructed: only plain values, lists and tables are ever built, and no file can
ask for more. Knows nothing of what the keys mean.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import yaml

_MAX_BYTES = 64 * 1024  # a file larger than this is something else


@dataclass(frozen=True, slots=True)
class Plain:
    """A single value, as YAML reads it."""

    value: object
    line: int


@dataclass(frozen=True, slots=True)
class Items:
    """A list."""

    items: tuple[Written, ...]
    line: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One key of a table; the line is the key's."""

    key: str
    value: Written
    line: int


@dataclass(frozen=True, slots=True)
class Table:
    """Keys and what they are given, in the order written; a key may be there twice."""

    entries: tuple[Entry, ...]
    line: int

    def twice(self) -> Iterator[tuple[Entry, Entry]]:
        """Each entry whose key was given before, and the first with that key."""
        first: dict[str, Entry] = {}
        for entry in self.entries:
            if first.setdefault(entry.key, entry) is not entry:
                yield entry, first[entry.key]


Written: TypeAlias = Plain | Items | Table


class UnreadableError(Exception):
    """A file that is no YAML, or no table; the message is one line, with file and line."""


def read_table(path: Path, what: str) -> Table:
    """The table a file holds, lines from 1; raises UnreadableError.

    what: the file should be, in words, for a file that is something else.
    """
    try:
        return _read(path, what)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = place(path, mark.line + 1 if mark else 1)
        problem = error.problem or error.context
        raise UnreadableError(f"not valid YAML: {problem} ({where})") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        if isinstance(error, OSError) and error.strerror:
            reason = error.strerror
        raise UnreadableError(f"cannot be read: {reason} ({shown(path)})") from None


def place(path: Path, line: int) -> str:
    """Where something was written, for people."""
    return f"{shown(path)}, line {line}"


def shown(path: Path) -> str:
    """A path as a reader here would write it: relative where it lies below."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def short(value: object) -> str:
    """A value that was given, not too long for a line."""
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 40 else text[:37] + "..."


def _read(path: Path, what: str) -> Table:
    data = path.read_bytes()
    if len(data) > _MAX_BYTES:
        raise ValueError(f"{len(data)} bytes is too long: {what}")
    loader = yaml.SafeLoader(data.decode("utf-8"))
    try:
        written = _Reader(loader).read(loader.get_single_node())
    finally:
        loader.dispose()
    if not isinstance(written, Table):
        raise ValueError(what)
    return written


class _Reader:
    """Nodes to what was written; lists and tables may be named (`&`) but not meant again (`*`):
    a few lines could mean more than there is memory for."""

    def __init__(self, loader: yaml.SafeLoader) -> None:
        self._loader = loader
        self._seen: set[int] = set()

    def read(self, node: yaml.Node | None) -> Written:
        """What a node holds; None, of an empty file, is a plain nothing."""
        if node is None:
            return Plain(None, 1)
        line = node.start_mark.line + 1
        if isinstance(node, yaml.ScalarNode):
            return Plain(self._loader.construct_object(node), line)
        if id(node) in self._seen:
            raise yaml.MarkedYAMLError(
                problem="a list or table is meant twice: write it out",
                problem_mark=node.start_mark,
            )
        self._seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            return Items(tuple(self.read(item) for item in node.value), line)
        assert isinstance(node, yaml.MappingNode)
        return Table(tuple(self._entry(key, value) for key, value in node.value), line)

    def _entry(self, key: yaml.Node, value: yaml.Node) -> Entry:
        name = str(key.value) if isinstance(key, yaml.ScalarNode) else "?"
        return Entry(name, self.read(value), key.start_mark.line + 1)
