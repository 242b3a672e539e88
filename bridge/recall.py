"""What a model has heard of the present take, so that it never hears a measure twice. Pure.

take      0   1   2   3   4   5
heard         b   c   d   e          first = 1, a mark before each and one after the last
request           c   d   x          start = 2: keep b c d, go back to after d, hear x
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

from bridge.candidates import Costs
from bridge.wire import Request, pack_measure, unpack_measure
from pianogen.continuation import Continuation
from pianogen.grid import Meter

KEPT_MEASURES = 40  # how far back the marks reach


@dataclass(frozen=True, slots=True)
class Answered:
    """A packed measure and what it took; listened counts measures heard anew.

    candidates: how many drafts it was chosen from. spare_s: what those beyond the first took.
    is_tight: it was late or nearly so for having so many.
    """

    measure: bytes
    listened: int
    listen_s: float
    answer_s: float
    candidates: int
    spare_s: float
    is_tight: bool


class Recall:
    """One model with its memory of a take: measures by absolute index, a mark between each.

    costs: what its answers took so far, by which it is told how many drafts to draw.
    """

    def __init__(
        self,
        model: Continuation,
        costs: Costs | None = None,
        now: Callable[[], float] = perf_counter,
    ) -> None:
        self._model = model
        self._costs = costs or Costs()
        self._now = now
        self._meter: Meter | None = None  # None where nothing can be trusted
        self._first = 0  # the index of heard[0]
        self._heard: list[bytes] = []
        self._marks: list[Any] = []  # marks[i]: the context before heard[i]; one more at the end

    def answer(self, request: Request) -> Answered:
        """The measure after the request's context, from as many drafts as fit; then heard, too."""
        began = self._now()
        common = self._go_back(request)
        self._meter = None  # until all went well
        fresh = request.context[common:]
        for packed in fresh:
            self._model.listen(unpack_measure(packed))
            self._remember(packed)
        heard, costs = self._now(), self._costs
        left = request.wanted_by - heard
        candidates = costs.fitting(request.sampling.candidates, left)
        sampling = replace(request.sampling, candidates=candidates)
        measure = pack_measure(self._model.answer(sampling, request.seed))
        took = self._now() - heard
        self._remember(measure)
        self._meter = request.meter
        self._forget_oldest()
        return Answered(
            measure=measure,
            listened=len(fresh),
            listen_s=heard - began,
            answer_s=took,
            candidates=candidates,
            is_tight=costs.learn(candidates, took, left),
            spare_s=costs.beyond_first(candidates, took),
        )

    def _go_back(self, request: Request) -> int:
        """Bring the model to where the request departs from what was heard.

        Returns how many of the request's measures the model has heard already.
        """
        offset = request.start - self._first
        if self._meter != request.meter or not 0 <= offset <= len(self._heard):
            self._begin(request)
            return 0
        common = _common(self._heard[offset:], request.context)
        place = offset + common
        if place < len(self._heard):
            self._model.rewind(self._marks[place])
            del self._heard[place:], self._marks[place + 1 :]
        return common

    def _begin(self, request: Request) -> None:
        self._model.reset(request.meter)
        self._first = request.start
        self._heard.clear()
        self._marks = [self._model.mark()]

    def _remember(self, packed: bytes) -> None:
        self._heard.append(packed)
        self._marks.append(self._model.mark())

    def _forget_oldest(self) -> None:
        surplus = len(self._heard) - KEPT_MEASURES
        if surplus > 0:
            del self._heard[:surplus], self._marks[:surplus]
            self._first += surplus


def _common(known: list[bytes], sent: tuple[bytes, ...]) -> int:
    count = 0
    for ours, theirs in zip(known, sent, strict=False):
        if ours != theirs:
            break
        count += 1
    return count
