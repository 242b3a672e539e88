"""The model process as the daemon sees it, with a model that needs no weights."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from math import inf
from multiprocessing import Pipe
from pathlib import Path
from queue import SimpleQueue
from time import perf_counter, sleep
from typing import Any, TypeVar

import pytest

from bridge.candidates import Costs
from bridge.events import Ask, Event, ModelLost, ModelReady, Planned
from bridge.loads import Loads
from bridge.model_process import Setup, load, run
from bridge.performer import Performer
from bridge.presets import Preset
from bridge.recall import KEPT_MEASURES, Answered, Recall
from bridge.repertoire import OVERDUE_S, PATIENCE_S, Repertoire
from bridge.slowness import SLOW_MS, slowness
from bridge.staged import Cast, ensemble
from bridge.status import Settings
from bridge.warm_up import WARM_UPS, busy_measure, warming_up
from bridge.wire import (
    Failed,
    Load,
    Loaded,
    Ready,
    Refused,
    Reply,
    Request,
    pack_measure,
    unpack_measure,
)
from pianogen.errors import CheckpointError
from pianogen.grid import Measure, Meter, Note
from pianogen.sampling import Sampling
from tests.fakes import FakeContinuation, load_but

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
        wanted_by=perf_counter() + 60,
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


class Clock:
    """Time that goes on only where something is done."""

    def __init__(self) -> None:
        self.time = 100.0

    def __call__(self) -> float:
        return self.time


class TimedContinuation(FakeContinuation):
    """Hears a measure in 20 ms and draws a draft in 10, after 50 to begin; times `slowness`."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock, self.slowness = clock, 1.0

    def another(self) -> FakeContinuation:
        return TimedContinuation(self.clock)

    def listen(self, measure: Measure) -> None:
        super().listen(measure)
        self.clock.time += 0.02 * self.slowness

    def answer(self, sampling: Sampling, seed: int) -> Measure:
        self.clock.time += (0.05 + 0.01 * sampling.candidates) * self.slowness
        return super().answer(sampling, seed)


class TestDrafts:
    def recall(self) -> tuple[Recall, TimedContinuation]:
        clock, costs = Clock(), Costs()
        for candidates in (1, 8, 1, 8):
            costs.learn(candidates, 0.05 + 0.01 * candidates)
        model = TimedContinuation(clock)
        return Recall(model, costs, clock), model

    def answer(
        self,
        recall: Recall,
        model: TimedContinuation,
        left_s: float,
        *heard: Measure,
        most: int = 256,
    ) -> Answered:
        wanted_by = model.clock.time + left_s
        request = replace(ask(0, *heard), wanted_by=wanted_by, sampling=Sampling(candidates=most))
        return recall.answer(Request.of(request))

    def test_as_many_as_fit_and_the_answer_is_in_time(self) -> None:
        recall, model = self.recall()
        for _ in range(40):
            done = self.answer(recall, model, 0.25, A)
            assert done.answer_s < 0.25
            assert not done.is_tight
        assert done.candidates > 8
        assert done.spare_s == pytest.approx(0.01 * (done.candidates - 1))

    def test_never_more_than_the_preset_says(self) -> None:
        recall, model = self.recall()
        assert {self.answer(recall, model, 0.25, A, most=3).candidates for _ in range(20)} == {3}

    def test_the_time_spent_on_hearing_is_gone(self) -> None:
        recall, model = self.recall()
        for _ in range(40):
            usual = self.answer(recall, model, 0.25, A).candidates
        assert self.answer(recall, model, 0.25, *[A, B, C, X]).candidates < usual
        recall, model = self.recall()
        assert self.answer(recall, model, 0.10, *[A, B, C, X]).candidates == 1

    def test_after_a_late_answer_there_are_fewer(self) -> None:
        recall, model = self.recall()
        for _ in range(40):
            before = self.answer(recall, model, 0.25, A).candidates
        model.slowness = 3.0
        late = self.answer(recall, model, 0.25, A)
        assert late.is_tight
        assert late.candidates == before
        assert self.answer(recall, model, 0.25, A).candidates < before

    def test_with_endless_time_there_are_as_many_as_the_preset_says(self) -> None:
        recall, model = self.recall()
        model.slowness = 100.0
        assert {self.answer(recall, model, inf, A, most=5).candidates for _ in range(9)} == {5}


def test_it_warms_up_in_its_meter_with_one_draft_and_with_many() -> None:
    drawn: list[tuple[Meter, int]] = []

    class Drawing(FakeContinuation):
        def answer(self, sampling: Sampling, seed: int) -> Measure:
            drawn.append((self.meter, sampling.candidates))
            return super().answer(sampling, seed)

    model, costs, meter = Drawing(), Costs(), Meter(7, 8)
    for _ in warming_up(model, meter, costs, WARM_UPS["cpu"]):
        pass
    assert set(drawn) == {(meter, 1), (meter, 8)}
    assert model.heard == ()
    assert costs.expected(8) > 0


class TestSlowness:
    """How long a measure takes is known once a checkpoint is loaded, and told where it is long."""

    def loaded(self, slowness: float) -> Repertoire:
        clock = Clock()

        def make(name: str, *, device: str, sha256: str | None) -> FakeContinuation:
            model = TimedContinuation(clock)
            model.slowness = slowness if name == "slow" else 1.0
            return model

        repertoire = Repertoire(make, "cpu", M, clock)
        repertoire.load("default", None)
        repertoire.begin(Load("slow", None))
        while repertoire.is_loading:
            self.word = repertoire.go_on()
        return repertoire

    def test_it_is_timed_on_a_busy_measure_by_the_clock_it_is_given(self) -> None:
        repertoire = self.loaded(3.0)
        assert repertoire.measure_ms == pytest.approx({"default": 80, "slow": 240})
        assert isinstance(self.word, Loaded)
        assert self.word.measure_ms == pytest.approx(240)

    @pytest.mark.parametrize("meter", [Meter(), Meter(3, 4), Meter(1, 32), Meter(8, 4)])
    def test_what_it_is_timed_on_is_busy_in_every_meter(self, meter: Meter) -> None:
        busy = busy_measure(meter)
        assert len(busy.notes) >= meter.steps
        assert len({(note.onset, note.pitch) for note in busy.notes}) == len(busy.notes)

    def told(self, *words: Ready | Loaded) -> str:
        performer = Performer([("default", None)], SimpleQueue(), bpm=120)
        for word in words:
            performer._pass_on(word)
        return self.caplog.text

    @pytest.fixture(autouse=True)
    def _log(self, caplog: pytest.LogCaptureFixture) -> None:
        self.caplog = caplog

    def test_nothing_is_told_of_what_is_quick_enough(self) -> None:
        quick = (("default", 20.0), ("other", SLOW_MS))
        assert "slow" not in self.told(Ready("cpu", 1.0, quick), Loaded("more", None, 1.0, 99.0))

    def test_what_is_slow_is_told_by_name_wherever_it_is_loaded(self) -> None:
        ready = Ready("cpu", 1.0, (("default", 20.0), ("other", 200.0)))
        told = self.told(ready, Loaded("more", None, 1.0, 101.0))
        assert "checkpoint other is slow here: a measure takes 200 ms" in told
        assert "checkpoint more is slow here: a measure takes 101 ms" in told
        assert "checkpoint default" not in told

    @pytest.mark.parametrize(
        ("device", "advice"),
        [
            ("cpu", "or with `--device cuda` or another checkpoint"),
            ("cuda", "play slower, or with another checkpoint"),
        ],
    )
    def test_another_device_is_advised_where_there_may_be_one(
        self, device: str, advice: str
    ) -> None:
        assert advice in self.told(Ready(device, 1.0, (("other", 200.0),)))

    def test_it_is_told_once(self) -> None:
        again = Ready("cpu", 1.0, (("other", 200.0), ("other", 300.0)))
        assert self.told(again, again).count("checkpoint other") == 1

    def test_what_it_means_is_told_at_the_tempo(self) -> None:
        at_60, at_120 = (slowness("x", 200.0, bpm, M) for bpm in (60.0, 120.0))
        assert at_60 is not None
        assert "at 60 bpm an answer knows nothing of your last 2.5 steps of 32" in at_60
        assert at_120 is not None
        assert "at 120 bpm an answer knows nothing of your last 4.5 steps of 32" in at_120
        much = slowness("x", 2000.0, 120.0, M)
        assert much is not None
        assert "longer than a measure" in much
        assert "\n" not in at_60 + at_120 + much


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
        assert len(performer.figures[0].response_ms) == 1
        assert list(performer.figures[0].candidates) == [first.candidates] == [1]


def test_a_request_past_its_deadline_is_skipped() -> None:
    with performing() as (performer, queue):
        await_event(queue, ModelReady)
        performer.ask(replace(ask(1, A), deadline=perf_counter() - 1))
        assert await_event(queue, Planned).measure is None
        assert performer.figures[0].late == 1


def test_a_failed_answer_is_none_and_the_next_is_an_answer() -> None:
    with performing("load_failing") as (performer, queue):
        await_event(queue, ModelReady)
        performer.ask(ask(1, A, seed=13))
        assert await_event(queue, Planned).measure is None
        performer.ask(ask(2, A, seed=0))
        assert await_event(queue, Planned).measure is not None
        assert performer.figures[0].failed == 1


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


def test_asking_for_cuda_where_there_is_none_is_an_error_and_no_silent_fall_back() -> None:
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("there is CUDA here")
    ours, theirs = Pipe()
    with ours, theirs:
        before = signal.getsignal(signal.SIGINT)
        try:
            run(theirs, Setup((("default", None),), device="cuda"))
        finally:
            signal.signal(signal.SIGINT, before)
        said = ours.recv()
    assert said == Failed("device cuda: no CUDA device can be used here; choose --device cpu")


def test_a_checkpoint_that_is_not_there_is_told() -> None:
    with performing("load_nothing") as (performer, queue):
        await_event(queue, ModelLost)
        assert performer.failure == "FileNotFoundError: there is no checkpoint default"


class SlowContinuation(FakeContinuation):
    """Says when it is worked with, and by whom."""

    def __init__(self, name: str, done: list[str]) -> None:
        super().__init__()
        self.name, self.done = name, done

    def another(self) -> FakeContinuation:
        return SlowContinuation(self.name, self.done)

    def answer(self, sampling: Sampling, seed: int) -> Measure:
        self.done.append(self.name)
        return super().answer(sampling, seed)


class TestRepertoire:
    """Checkpoints loaded one after the other, by hand."""

    def repertoire(self, now: Callable[[], float] = perf_counter) -> Repertoire:
        self.done: list[str] = []

        def make(name: str, *, device: str, sha256: str | None) -> FakeContinuation:
            load_but(name, device=device, sha256=sha256)
            return SlowContinuation(name, self.done)

        repertoire = Repertoire(make, "cpu", M, now)
        repertoire.load("default", None)
        self.done.clear()
        return repertoire

    def played(self, repertoire: Repertoire, checkpoint: str = "default") -> Reply:
        return repertoire.answer(replace(Request.of(ask(1, A)), checkpoint=checkpoint))

    def test_one_more_is_loaded_a_little_at_a_time_and_requests_go_between(self) -> None:
        repertoire = self.repertoire()
        repertoire.begin(Load("other", None))
        said = []
        while repertoire.is_loading:
            said.append(repertoire.go_on())
            assert self.played(repertoire).measure is not None
        assert [word for word in said if word is not None] == said[-1:]
        assert isinstance(said[-1], Loaded)
        between = "".join(name[0] for name in self.done)
        assert "oo" not in between  # never two measures of warming up in a row
        assert between.count("o") == 8
        assert self.played(repertoire, "other").measure is not None

    def test_until_it_is_loaded_it_does_not_answer(self) -> None:
        repertoire = self.repertoire()
        repertoire.begin(Load("other", None))
        assert self.played(repertoire, "other").reason == "other is still being loaded"
        assert self.played(repertoire, "another").reason == "another is not loaded"

    def test_what_is_asked_for_already_is_loaded_first(self) -> None:
        repertoire = self.repertoire()
        for name in ("first", "other"):
            repertoire.begin(Load(name, None))
        repertoire.go_on()
        assert self.played(repertoire, "other").reason == "other is still being loaded"
        said = []
        while repertoire.is_loading:
            said.append(repertoire.go_on())
        assert [word.name for word in said if isinstance(word, Loaded)] == ["other", "first"]

    def test_one_that_cannot_be_loaded_is_told_and_the_rest_goes_on(self) -> None:
        repertoire = self.repertoire()
        repertoire.begin(Load("broken", None))
        repertoire.begin(Load("other", None))
        said = []
        while repertoire.is_loading:
            said.append(repertoire.go_on())
        assert said[0] == Refused("broken", None, "broken: cannot be read")
        assert isinstance(said[-1], Loaded)
        assert self.played(repertoire).measure is not None

    def test_it_waits_for_the_request_that_is_about_to_come(self) -> None:
        clock = Clock()
        repertoire = self.repertoire(clock)
        repertoire.begin(Load("other", None))
        assert repertoire.pause_s() == 0
        for left, pause in ((0.05, 0.05 + OVERDUE_S), (-0.5, 0), (60, 0), (inf, 0)):
            request = replace(Request.of(ask(1, A)), wanted_by=clock.time + left)
            repertoire.answer(replace(request, deadline=inf))
            assert repertoire.pause_s() == pytest.approx(pause)

    def test_it_does_not_wait_for_ever(self) -> None:
        clock = Clock()
        repertoire = self.repertoire(clock)
        repertoire.begin(Load("other", None))
        for _ in range(2):
            repertoire.go_on()
            clock.time += PATIENCE_S
            request = replace(Request.of(ask(1, A)), wanted_by=clock.time + 0.05)
            repertoire.answer(replace(request, deadline=inf))
            assert repertoire.pause_s() == 0


class TestLoads:
    """What is asked for, and what comes of it."""

    OTHER = ("other", None)

    def test_what_is_held_or_asked_for_is_not_asked_for_again(self) -> None:
        loads = Loads([("default", "abc")])
        assert not loads.ask_for(("default", None))
        assert not loads.ask_for(("default", "abc"))
        assert loads.ask_for(self.OTHER)
        assert not loads.ask_for(self.OTHER)
        loads.loaded(self.OTHER)
        assert loads.has(self.OTHER)
        assert not loads.ask_for(self.OTHER)

    def test_another_sha256_is_another_checkpoint(self) -> None:
        loads = Loads([("default", None)])
        assert not loads.has(("default", "abc"))
        assert loads.ask_for(("default", "abc"))
        loads.refuse(("default", "abc"))
        assert not loads.has(("default", "abc"))
        assert loads.has(("default", None))

    def test_what_is_refused_is_asked_for_again_only_when_its_preset_is_written_anew(self) -> None:
        loads = Loads([])
        loads.ask_for(self.OTHER)
        loads.refuse(self.OTHER)
        assert not loads.ask_for(self.OTHER)
        loads.retry("other")
        assert loads.ask_for(self.OTHER)

    def test_what_was_under_way_is_asked_for_again_after_a_death_but_not_after_two(self) -> None:
        loads = Loads([])
        loads.ask_for(self.OTHER)
        assert loads.lose() == ()
        assert loads.ask_for(self.OTHER)
        assert loads.lose() == (self.OTHER,)
        loads.refuse(self.OTHER)
        assert not loads.ask_for(self.OTHER)

    def test_a_new_process_begins_with_what_is_needed_of_what_was_held(self) -> None:
        loads = Loads([("a", None), ("b", "abc"), ("c", None)])
        assert loads.keep({"b", "c", "d"}, played=()) == (("b", "abc"), ("c", None))
        assert not loads.has(("a", None))
        loads.refuse(("c", None))  # it cannot be loaded this time
        assert not loads.has(("c", None))

    def test_what_is_played_comes_first_then_and_the_rest_beside_the_music(self) -> None:
        loads = Loads([("a", None), ("b", "abc"), ("c", None)])
        assert loads.keep({"a", "b"}, played={"b"}) == (("b", "abc"),)
        assert not loads.has(("a", None))
        assert loads.may_play(("a", None))
        assert not loads.may_play(("c", None))
        assert loads.ask_for(("a", None))

    def test_what_comes_beside_the_music_counts_as_there_until_it_is_refused(self) -> None:
        loads = Loads([("a", None)], beside=[("b", "abc"), self.OTHER])
        assert loads.may_play(("b", None))
        assert loads.may_play(("b", "abc"))
        assert not loads.may_play(("b", "abcd"))
        assert loads.may_play(self.OTHER)
        assert not loads.has(self.OTHER)
        assert loads.ask_for(self.OTHER)
        loads.refuse(self.OTHER)
        assert not loads.may_play(self.OTHER)


def of(*checkpoints: str, **values: Any) -> list[Preset]:
    return [
        Preset(name=name, number=number, checkpoint=name, **values)
        for number, name in enumerate(checkpoints)
    ]


def await_outcome(performer: Performer, before: int) -> None:
    """Until something was loaded or refused; a test that waits 30 s for it has failed."""
    for _ in range(3000):
        if performer.outcomes != before:
            return
        sleep(0.01)
    pytest.fail("nothing came of it")


def test_a_checkpoint_is_loaded_when_a_preset_needs_it() -> None:
    with performing("load_but") as (performer, queue):
        await_event(queue, ModelReady)
        (steady,) = of("steady")
        assert not performer.can_play(steady)
        before = performer.outcomes
        performer.need([steady])
        performer.ask(ask(1, A))
        assert await_event(queue, Planned).measure == TestRecall().fresh(A)
        await_outcome(performer, before)
        assert performer.can_play(steady)
        performer.ask(replace(ask(2, A), checkpoint="steady"))
        assert await_event(queue, Planned).measure not in (None, TestRecall().fresh(A))


def test_a_checkpoint_that_cannot_be_loaded_is_one_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with performing("load_but") as (performer, queue):
        await_event(queue, ModelReady)
        for _ in range(3):
            before = performer.outcomes
            performer.need(of("default", "broken"))
            if not caplog.messages:
                await_outcome(performer, before)
        assert [line for line in caplog.messages if "cannot be read" in line] == [
            "broken: cannot be read: presets with this checkpoint stay as they were or are left out"
        ]
        assert [performer.can_play(preset) for preset in of("default", "broken")] == [True, False]


def test_a_process_started_again_loads_what_is_needed_then() -> None:
    with performing("load_but") as (performer, queue):
        await_event(queue, ModelReady)
        before = performer.outcomes
        performer.need(of("steady"))
        await_outcome(performer, before)
        assert performer.pid is not None
        os.kill(performer.pid, signal.SIGKILL)
        await_event(queue, ModelLost)
        await_event(queue, ModelReady)
        assert [performer.can_play(preset) for preset in of("steady", "default")] == [True, False]
        performer.ask(replace(ask(2, A), checkpoint="steady"))
        assert await_event(queue, Planned).measure is not None


def test_a_checkpoint_that_is_the_process_s_end_is_tried_twice(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with performing("load_but") as (performer, queue):
        await_event(queue, ModelReady)
        for _ in range(2):
            performer.need(of("default", "deadly"))
            await_event(queue, ModelLost)
            await_event(queue, ModelReady)
        performer.need(of("default", "deadly"))
        performer.ask(ask(1, A))
        assert await_event(queue, Planned).measure is not None
        assert "the model process ends while it loads deadly" in caplog.text


def test_started_again_it_goes_without_what_cannot_be_loaded_any_more() -> None:
    setup = Setup((("broken", None), ("default", None)), factory="tests.fakes:load_but")
    with pytest.raises(CheckpointError):
        load(setup)
    _, words = load(replace(setup, is_first=False))
    assert words[0] == Refused("broken", None, "broken: cannot be read")
    assert isinstance(words[1], Ready)
    with pytest.raises(CheckpointError):
        load(replace(setup, checkpoints=(("broken", None),), is_first=False))


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


class TestCast:
    """Which checkpoints are loaded before the music, and which beside it."""

    PRESETS = tuple(of("default", "chords", "melody")) + tuple(
        Preset(name=f"{name} again", number=number, checkpoint=name, sha256=sha256)
        for number, name, sha256 in ((10, "default", "abc"), (11, "melody", None))
    )

    def loads(self, *first: int | None, beside: bool) -> tuple[tuple[Any, ...], set[str]]:
        casts = [
            Cast(self.PRESETS, Settings(preset=number), "cpu", "tests.fakes:load")
            for number in first
        ]
        performer = ensemble(casts, SimpleQueue(), beside=beside)
        can_play = {p.checkpoint for p in self.PRESETS if performer.can_play(p)}
        return performer._setup.checkpoints, can_play

    def test_who_plays_alone_needs_one_and_the_sha256_any_preset_asks_for(self) -> None:
        assert self.loads(None, beside=False) == ((("default", "abc"),), {"default"})
        assert self.loads(1, beside=False) == ((("chords", None),), {"chords"})

    def test_a_daemon_begins_with_what_its_players_begin_with_and_the_rest_follows(self) -> None:
        every = {"default", "chords", "melody"}
        assert self.loads(2, beside=True) == ((("melody", None),), every)
        first = (("default", "abc"), ("melody", None))
        assert self.loads(11, 0, 2, beside=True) == (first, every)
