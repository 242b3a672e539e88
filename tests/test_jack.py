"""The real thing over JACK: a master clock, a performer and the daemon, each its own process.

JACK's dummy driver keeps time; `jack_midi_clock` is the DAW; this process is the performer, and
hears clock and answer in one stream, so that places are counted in ticks, not in seconds.

Now and then JACK never wakes a client that it has accepted and connected. JackPorts notices and
begins anew; `jack_midi_clock` and rtmidi do not. And on a busy machine it loses cycles, with the
clocks in them, and says so. Neither is the daemon's fault: where a rule does not hold, JACK is
asked whether it kept its own, and if not, all is set up again, a few times.
"""

from __future__ import annotations

import os
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from time import sleep

import pytest

from bridge.events import (
    ControlChange,
    Event,
    NoteOff,
    NoteOn,
    ProgramChange,
    Quit,
    Start,
    Stop,
    Tick,
)
from bridge.jack_ports import JackPorts
from bridge.ledger import Ledger
from bridge.port_names import Wanted
from tests.jack_stage import (
    MISSING,
    Said,
    WaitedInVainError,
    connect,
    free_server,
    is_there,
    running,
    server,
    transport,
    wait_for,
)

pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")

BPM = 150
MEASURE_TICKS = 96
PHRASE = {24 * beat: 60 + beat for beat in range(7)}  # tick: pitch; two measures with a rest
NOTE_TICKS = 12
NAME = "duo"
NO_PRESET = 99
ATTEMPTS = 4


class Client:
    """The performer: plays the phrase by the ticks it hears, and keeps all that comes."""

    def __init__(self) -> None:
        self.heard: list[Event] = []
        self.first_answer_tick: int | None = None
        self._tick = -1
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
def daemon_running(folder: Path, driver: str) -> Iterator[Said]:
    """The daemon with a model that needs no weights."""
    root = Path(__file__).resolve().parent.parent
    code = f"import sys; sys.path.insert(0, {str(root)!r}); from bridge.cli import main; "
    options = ["--port", NAME, "--model-factory", "tests.fakes:load_steady", "--midi", driver]
    with running(sys.executable, "-c", code + "sys.exit(main())", *options, folder=folder) as said:
        yield said


@contextmanager
def performing() -> Iterator[Client]:
    client = Client()
    try:
        yield client
    finally:
        client.close()


@contextmanager
def staged(folder: Path, driver: str) -> Iterator[Stage]:
    """Server, daemon, performer and clock, connected."""
    with ExitStack() as stack:
        stack.enter_context(server(os.environ["JACK_DEFAULT_SERVER"], folder))
        daemon = stack.enter_context(daemon_running(folder, driver))
        client = stack.enter_context(performing())
        clock = ["jack_midi_clock", "-b", str(BPM), "-B"]
        stack.enter_context(running(*clock, folder=folder, stop=signal.SIGINT))
        for name in ("mclk_out", f"{NAME} in$", f"{NAME} out$"):
            wait_for(f"the port {name}", is_there(name), instead=lambda: daemon.text)
        connect("mclk_out", "keys in$")
        connect("mclk_out", f"{NAME} in$")
        connect("keys out$", f"{NAME} in$")
        connect(f"{NAME} out$", "keys in$")
        wait_for("the model", lambda: "model ready" in daemon.text, instead=lambda: daemon.text)
        yield Stage(client, daemon)


def hold(rule: Callable[[Stage], None], folder: Path, driver: str) -> None:
    """The rule holds, on a JACK that does its part."""
    for attempt in range(ATTEMPTS):
        (place := folder / str(attempt)).mkdir()
        with staged(place, driver) as stage:
            try:
                rule(stage)
            except AssertionError as failure:
                fault = stage.fault_of_jack()
                if fault is None or attempt == ATTEMPTS - 1:
                    raise
                print(f"{fault}; setting up anew. {failure}")
            else:
                return


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("JACK_NO_START_SERVER", "1")
    monkeypatch.setenv("JACK_DEFAULT_SERVER", free_server())
    return tmp_path


def answers_on_the_line_and_ends_in_silence(stage: Stage) -> None:
    client, daemon = stage.client, stage.daemon
    stage.play()
    stage.wait_for_answer(3)
    daemon.process.send_signal(signal.SIGTERM)
    if daemon.process.wait(20) != 0 or "Traceback" in daemon.text:
        pytest.fail(f"the daemon ended badly, whatever JACK did: {daemon.text}")
    wait_for("silence", lambda: client.left_sounding() == (), 5, stage.report)
    assert client.first_answer_tick is not None
    into_measure = client.first_answer_tick % MEASURE_TICKS
    distance = min(into_measure, MEASURE_TICKS - into_measure)
    assert client.first_answer_tick >= 2 * MEASURE_TICKS - 2
    assert distance <= 2, f"began {into_measure} ticks into a measure; {stage.report()}"


def is_silenced_by_stop(stage: Stage) -> None:
    client = stage.client
    stage.play()
    stage.wait_for_answer(2)
    transport("stop\nquit\n")
    wait_for("the stop", lambda: client.count(Stop) > 0, instead=stage.report)
    sleep(0.3)  # what was on its way
    count = client.count(NoteOn)
    assert client.left_sounding() == ()
    sleep(1.0)  # more than two beats
    assert client.count(NoteOn) == count


@pytest.mark.parametrize(
    "driver",
    [
        "jack",
        pytest.param(
            "rtmidi",
            marks=pytest.mark.skipif(
                Path("/dev/snd/seq").exists(), reason="rtmidi takes the ALSA sequencer"
            ),
        ),
    ],
)
def test_a_phrase_is_answered_on_the_measure_line_and_sigterm_brings_silence(
    folder: Path, driver: str
) -> None:
    hold(answers_on_the_line_and_ends_in_silence, folder, driver)


def test_stopping_the_transport_silences_the_answer(folder: Path) -> None:
    hold(is_silenced_by_stop, folder, "jack")
