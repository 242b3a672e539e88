"""Requests to the model and what came of them: for each measure, the newest plan that is ready."""

from __future__ import annotations

from dataclasses import dataclass, replace

from bridge.events import Ask, Planned
from bridge.lead import Lead
from bridge.presets import Preset
from pianogen.grid import Measure, Meter

OPEN = 256  # requests never answered that are remembered


@dataclass(slots=True)
class Tally:
    """What became of the requests."""

    asked: int = 0
    answered: int = 0
    failed: int = 0
    late: int = 0  # answered, but after the measure line
    stale: int = 0  # played, though made of less than was known at the freeze


@dataclass(frozen=True, slots=True)
class Plan:
    """A measure that is ready, and the preset that it is voiced by.

    made_from: the context it was asked with, and its start. begun: what makes it grow old.
    """

    measure: Measure
    preset: Preset
    plan_id: int = 0
    made_from: tuple[int, tuple[Measure, ...]] | None = None
    begun: object = None


@dataclass(frozen=True, slots=True)
class _Open:
    """A request under way: for which measure (None: no longer wanted) and since when.

    takes_over: behind its line it is wanted still, for what is left of the measure.
    """

    measure: int | None
    asked_at: float
    ask: Ask
    preset: Preset
    begun: object
    takes_over: bool = False


class Plans:
    """Keeps requests apart by measure of the run."""

    def __init__(self, meter: Meter) -> None:
        self.tally = Tally()
        self.lead = Lead()
        self._meter = meter
        self.next_id = 1  # that no request has had
        self.candidates = 0  # how many drafts the newest answer was chosen from
        self._open: dict[int, _Open] = {}
        self._ready: dict[int, Plan] = {}  # by measure
        self._asked: dict[int, Ask] = {}  # by measure: the newest
        self._known: dict[int, object] = {}  # by measure: `_begun` of all known at the freeze

    def is_news(self, measure: int, ask: Ask) -> bool:
        """Whether `ask` differs from the newest request for the same measure."""
        return _essence(self._asked.get(measure)) != _essence(ask)

    def are_expected(self, measure: int) -> bool:
        """Whether one for `measure` is ready or under way."""
        return measure in self._ready or measure in self._asked

    def revoice(self, measure: int, preset: Preset) -> None:
        """The same request is to be voiced by `preset`."""
        asked = self._asked.get(measure)
        for plan_id, request in self._open.items():
            if request.ask is asked and request.preset is not preset:
                self._open[plan_id] = replace(request, preset=preset)
        ready = self._ready.get(measure)
        if ready is not None and asked is not None and ready.plan_id == asked.plan_id:
            self._ready[measure] = (
                ready if ready.preset is preset else replace(ready, preset=preset)
            )

    def freeze(self, measure: int, ask: Ask) -> bool:
        """The freeze before `measure`, where `ask` holds all that is known: older is stale.

        Returns whether the newest request for it lacks something.
        """
        self._known[measure] = _begun(ask)
        return _begun(self._asked.get(measure)) != _begun(ask)

    def asked(
        self, measure: int, ask: Ask, preset: Preset, now: float, *, takes_over: bool = False
    ) -> None:
        """A request for `measure` goes out, to be voiced by `preset`."""
        self.tally.asked += 1
        self.next_id = ask.plan_id + 1
        self._asked[measure] = ask
        self._open[ask.plan_id] = _Open(measure, now, ask, preset, _begun(ask), takes_over)
        if len(self._open) > OPEN:
            del self._open[min(self._open)]

    def receive(self, planned: Planned, next_line: int) -> str | None:
        """An answer comes in, while `next_line` is the next measure; returns what went wrong."""
        request = self._open.pop(planned.plan_id, None)
        if request is None:
            return None
        took_s = planned.time - request.asked_at
        self.lead.learn(took_s, planned.candidates, planned.spare_s)
        plan = planned.measure
        if plan is None or plan.meter != self._meter:
            self.tally.failed += 1
            self._forget(request)
            return "the model failed to answer a request"
        self.tally.answered += 1
        self.candidates = planned.candidates
        if request.measure is None:
            return None
        if request.measure < next_line - request.takes_over:
            self.tally.late += 1
            return "an answer came after its measure line and is not played"
        ready = self._ready.get(request.measure)
        if ready is None or ready.plan_id < planned.plan_id:
            made_from = request.ask.start, request.ask.context
            self._ready[request.measure] = Plan(
                plan, request.preset, planned.plan_id, made_from, request.begun
            )
        return None

    def _forget(self, failed: _Open) -> None:
        """The same may be asked again."""
        if failed.measure is not None and self._asked.get(failed.measure) is failed.ask:
            del self._asked[failed.measure]

    def ready(self, measure: int) -> Plan | None:
        """The newest plan for `measure` so far; None where none is ready."""
        return self._ready.get(measure)

    def take(self, measure: int) -> Plan | None:
        """The newest plan for `measure`, which is now played; None where none is ready."""
        plan = self.ready(measure)
        if plan is not None and measure in self._known:
            self.tally.stale += self._known[measure] != plan.begun
        for kept in (self._ready, self._asked, self._known):
            for old in [m for m in kept if m <= measure]:
                kept.pop(old)
        return plan

    def drop(self) -> None:
        """No plan is wanted any longer; what is under way will be ignored."""
        self._ready = {}
        self._asked = {}
        self._known = {}
        self._open = {i: replace(request, measure=None) for i, request in self._open.items()}

    def lose(self) -> None:
        """The model is gone: what is under way will never be answered."""
        self.drop()
        self._open = {}


def _essence(ask: Ask | None) -> object:
    """What makes two requests the same."""
    return None if ask is None else (ask.checkpoint, ask.start, ask.context, ask.sampling, ask.seed)


def _begun(ask: Ask | None) -> object:
    """The same but for how long notes last: a key let go since is no reason to plan in haste."""
    if ask is None:
        return None
    notes = [[(n.onset, n.pitch, n.velocity_bin) for n in m.notes] for m in ask.context]
    return ask.checkpoint, ask.start, notes, ask.sampling, ask.seed
