"""Presets that change while the music plays, seen from the daemon.

Brings together the process that watches their folder, the shelf that says which of them count,
and the model process that loads what they need. The main loop polls; nothing here waits, reads a
file or parses one.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from time import perf_counter
from typing import assert_never

from bridge.arrivals import Inbox
from bridge.events import PresetsRead
from bridge.file_changes import Listing
from bridge.performer import Performer
from bridge.preset_shelf import Shelf
from bridge.preset_watch import AllTold, FileGone, FileRead, Finding, list_presets, watch
from bridge.presets import Preset, PresetFile, load_preset_files
from bridge.processes import start_process
from bridge.yaml_lines import shown
from pianogen.presets import find_presets

log = logging.getLogger(__name__)

MOST_A_POLL = 16  # findings taken in at once: a few hundred microseconds


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder of presets as it was read, and how its files looked just before."""

    path: Path
    files: tuple[PresetFile, ...]
    known: Listing

    @property
    def presets(self) -> tuple[Preset, ...]:
        """All of them, by number."""
        return tuple(file.preset for file in self.files)


def read_folder(path: Path | None = None) -> Folder:
    """Every preset of a folder (by default the package's); raises PresetError with every fault."""
    path = find_presets() if path is None else path
    known = list_presets(path) if path.is_dir() else {}
    return Folder(path, load_preset_files(path), known)


class Reload:
    """Puts PresetsRead on the daemon's queue when there are other presets to choose from."""

    def __init__(self, folder: Folder, performer: Performer, queue: Inbox) -> None:
        self._folder = folder
        self._presets = folder.presets
        self._shelf = Shelf(folder.files)
        self._performer = performer
        self._queue = queue
        self._outcomes = performer.outcomes
        self._process: BaseProcess | None = None
        self._connection: Connection | None = None

    def start(self) -> None:
        """Begin to watch."""
        ours, theirs = Pipe()
        folder = self._folder
        self._process = start_process("pianogen-presets", watch, theirs, folder.path, folder.known)
        self._connection = ours
        theirs.close()  # else its death would not be seen

    def poll(self) -> None:
        """Take in what was found and what was loaded. Never blocks, never raises."""
        has_news = self._take_in()
        if has_news or self._performer.outcomes != self._outcomes:
            self._outcomes = self._performer.outcomes
            self._settle()

    def close(self) -> None:
        """End the watching process."""
        if self._connection is not None:
            self._connection.close()
        if self._process is not None:
            self._process.terminate()
            self._process.join(0.5)

    def _take_in(self) -> bool:
        """Whether all of something that belongs together has been told."""
        has_news = False
        for _ in range(MOST_A_POLL):
            if self._connection is None:
                break
            try:
                if not self._connection.poll():
                    break
                has_news |= self._take(self._connection.recv())
            except (EOFError, OSError):
                log.warning(
                    "%s is no longer watched: start anew to reload", shown(self._folder.path)
                )
                self._connection = None
        return has_news

    def _take(self, finding: Finding) -> bool:
        match finding:
            case FileRead():
                if finding.file is not None:
                    self._shelf.put(finding.file)
                    self._performer.retry(finding.file.preset)
                for line in self._shelf.refusal(finding.name, finding.faults):
                    log.warning("%s", line)
            case FileGone():
                self._shelf.drop(finding.name)
            case AllTold():
                return True
            case _:
                assert_never(finding)
        return False

    def _settle(self) -> None:
        """Ask for the checkpoints that are missing; say which presets there are, where others."""
        self._performer.need([*self._shelf.read, *self._presets])
        presets, refusals = self._shelf.settle(self._performer.can_play)
        for line in refusals:
            log.warning("%s", line)
        if not presets:
            log.warning("no preset is left in %s: all stay as they were", shown(self._folder.path))
        elif presets != self._presets:
            log.info("%s", _told(self._presets, presets))
            self._presets = presets
            self._queue.put(PresetsRead(perf_counter(), presets))


def _told(before: Sequence[Preset], after: Sequence[Preset]) -> str:
    """What is other than before, in a line for people."""
    old = {preset.name: preset for preset in before}
    new = {preset.name: preset for preset in after}
    what = {
        "new": [name for name in new if name not in old],
        "changed": [name for name in new if name in old and new[name] != old[name]],
        "gone": [name for name in old if name not in new],
    }
    parts = (f"{', '.join(map(repr, names))} {is_}" for is_, names in what.items() if names)
    return f"presets: {'; '.join(parts)}"
