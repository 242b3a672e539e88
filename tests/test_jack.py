"""The real thing over JACK: a master clock, a performer and the daemon, each its own process.

JACK's dummy driver keeps time; `jack_midi_clock` is the DAW; this process is the performer, and
hears clock and answer in one stream, so that places are counted in ticks, not in seconds.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest

from bridge.events import MidiEvent, NoteOff, NoteOn, Start, Stop, Tick
from bridge.ledger import Ledger
from bridge.midi_bytes import encode, parse

rtmidi = pytest.importorskip("rtmidi")

TOOLS = ("jackd", "jack_midi_clock", "jack_transport", "jack_connect", "jack_lsp")
_MISSING = [tool for tool in TOOLS if shutil.which(tool) is None]
pytestmark = [
    pytest.mark.skipif(bool(_MISSING), reason=f"not installed: {', '.join(_MISSING)}"),
    pytest.mark.skipif(
        Path("/dev/snd/seq").exists(), reason="with an ALSA sequencer the daemon does not use JACK"
    ),
]

BPM = 150
MEASURE_TICKS = 96
PHRASE = {24 * beat: 60 + beat for beat in range(7)}  # tick: pitch; two measures with a rest
NOTE_TICKS = 12
NAME = "duo"


def wait_for(
    what: str,
    is_so: Callable[[], bool],
    seconds: float = 30.0,
    instead: Callable[[], str] = lambda: "",
) -> None:
    """A test that must wait so long for something has failed; `instead` tells what there was."""
    end = monotonic() + seconds
    while not is_so():
        if monotonic() > end:
            pytest.fail(f"waited {seconds:g} s in vain for {what}; {instead()}")
        sleep(0.02)


class Client:
    """The performer: plays the phrase by the ticks it hears, and keeps all that comes."""

    def __init__(self) -> None:
        self.heard: list[MidiEvent] = []
        self.first_answer_tick: int | None = None
        self._tick = -1
        self._out: Any = rtmidi.MidiOut(rtmidi.API_UNIX_JACK, name="keys")
        self._out.open_virtual_port("out")
        sleep(0.1)  # of two clients made at once JACK may never run the second
        self._in: Any = rtmidi.MidiIn(rtmidi.API_UNIX_JACK, name="ears")
        self._in.open_virtual_port("in")
        self._in.ignore_types(timing=False)
        self._in.set_callback(self._hear)

    def _hear(self, message: tuple[list[int], float], _: object) -> None:
        event = parse(message[0], 0.0)
        if event is None:
            return
        self.heard.append(event)
        if isinstance(event, Start):
            self._tick = -1
        elif isinstance(event, Tick):
            self._tick += 1
            self._play(self._tick)
        elif isinstance(event, NoteOn) and self.first_answer_tick is None:
            self.first_answer_tick = self._tick

    def _play(self, tick: int) -> None:
        if tick in PHRASE:
            self._out.send_message(encode(NoteOn(0.0, 0, PHRASE[tick], 70)))
        if tick - NOTE_TICKS in PHRASE:
            self._out.send_message(encode(NoteOff(0.0, 0, PHRASE[tick - NOTE_TICKS])))

    @property
    def answered(self) -> int:
        return sum(isinstance(event, NoteOn) for event in self.heard)

    def left_sounding(self) -> tuple[tuple[int, int], ...]:
        ledger = Ledger()
        for event in self.heard:
            if isinstance(event, NoteOn | NoteOff):
                ledger.record(event, 0.0)
        return ledger.sounding

    def has_stopped(self) -> bool:
        return any(isinstance(event, Stop) for event in self.heard)

    def report(self) -> str:
        kinds = Counter(type(event).__name__ for event in self.heard)
        return f"the performer heard {dict(kinds)}, is at tick {self._tick}"

    def close(self) -> None:
        self._in.cancel_callback()
        sleep(0.1)  # a client closed inside its callback takes the interpreter's lock with it
        self._in.delete()
        self._out.delete()


@dataclass(frozen=True, slots=True)
class Said:
    """A process and the file that keeps what it prints."""

    process: subprocess.Popen[bytes]
    file: Path

    @property
    def text(self) -> str:
        return self.file.read_text()


@contextmanager
def running(*command: str, folder: Path, stop: signal.Signals = signal.SIGTERM) -> Iterator[Said]:
    """A process of ours, ended by its id."""
    file = folder / f"{Path(command[0]).name}.log"
    with file.open("wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
        )
    try:
        yield Said(process, file)
    finally:
        if process.poll() is None:
            process.send_signal(stop)
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def ask_jack(*command: str, say: str | None = None) -> str:
    """What one of JACK's tools prints; one that hangs has failed."""
    done = subprocess.run(command, input=say, capture_output=True, text=True, timeout=20)
    return done.stdout


def jack_ports() -> list[str]:
    return ask_jack("jack_lsp").splitlines()


def port(pattern: str) -> str:
    """The one JACK port that matches; clients that share a name are numbered by JACK."""
    found = [name for name in jack_ports() if re.search(pattern, name)]
    assert len(found) == 1, f"{pattern}: {found}"
    return found[0]


def is_there(pattern: str) -> Callable[[], bool]:
    return lambda: any(re.search(pattern, name) for name in jack_ports())


def connect(source: str, target: str) -> None:
    ask_jack("jack_connect", port(source), port(target))


def transport(commands: str) -> None:
    ask_jack("jack_transport", say=commands)


def may_be_real_time() -> bool:
    """Asked of a short-lived process, so that this one stays as it is."""
    code = "import os; os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(20))"
    return subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0


@contextmanager
def server(folder: Path) -> Iterator[None]:
    """A JACK server of this test's own, named by the environment."""
    name = os.environ["JACK_DEFAULT_SERVER"]
    priority = "-R" if may_be_real_time() else "-r"  # without it, a busy machine loses clients
    driver = ["-d", "dummy", "-r", "48000", "-p", "256"]
    with running("jackd", "-n", name, priority, *driver, folder=folder):
        wait_for("the JACK server", is_there("system:playback_1"))
        yield


@contextmanager
def daemon_running(folder: Path) -> Iterator[Said]:
    """The daemon with a model that needs no weights."""
    root = Path(__file__).resolve().parent.parent
    code = f"import sys; sys.path.insert(0, {str(root)!r}); from bridge.cli import main; "
    options = ["--port", NAME, "--model-factory", "tests.fakes:load_steady"]
    with running(sys.executable, "-c", code + "sys.exit(main())", *options, folder=folder) as said:
        yield said


@contextmanager
def playing_client() -> Iterator[Client]:
    client = Client()
    try:
        yield client
    finally:
        client.close()


def set_up(stack: ExitStack, folder: Path) -> tuple[Client, Said]:
    """Server, daemon, performer and clock, connected; nothing rolls yet."""
    stack.enter_context(server(folder))
    daemon = stack.enter_context(daemon_running(folder))
    client = stack.enter_context(playing_client())
    clock = ["jack_midi_clock", "-b", str(BPM), "-B"]
    stack.enter_context(running(*clock, folder=folder, stop=signal.SIGINT))
    for name in ("mclk_out", f"{NAME} in$", f"{NAME} out$"):
        wait_for(f"the port {name}", is_there(name))
    connect("mclk_out", "ears:in")
    connect("mclk_out", f"{NAME} in$")
    connect("keys:out", f"{NAME} in$")
    connect(f"{NAME} out$", "ears:in")
    wait_for("the model", lambda: "model ready" in daemon.text)
    return client, daemon


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[tuple[Client, Said]]:
    monkeypatch.setenv("JACK_NO_START_SERVER", "1")
    monkeypatch.setenv("JACK_DEFAULT_SERVER", f"pianogen-{os.getpid()}")
    with ExitStack() as stack:
        yield set_up(stack, tmp_path)


def wait_for_answer(client: Client, daemon: Said, notes: int) -> None:
    wait_for(
        "the answer",
        lambda: client.answered >= notes,
        instead=lambda: f"{client.report()}; the daemon said: {daemon.text}",
    )


def test_a_phrase_is_answered_on_the_measure_line_and_sigterm_brings_silence(
    stage: tuple[Client, Said],
) -> None:
    client, daemon = stage
    transport("locate 0\nplay\nquit\n")
    wait_for_answer(client, daemon, 3)
    daemon.process.send_signal(signal.SIGTERM)
    assert daemon.process.wait(20) == 0, daemon.text
    assert "Traceback" not in daemon.text
    wait_for("silence", lambda: client.left_sounding() == (), 5)
    assert client.first_answer_tick is not None
    into_measure = client.first_answer_tick % MEASURE_TICKS
    distance = min(into_measure, MEASURE_TICKS - into_measure)
    assert client.first_answer_tick >= 2 * MEASURE_TICKS - 2
    assert distance <= 2, f"the answer began {distance} ticks from a measure line"


def test_stopping_the_transport_silences_the_answer(
    stage: tuple[Client, Said],
) -> None:
    client, daemon = stage
    transport("locate 0\nplay\nquit\n")
    wait_for_answer(client, daemon, 2)
    transport("stop\nquit\n")
    wait_for("the stop", client.has_stopped)
    sleep(0.3)  # what was on its way
    count = client.answered
    assert client.left_sounding() == ()
    sleep(1.0)  # more than two beats
    assert client.answered == count
