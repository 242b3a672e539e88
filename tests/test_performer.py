"""The model process as the daemon sees it, with a model that needs no weights."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue
from time import perf_counter, sleep
from typing import TypeVar

import pytest

from bridge.events import Ask, Event, ModelLost, ModelReady, Planned
from bridge.performer import Performer
from bridge.recall import KEPT_MEASURES, Recall
from bridge.wire import Request, pack_measure, unpack_measure
from pianogen.grid import Measure, Meter, Note
from pianogen.sampling import Sampling
from tests.fakes import FakeContinuation

M = Meter()
E = TypeVar("E")


def measure(*pitches: int) -> Measure:
    return Measure(M, tuple(Note(2 * i, pitch, 16, 2) for i, pitch in enumerate(pitches)))


def ask(plan_id: int, *context: Measure, start: int = 0, seed: int = 0, meter: Meter = M) -> Ask:
    return Ask(
        plan_id=plan_id,
        checkpoint="default",
        meter=meter,
        start=start,
        context=context,
        sampling=Sampling(),
        seed=seed,
        deadline=perf_counter() + 60,
    )


A, B, C, X = measure(60), measure(62, 65), measure(64), measure(40, 41)


class TestRecall:
    def answer(self, recall: Recall, request: Ask) -> tuple[Measure, int]:
        done = recall.answer(Request.of(request))
        return unpack_measure(done.measure), done.listened

    def fresh(self, *context: Measure, seed: int = 0) -> Measure:
        return self.answer(Recall(FakeContinuation()), ask(0, *context, seed=seed))[0]

    def test_measures_heard_before_are_not_heard_again(self) -> None:
        recall = Recall(FakeContinuation())
        assert self.answer(recall, ask(1, A)) == (self.fresh(A), 1)
        assert self.answer(recall, ask(2, A, B)) == (self.fresh(A, B), 1)

    def test_an_answer_in_the_context_costs_nothing_more(self) -> None:
        recall = Recall(FakeContinuation())
        first, _ = self.answer(recall, ask(1, A))
        assert self.answer(recall, ask(2, A, first)) == (self.fresh(A, first), 0)

    def test_a_changed_measure_goes_back_to_where_it_changed(self) -> None:
        recall = Recall(FakeContinuation())
        self.answer(recall, ask(1, A, B, C))
        assert self.answer(recall, ask(2, A, X, C)) == (self.fresh(A, X, C), 2)

    def test_only_the_newest_measures_need_be_sent(self) -> None:
        recall = Recall(FakeContinuation())
        self.answer(recall, ask(1, A, B))
        assert self.answer(recall, ask(2, B, C, start=1)) == (self.fresh(A, B, C), 1)
        assert self.answer(recall, ask(3, X, start=2)) == (self.fresh(A, B, X), 1)

    def test_an_unknown_start_begins_anew_with_what_was_sent(self) -> None:
        recall = Recall(FakeContinuation())
        self.answer(recall, ask(1, A, B))
        assert self.answer(recall, ask(2, C, start=9)) == (self.fresh(C), 1)
        assert self.answer(recall, ask(3, A, start=0)) == (self.fresh(A), 1)

    def test_another_meter_begins_anew(self) -> None:
        recall = Recall(FakeContinuation())
        self.answer(recall, ask(1, A, B))
        _, listened = self.answer(recall, ask(2, A, start=1, meter=Meter(3, 4)))
        assert listened == 1

    def test_a_long_take_is_heard_once_and_remembered_in_part(self) -> None:
        model = FakeContinuation()
        recall, context = Recall(model), [A]
        for number in range(3 * KEPT_MEASURES):
            window = context[-8:]
            start = len(context) - len(window)
            given, _ = self.answer(recall, ask(number, *window, start=start))
            context.append(given if number % 3 else X)
        assert model.listened == 1 + KEPT_MEASURES  # A and every X
        assert len(recall._heard) == KEPT_MEASURES

    def test_a_model_that_fails_is_not_trusted_with_its_memory(self) -> None:
        model = FakeContinuation()
        recall = Recall(model)
        self.answer(recall, ask(1, A, B))
        model.listen = lambda measure: 1 / 0  # type: ignore[assignment,method-assign]
        with pytest.raises(ZeroDivisionError):
            self.answer(recall, ask(2, A, C))
        del model.listen
        assert self.answer(recall, ask(3, A, C)) == (self.fresh(A, C), 2)


def test_measures_survive_the_wire() -> None:
    odd = Measure(Meter(7, 8), (Note(27, 127, 31, 255), Note(0, 0, 0, 1)))
    assert unpack_measure(pack_measure(odd)) == odd


@contextmanager
def performing(factory: str = "load") -> Iterator[tuple[Performer, SimpleQueue[Event]]]:
    queue: SimpleQueue[Event] = SimpleQueue()
    performer = Performer([("default", None)], queue, factory=f"tests.fakes:{factory}")
    performer.start()
    try:
        yield performer, queue
    finally:
        performer.close()


def await_event(queue: SimpleQueue[Event], kind: type[E]) -> E:
    """The next event of a kind; a test that waits 30 s for one has failed."""
    while True:
        event = queue.get(timeout=30)
        if isinstance(event, kind):
            return event


def test_it_answers_what_it_is_asked() -> None:
    with performing() as (performer, queue):
        await_event(queue, ModelReady)
        performer.ask(ask(1, A))
        first = await_event(queue, Planned)
        assert first.plan_id == 1
        assert first.measure == TestRecall().fresh(A)
        assert len(performer.figures.response_ms) == 1


def test_a_request_past_its_deadline_is_skipped() -> None:
    with performing() as (performer, queue):
        await_event(queue, ModelReady)
        performer.ask(replace(ask(1, A), deadline=perf_counter() - 1))
        assert await_event(queue, Planned).measure is None
        assert performer.figures.late == 1


def test_a_failed_answer_is_none_and_the_next_is_an_answer() -> None:
    with performing("load_failing") as (performer, queue):
        await_event(queue, ModelReady)
        performer.ask(ask(1, A, seed=13))
        assert await_event(queue, Planned).measure is None
        performer.ask(ask(2, A, seed=0))
        assert await_event(queue, Planned).measure is not None
        assert performer.figures.failed == 1


@pytest.mark.parametrize("how", ["killed from outside", "died of itself"])
def test_a_dead_process_is_noticed_and_started_again(how: str) -> None:
    with performing("load_failing") as (performer, queue):
        await_event(queue, ModelReady)
        if how == "killed from outside":
            assert performer.pid is not None
            os.kill(performer.pid, signal.SIGKILL)
        else:
            performer.ask(ask(1, A, seed=99))
        await_event(queue, ModelLost)
        await_event(queue, ModelReady)
        performer.ask(ask(2, A))
        assert await_event(queue, Planned).measure == TestRecall().fresh(A)


def test_asking_a_dead_process_fails_at_once() -> None:
    with performing() as (performer, queue):
        await_event(queue, ModelReady)
        performer.close()
        performer.ask(ask(5, A))
        planned = await_event(queue, Planned)
        assert (planned.plan_id, planned.measure) == (5, None)


def test_a_checkpoint_that_is_not_there_is_told() -> None:
    with performing("load_nothing") as (performer, queue):
        await_event(queue, ModelLost)
        assert performer.failure == "FileNotFoundError: there is no checkpoint default"


_ORPHANER = """
import os, signal
from queue import SimpleQueue
from bridge.performer import Performer
if __name__ == "__main__":
    queue = SimpleQueue()
    performer = Performer([("default", None)], queue, factory="tests.fakes:load")
    performer.start()
    queue.get(timeout=30)
    print(performer.pid, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_process_ends_with_a_daemon_that_is_killed() -> None:
    done = subprocess.run([sys.executable, "-c", _ORPHANER], capture_output=True, timeout=60)
    assert done.returncode == -signal.SIGKILL
    pid = int(done.stdout)
    for _ in range(500):
        if not is_running(pid):
            return
        sleep(0.02)
    pytest.fail("the model process outlived the daemon")


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not state.exists() or ") Z " not in state.read_text()
