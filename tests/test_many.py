"""Several players in one daemon: each hears, asks and plays for itself, and all end together."""

from __future__ import annotations

import argparse
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from math import inf
from multiprocessing import Pipe
from pathlib import Path
from queue import SimpleQueue
from time import perf_counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.arrivals import Arrival, Inlet, inlets
from bridge.candidates import Costs
from bridge.cli import main
from bridge.daemon import Daemon
from bridge.errors import BridgeError
from bridge.events import (
    Action,
    Ask,
    Event,
    ModelReady,
    NoteOff,
    NoteOn,
    Notice,
    Planned,
    PresetsRead,
    Quit,
    Send,
    Wake,
)
from bridge.memory_ports import MemoryPorts
from bridge.model_process import _company
from bridge.parts import Part, file_of, only_one, parts_of
from bridge.performer import Performer
from bridge.presets import load_presets
from bridge.recall import Recall
from bridge.repertoire import Repertoire, Voices
from bridge.reporter import Reporter
from bridge.seat import AFTER_FAULT_S, AHEAD_S, Seat
from bridge.status import Status
from bridge.wire import Load, Reply, Request, Wish, unpack_measure
from pianogen.grid import Measure, Meter
from pianogen.sampling import Sampling
from tests.fakes import FakeContinuation, SteadyContinuation, load, load_failing
from tests.stage import measure
from tests.test_performer import Clock, TimedContinuation

M = Meter()
Script = Callable[[Event], Sequence[Action]]


class Scripted:
    """In a session's place: does what its script says, and keeps what it was given."""

    def __init__(self, script: Script = lambda event: ()) -> None:
        self.given: list[Event] = []
        self.deadline: float | None = None
        self._script = script

    def handle(self, event: Event) -> list[Action]:
        self.given.append(event)
        return list(self._script(event))

    def next_deadline(self) -> float | None:
        return self.deadline

    def status(self, now: float | None = None) -> Status:
        raise NotImplementedError


class Asked(Performer):
    """Ready at once; keeps who asked, and answers when told to."""

    def __init__(self, queue: SimpleQueue[Arrival], players: int) -> None:
        super().__init__([], queue, players=inlets(queue, players))
        self.asked: list[tuple[int, int]] = []

    def start(self) -> None:
        self._queue.put(ModelReady(perf_counter()))

    def ask(self, ask: Ask, player: int = 0) -> None:
        self.asked.append((player, ask.plan_id))
        self._players[player].put(Planned(perf_counter(), ask.plan_id, None))


@dataclass(frozen=True, slots=True)
class Hall:
    """A daemon with a seat a session."""

    daemon: Daemon
    ports: tuple[MemoryPorts, ...]
    queue: SimpleQueue[Arrival]
    performer: Asked


def hall(*sessions: Any, queue: SimpleQueue[Arrival] | None = None) -> Hall:
    queue = SimpleQueue() if queue is None else queue
    performer = Asked(queue, len(sessions))
    ports = tuple(MemoryPorts() for _ in sessions)
    seats = [
        Seat(session, port, performer, number=number, name=f"player {number}")
        for number, (session, port) in enumerate(zip(sessions, ports, strict=True))
    ]
    return Hall(Daemon(seats, performer, queue), ports, queue, performer)


def ask(plan_id: int, *context: Measure, start: int = 0) -> Ask:
    return Ask(plan_id, "default", M, start, context, Sampling(), 0, inf, inf)


def sent(ports: MemoryPorts) -> list[tuple[str, int]]:
    return [
        ("on" if isinstance(m, NoteOn) else "off", m.pitch)
        for _, m in ports.sent
        if isinstance(m, NoteOn | NoteOff)
    ]


def test_what_comes_at_one_player_s_ports_is_heard_by_that_player_alone() -> None:
    def at_first(event: Event) -> Sequence[Action]:
        if isinstance(event, ModelReady):
            stage.ports[1].feed((0x90, 72, 90))
            stage.ports[0].feed((0x90, 60, 90))
        return ()

    def echo(event: Event) -> Sequence[Action]:
        if not isinstance(event, NoteOn):
            return ()
        if event.pitch == 60:  # the later of the two
            stage.queue.put(Quit(event.time))
        return [Send(event), Send(NoteOff(event.time, 0, event.pitch))]

    first, second = Scripted(lambda event: [*at_first(event), *echo(event)]), Scripted(echo)
    stage = hall(first, second)
    stage.daemon.run()
    assert [sent(ports) for ports in stage.ports] == [
        [("on", 60), ("off", 60)],
        [("on", 72), ("off", 72)],
    ]
    for session in (first, second):
        assert isinstance(session.given[0], ModelReady)
        assert isinstance(session.given[-1], Quit)


def test_presets_read_anew_are_for_all() -> None:
    sessions = Scripted(), Scripted()
    stage = hall(*sessions)
    stage.queue.put(PresetsRead(1.0, load_presets()))
    stage.queue.put(Quit(2.0))
    stage.daemon.run()
    for session in sessions:
        assert [type(event) for event in session.given].count(PresetsRead) == 1


def test_the_player_who_is_due_first_is_woken_first_and_each_by_its_own_deadline() -> None:
    woken: list[tuple[int, float]] = []
    now = perf_counter()
    due = {0: now + 0.04, 1: now + 0.02, 2: now + 0.03}

    def waking(number: int) -> Scripted:
        def script(event: Event) -> Sequence[Action]:
            if isinstance(event, Wake):
                woken.append((number, event.time))
                sessions[number].deadline = None
                if len(woken) == len(due):
                    stage.queue.put(Quit(event.time))
            return ()

        session = Scripted(script)
        session.deadline = due[number]
        return session

    sessions = [waking(number) for number in due]
    stage = hall(*sessions)
    stage.daemon.run()
    assert [number for number, _ in woken] == [1, 2, 0]
    assert all(time >= due[number] for number, time in woken)


def test_one_fails_and_falls_silent_the_other_plays_on(caplog: pytest.LogCaptureFixture) -> None:
    def failing(event: Event) -> Sequence[Action]:
        if isinstance(event, ModelReady):
            return [Send(NoteOn(0.0, 0, 50, 90))]
        if isinstance(event, Wake):
            faults.append(event.time)
            if len(faults) == 3:
                Inlet(stage.queue, 1).put(NoteOn(event.time, 0, 60, 90))
            raise ZeroDivisionError("a fault")
        return ()

    def sound(event: Event) -> Sequence[Action]:
        match event:
            case ModelReady():
                return [Send(NoteOn(0.0, 0, 70, 90))]
            case NoteOn():
                stage.queue.put(Quit(event.time))
                return [Notice("warning", "still here"), Send(NoteOff(0.0, 0, 70))]
            case _:
                return ()

    faults: list[float] = []
    broken, healthy = Scripted(failing), Scripted(sound)
    broken.deadline = perf_counter()
    stage = hall(broken, healthy)
    stage.daemon.run()
    rest_s = AFTER_FAULT_S - AHEAD_S  # it is woken so much ahead
    assert all(b - a >= rest_s for a, b in pairwise(faults))  # again, but not in a rush
    assert [sent(ports) for ports in stage.ports] == [
        [("on", 50), ("off", 50)],
        [("on", 70), ("off", 70)],
    ]
    assert caplog.text.count("player 0: this should not happen") == 1
    assert "player 1: still here" in caplog.text


def test_what_comes_for_one_without_end_does_not_keep_the_other_from_what_is_due() -> None:
    def busy(event: Event) -> Sequence[Action]:
        if isinstance(event, NoteOn) and not is_over:
            now = perf_counter()
            if now < began + 10:
                Inlet(stage.queue, 0).put(NoteOn(now, 0, 60, 90))  # the queue is never empty
            else:
                stage.queue.put(Quit(now))  # the other never had its turn
        return ()

    def waits(event: Event) -> Sequence[Action]:
        if isinstance(event, Wake):
            is_over.append(True)
            waiting.deadline = None
            stage.queue.put(Quit(event.time))
        return ()

    is_over: list[bool] = []
    began = perf_counter()
    waiting = Scripted(waits)
    waiting.deadline = began + 0.01
    stage = hall(Scripted(busy), waiting)
    Inlet(stage.queue, 0).put(NoteOn(perf_counter(), 0, 60, 90))
    stage.daemon.run()
    assert is_over == [True]


def test_quit_ends_what_sounds_at_every_player_s_ports() -> None:
    def forgetful(pitch: int) -> Scripted:
        def script(event: Event) -> Sequence[Action]:
            if not isinstance(event, ModelReady):
                return ()
            if pitch == 72:  # the last of all
                stage.queue.put(Quit(event.time))
            return [Send(NoteOn(0.0, 0, pitch, 90))]

        return Scripted(script)

    stage = hall(forgetful(60), forgetful(72))
    stage.daemon.run()
    assert [sent(ports)[-1] for ports in stage.ports] == [("off", 60), ("off", 72)]
    assert not any(ports.is_open for ports in stage.ports)


def test_ports_that_fail_to_open_close_those_that_did() -> None:
    class Shut(MemoryPorts):
        def open(self, queue: object) -> str:
            raise BridgeError("there is no such port")

    queue: SimpleQueue[Arrival] = SimpleQueue()
    performer, ports = Asked(queue, 2), (MemoryPorts(), Shut())
    seats = [Seat(Scripted(), port, performer, number=n) for n, port in enumerate(ports)]
    with pytest.raises(BridgeError, match="no such port"):
        Daemon(seats, performer, queue).run()
    assert not ports[0].is_open


def test_each_is_answered_what_it_asked_though_both_count_their_plans_alike() -> None:
    def asking(event: Event) -> Sequence[Action]:
        return [Ask(7, "", M, 0, (), Sampling(), 0, inf, inf)] if is_note(event) else ()

    sessions = Scripted(asking), Scripted(asking)
    stage = hall(*sessions)
    Inlet(stage.queue, 1).put(NoteOn(0.0, 0, 60, 90))
    stage.daemon.startup()
    stage.queue.put(Quit(1.0))
    stage.daemon.main_loop()
    stage.daemon.shutdown()
    assert stage.performer.asked == [(1, 7)]
    waiting = stage.queue.get_nowait()
    assert isinstance(waiting, tuple)
    assert (waiting[0], waiting[1].plan_id) == (1, 7)  # type: ignore[union-attr]


def is_note(event: Event) -> bool:
    return isinstance(event, NoteOn)


# The model process.

CONTEXTS = st.lists(st.sampled_from([measure(60), measure(64, 67), measure(50)]), min_size=1)


@given(st.lists(st.tuples(st.integers(0, 2), CONTEXTS, st.booleans()), max_size=20))
def test_players_who_share_a_model_get_what_each_would_get_alone(
    turns: list[tuple[int, list[Measure], bool]],
) -> None:
    shared = repertoire()
    alone = {player: Recall(FakeContinuation()) for player in range(3)}
    takes: dict[int, list[Measure]] = {player: [] for player in range(3)}
    for plan_id, (player, heard, is_new_take) in enumerate(turns):
        takes[player] = [*([] if is_new_take else takes[player]), *heard]
        request = Request.of(ask(plan_id, *takes[player]), player)
        reply = shared.answer(request)
        assert reply.measure == alone[player].answer(request).measure
        assert (reply.player, reply.plan_id) == (player, plan_id)
        takes[player].append(answer_of(reply))


@given(st.lists(st.dictionaries(st.integers(0, 2), CONTEXTS, min_size=1), max_size=8))
def test_players_who_ask_together_get_what_each_would_get_alone(
    rounds: list[dict[int, list[Measure]]],
) -> None:
    shared, alone = repertoire(), {player: Recall(FakeContinuation()) for player in range(3)}
    takes: dict[int, list[Measure]] = {player: [] for player in range(3)}
    for plan_id, heard in enumerate(rounds):
        for player in heard:
            takes[player] += heard[player]
        requests = [Request.of(ask(plan_id, *takes[player]), player) for player in heard]
        replies = shared.answer_all(requests)
        assert [reply.player for reply in replies] == list(heard)
        for request, reply in zip(requests, replies, strict=True):
            assert reply.measure == alone[request.player].answer(request).measure
            takes[request.player].append(answer_of(reply))


def test_players_of_different_checkpoints_get_each_their_own_s_answer_the_quickest_first() -> None:
    clock = Clock()

    def make(name: str, *, device: str, sha256: str | None) -> FakeContinuation:
        return TimedContinuation(clock) if name == "slow" else SteadyContinuation()

    shared = Repertoire(make, "cpu", M, clock)
    for name in ("slow", "steady"):
        shared.load(name, None)
    requests = [
        replace(Request.of(ask(1, measure(60)), player), checkpoint=name)
        for player, name in enumerate(("slow", "steady", "slow"))
    ]
    replies = shared.answer_all(requests)
    assert [reply.player for reply in replies] == [1, 0, 2]
    alone = {"slow": FakeContinuation(), "steady": SteadyContinuation()}
    for reply in replies:
        request = requests[reply.player]
        assert reply.measure == Recall(alone[request.checkpoint]).answer(request).measure


def test_what_one_player_s_request_does_wrong_costs_that_player_alone() -> None:
    shared = Repertoire(load_failing, "cpu", M)
    shared.load("default", None)
    requests = [Request.of(ask(1, measure(60)), player) for player in (0, 1, 2)]
    unlucky = replace(requests[1], seed=13)
    late = replace(requests[2], deadline=0.0)
    replies = {r.player: r for r in shared.answer_all([requests[0], unlucky, late])}
    assert replies[0].measure == Recall(FakeContinuation()).answer(requests[0]).measure
    assert (replies[1].measure, replies[1].reason) == (None, "RuntimeError: unlucky")
    assert (replies[2].measure, replies[2].reason) == (None, "late")


def test_the_time_there_is_is_shared_by_those_who_play() -> None:
    def drafts(*players: int, playing: int) -> dict[int, int]:
        clock = Clock()
        shared = Repertoire(lambda *_, **__: TimedContinuation(clock), "cpu", M, clock)
        costs = Costs()
        for count in (1, 8, 1, 8, 40, 40, 40):
            costs.learn(count, 0.05 + 0.01 * count)
        shared._voices["default"] = Voices(TimedContinuation(clock), costs, clock)
        most = Sampling(candidates=256)
        for player in range(playing):
            shared._expected[player] = clock()
        requests = [
            replace(Request.of(ask(1), player), sampling=most, wanted_by=clock() + 0.4)
            for player in players
        ]
        return {reply.player: reply.candidates for reply in shared.answer_all(requests)}

    alone = drafts(0, playing=1)[0]
    assert drafts(0, 1, playing=2) == {0: alone // 2, 1: alone // 2}
    assert 1 <= drafts(0, playing=2)[0] < alone


def test_a_request_waits_for_the_others_who_play_and_nothing_else_is_lost() -> None:
    ours, theirs = Pipe()
    requests = [Request.of(ask(n, measure(60)), player) for n, player in enumerate((0, 1, 0, 2))]
    for wish in (requests[0], requests[1], Load("other", None), requests[2], requests[3]):
        ours.send(wish)
    shared, waiting = repertoire(), deque[Wish]()
    assert _company(theirs.recv(), shared, theirs, waiting) == [requests[0]]  # it plays alone
    shared.answer_all(requests[2:])  # now all three are known to play, but for one
    shared.answer_all([requests[1]])
    together = _company(requests[0], shared, theirs, waiting)
    assert together == [requests[0], requests[1], requests[3]]
    assert list(waiting) == [Load("other", None), requests[2]]


def test_one_player_s_take_is_not_heard_anew_for_what_another_played() -> None:
    shared = repertoire()
    shared.answer(Request.of(ask(1, measure(60), measure(64)), 0))
    assert shared.answer(Request.of(ask(1, measure(50)), 1)).listened == 1
    assert shared.answer(Request.of(ask(2, measure(60), measure(64)), 0)).listened == 0


def test_loading_waits_for_the_request_of_whoever_is_next() -> None:
    now = 100.0
    shared = Repertoire(load, "cpu", M, lambda: now)
    shared.load("default", None)
    shared.begin(Load("other", None))
    for player, left in ((0, 0.05), (1, 5.0)):
        request = replace(Request.of(ask(1), player), wanted_by=now + left)
        shared.answer(request)
    assert shared.pause_s() == pytest.approx(0.1)


def repertoire() -> Repertoire:
    made = Repertoire(load, "cpu", M)
    made.load("default", None)
    return made


def answer_of(reply: Reply) -> Measure:
    assert reply.measure is not None
    return unpack_measure(reply.measure)


@contextmanager
def shared_process() -> Iterator[tuple[Performer, SimpleQueue[Arrival]]]:
    queue: SimpleQueue[Arrival] = SimpleQueue()
    performer = Performer(
        [("default", None)], queue, players=inlets(queue, 2), factory="tests.fakes:load"
    )
    performer.start()
    try:
        yield performer, queue
    finally:
        performer.close()


def test_one_process_answers_two_players_each_in_its_seat() -> None:
    with shared_process() as (performer, queue):
        assert isinstance(queue.get(timeout=30), ModelReady)
        contexts = [measure(60), measure(50, 53)]
        for number, context in enumerate(contexts):
            performer.ask(ask(1, context), number)
        found = dict(planned(queue.get(timeout=30)) for _ in contexts)
        for number, context in enumerate(contexts):
            alone = Recall(FakeContinuation()).answer(Request.of(ask(1, context)))
            assert found[number].measure == unpack_measure(alone.measure)
            assert len(performer.figures[number].response_ms) == 1


def planned(arrival: Arrival) -> tuple[int, Planned]:
    assert isinstance(arrival, tuple)
    number, event = arrival
    assert isinstance(event, Planned)
    return number, event


def test_each_has_figures_of_its_own_to_be_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    queue: SimpleQueue[Arrival] = SimpleQueue()
    performer = Asked(queue, 2)
    reporters = [Reporter(name, performer, n) for n, name in enumerate(("left", "right"))]
    performer.figures[1].response_ms.append(12.5)
    for reporter in reporters:
        reporter.heard(Planned(1.0, 1, measure(60) if reporter is reporters[1] else None))
        reporter.shown(session_status())
    assert main(["--status", "--port", "left"]) == 0
    assert main(["--status", "--port", "right"]) == 0
    left, right = capsys.readouterr().out.split("daemon    ports")[1:]
    assert "p50 -, p95 -" in left
    assert "p50 12.5, p95 12.5" in right
    for reporter in reporters:
        reporter.close()
    assert os.listdir(tmp_path / "pianogen") == []


def session_status() -> Status:
    from bridge.session import Session, Settings

    return Session(load_presets(), Settings()).status(1.0)


# The command line.


def parts(**given: Any) -> tuple[Part, ...]:
    words = dict.fromkeys(("ports", "inputs", "outputs", "first_presets", "channels"))
    return parts_of(argparse.Namespace(**{**words, "latencies_ms": None, **given}))


def test_without_a_word_there_is_one_player() -> None:
    (part,) = parts()
    assert (part.name, part.number, part.preset, part.channel) == ("pianogen", 0, None, None)


def test_what_is_given_once_is_for_all_and_else_for_each_in_order() -> None:
    both = parts(ports=["a", "b"], first_presets=["nocturne", "dense"], channels=[3])
    assert [(part.name, part.preset, part.channel) for part in both] == [
        ("a", "nocturne", 3),
        ("b", "dense", 3),
    ]
    assert [part.number for part in both] == [0, 1]


def test_several_players_record_to_files_of_their_own() -> None:
    path = Path("takes/duo.mid")
    assert file_of(parts()[0], path, 1) == path
    assert [file_of(part, path, 2) for part in parts(ports=["a", "b/c"])] == [
        Path("takes/duo-a.mid"),
        Path("takes/duo-b%2Fc.mid"),
    ]


def test_what_is_for_one_player_is_not_for_two() -> None:
    (one,) = parts(ports=["a"])
    assert only_one([one], "--demo") is one
    with pytest.raises(BridgeError, match="--port is given 2 times: --demo is for one player"):
        only_one(parts(ports=["a", "b"]), "--demo")


PAIR = ["--port", "a", "--port", "b"]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["--port", "a", "--port", "a"], "--port a: given twice"),
        ([*PAIR, *(3 * ["--preset", "0"])], "--preset is given 3 times, --port 2: give it once"),
        (["--channel", "1", "--channel", "2"], "--channel is given 2 times: one player"),
        ([*PAIR, "--preset", "default", "--preset", "waltz"], "there is no preset 'waltz'"),
        ([*PAIR, "--status"], "--port is given 2 times: --status is for one player"),
        ([*PAIR, "--check"], "--check is for one player"),
    ],
)
def test_words_that_do_not_add_up_are_one_line(
    capsys: pytest.CaptureFixture[str], arguments: list[str], error: str
) -> None:
    assert main(arguments) == 2
    err = capsys.readouterr().err
    assert err.startswith("pianogen-bridge: error: ")
    assert error in err
    assert err.count("\n") == 1
