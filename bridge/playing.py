"""What the machine plays: a measure booked at its line, and another that takes over within it."""

from __future__ import annotations

from dataclasses import dataclass

from bridge.asking import Asking
from bridge.context import Context
from bridge.controls import Controls
from bridge.measure import step_of
from bridge.outbox import Outbox
from bridge.phrase import Turn
from bridge.plans import Plan, Plans
from bridge.roles import LastAnswer, Roles
from bridge.scheduler import Scheduler
from bridge.stages import Stages
from bridge.transport import Transport
from pianogen.grid import TICKS_PER_STEP, Measure, Meter


@dataclass(slots=True)
class Playing:
    """Takes plans, books them, and keeps the last answer for whoever asks for it again.

    answered, missed: measures with a plan, and without (a rest).
    """

    meter: Meter
    controls: Controls
    transport: Transport
    stages: Stages
    context: Context
    plans: Plans
    asking: Asking
    roles: Roles
    scheduler: Scheduler
    out: Outbox
    answered: int = 0
    missed: int = 0
    _booked_s: float = 0.0  # how early the newest measure was booked

    def play(self, turn: Turn, measure: int) -> None:
        """Book what is to be played in the measure that begins now; without a plan, a rest."""
        plan = self.plans.take(measure)
        if turn.script:  # what was made for a turn that went before is not wanted
            self._book(turn.script[(measure - turn.first) % len(turn.script)], measure)
            return
        self.asking.answers += 1
        self._keep(turn, measure, plan)
        if plan is None:
            self.missed += 1
            self.out.note("warning", "no plan was ready at the measure line: a measure of rest")
            return
        self.answered += 1
        self._book(plan, measure)

    def begin_late(self, turn: Turn, measure: int) -> None:
        """The turn's first measure has begun without it; `take_over` brings the rest of it."""
        self._booked_s = self.stages.latency_s(self.controls.preset)
        self._keep(turn, measure, None)
        self.context.answered(measure, ())

    def take_over(self, turn: Turn | None, measure: int, now: float) -> None:
        """What is left of the measure is played by a plan for it that came after its line."""
        plan = self.plans.take(measure)
        if plan is None or turn is None or turn.script or not turn.has(measure):
            return
        sent_until = now + max(0.0, self._booked_s, self.stages.latency_s(plan.preset))
        first = step_of(self.transport.run_at(sent_until)) + 1 - measure * self.meter.steps
        begins = measure * self.meter.ticks + first * TICKS_PER_STEP
        self.scheduler.drop_from(begins)
        self.scheduler.max_polyphony = plan.preset.max_polyphony
        voiced = self.asking.voiced(plan, measure)
        self.scheduler.book(booking for booking in voiced if booking.start >= begins)
        kept = [note for note in plan.measure.notes if note.onset >= first]
        self.context.overtaken(measure, first, kept)
        self.roles.last.plans[-1:] = [plan]

    def _book(self, plan: Plan, measure: int) -> None:
        self.context.answered(measure, plan.measure.notes)
        self._booked_s = self.stages.latency_s(plan.preset)
        self.scheduler.max_polyphony = plan.preset.max_polyphony
        self.scheduler.book(self.asking.voiced(plan, measure))

    def _keep(self, turn: Turn, measure: int, plan: Plan | None) -> None:
        """The answer so far, and what it was made from."""
        if measure == turn.first:
            self.roles.last = LastAnswer([], turn.end is None)
        rest = Plan(Measure(self.meter), self.controls.preset)
        self.roles.last.add(rest if plan is None else plan)
