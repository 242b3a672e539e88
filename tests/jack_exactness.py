"""How near to its frame a note lands: JackPorts and rtmidi side by side, while a model plans.

    python -m tests.jack_exactness [--notes 400] [--periods 64 256 1024]

A sender (a process of its own, waiting as the daemon does) sends notes at uneven times to a
receiver that knows the frame of all it hears; a third process does what a model does to a
processor. Printed is how far arrivals lie from due time and delay: the delay that JackPorts tells
(`told`), for rtmidi the median. Not a test: it measures the machine as much as the bridge.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter, sleep

from bridge.daemon import SPIN_S
from bridge.events import Event, NoteOn, OutputDelay
from bridge.jack_ports import JackPorts
from bridge.ledger import percentile
from bridge.port_names import Wanted
from bridge.ports import Driver, system_ports
from bridge.priority import ask_for_real_time
from tests.jack_stage import RATE, connect, free_server, is_there, server, wait_for

BAR_MS = 0.05
_PLAN = """
import torch
torch.set_num_threads(1)
network = torch.nn.LSTM(256, 256, batch_first=True)
with torch.inference_mode():
    while True:
        network(torch.randn(8, 32, 256))
"""


@dataclass(frozen=True, slots=True)
class Sent:
    """What a sender says when it is done: when each note was due, what its port counted."""

    due_s: list[float]
    late_frames: int


def send(driver: Driver, name: str, notes: int) -> None:
    """The sender: waits for a line on stdin, sends, prints when each note was due."""
    queue: SimpleQueue[Event] = SimpleQueue()
    ports = system_ports(Wanted(name), driver)
    ports.open(queue)
    ask_for_real_time()
    sys.stdin.readline()
    chance, due_s = random.Random(1), perf_counter() + 0.1
    for number in range(notes):
        due_s += chance.uniform(0.005, 0.025)
        while (left := due_s - perf_counter()) > 0:
            sleep(max(left - SPIN_S, 0.0))
        ports.send(NoteOn(due_s, 0, number % 128, 1 + number // 128))
        print(repr(due_s))
    ports.close()
    print(getattr(ports, "late_frames", 0), flush=True)


@contextmanager
def process(*command: str) -> Iterator[subprocess.Popen[str]]:
    """A process of ours that ends with the block."""
    pipe = subprocess.PIPE
    child = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)
    try:
        yield child
    finally:
        child.kill()
        child.communicate()


def measure(driver: Driver, period: int, notes: int) -> str:
    """One line of the table."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        stack.enter_context(server(os.environ["JACK_DEFAULT_SERVER"], folder, period))
        queue: SimpleQueue[Event] = SimpleQueue()
        receiver = JackPorts(Wanted("ears"))
        receiver.open(queue)
        stack.callback(receiver.close)
        command = [sys.executable, "-m", "tests.jack_exactness", "--notes", str(notes)]
        sender = stack.enter_context(process(*command, "--send", driver))
        wait_for("the sender", is_there("keys out$"))
        connect("keys out$", "ears in$")
        stack.enter_context(process(sys.executable, "-c", _PLAN))
        sleep(4.0)  # the model begins
        xruns = receiver.xruns
        said, _ = sender.communicate("go\n", timeout=notes * 0.025 + 30)
        *due, late = said.split()
        sent = Sent([float(word) for word in due], int(late))
        return _line(driver, period, sent, _arrivals(queue), receiver.xruns - xruns)


def _arrivals(queue: SimpleQueue[Event]) -> tuple[dict[int, float], float]:
    """When each note arrived by its number, as stamped, and the delay that JackPorts tells."""
    arrivals: dict[int, float] = {}
    told_s = 0.0
    while True:
        try:
            event = queue.get_nowait()
        except Empty:
            return arrivals, told_s
        if isinstance(event, OutputDelay):
            told_s = event.delay_s
        elif isinstance(event, NoteOn):
            arrivals[event.pitch + 128 * (event.velocity - 1)] = event.time


def _line(
    driver: Driver,
    period: int,
    sent: Sent,
    heard: tuple[dict[int, float], float],
    xruns: int,
) -> str:
    arrivals, told_s = heard
    trips_ms = [1000 * (arrivals[n] - due) for n, due in enumerate(sent.due_s) if n in arrivals]
    delay_ms = 1000 * told_s if driver == "jack" else median(trips_ms)
    off_ms = [trip - delay_ms for trip in trips_ms]
    worst_ms = max(abs(off) for off in off_ms)
    within = sum(abs(off) <= BAR_MS for off in off_ms) / len(off_ms)
    return (
        f"{driver:7} {period:6} {1000 * period / RATE:9.2f} {percentile(off_ms, 0.01):9.3f} "
        f"{percentile(off_ms, 0.5):9.3f} {percentile(off_ms, 0.99):9.3f} {worst_ms:9.3f} "
        f"{within:8.1%} {len(sent.due_s) - len(off_ms):5} {sent.late_frames:5} {xruns:6}"
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--notes", type=int, default=400)
    parser.add_argument("--periods", type=int, nargs="+", default=[64, 256, 1024])
    parser.add_argument("--send", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.send is None:
        tabulate(options.periods, options.notes)
    else:
        send(options.send, "keys", options.notes)


def tabulate(periods: list[int], notes: int) -> None:
    """Print the table."""
    os.environ |= {"JACK_NO_START_SERVER": "1", "JACK_DEFAULT_SERVER": free_server()}
    print("ms from due time and delay; load average", *(f"{load:.1f}" for load in os.getloadavg()))
    print(
        f"{'ports':7} {'frames':>6} {'period':>9} {'p1':>9} {'p50':>9} {'p99':>9} {'worst':>9} "
        f"{'<= ' + str(BAR_MS):>8} {'lost':>5} {'late':>5} {'xruns':>6}"
    )
    drivers: tuple[Driver, ...] = ("jack", "rtmidi")
    for period in periods:
        for driver in drivers:
            print(measure(driver, period, notes), flush=True)


if __name__ == "__main__":
    main()
