"""What the model is asked for a measure, and its plan as notes to be sent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from bridge.context import CONTEXT_MEASURES, Context
from bridge.controls import Controls
from bridge.events import Ask
from bridge.measure import Hearing
from bridge.phrase import Turn
from bridge.plans import Plan, Plans
from bridge.presets import Preset
from bridge.roles import LastAnswer
from bridge.scheduler import Booked
from bridge.stages import Stages
from bridge.status import Settings
from bridge.transport import Transport
from bridge.voice import voiced
from pianogen.grid import PPQN, Measure
from pianogen.keys import heard_scale
from pianogen.presets import HEARD
from pianogen.sampling import MOST_USUAL, SPARSEST, Sampling, anchored


@dataclass(frozen=True, slots=True)
class _Voiced:
    """A plan's notes as they are to be sent."""

    plan: Plan
    measure: int
    latency_s: float
    notes: list[Booked]


@dataclass(slots=True)
class Asking:
    """Makes requests, hands them to `send`, and voices what comes of them.

    answers: measures answered so far, rests too: what seeds differ by.
    """

    settings: Settings
    controls: Controls
    transport: Transport
    hearing: Hearing
    stages: Stages
    context: Context
    plans: Plans
    send: Callable[[Ask], None]
    answers: int = 0
    _voiced: _Voiced | None = None

    def ask(self, turn: Turn, last: LastAnswer, now: float) -> None:
        """Ask for the measure at the next line, unless the same has been asked already."""
        if not turn.script:
            ask = self._request(turn, last, self.stages.line, now)
            if self.plans.is_news(self.stages.line, ask):
                self._send(ask, now)
            else:
                self.plans.revoice(self.stages.line, self.controls.coming)

    def renew(self, turn: Turn, last: LastAnswer, now: float) -> None:
        """The freeze: ask anew where the plan has grown old and another is done by the line."""
        if turn.script:
            return
        line = self.stages.line
        ask = self._request(turn, last, line, now)
        if not self.plans.is_news(line, ask):
            self.plans.revoice(line, self.controls.coming)
        is_old = self.plans.freeze(line, ask)
        fits = self.plans.lead.fits(self.stages.crossing - now)
        if is_old and (fits or not self.plans.are_expected(line)):
            self._send(ask, now)

    def ask_at_once(self, turn: Turn, last: LastAnswer, measure: int, now: float) -> None:
        """Ask for a measure that another preset is to play, though it may have begun."""
        if turn.script:
            return
        ask = self._request(turn, last, measure, now)
        is_to_come = measure == self.stages.line
        beat_s = PPQN * self.transport.period
        ask = replace(
            ask,
            wanted_by=max(ask.wanted_by, now) if is_to_come else now,
            deadline=max(self.stages.crossing, now) + beat_s,
        )
        self.plans.asked(measure, ask, self.controls.coming, now, takes_over=True)
        self.send(ask)
        if not is_to_come:
            self.answers += 1  # the next measure has another seed

    def voiced(self, plan: Plan, measure: int) -> list[Booked]:
        """A plan's notes as they are to be sent; made when it arrives, so that it is at the line
        a look-up."""
        latency_s, made = self.stages.latency_s(plan.preset), self._voiced
        if (
            made is None
            or made.plan is not plan
            or (made.measure, made.latency_s) != (measure, latency_s)
        ):
            line = measure * self.settings.meter.ticks
            loudness = self.hearing.loudness
            notes = voiced(plan.measure, line, plan.preset, latency_s, loudness)
            made = self._voiced = _Voiced(plan, measure, latency_s, notes)
        return made.notes

    def _send(self, ask: Ask, now: float) -> None:
        self.plans.asked(self.stages.line, ask, self.controls.coming, now)
        self.send(ask)

    def _request(self, turn: Turn, last: LastAnswer, measure: int, now: float) -> Ask:
        """What would be asked now for a measure of a turn."""
        preset = self.controls.coming
        start, context = self._made_from(turn, last, measure, now)
        return Ask(
            plan_id=self.plans.next_id,
            checkpoint=preset.checkpoint,
            meter=self.settings.meter,
            start=start,
            context=context,
            sampling=self._sampling(preset, turn, measure, context, now),
            seed=seed_of(self.settings.seed, self.answers),
            deadline=self.stages.crossing,
            wanted_by=self.stages.wanted_by(now),
        )

    def _sampling(
        self, preset: Preset, turn: Turn, measure: int, context: tuple[Measure, ...], now: float
    ) -> Sampling:
        """What the preset asks of the model: in the scale heard, where it wants that, and as
        densely as it says beside what the performer played lately.

        A model that hears two voices plays what both would play on; being one of them, it would
        become ever busier. Of d notes to each of the performer's its share is d / (1 + d).
        """
        sampling, density = preset.sampling, preset.density
        if preset.scale == HEARD:
            sampling = replace(sampling, pitch_classes=heard_scale(context))
        is_duet = turn.mode == "duet"
        if not is_duet and density == 1:
            return sampling
        played = self.context.played(measure, self.transport.run_at(now))
        sampling = anchored(sampling, played)
        if not is_duet:
            return sampling
        share = max(density / (1 + density), SPARSEST)
        usual = min(sampling.usual_notes * density / share, MOST_USUAL)
        return replace(sampling, density=share, usual_notes=usual)

    def _made_from(
        self, turn: Turn, last: LastAnswer, measure: int, now: float
    ) -> tuple[int, tuple[Measure, ...]]:
        """What a measure is made from: all that was heard; for another answer to the same, that."""
        if turn.because != "mutate" or last.made_from is None:
            if measure == turn.first:
                self.context.shorten_silence(measure)
            return self.context.before(measure, self.transport.run_at(now))
        start, heard = last.made_from
        if measure > turn.first:
            heard += last.measures[: measure - turn.first]
        surplus = max(0, len(heard) - CONTEXT_MEASURES)
        return start + surplus, heard[surplus:]


def seed_of(seed: int, answer: int) -> int:
    """The seed (0..2**31 - 1) of one answered measure: mixed, so that neighbours differ."""
    mixed = (seed * 0x9E3779B1 + answer * 0x85EBCA6B + 0x27D4EB2F) & 0xFFFFFFFF
    mixed = ((mixed ^ (mixed >> 15)) * 0x2C1B3C6D) & 0xFFFFFFFF
    return (mixed ^ (mixed >> 12)) & 0x7FFFFFFF
