"""Which files of a folder have changed, by what they look like time after time. Pure.

look        1     2     3     4     5
a.yaml      x     x     y     z     z       x, y, z: its stamp
                                    read    a file still being written is left alone
b.yaml      x     x           x     x       missing for one look: being put back by an editor
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

Stamp: TypeAlias = tuple[int, int, int]  # size in bytes, time of change in ns, number on the disk
Listing: TypeAlias = Mapping[str, Stamp]  # by a file's name


@dataclass(frozen=True, slots=True)
class Settled:
    """Files that have changed and come to rest, and files that are gone for good; by name."""

    changed: tuple[str, ...]
    gone: tuple[str, ...]


class Changes:
    """Compares listings; a change counts when the next listing shows the same.

    known: what the files looked like when they were last read.
    """

    def __init__(self, known: Listing) -> None:
        self._known = dict(known)
        self._last = dict(known)

    def look(self, listing: Listing) -> Settled:
        """Take a listing; returns what has come to rest in it since it was last told."""
        rests = [name for name in listing if self._last.get(name) == listing[name]]
        changed = [name for name in rests if self._known.get(name) != listing[name]]
        gone = [name for name in self._known if name not in listing and name not in self._last]
        self._last = dict(listing)
        self._known.update((name, listing[name]) for name in changed)
        for name in gone:
            del self._known[name]
        return Settled(tuple(sorted(changed)), tuple(sorted(gone)))
