"""The check's other side, in a process of its own: a DAW and a performer on an exact grid.

It sends what is due at its time, by absolute deadlines, and keeps what comes back with its stamp.
The processes share one monotonic clock, so what is heard here can be held against the grid.
"""

from __future__ import annotations

import contextlib
import signal
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from queue import Empty, SimpleQueue
from time import perf_counter, sleep
from typing import Any, Protocol, TypeAlias

from bridge.arrivals import Inbox
from bridge.check_music import Piece
from bridge.errors import BridgeError
from bridge.events import Event, MidiEvent, NoteOff, NoteOn, OutputDelay, Stop, Tick
from bridge.ledger import Ledger
from bridge.pipe_ports import PipePorts
from bridge.port_names import Wanted, own_name
from bridge.ports import Driver, system_ports
from bridge.priority import ask_for_real_time
from pianogen.grid import PPQN

BEFORE_S = 0.5  # from the announcement of a piece to its first tick
AFTER_S = 1.0  # from Stop to the end of listening
HEARD_S = 5.0  # what is sent must have been heard by then
FINE_S, SPIN_S = 0.001, 0.0001  # before a deadline: the wait becomes fine; the last is not slept
PROBE = NoteOff(0.0, 15, 0)  # ends a note that nobody began: heard, and without effect


class Outlet(Protocol):
    """What plays to the daemon: ports that take a DAW's messages too."""

    def open(self, queue: Inbox) -> str:
        """Open them; what the daemon sends comes on `queue`."""

    def send(self, message: Any) -> None:
        """Send one message."""

    def close(self) -> None:
        """Make them go."""


@dataclass(frozen=True, slots=True)
class Route:
    """How to reach the daemon: through the system's ports called after `name`, or a pipe."""

    name: str
    driver: Driver
    pipe: Connection | None = None

    def outlet(self) -> Outlet:
        """The way there, not yet open."""
        if self.pipe is not None:
            return PipePorts(self.pipe)
        ends = own_name(self.name, "out"), own_name(self.name, "in")
        return system_ports(Wanted(f"{self.name} daw", *ends), self.driver)


# What it says to the check.


@dataclass(frozen=True, slots=True)
class Opened:
    """The ports are there, and it was this time."""

    time: float


@dataclass(frozen=True, slots=True)
class Began:
    """A piece is about to begin; its first tick is at `origin`, monotonic seconds."""

    number: int
    origin: float


@dataclass(frozen=True, slots=True)
class Heard:
    """What came of a piece, or of the part of it that was played.

    source_late_ms: how late each message was sent. received: when each of the machine's note-ons
    came. left_sounding: notes begun and not ended after Stop.
    """

    ticks_sent: int = 0
    source_late_ms: array[float] = field(default_factory=lambda: array("d"))
    received: array[float] = field(default_factory=lambda: array("d"))
    left_sounding: int = 0


@dataclass(frozen=True, slots=True)
class Trouble:
    """It could not play: one line for a person."""

    text: str


Word: TypeAlias = Opened | Began | Heard | Trouble


def run(connection: Connection, route: Route, pieces: Sequence[Piece]) -> None:
    """The process's whole life: open, wait to be heard, play each piece and tell of it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the check decides when this ends
    ask_for_real_time()  # as a DAW does
    queue: SimpleQueue[Event] = SimpleQueue()
    outlet = route.outlet()
    try:
        outlet.open(queue)
        connection.send(Opened(perf_counter()))
        if _is_heard(outlet, connection):
            daw = _Daw(outlet, queue, connection)
            for number, piece in enumerate(pieces):
                if not daw.play(number, piece):
                    break
    except BridgeError as error:
        connection.send(Trouble(str(error)))
    except (EOFError, OSError):  # the check is gone
        pass
    finally:
        outlet.close()


def _is_heard(outlet: Outlet, connection: Connection) -> bool:
    """Send something harmless until the check says that the daemon heard it."""
    until = perf_counter() + HEARD_S
    while perf_counter() < until:
        outlet.send(replace(PROBE, time=perf_counter()))
        if connection.poll(0.2):
            return bool(connection.recv())
    connection.send(
        Trouble(
            "nothing that is sent to the daemon's port arrives there: the MIDI system connected it "
            "and does not serve it; try again, or start the MIDI system anew"
        )
    )
    return False


class _Daw:
    """Plays one piece after the other."""

    def __init__(self, outlet: Outlet, queue: SimpleQueue[Event], connection: Connection) -> None:
        self._outlet = outlet
        self._queue = queue
        self._connection = connection
        self._ahead_s = 0.0  # how long the port keeps what it is given
        self._ledger = Ledger()
        self._ticks = 0
        self._late_ms, self._received = array("d"), array("d")

    def play(self, number: int, piece: Piece) -> bool:
        """To its end, or to where the check wants no more; returns whether it was played whole."""
        self._drain()
        self._ledger, self._ticks = Ledger(), 0
        self._late_ms, self._received = array("d"), array("d")
        origin = perf_counter() + BEFORE_S
        self._connection.send(Began(number, origin))
        is_whole = True
        for event in piece.events():
            self._send(replace(event, time=origin + event.time))
            if self._ticks % PPQN == 0 and isinstance(event, Tick) and self._connection.poll(0):
                is_whole = False
                self._send(Stop(perf_counter()))
                break
        sleep(AFTER_S)
        self._drain()
        heard = Heard(self._ticks, self._late_ms, self._received, len(self._ledger.sounding))
        self._connection.send(heard)
        return is_whole

    def _send(self, event: MidiEvent) -> None:
        due = event.time - self._ahead_s
        _sleep_until(due)
        self._outlet.send(replace(event, time=due))
        self._late_ms.append((perf_counter() - due) * 1000)
        self._ticks += isinstance(event, Tick)
        self._drain()

    def _drain(self) -> None:
        for event in _waiting(self._queue):
            match event:
                case OutputDelay():
                    self._ahead_s = event.delay_s
                case NoteOn() | NoteOff():
                    self._ledger.record(event, event.time)
                    if isinstance(event, NoteOn):
                        self._received.append(event.time)
                case _:
                    pass


def _waiting(queue: SimpleQueue[Event]) -> Iterator[Event]:
    with contextlib.suppress(Empty):
        while True:
            yield queue.get_nowait()


def _sleep_until(when: float) -> None:
    while (left := when - perf_counter()) > 0:
        sleep(left - FINE_S if left > FINE_S else max(left - SPIN_S, 0.0))
