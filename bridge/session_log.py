"""The log of a run, written beside the music: every event a session takes in, and what comes of it.

    main loop                     the log's thread, twice a second
    LoggedSession.handle ──► queue ──► lines ──► frame ──► file

The main loop appends to a queue and no more. The thread encodes a few records at a time and lets
the main loop go first in between. Whatever goes wrong here costs the log, never the music.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from queue import SimpleQueue
from time import sleep
from typing import TypeAlias
from urllib.parse import quote

from bridge.events import Action, Event
from bridge.log_file import SUFFIX, LogWriter
from bridge.log_records import End, Head, Why, line_of, record_of
from bridge.presets import Preset
from bridge.session import Session
from bridge.status import Settings

log = logging.getLogger("bridge")

MOST_BYTES = 64 << 20  # of one log: more than a day of playing
MOST_FOLDER_BYTES = 512 << 20  # of all logs in a folder; the oldest go when one begins
FLUSH_S = 0.5  # what a sudden death of the process may cost
MOST_WAITING = 1 << 17  # records not yet written; more, and the writer will never catch up
FEW = 16  # records encoded at a time, about 0.1 ms
AFTER_YOU_S = 0.0002  # between them the main loop has the interpreter to itself
HURRY = 1 << 13  # with so many waiting there is no time for that
CLOSE_S = 5.0

Record: TypeAlias = tuple[Event, tuple[Action, ...] | None]
Tell: TypeAlias = Callable[[Event, tuple[Action, ...] | None], None]


@dataclass(frozen=True, slots=True)
class LogPlace:
    """Where logs are kept, and whose: `name` is that of the ports."""

    folder: Path
    name: str


class LoggedSession(Session):
    """A session that tells each event and what came of it, in order; None where it failed."""

    def __init__(self, presets: Sequence[Preset], settings: Settings, tell: Tell) -> None:
        super().__init__(presets, settings)
        self._tell = tell

    def handle(self, event: Event) -> list[Action]:
        """As any session does."""
        try:
            actions = super().handle(event)
        except Exception:
            self._tell(event, None)
            raise
        self._tell(event, tuple(actions))
        return actions


@contextmanager
def kept_session(
    place: LogPlace | None, presets: Sequence[Preset], settings: Settings
) -> Iterator[Session]:
    """A session whose log is kept; where there is no place for one, or it fails, without."""
    kept = None
    if place is not None:
        try:
            kept = SessionLog(place, presets, settings)
        except OSError as error:
            log.warning("no session log: %s (%s)", error.filename or place.folder, error.strerror)
    if kept is None:
        yield Session(presets, settings)
        return
    log.info("session log: %s", kept.path)
    try:
        yield LoggedSession(presets, settings, kept.tell)
    finally:
        kept.close()


class SessionLog:
    """One log, from its head to its end; begins at once. Raises OSError where it cannot."""

    def __init__(
        self,
        place: LogPlace,
        presets: Sequence[Preset],
        settings: Settings,
        *,
        most_bytes: int = MOST_BYTES,
        most_folder_bytes: int = MOST_FOLDER_BYTES,
    ) -> None:
        now = datetime.now().astimezone()
        place.folder.mkdir(parents=True, exist_ok=True)
        make_room(place.folder, most_folder_bytes - most_bytes)
        self._most_bytes = most_bytes
        self._file = _new_file(place, now)
        began, made_by = now.isoformat(timespec="seconds"), version("pianogen")
        head = Head(made_by, began, place.name, tuple(presets), settings)
        self._file.write([line_of(head)])
        self._waiting: SimpleQueue[Record] = SimpleQueue()
        self._why: Why | None = None  # it is to end, or has ended
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="session log", daemon=True)
        self._thread.start()

    @property
    def path(self) -> Path:
        """Where it is."""
        return self._file.path

    def tell(self, event: Event, actions: tuple[Action, ...] | None) -> None:
        """Take note; costs a microsecond, and never fails."""
        if self._why is None:
            self._waiting.put((event, actions))
            if self._waiting.qsize() > MOST_WAITING:
                self._why = "behind"

    def close(self) -> None:
        """Write what is left. Takes 5 s at the very worst."""
        self._closing.set()
        self._thread.join(CLOSE_S)

    # The thread.

    def _keep(self) -> None:
        try:
            while self._why is None and not self._closing.wait(FLUSH_S):
                self._write()
                if self._file.size >= self._most_bytes:
                    self._why = "full"
            self._write()
            self._end(self._why or "over")
        except Exception as error:
            self._why = "over"
            self._warn(str(getattr(error, "strerror", None) or error))
        finally:
            with suppress(OSError):
                self._file.close()

    def _write(self) -> None:
        """Everything that waits now, as one frame."""
        count = self._waiting.qsize()
        lines = []
        for number in range(count):
            lines.append(record_of(*self._waiting.get()))
            if number % FEW == FEW - 1 and count < HURRY:
                sleep(AFTER_YOU_S)
        if lines:
            self._file.write(lines)

    def _end(self, why: Why) -> None:
        self._file.write([line_of(End(why))])
        if why != "over":
            self._warn(_REASONS[why])

    def _warn(self, why: str) -> None:
        log.warning("the session log ends here, playing on: %s (%s)", self.path, why)


_REASONS = {"full": "it is as large as logs may be", "behind": "the disk does not keep up"}


def make_room(folder: Path, most_bytes: int) -> None:
    """Remove the oldest logs of a folder until all are `most_bytes` at most. Raises OSError."""
    found = [(path.stat(), path) for path in folder.glob(f"*{SUFFIX}")]
    found.sort(key=lambda entry: entry[0].st_mtime_ns)
    total = sum(stat.st_size for stat, _ in found)
    for stat, path in found:
        if total <= most_bytes:
            return
        path.unlink(missing_ok=True)
        total -= stat.st_size


def _new_file(place: LogPlace, now: datetime) -> LogWriter:
    """A file of its own, though two may begin in the same second."""
    port = quote(place.name, safe="", errors="replace")
    name = f"{now:%Y-%m-%d_%H-%M-%S}_{port}"
    for number in range(1, 100):
        with suppress(FileExistsError):
            again = f"_{number}" if number > 1 else ""
            return LogWriter(place.folder / f"{name}{again}{SUFFIX}")
    raise FileExistsError(17, "there are a hundred logs of this second", str(place.folder))
