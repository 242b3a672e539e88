"""What runs beside the daemon to watch the presets' folder: it looks, reads and checks.

In a process of its own, behind all others: reading YAML would keep the music waiting, and so would
a disk that sleeps. Says what the files hold; what becomes of it is decided elsewhere.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TypeAlias

from bridge.file_changes import Changes, Listing
from bridge.presets import PresetFile, read_preset_file
from pianogen.presets import is_preset_file

LOOK_S = 0.25  # a change is told of after one look and another that shows the same
LOOKS_TO_RETRY = 8  # a file with faults is read again: what it names may be there by now
NICENESS = 10  # of -20..19: a file takes milliseconds, but is to be read beside a busy model, too


@dataclass(frozen=True, slots=True)
class FileRead:
    """What a changed file holds: a preset, or else faults, a line each for a person."""

    name: str
    file: PresetFile | None
    faults: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FileGone:
    """A file is no longer there."""

    name: str


@dataclass(frozen=True, slots=True)
class AllTold:
    """What was told since the last of these belongs together."""


Finding: TypeAlias = FileRead | FileGone | AllTold


def list_presets(folder: Path) -> Listing:
    """The preset files of a folder as they look now; raises OSError where it cannot be read."""
    with os.scandir(folder) as entries:
        found = [(entry.name, entry.stat()) for entry in _files(entries)]
    return {name: (stat.st_size, stat.st_mtime_ns, stat.st_ino) for name, stat in found}


def _files(entries: Iterable[os.DirEntry[str]]) -> Iterator[os.DirEntry[str]]:
    return (entry for entry in entries if is_preset_file(entry.name) and entry.is_file())


def watch(connection: Connection, folder: Path, known: Listing) -> None:
    """The process's whole life: say what differs from `known`, then what changes.

    Ends when the daemon's end of the pipe closes.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the daemon decides when this ends
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    watcher = FolderWatcher(folder, known)
    with contextlib.suppress(OSError):
        while not connection.poll(LOOK_S):  # nothing is ever sent: it is the end that comes
            for finding in watcher.look():
                connection.send(finding)


class FolderWatcher:
    """A folder looked at time after time."""

    def __init__(self, folder: Path, known: Listing) -> None:
        self._folder = folder
        self._changes = Changes(known)
        self._faults: dict[str, tuple[str, ...]] = {}
        self._looks = 0

    def look(self) -> list[Finding]:
        """What has come to rest since the last look; nothing where the folder cannot be seen."""
        self._looks += 1
        try:
            listing = list_presets(self._folder)
            settled = self._changes.look(listing)
            read = self._read_all(settled.changed, listing)
        except OSError:
            return []
        if self._looks % LOOKS_TO_RETRY == 0:
            read += self._retry()
        for name in settled.gone:
            self._faults.pop(name, None)
        gone = [FileGone(name) for name in settled.gone]
        return [*read, *gone, AllTold()] if read or gone else []

    def _read_all(self, names: Iterable[str], listing: Listing) -> list[FileRead]:
        """Read files, save those written to meanwhile: the next looks will show them changed."""
        read = [self._read(name) for name in names]
        after = list_presets(self._folder) if read else {}
        return [found for found in read if after.get(found.name) == listing[found.name]]

    def _read(self, name: str) -> FileRead:
        file, faults = read_preset_file(self._folder / name)
        self._faults.pop(name, None)
        if faults:
            self._faults[name] = tuple(faults)
        return FileRead(name, file, tuple(faults))

    def _retry(self) -> list[FileRead]:
        before = dict(self._faults)
        read = [self._read(name) for name in before]
        return [found for found in read if found.faults != before[found.name]]
