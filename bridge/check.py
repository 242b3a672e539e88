"""The check: the real daemon in this process, a DAW and a performer in another, and the outcome.

    this process                                   another
    ports ◄──────────── clock, calls ───────────── check_daw.py
    Daemon, Session ──► answers ──────────────────► stamps
        │ watched by Observer                          │
        └──────► Taken ◄── Director's thread ◄── Began, Heard

Through the system's MIDI ports where there are any, else through a pipe, so that the boundary
between the processes stays.
"""

from __future__ import annotations

import logging
import threading
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from queue import SimpleQueue
from time import perf_counter
from typing import Literal, TypeAlias

from bridge.arrivals import Arrival, Inbox
from bridge.check_daw import PROBE, Began, Heard, Opened, Route, Trouble, Word, run
from bridge.check_figures import LOCK_TICKS, Cost, Taken
from bridge.check_music import LEAD_IN, Piece
from bridge.daemon import Daemon
from bridge.errors import BridgeError, PortError
from bridge.events import (
    ChannelMessage,
    Event,
    ModelReady,
    NoteOff,
    NoteOn,
    OutputDelay,
    Tick,
)
from bridge.performer import Performer
from bridge.pipe_ports import PipePorts
from bridge.port_names import Wanted
from bridge.ports import Driver, Ports, system_ports
from bridge.processes import start_process
from bridge.seat import Seat
from bridge.staged import Cast
from bridge.status import Status
from bridge.vitals import Usage, age_s, is_real_time, usage
from pianogen.grid import PPQN

log = logging.getLogger(__name__)

Way: TypeAlias = Literal["memory", "rtmidi", "jack"]

BEFORE_CALL_TICKS = PPQN  # what costs while nothing is played is read a beat before the first call
TELL_S = 15.0  # how often a long check says how far it is
END_S = 5.0  # the other process must have ended by then


WATCH_S = 0.1  # how often the observer is told the status


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check found out.

    way: through which ports; label: as they say of themselves. *_after_s: since this process was
    started.
    """

    way: Way
    label: str
    device: str
    is_real_time: bool
    ports_after_s: float | None
    ready_after_s: float | None
    taken: tuple[Taken, ...]


def check(
    cast: Cast, pieces: Sequence[Piece], name: str, driver: Driver, tell: Callable[[str], None]
) -> Checked:
    """Run it; returns what there is, also where it was interrupted.

    name: of the daemon's ports. tell: is told now and then how far it is. Raises BridgeError.
    """
    queue: SimpleQueue[Arrival] = SimpleQueue()
    ours, theirs = Pipe()
    ports = EitherPorts(name, driver, ours)
    performer = cast.performer(queue)
    observer = Observer(performer, ports, cast.settings.latency_ms or 0.0)
    director = Director(observer, pieces, tell)
    with cast.session(cast.presets) as session:
        seat = Seat(session, ports, performer, watchers=[observer])
        daemon = Daemon([seat], performer, queue, watch_s=WATCH_S)
        observer.when_ready = lambda: director.start(
            Route(name, driver, theirs if ports.way == "memory" else None), daemon.stop
        )
        try:
            daemon.run()
        finally:
            director.close()
    if director.trouble is not None:
        raise BridgeError(director.trouble)
    return Checked(
        way=ports.way,
        label=ports.label,
        device=performer.device,
        is_real_time=observer.is_real_time,
        ports_after_s=ports.after_s,
        ready_after_s=observer.ready_after_s,
        taken=tuple(director.taken),
    )


class EitherPorts:
    """The system's ports where there are any, else a pipe's end."""

    def __init__(self, name: str, driver: Driver, pipe: Connection) -> None:
        self.way: Way = "memory"
        self.label = ""
        self.after_s: float | None = None
        self._name = name
        self._driver: Driver = driver
        self._pipe = pipe
        self._ports: Ports

    def open(self, queue: Inbox) -> str:
        """Open the best there is; raises PortError where an explicit wish cannot be met."""
        try:
            self._ports = system_ports(Wanted(self._name), self._driver)
            self.label = self._ports.open(queue)
            self.way = "jack" if type(self._ports).__name__ == "JackPorts" else "rtmidi"
        except PortError:
            if self._driver != "auto":
                raise
            self._ports = PipePorts(self._pipe)
            self.label = self._ports.open(queue)
        self.after_s = age_s()
        return self.label

    @property
    def xruns(self) -> int | None:
        """Cycles that JACK missed so far; None where it is not JACK's own ports that are open."""
        counted: int | None = getattr(self._ports, "xruns", None)
        return counted

    def send(self, message: ChannelMessage) -> None:
        """Send one message."""
        self._ports.send(message)

    def poll(self) -> None:
        """Look after them."""
        self._ports.poll()

    def close(self) -> None:
        """Make them go."""
        self._ports.close()


@dataclass(slots=True)
class Part:
    """One piece as it is recorded in the daemon's process."""

    piece: Piece
    origin: float
    before: Status
    plans_before: int
    xruns_before: int | None
    ticks: array[float] = field(default_factory=lambda: array("d"))
    due: array[float] = field(default_factory=lambda: array("d"))
    sent: array[float] = field(default_factory=lambda: array("d"))
    costs: list[Cost] = field(default_factory=list)

    @property
    def marks(self) -> tuple[int, int, int]:
        """At which ticks costs are read."""
        first_call = LEAD_IN * self.piece.meter.ticks
        return LOCK_TICKS, first_call - BEFORE_CALL_TICKS, self.piece.ticks - 1


class Observer:
    """A watcher that records; quick, for it holds up what it looks at. See Watcher."""

    def __init__(self, performer: Performer, ports: EitherPorts, latency_ms: float) -> None:
        self.when_ready: Callable[[], None] = lambda: None
        self.was_probed = threading.Event()
        self.is_real_time = False
        self.ready_after_s: float | None = None
        self.part: Part | None = None
        self.status: Status | None = None
        self._performer = performer
        self._ports = ports
        self._latency_s = latency_ms / 1000
        self._delay_s = 0.0

    @property
    def ahead_s(self) -> float:
        """How much earlier than their place notes are due."""
        return self._latency_s + self._delay_s

    def heard(self, event: Event) -> None:
        """A tick is kept; a probe is answered."""
        match event:
            case Tick():
                self._hear_tick(event)
            case NoteOff(channel=PROBE.channel, pitch=PROBE.pitch):
                self.was_probed.set()
            case OutputDelay():
                self._delay_s = event.delay_s
            case ModelReady() if self.ready_after_s is None:
                self.ready_after_s = age_s()
                self.is_real_time = bool(is_real_time())
                self.when_ready()
            case _:
                pass

    def sent(self, message: ChannelMessage, now: float) -> None:
        """A note is kept: when it was due, and when it went."""
        if self.part is not None and isinstance(message, NoteOn):
            self.part.due.append(message.time)
            self.part.sent.append(now)

    def shown(self, status: Status) -> None:
        """The newest is kept."""
        self.status = status

    def begin(self, piece: Piece, origin: float) -> None:
        """From now on, what happens belongs to this piece."""
        assert self.status is not None, "pieces begin when the model is ready, long after the start"
        plans = len(self._performer.figures[0].response_ms)
        self.part = Part(piece, origin, self.status, plans, self._ports.xruns)

    def end(self, heard: Heard, *, is_cut: bool) -> Taken:
        """The piece is over; what was recorded of it.

        is_cut: the daemon ended in the midst of it, so that what was sent later counts for nothing.
        """
        part, self.part = self.part, None
        assert part is not None, "what was begun is ended"
        assert self.status is not None, "pieces begin when the model is ready"
        return Taken(
            piece=part.piece,
            origin=part.origin,
            ticks=part.ticks,
            ticks_sent=len(part.ticks) if is_cut else heard.ticks_sent,
            source_late_ms=heard.source_late_ms,
            due=part.due,
            sent=part.sent,
            received=heard.received,
            left_sounding=heard.left_sounding,
            ahead_s=self.ahead_s,
            before=part.before,
            after=self.status,
            response_ms=list(self._performer.figures[0].response_ms)[part.plans_before :],
            costs=part.costs,
            xruns=_since(part.xruns_before, self._ports.xruns),
        )

    def _hear_tick(self, event: Tick) -> None:
        part = self.part
        if part is None:
            return
        part.ticks.append(event.time)
        if len(part.ticks) - 1 in part.marks:
            pid = self._performer.pid
            model = Usage() if pid is None else usage(pid)
            part.costs.append(Cost(perf_counter(), usage(), model))


def _since(before: int | None, after: int | None) -> int | None:
    return None if before is None or after is None else after - before


class Director:
    """The thread that leads the other process through its pieces, and gathers what it tells."""

    def __init__(
        self, observer: Observer, pieces: Sequence[Piece], tell: Callable[[str], None]
    ) -> None:
        self.taken: list[Taken] = []
        self.trouble: str | None = None
        self._observer = observer
        self._pieces = pieces
        self._tell = tell
        self._is_over = threading.Event()
        self._process: BaseProcess | None = None
        self._thread: threading.Thread | None = None

    def start(self, route: Route, on_end: Callable[[], None]) -> None:
        """Begin; `on_end` is called when there is no more to play."""
        ours, theirs = Pipe()
        self._process = start_process("pianogen-check", run, theirs, route, tuple(self._pieces))
        theirs.close()
        self._thread = threading.Thread(
            target=self._lead, args=(ours, on_end), name="director", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Let the other process tell what it has, and end."""
        self._is_over.set()
        if self._thread is not None:
            self._thread.join(END_S)
        if self._process is not None:
            self._process.join(END_S)
            if self._process.is_alive():
                self._process.kill()

    def _lead(self, words: Connection, on_end: Callable[[], None]) -> None:
        try:
            self._hear_out(words)
        except (EOFError, OSError):
            if len(self.taken) < len(self._pieces) and not self._is_over.is_set():
                self.trouble = self.trouble or "the check's other process has died"
        finally:
            words.close()
            on_end()

    def _hear_out(self, words: Connection) -> None:
        has_told_to_stop = False
        next_news = perf_counter() + TELL_S
        while self.trouble is None and len(self.taken) < len(self._pieces):
            if self._is_over.is_set() and not has_told_to_stop:
                words.send(False)
                has_told_to_stop = True
            if words.poll(0.1):
                self._take(words.recv(), words)
            if perf_counter() > next_news:
                next_news += TELL_S
                self._tell_how_far()

    def _take(self, word: Word, words: Connection) -> None:
        match word:
            case Opened():
                if not 0 <= perf_counter() - word.time < END_S:
                    self.trouble = "the clocks of two processes differ here: nothing can be told"
                elif self._observer.was_probed.wait(END_S):
                    words.send(True)
            case Began():
                self._observer.begin(self._pieces[word.number], word.origin)
            case Heard():
                self.taken.append(self._observer.end(word, is_cut=self._is_over.is_set()))
            case Trouble():
                self.trouble = word.text

    def _tell_how_far(self) -> None:
        part, status = self._observer.part, self._observer.status
        if part is not None and status is not None:
            measure = len(part.ticks) // part.piece.meter.ticks
            missed = status.measures_missed - part.before.measures_missed
            self._tell(
                f"{part.piece.bpm:g} bpm: measure {measure} of {part.piece.measures}, "
                f"{missed} missed, {status.late - part.before.late} late"
            )
