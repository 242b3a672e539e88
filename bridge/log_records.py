"""What a session log says, line by line: how it began, each event with what came of it, the end.

    ["Head", version, when, name, presets, settings]
    [["Tick", 1.0625]]                                an event; nothing came of it
    [["Wake", 1.25], ["Send", ["NoteOn", 1.25, 0, 60, 70]]]
    [["Tick", 1.2708], null]                          the session failed at it
    ["End", "over"]

A line is JSON, so that every number comes back as it was, to the bit. A request is kept in short,
its context as a checksum: what was answered to it is an event. Pure: no file, no clock reading.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, Union, get_args
from zlib import crc32

from bridge.errors import LogError
from bridge.events import Action, Ask, Event
from bridge.plain import plain, reader
from bridge.presets import Preset
from bridge.status import Settings
from bridge.wire import pack_measure
from pianogen.errors import PianogenError
from pianogen.sampling import Sampling

Why: TypeAlias = Literal["over", "full", "behind"]


@dataclass(frozen=True, slots=True)
class Head:
    """All that a session is made of, and where from.

    made_by: the version that wrote it. began: the date and time of day, ISO 8601. name: of the
    ports.
    """

    made_by: str
    began: str
    name: str
    presets: tuple[Preset, ...]
    settings: Settings


@dataclass(frozen=True, slots=True)
class Asked:
    """An Ask in short. measures: how many of context; heard: their crc32."""

    plan_id: int
    checkpoint: str
    seed: int
    start: int
    measures: int
    heard: int
    sampling: Sampling
    deadline: float
    wanted_by: float

    @classmethod
    def of(cls, ask: Ask) -> Asked:
        """What is kept of a request."""
        heard = 0
        for measure in ask.context:
            heard = crc32(pack_measure(measure), heard)
        return cls(
            plan_id=ask.plan_id,
            checkpoint=ask.checkpoint,
            seed=ask.seed,
            start=ask.start,
            measures=len(ask.context),
            heard=heard,
            sampling=ask.sampling,
            deadline=ask.deadline,
            wanted_by=ask.wanted_by,
        )


@dataclass(frozen=True, slots=True)
class End:
    """The log ends here: all is `over`, the log is `full`, or its writer fell `behind`."""

    why: Why


LOGGED: Any = Union[(Asked, *(kind for kind in get_args(Action) if kind is not Ask))]

_write = json.JSONEncoder(separators=(",", ":")).encode


def line_of(said: Head | End) -> bytes:
    """How a log begins or ends, as a line."""
    return _write(plain(said)).encode()


def record_of(event: Event, actions: Sequence[Action] | None) -> bytes:
    """An event and what came of it, as a line; None where the session failed at it."""
    parts = [plain(event)]
    if actions is None:
        parts.append(None)
    else:
        parts += [plain(Asked.of(a) if type(a) is Ask else a) for a in actions]
    return _write(parts).encode()


def read_head(line: bytes) -> Head:
    """How a log began; raises LogError."""
    head: Head = _read(Head, _parse(line))
    return head


def read_end(line: bytes) -> End | None:
    """Whether the line ends the log, and why; None for any other line."""
    return _read(End, _parse(line)) if line.startswith(b'["End"') else None


def read_event(line: bytes) -> Event:
    """The event of a record; raises LogError."""
    event: Event = _read(Event, _parts(line)[0])
    return event


def read_actions(line: bytes) -> list[Any] | None:
    """What came of the event of a record, requests as Asked; None where the session failed."""
    _, *actions = _parts(line)
    return None if actions == [None] else [_read(LOGGED, action) for action in actions]


def _parts(line: bytes) -> list[Any]:
    parts = _parse(line)
    if type(parts) is not list or not parts:
        raise LogError(f"{_short(line)} is no record of an event")
    return parts


def _parse(line: bytes) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        raise LogError(f"{_short(line)} is no line of a log") from error


def _read(hint: Any, data: Any) -> Any:
    try:
        return reader(hint)(data)
    except (ValueError, PianogenError) as error:
        raise LogError(str(error).splitlines()[0]) from error


def _short(line: bytes) -> str:
    text = line.decode(errors="replace")
    return text if len(text) <= 60 else text[:57] + "..."
