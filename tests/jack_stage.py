"""A JACK server of one's own and what is wired to it: processes, ports, connections, transport."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep

from bridge.jack_client import is_installed

TOOLS = ("jackd", "jack_midi_clock", "jack_transport", "jack_connect", "jack_lsp")
MISSING = [tool for tool in TOOLS if shutil.which(tool) is None] + (
    [] if is_installed() else ["JACK-Client"]
)
RATE = 48_000
SERVERS = ("pianogen-tests-1", "pianogen-tests-2", "pianogen-tests-3")  # one for each run at a time


class WaitedInVainError(AssertionError):
    """What was waited for did not come."""


def wait_for(
    what: str,
    is_so: Callable[[], bool],
    seconds: float = 30.0,
    instead: Callable[[], str] = lambda: "",
) -> None:
    """Raises WaitedInVainError where it does not come to be so; `instead` tells what there was."""
    end = monotonic() + seconds
    while not is_so():
        if monotonic() > end:
            raise WaitedInVainError(f"waited {seconds:g} s in vain for {what}; {instead()}")
        sleep(0.02)


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


@contextmanager
def server(name: str, folder: Path, period: int = 256) -> Iterator[None]:
    """A JACK server without a sound card, which the environment names to all others."""
    priority = "-R" if _may_be_real_time() else "-r"  # without it, a busy machine loses clients
    driver = ["-d", "dummy", "-r", str(RATE), "-p", str(period)]
    with running("jackd", "-n", name, priority, *driver, folder=folder) as jackd:
        wait_for("the JACK server", is_there("system:playback_1"), instead=lambda: jackd.text)
        yield


def free_server() -> str:
    """The name of a server that does not run.

    Always of the same few: JACK remembers the names of servers that were killed, eight at most,
    and forgets one only when it starts again.
    """
    return next(name for name in SERVERS if _ask("jack_lsp", "-s", name).returncode != 0)


def _may_be_real_time() -> bool:
    """Asked of a short-lived process, so that this one stays as it is."""
    code = "import os; os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(20))"
    return subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0


def _ask(*command: str, say: str | None = None) -> subprocess.CompletedProcess[str]:
    """What one of JACK's tools says; one that hangs has failed."""
    return subprocess.run(command, input=say, capture_output=True, text=True, timeout=20)


def port(pattern: str) -> str:
    """The one JACK port that matches; on a busy machine JACK's tools may fail at first."""
    found: list[str] = []

    def is_found() -> bool:
        found[:] = _matching(pattern)
        return len(found) == 1

    wait_for(f"the port {pattern}", is_found, 10, lambda: f"there are {found}")
    return found[0]


def is_there(pattern: str) -> Callable[[], bool]:
    return lambda: bool(_matching(pattern))


def _matching(pattern: str) -> list[str]:
    return [name for name in _ask("jack_lsp").stdout.splitlines() if re.search(pattern, name)]


def connect(source: str, target: str) -> None:
    """Connect two ports, and see that they are connected."""
    wires = port(source), port(target)
    told: list[str] = []

    def is_done() -> bool:
        if not _is_connected(*wires):
            told.append(_ask("jack_connect", *wires).stderr)
        return _is_connected(*wires)

    wait_for(f"the connection {wires}", is_done, 10, lambda: "".join(told))


def _is_connected(source: str, target: str) -> bool:
    lines = _ask("jack_lsp", "-c", source).stdout.splitlines()
    return f"   {target}" in lines


def transport(commands: str) -> None:
    _ask("jack_transport", say=commands)
