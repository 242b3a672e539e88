"""The checkpoints that the model process plays: loaded, warmed up, and what each player's take was.

Of each there is one set of weights, for all players, and a voice a player that remembers its take.

One more is loaded a little at a time, in the pauses between requests: what is played goes first.
In threads the two would wait for each other, and CUDA's graphs could not be captured. Knows no
pipe and no process.
"""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Callable, Collection, Generator, Sequence
from math import inf
from time import perf_counter
from typing import TypeAlias

from bridge.candidates import Costs
from bridge.recall import Answered, Recall, answer_all
from bridge.warm_up import WARM_UPS, warming_up
from bridge.wire import Load, Loaded, Refused, Reply, Request
from pianogen.continuation import Continuation
from pianogen.errors import PianogenError
from pianogen.grid import Meter

Factory: TypeAlias = Callable[..., Continuation]
Loading: TypeAlias = Generator[None, None, None]  # a little of it each time

A_LITTLE_S = 0.1  # what a little of loading takes at most, on a CPU
OVERDUE_S = 0.05  # a request that has not come so long after it was expected will not come soon
ACTIVE_S = 4.0  # who asked for nothing since does not play
PATIENCE_S = 1.0  # where one is always near, loading goes on all the same, if slowly


class Repertoire:
    """Loads by `factory(name, device=..., sha256=...)`; meter: that of the measures to come."""

    def __init__(
        self, factory: Factory, device: str, meter: Meter, now: Callable[[], float] = perf_counter
    ) -> None:
        self.device = device
        self.measure_ms: dict[str, float] = {}  # what a busy measure takes, by checkpoint
        self._factory = factory
        self._meter = meter
        self._now = now
        self._voices: dict[str, Voices] = {}  # by checkpoint
        self._loading: deque[tuple[Load, float, Loading]] = deque()
        self._expected: dict[int, float] = {}  # when each player's next request is
        self._went_on = -inf  # when a little was loaded last

    def load(self, name: str, sha256: str | None) -> None:
        """Load one and warm it up, at once. Raises whatever the factory does."""
        for _ in self._load(name, sha256):
            pass

    def begin(self, load: Load) -> None:
        """Load one more, by `go_on`."""
        self._went_on = now = self._now()
        self._loading.append((load, now, self._load(load.name, load.sha256)))

    @property
    def is_loading(self) -> bool:
        """Whether there is something to go on with."""
        return bool(self._loading)

    def pause_s(self) -> float:
        """How long to wait for a request before going on: until the one expected has gone by."""
        now = self._now()
        left = (expected - now for expected in self._expected.values())
        near = [left_s for left_s in left if -OVERDUE_S < left_s < A_LITTLE_S]
        return max(near) + OVERDUE_S if near and now - self._went_on < PATIENCE_S else 0.0

    def go_on(self) -> Loaded | Refused | None:
        """Load a little more; returns what came of it where that was the last of it."""
        load, began, loading = self._loading[0]
        self._went_on = self._now()
        try:
            next(loading)
        except StopIteration:
            self._loading.popleft()
            gc.collect()
            gc.freeze()
            took_s = self._now() - began
            return Loaded(load.name, load.sha256, took_s, self.measure_ms[load.name])
        except Exception as error:  # whatever is wrong with it, the others play on
            self._loading.popleft()
            return Refused(load.name, load.sha256, one_line(error))
        return None

    def expects_more(self, requests: Collection[Request]) -> bool:
        """Whether another player plays, too, who may be about to ask for the same measure."""
        return bool(self._active() - {request.player for request in requests})

    def answer(self, request: Request) -> Reply:
        """The measure that is asked for, or why there is none."""
        return self.answer_all([request])[0]

    def answer_all(self, requests: Sequence[Request]) -> list[Reply]:
        """What is asked for at the same time, at most once a player: as one where the checkpoint
        is the same and the meter; the quickest first, whom the others would keep waiting."""
        for request in requests:
            self._expected[request.player] = request.wanted_by
        others = len(self._active() - {request.player for request in requests})
        groups: dict[tuple[str, Meter], list[Request]] = {}
        for request in requests:
            groups.setdefault((request.checkpoint, request.meter), []).append(request)
        replies = []
        quickest_first = sorted(groups.values(), key=self._expected_s)
        for number, group in enumerate(quickest_first, 1):
            replies += self._answer_group(group, others + len(groups) - number)
        return replies

    def _expected_s(self, group: Sequence[Request]) -> float:
        """How long those of one checkpoint will wait for their answers, at least."""
        voices = self._voices.get(group[0].checkpoint)
        return voices.expected_s(len(group)) if voices is not None else 0.0

    def _hurry(self, name: str) -> str:
        """Go on with one that is asked for already; returns why it cannot play."""
        for place, (load, _, _) in enumerate(self._loading):
            if load.name == name:
                self._loading.rotate(-place)
                return f"{name} is still being loaded"
        return f"{name} is not loaded"

    def _active(self) -> set[int]:
        """Who asked lately."""
        now = self._now()
        return {player for player, by in self._expected.items() if now - by < ACTIVE_S}

    def _answer_group(self, group: Sequence[Request], others: int) -> list[Reply]:
        now, voices = self._now(), self._voices.get(group[0].checkpoint)
        if voices is None:
            why = self._hurry(group[0].checkpoint)
            return [_no_answer(request, why) for request in group]
        late = [request for request in group if now > request.deadline]
        in_time = [request for request in group if now <= request.deadline]
        return [
            *(_no_answer(request, "late") for request in late),
            *(voices.answer_all(in_time, others) if in_time else ()),
        ]

    def _load(self, name: str, sha256: str | None) -> Loading:
        model = self._factory(name, device=self.device, sha256=sha256)
        yield
        costs, sizes = Costs(), WARM_UPS[self.device]
        one_s = yield from warming_up(model, self._meter, costs, sizes, self._now)
        self.measure_ms[name] = one_s * 1000
        self._voices[name] = Voices(model, costs, self._now)


class Voices:
    """What plays by one checkpoint: a voice for each player, all of the same weights.

    costs: what its answers took, whoever asked.
    """

    def __init__(
        self, model: Continuation, costs: Costs, now: Callable[[], float] = perf_counter
    ) -> None:
        self._model = model
        self._costs = costs
        self._now = now
        self._recalls: dict[int, Recall] = {}

    def of(self, player: int) -> Recall:
        """A player's, which remembers that player's take alone."""
        if player not in self._recalls:
            self._recalls[player] = Recall(self._model.another(), self._costs, self._now)
        return self._recalls[player]

    def expected_s(self, drafts: int) -> float:
        """What so many drafts are expected to take."""
        return self._costs.expected(drafts)

    def answer_all(self, requests: Sequence[Request], others: int) -> list[Reply]:
        """At once; where that goes wrong, one by one, so that it costs a measure of one's alone."""
        try:
            done = answer_all([(self.of(request.player), request) for request in requests], others)
        except Exception as error:  # whatever a model does wrong costs one measure, not the evening
            if len(requests) == 1:
                return [_no_answer(requests[0], one_line(error))]
            return [reply for one in requests for reply in self.answer_all([one], others)]
        return [_reply(request, one) for request, one in zip(requests, done, strict=True)]


def _reply(request: Request, done: Answered) -> Reply:
    return Reply(
        request.plan_id,
        done.measure,
        listen_ms=done.listen_s * 1000,
        answer_ms=done.answer_s * 1000,
        listened=done.listened,
        candidates=done.candidates,
        spare_ms=done.spare_s * 1000,
        is_tight=done.is_tight,
        player=request.player,
    )


def _no_answer(request: Request, reason: str) -> Reply:
    return Reply(request.plan_id, None, reason=reason, player=request.player)


def one_line(error: BaseException) -> str:
    """What went wrong, for a person: our own errors say it themselves."""
    text = " ".join(str(error).split())
    if isinstance(error, PianogenError):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
