"""A session log played again, at once: the same events to a new session, its actions held against
those in the log, byte for byte. No clock, no MIDI system and no model: the plans are in the log.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bridge.errors import LogError
from bridge.events import Action, Event
from bridge.log_file import read_lines
from bridge.log_records import Why, read_actions, read_end, read_event, read_head, record_of
from bridge.session import Session


@dataclass(frozen=True, slots=True)
class Step:
    """One event of a log. now: the newest time so far, in seconds.

    before, after: where the run was at `now`, in ticks, just before the event and just after.
    actions: what came of it now; None where the session failed. logged, replayed: the record as it
    was and as it is.
    """

    number: int
    event: Event
    now: float
    before: float | None
    after: float | None
    ahead_s: float
    actions: tuple[Action, ...] | None
    logged: bytes
    replayed: bytes

    @property
    def is_same(self) -> bool:
        """Whether the same came of it as when it was logged."""
        return self.logged == self.replayed

    def logged_actions(self) -> list[Any] | None:
        """What came of it when it was logged, requests in short. Raises LogError."""
        return read_actions(self.logged)


class Replay:
    """A log and the session that plays it again. Raises LogError where it cannot be read.

    count: events so far. difference: the first that came out otherwise. ended: why the log ends,
    once it has; None where it is cut off.
    """

    def __init__(self, path: Path) -> None:
        self.count = 0
        self.difference: Step | None = None
        self.ended: Why | None = None
        self._path = path
        self._made_by = ""
        self._lines = read_lines(path)
        line = next(self._lines, None)
        if line is None:
            raise LogError(f"{path}: is empty: it was cut off before anything was written")
        with self._named():
            self.head = read_head(line)
        self._made_by = f" (written by pianogen {self.head.made_by})"
        self.session = Session(self.head.presets, self.head.settings)
        self._now = float("-inf")

    def __iter__(self) -> Iterator[Step]:
        """Each event, played again; once only."""
        for line in self._lines:
            with self._named():
                if (end := read_end(line)) is not None:
                    self.ended = end.why
                    return
                event = read_event(line)
            step = self._play(event, line)
            if self.difference is None and not step.is_same:
                self.difference = step
            yield step

    def _play(self, event: Event, line: bytes) -> Step:
        self.count += 1
        now = self._now = max(self._now, event.time)
        before = self.session.run_at(now)
        actions: tuple[Action, ...] | None
        try:
            actions = tuple(self.session.handle(event))
        except Exception:  # as it may have done then: see LoggedSession
            actions = None
        return Step(
            number=self.count,
            event=event,
            now=now,
            before=before,
            after=self.session.run_at(now),
            ahead_s=self.session.ahead_s,
            actions=actions,
            logged=line,
            replayed=record_of(event, actions),
        )

    @contextmanager
    def _named(self) -> Iterator[None]:
        """What is wrong with a line is told with the log's name and the line's number."""
        try:
            yield
        except LogError as error:
            where = f"record {self.count + 1}" if self._made_by else "its first line"
            raise LogError(f"{self._path}: {where}: {error}{self._made_by}") from error
