"""What simpler loops score: the same due notes, in one run, while the model plans without a pause.

    python -m tests.loops [--seconds 5]

Prints how late notes leave (sent minus due, at ports in memory) by the daemon's own loop, by a
poll every 5 ms and by sleeping each note's distance from the one before, with the model in a
process of its own; then by the daemon's loop with the model in a thread beside it, in numpy as it
plays and through torch as it is trained; each without and with real-time priority. Below, what is
left of a clock's jitter by the daemon's follower and by simpler ones, in plain arithmetic. Holds
no figure to anything.
"""

from __future__ import annotations

import argparse
import gc
import os
import random
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count, pairwise
from multiprocessing import Pipe
from queue import Empty, SimpleQueue
from statistics import fmean, pstdev
from time import perf_counter, sleep
from typing import Any, TypeAlias

from bridge import model_process
from bridge.arrivals import Arrival
from bridge.clock import Follower, period_of
from bridge.daemon import Daemon
from bridge.events import Action, Ask, Event, ModelReady, NoteOn, Planned, Quit, Send, Wake
from bridge.memory_ports import MemoryPorts
from bridge.performer import Performer
from bridge.priority import ask_for_real_time
from bridge.seat import Seat
from pianogen.checkpoint import load
from pianogen.families.hybrid_player import HybridVoice
from pianogen.grid import Measure, Meter, Note
from pianogen.sampling import Sampling

NEAREST_S, FARTHEST_S = 0.005, 0.015  # from one note to the next
POLL_S = 0.005
BEGIN_S = 0.2  # from the loop's start to the first note
DRAFTS = 8
JACK_PERIOD_S = 256 / 48_000
SHARES = (0.5, 0.99, 0.999, 1.0)
HEARD = tuple(
    Measure(Meter(), tuple(Note(4 * n, 60 + (3 * n + m) % 24, 18, 4) for n in range(8)))
    for m in range(8)
)


class Planning:
    """Keeps the model at work: the next measure is asked for as soon as one has come."""

    def __init__(self) -> None:
        self._ids = count()

    def ask(self) -> Ask:
        """The next request, for the same context with another seed."""
        number, now = next(self._ids), perf_counter()
        sampling = Sampling(candidates=DRAFTS)
        return Ask(
            number, "default", Meter(), 0, HEARD, sampling, number, now + 10.0, now + 10.0
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Band:
    """A model at work."""

    performer: Performer
    queue: SimpleQueue[Arrival]
    planning: Planning


@dataclass(frozen=True, slots=True)
class Stage:
    """What every loop has: notes due at absolute times, a port, and the model to keep at work."""

    notes: deque[NoteOn]
    ports: MemoryPorts
    performer: Performer
    queue: SimpleQueue[Arrival]
    planning: Planning

    def plan_on(self) -> None:
        """Take what the model made, and ask it for more."""
        try:
            while True:
                if isinstance(self.queue.get_nowait(), Planned):
                    self.performer.ask(self.planning.ask())
        except Empty:
            pass


Loop: TypeAlias = Callable[[Stage], None]


class Score:
    """In the session's place: plays the notes when they are due, and plans on."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    def next_deadline(self) -> float | None:
        notes = self._stage.notes
        return notes[0].time if notes else None

    def handle(self, event: Event) -> list[Action]:
        notes = self._stage.notes
        actions: list[Action] = []
        match event:
            case Wake():
                while notes and notes[0].time <= event.time:
                    actions.append(Send(notes.popleft()))
                if not notes:
                    self._stage.queue.put(Quit(event.time))
            case Planned():
                actions.append(self._stage.planning.ask())
            case _:
                pass
        return actions


def daemon_loop(stage: Stage) -> None:
    """As the daemon does it: asleep short of the deadline, then in naps, then awake."""
    score: Any = Score(stage)
    seat = Seat(score, stage.ports, stage.performer)
    Daemon([seat], stage.performer, stage.queue).main_loop()


def poll_loop(stage: Stage) -> None:
    """Look every 5 ms what is due."""
    while stage.notes:
        while stage.notes and stage.notes[0].time <= perf_counter():
            stage.ports.send(stage.notes.popleft())
        stage.plan_on()
        sleep(POLL_S)


def delta_loop(stage: Stage) -> None:
    """Sleep each note's distance from the one before, as if sending took no time."""
    before = perf_counter()
    while stage.notes:
        note = stage.notes.popleft()
        sleep(max(0.0, note.time - before))
        before = note.time
        stage.ports.send(note)
        stage.plan_on()


class ThreadPerformer(Performer):
    """The same model behind the same pipe, in a thread of this process."""

    def _spawn(self) -> None:
        self._connection, theirs = Pipe()

        def live() -> None:
            repertoire, (ready,) = model_process.load(self._setup)
            theirs.send(ready)
            model_process.serve(theirs, repertoire)
            theirs.close()

        threading.Thread(target=live, daemon=True).start()


def load_torch(name: str, *, device: str, sha256: str | None) -> HybridVoice:
    """The checkpoint as it is trained, through torch."""
    import torch

    from pianogen.families.hybrid import Hybrid
    from pianogen.families.torch_hybrid import TorchHybrid

    torch.set_num_threads(1)
    checkpoint = load(name, sha256=sha256)
    network = Hybrid.of(checkpoint.config, checkpoint.weights, device)
    return HybridVoice(TorchHybrid(network))


Loops: TypeAlias = tuple[tuple[str, Loop], ...]

OWN_PROCESS: Loops = (
    ("the daemon's loop", daemon_loop),
    ("poll with a sleep of 5 ms", poll_loop),
    ("sleep by the note's delta", delta_loop),
)
MODEL_BESIDE: Loops = (("the daemon's loop, the model in a thread beside it", daemon_loop),)
TORCH_BESIDE: Loops = (("the same by torch", daemon_loop),)
CASES: tuple[tuple[type[Performer], str, Loops], ...] = (
    (Performer, model_process.DEFAULT_FACTORY, OWN_PROCESS),
    (ThreadPerformer, model_process.DEFAULT_FACTORY, MODEL_BESIDE),
    (ThreadPerformer, "tests.loops:load_torch", TORCH_BESIDE),
)


def due_notes(begin: float, seconds: float, seed: int = 0) -> deque[NoteOn]:
    """Notes at uneven distances, so that no loop's own period suits them."""
    draw, notes, at = random.Random(seed), deque[NoteOn](), begin
    while at < begin + seconds:
        notes.append(NoteOn(at, 0, 60, 60))
        at += draw.uniform(NEAREST_S, FARTHEST_S)
    return notes


class PriorityRefusedError(Exception):
    """Refused by the system."""


def lateness_ms(loop: Loop, band: Band, seconds: float, *, is_raised: bool) -> list[float]:
    """How late each note left, by a thread that ends with it, and its priority too."""
    ports = MemoryPorts()

    def play() -> None:
        if is_raised and ask_for_real_time().startswith("no "):
            raise PriorityRefusedError
        notes = due_notes(perf_counter() + BEGIN_S, seconds)
        loop(Stage(notes, ports, band.performer, band.queue, band.planning))

    with ThreadPoolExecutor(1) as thread:
        thread.submit(play).result()
    return [1000 * (at - message.time) for at, message in ports.sent]


def percentiles(values: Sequence[float]) -> list[float]:
    ordered = sorted(values)
    return [ordered[round(share * (len(ordered) - 1))] for share in SHARES]


@contextmanager
def band(kind: type[Performer], factory: str) -> Iterator[Band]:
    """A model that is ready and at work."""
    queue: SimpleQueue[Arrival] = SimpleQueue()
    performer = kind([("default", None)], queue, factory=factory)
    performer.start()
    try:
        if not isinstance(queue.get(timeout=60), ModelReady):
            raise SystemExit(f"the model cannot be loaded: {performer.failure}")
        planning = Planning()
        performer.ask(planning.ask())
        gc.collect()
        gc.freeze()
        yield Band(performer, queue, planning)
    finally:
        performer.close()
        gc.unfreeze()


def lateness_rows(seconds: float) -> list[str]:
    """A row of the table for each loop, without and with priority."""
    rows = []
    for kind, factory, loops in CASES:
        with band(kind, factory) as playing:
            for name, loop in loops:
                for is_raised in (False, True):
                    try:
                        late = lateness_ms(loop, playing, seconds, is_raised=is_raised)
                        cells = [f"{value:.2f}" for value in percentiles(late)]
                    except PriorityRefusedError:
                        cells = ["refused"] * len(SHARES)
                    rows.append(
                        f"| {name} | {'yes' if is_raised else 'no'} | {' | '.join(cells)} |"
                    )
    return rows


# What is left of a clock's jitter: each takes the arrivals so far, and tells the next tick.

Guess: TypeAlias = Callable[[Sequence[float]], list[float]]


def by_last_interval(arrivals: Sequence[float]) -> list[float]:
    """The next comes as long after this one as this one came after the last."""
    return [2 * b - a for a, b in pairwise(arrivals)]


def by_moving_average(arrivals: Sequence[float]) -> list[float]:
    """The next comes after the mean of the last 24 intervals."""
    guesses = []
    for n in range(1, len(arrivals)):
        first = max(0, n - 24)
        guesses.append(arrivals[n] + (arrivals[n] - arrivals[first]) / (n - first))
    return guesses


def by_follower(arrivals: Sequence[float]) -> list[float]:
    """What the daemon goes by."""
    follower, guesses = Follower(), []
    for arrival in arrivals:
        follower.tick(arrival)
        guesses.append(follower.time_of(follower.count + 1))
    return guesses[1:]


GUESSES: tuple[tuple[str, Guess], ...] = (
    ("the last interval", by_last_interval),
    ("the mean of 24 intervals", by_moving_average),
    ("the daemon's follower", by_follower),
)


def left_of_jitter_ms(guess: Guess, late_ms: Callable[[float], float]) -> tuple[float, float]:
    """Standard deviation and largest error of the next tick's time, after four beats.

    late_ms: how late a tick sent at a time arrives. 120 bpm, two minutes; a constant is taken out.
    """
    sent = [5.0 + n * period_of(120) for n in range(120 * 48)]
    guesses = guess([time + late_ms(time) / 1000 for time in sent])
    errors = [1000 * (told - true) for told, true in zip(guesses, sent[2:], strict=False)][96:]
    mean = fmean(errors)
    return pstdev(errors), max(abs(error - mean) for error in errors)


def jack_late_ms(sent: float) -> float:
    """A driver that hands over what came once a period of 256 frames."""
    return 1000 * (JACK_PERIOD_S - sent % JACK_PERIOD_S)


def jitter_rows() -> list[str]:
    """A row for each way of telling the next tick, under two kinds of jitter."""
    rows = []
    for name, guess in GUESSES:
        draw = random.Random(1)
        gaussian = left_of_jitter_ms(guess, lambda _, draw=draw: draw.gauss(0.0, 1.0))
        jack = left_of_jitter_ms(guess, jack_late_ms)
        rows.append(f"| {name} | " + " | ".join(f"{value:.2f}" for value in gaussian + jack) + " |")
    return rows


def main() -> None:
    """Print both tables, as Markdown."""
    parser = argparse.ArgumentParser(description="What simpler loops score.")
    parser.add_argument("--seconds", type=float, default=5.0, help="of notes for each row")
    seconds = parser.parse_args().seconds
    load = f"load average {os.getloadavg()[0]:.1f}, " if hasattr(os, "getloadavg") else ""
    rows = lateness_rows(seconds)
    print(f"{load}{os.cpu_count()} cores, {seconds:g} s of notes 5 to 15 ms apart for each row\n")
    print("| lateness of notes, ms | real-time priority | p50 | p99 | p99.9 | max |")
    print("| --- | --- | --- | --- | --- | --- |")
    print(*rows, sep="\n")
    print("\n| error of the next tick, ms | 1 ms sd: sd | max | JACK, 256 frames: sd | max |")
    print("| --- | --- | --- | --- | --- |")
    print(*jitter_rows(), sep="\n")


if __name__ == "__main__":
    main()
