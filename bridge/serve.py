"""The daemon itself, between real ports, until told to end: who sits where, and what is kept of it.

Each player has ports, a session, figures for `--status`, a log and a recording of its own; the
presets' folder and the model process are there for all.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from bridge.arrivals import Arrival, inlets
from bridge.daemon import Daemon
from bridge.errors import BridgeError
from bridge.parts import Part
from bridge.performer import Performer
from bridge.ports import Driver, system_ports
from bridge.recording import Recording
from bridge.reload import Folder, Reload
from bridge.reporter import Reporter
from bridge.seat import Seat, Watcher
from bridge.staged import Cast, ensemble

log = logging.getLogger("bridge")


@dataclass(frozen=True, slots=True)
class Playing:
    """A player to be: its ports, its cast, and where both voices are written, if anywhere."""

    part: Part
    cast: Cast
    record: Path | None


def serve(players: Sequence[Playing], folder: Folder, driver: Driver) -> None:
    """Play until told to end. Raises BridgeError where it cannot begin."""
    queue: SimpleQueue[Arrival] = SimpleQueue()
    casts = [player.cast for player in players]
    performer = ensemble(casts, queue, inlets(queue, len(players)), beside=True)
    reload = Reload(folder, performer, queue)
    names = [player.part.name if len(players) > 1 else "" for player in players]
    with ExitStack() as stack:
        seats = [
            stack.enter_context(_seat(player, performer, driver, name))
            for player, name in zip(players, names, strict=True)
        ]
        Daemon(seats, performer, queue, reload=reload).run()


@contextmanager
def _seat(playing: Playing, performer: Performer, driver: Driver, name: str) -> Iterator[Seat]:
    """A player's place and all that belongs to it; the recording is written when it is over."""
    part, cast, record = playing.part, playing.cast, playing.record
    ports = system_ports(part.wanted, driver)
    recording = Recording()
    watchers: list[Watcher] = [] if record is None else [recording]
    reported = _reported(part, performer)
    with cast.session(cast.presets) as session, reported as reporters:
        watchers += reporters
        yield Seat(session, ports, performer, watchers=watchers, number=part.number, name=name)
    if record is not None:
        recording.write(record, session.status().tempo, cast.settings.meter)
        log.info("wrote %s", record)


@contextmanager
def _reported(part: Part, performer: Performer) -> Iterator[Sequence[Reporter]]:
    """What lets `--status` see the player; nothing where another daemon has its name."""
    try:
        reporter = Reporter(part.name, performer, part.number)
    except BridgeError as error:
        log.warning("%s", error)
        yield ()
        return
    try:
        yield (reporter,)
    finally:
        reporter.close()
