"""What a model has heard of the present take, so that it never hears a measure twice. Pure.

take      0   1   2   3   4   5
heard         b   c   d   e          first = 1, a mark before each and one after the last
request           c   d   x          start = 2: keep b c d, go back to after d, hear x
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
        self.model = model
        self.costs = costs or Costs()
        self.now = now
        self._meter: Meter | None = None  # None where nothing can be trusted
        self._first = 0  # the index of heard[0]
        self._heard: list[bytes] = []
        self._marks: list[Any] = []  # marks[i]: the context before heard[i]; one more at the end

    def answer(self, request: Request) -> Answered:
        """The measure after the request's context, from as many drafts as fit; then heard, too."""
        return answer_all([(self, request)])[0]

    def hear(self, request: Request) -> tuple[int, float]:
        """Come to where the request stands; returns how many measures were heard anew, and the
        seconds that took."""
        began = self.now()
        common = self._go_back(request)
        self._meter = None  # until all went well
        fresh = request.context[common:]
        for packed in fresh:
            self.model.listen(unpack_measure(packed))
            self._remember(packed)
        return len(fresh), self.now() - began

    def keep(self, request: Request, measure: bytes) -> None:
        """The request is answered by this measure, which the model has made."""
        self._remember(measure)
        self._meter = request.meter
        self._forget_oldest()

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
            self.model.rewind(self._marks[place])
            del self._heard[place:], self._marks[place + 1 :]
        return common

    def _begin(self, request: Request) -> None:
        self.model.reset(request.meter)
        self._first = request.start
        self._heard.clear()
        self._marks = [self.model.mark()]

    def _remember(self, packed: bytes) -> None:
        self._heard.append(packed)
        self._marks.append(self.model.mark())

    def _forget_oldest(self) -> None:
        surplus = len(self._heard) - KEPT_MEASURES
        if surplus > 0:
            del self._heard[:surplus], self._marks[:surplus]
            self._first += surplus


def answer_all(asked: Sequence[tuple[Recall, Request]], others: int = 0) -> list[Answered]:
    """What requests of players who share a model, in one meter, are answered at once.

    others: who share the processor, and may ask meanwhile: their part of the time is left to them.
    """
    heard = [recall.hear(request) for recall, request in asked]
    first = asked[0][0]
    costs, began = first.costs, first.now()
    left = (min(request.wanted_by for _, request in asked) - began) / (1 + others)
    drafts = _shared_out(costs, [request.sampling.candidates for _, request in asked], left)
    wishes = [
        (recall.model, replace(request.sampling, candidates=count), request.seed)
        for (recall, request), count in zip(asked, drafts, strict=True)
    ]
    measures = [pack_measure(measure) for measure in first.model.answer_all(wishes)]
    took, total = first.now() - began, sum(drafts)
    is_tight = costs.learn(total, took, left)
    spare_s = costs.beyond_first(total, took, least=len(asked))
    for (recall, request), measure in zip(asked, measures, strict=True):
        recall.keep(request, measure)
    return [
        Answered(measure, listened, listen_s, took, count, spare_s, is_tight)
        for measure, (listened, listen_s), count in zip(measures, heard, drafts, strict=True)
    ]


def _shared_out(costs: Costs, most: Sequence[int], left: float) -> list[int]:
    """How many drafts each may have: all it wants, or what there is time for in equal parts."""
    fitting = costs.fitting(sum(most), left)
    if fitting >= sum(most):
        return list(most)
    return [max(1, min(wanted, fitting // len(most))) for wanted in most]


def _common(known: list[bytes], sent: tuple[bytes, ...]) -> int:
    count = 0
    for ours, theirs in zip(known, sent, strict=False):
        if ours != theirs:
            break
        count += 1
    return count
