"""A master clock, a performer and the daemon over JACK, each its own process, connected.

JACK's dummy driver keeps time; `jack_midi_clock` is the DAW; this process is the performer, and
hears clock and answer in one stream, so that places are counted in ticks, not in seconds.

Now and then JACK never wakes a client that it has accepted and connected. JackPorts notices and
begins anew; `jack_midi_clock` and rtmidi do not. And on a busy machine it loses cycles, with the
clocks in them, and says so.
"""

from __future__ import annotations

import os
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from threading import Thread

from bridge.events import (
    ControlChange,
    Event,
    NoteOff,
    NoteOn,
    ProgramChange,
    Quit,
    Start,
    Tick,
)
from bridge.jack_ports import JackPorts
from bridge.ledger import Ledger
from bridge.port_names import Wanted
from tests.jack_stage import (
    Said,
    WaitedInVainError,
    connect,
    is_there,
    running,
    server,
    transport,
    wait_for,
)

NAME = "duo"
MEASURE_TICKS = 96
PHRASE = {24 * beat: 60 + beat for beat in range(7)}  # tick: pitch; two measures with a rest
NOTE_TICKS = 12
NO_PRESET = 99


class Client:
    """The performer: plays the phrase by the ticks it hears, and keeps all that comes."""

    def __init__(self, every: int | None = None) -> None:
        """Plays once, or anew every so many ticks."""
        self.heard: list[Event] = []
        self.first_answer_tick: int | None = None
        self._tick = -1
        self._every = every
        self._queue: SimpleQueue[Event] = SimpleQueue()
        self._ports = JackPorts(Wanted("keys"))
        self._ports.open(self._queue)
        self._thread = Thread(target=self._listen)
        self._thread.start()

    def _listen(self) -> None:
        while not isinstance(event := self._queue.get(), Quit):
            self._hear(event)

    def _hear(self, event: Event) -> None:
        self.heard.append(event)
        if isinstance(event, Start):
            self._tick = -1
        elif isinstance(event, Tick):
            self._tick += 1
            self._play(self._tick, event.time)
        elif isinstance(event, NoteOn) and self.first_answer_tick is None:
            self.first_answer_tick = self._tick

    def _play(self, tick: int, time: float) -> None:
        tick = tick if self._every is None else tick % self._every
        if tick in PHRASE:
            self._ports.send(NoteOn(time, 0, PHRASE[tick], 70))
        if tick - NOTE_TICKS in PHRASE:
            self._ports.send(NoteOff(time, 0, PHRASE[tick - NOTE_TICKS]))

    def ask_for_a_preset_there_is_not(self) -> None:
        self._ports.send(ProgramChange(0.0, 0, NO_PRESET))

    @property
    def xruns(self) -> int:
        return self._ports.xruns

    def count(self, kind: type[Event]) -> int:
        return sum(isinstance(event, kind) for event in self.heard)

    def left_sounding(self) -> tuple[tuple[int, int], ...]:
        ledger = Ledger()
        for event in self.heard:
            if isinstance(event, NoteOn | NoteOff):
                ledger.record(event, 0.0)
        return ledger.sounding

    def report(self) -> str:
        kinds = Counter(type(event).__name__ for event in self.heard)
        return f"the performer heard {dict(kinds)}, is at tick {self._tick}, {self.xruns} xruns"

    def close(self) -> None:
        self._queue.put(Quit(0.0))
        self._thread.join()
        self._ports.close()


@dataclass(slots=True)
class Stage:
    """All of them, connected; nothing rolls yet."""

    client: Client
    daemon: Said
    xruns_before: int = 0

    def play(self) -> None:
        self.xruns_before = self.client.xruns
        transport("locate 0\nplay\nquit\n")

    def report(self) -> str:
        return f"{self.client.report()}; the daemon said: {self.daemon.text}"

    def wait_for_answer(self, notes: int) -> None:
        wait_for("the answer", lambda: self.client.count(NoteOn) >= notes, instead=self.report)

    def fault_of_jack(self) -> str | None:
        """What JACK did that no daemon can play on: cycles lost, or a client never woken."""
        if lost := self.client.xruns - self.xruns_before:
            return f"JACK lost {lost} cycles"
        if not self.client.count(Tick):
            return "JACK never woke jack_midi_clock"
        if "JACK, to the frame" in self.daemon.text or self.daemon.process.poll() is not None:
            return None
        self.client.ask_for_a_preset_there_is_not()
        if not _comes_true(lambda: f"the number {NO_PRESET}" in self.daemon.text):
            return "JACK never woke the daemon's input"
        self.daemon.process.send_signal(signal.SIGTERM)  # it takes its leave with controllers
        if not _comes_true(lambda: self.client.count(ControlChange) > 0):
            return "JACK never woke the daemon's output"
        return None


def _comes_true(is_so: Callable[[], bool]) -> bool:
    try:
        wait_for("it", is_so, 5)
    except WaitedInVainError:
        return False
    return True


@contextmanager
def staged(folder: Path, bpm: float, *options: str, every: int | None = None) -> Iterator[Stage]:
    """Server, daemon, performer and clock, connected; `options` are the daemon's."""
    with ExitStack() as stack:
        stack.enter_context(server(os.environ["JACK_DEFAULT_SERVER"], folder))
        daemon = stack.enter_context(_daemon(folder, *options))
        client = stack.enter_context(_performing(every))
        clock = ["jack_midi_clock", "-b", str(bpm), "-B"]
        stack.enter_context(running(*clock, folder=folder, stop=signal.SIGINT))
        for name in ("mclk_out", f"{NAME} in$", f"{NAME} out$"):
            wait_for(f"the port {name}", is_there(name), instead=lambda: daemon.text)
        connect("mclk_out", "keys in$")
        connect("mclk_out", f"{NAME} in$")
        connect("keys out$", f"{NAME} in$")
        connect(f"{NAME} out$", "keys in$")
        wait_for("the model", lambda: "model ready" in daemon.text, instead=lambda: daemon.text)
        yield Stage(client, daemon)


def _daemon(folder: Path, *options: str) -> AbstractContextManager[Said]:
    root = Path(__file__).resolve().parent.parent
    code = f"import sys; sys.path.insert(0, {str(root)!r}); from bridge.cli import main; "
    code += "sys.exit(main())"
    return running(sys.executable, "-c", code, "--port", NAME, *options, folder=folder)


@contextmanager
def _performing(every: int | None) -> Iterator[Client]:
    client = Client(every)
    try:
        yield client
    finally:
        client.close()
