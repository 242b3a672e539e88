"""Whose turn it is: from the performer's phrase to the machine's answer and back.

Each measure line is reached in four stages, each with its time:

    |------------------- measure -----------------|-- the answer --
    |         ^draft     ^plan      ^freeze       ^line
    |         |          |          |             the newest plan that is ready begins here
    |         |          |          half a step before: who plays next is settled, the plan renewed
    |         |          before the freeze by a lead (see lead.py): renewed
    |         as long before as drafting may take: a first plan, where an answer may begin and
    |         no key is down

Where notes are sent early by a latency, all come earlier by as much. A plan is renewed only where
what it was made from has changed; at the freeze only where notes have begun since, and one draft
is done by the line. Another preset is asked for at once, and where its plan comes after the line
all the same, it takes over from the step that comes next: a note is never half of two presets.
Whatever is asked is wanted by the stage that comes next, when the model may be asked again: a
first plan by the time of `plan`, one renewed there by the freeze, one renewed there by the line;
and what is asked behind a line, inside an answer, by the next `plan`. The model draws as many
drafts as are done by then, so that the next request finds it free. Knows no MIDI events:
session.py translates.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias, assert_never

from bridge.candidates import LONGEST_S
from bridge.context import CONTEXT_MEASURES, Context
from bridge.controls import Controls
from bridge.events import Ask, Planned
from bridge.gestures import (
    ChoosePreset,
    Freeze,
    Gesture,
    HandOver,
    Mutate,
    Panic,
    Repeat,
    SetValue,
    StepPreset,
)
from bridge.measure import Hearing, step_of
from bridge.outbox import Outbox
from bridge.phrase import Phrase, Turn
from bridge.plans import Plan, Plans
from bridge.presets import Preset
from bridge.roles import LastAnswer, Rest, Roles
from bridge.scheduler import Booking, Scheduler
from bridge.status import Mode, Settings
from bridge.transport import HALF_STEP, Transport
from bridge.voice import bookings
from pianogen.grid import PPQN, TICKS_PER_STEP, Measure

DRAFTS = 8  # the lead is long enough for so many, where the preset wants as many
AFTER_LINE_S = 0.002  # the next request is made when what is due on the line has gone out

Stage: TypeAlias = Literal["ask", "draft", "plan", "freeze", "line"]
Due: TypeAlias = tuple[float, Callable[[float], None]]  # when, and what to call with the time now


@dataclass(frozen=True, slots=True)
class _Voiced:
    """A plan's notes as they are to be sent."""

    plan: Plan
    measure: int
    latency_s: float
    notes: list[Booking]


class Turns:
    """Listens, asks, answers and hands back. Measures are numbered by their place in the run."""

    def __init__(
        self,
        settings: Settings,
        controls: Controls,
        transport: Transport,
        hearing: Hearing,
        outbox: Outbox,
    ) -> None:
        self.plans = Plans(settings.meter)
        self.scheduler = Scheduler(controls.preset.max_polyphony)
        self.is_model_ready = False
        self.output_delay_s = 0.0  # of the port, after it is given a message
        self.measures_answered = 0
        self.measures_missed = 0  # no plan was ready: a rest
        self.ended_at = 0.0  # where on the run the newest turn ended
        self._settings = settings
        self._ticks = settings.meter.ticks
        self._controls = controls
        self._transport = transport
        self._hearing = hearing
        self._out = outbox
        self._context = Context(settings.meter, hearing)
        self._roles = Roles(settings.meter)
        self._phrase: Phrase | None = None
        self._turn: Turn | None = None
        self._line = 0  # the measure whose line is next, while there is something to do at it
        self._stage: Stage = "draft"
        self._asks_at = 0.0
        self._prepared: _Voiced | None = None
        self._answers = 0  # measures answered so far, rests too: what seeds differ by
        self._has_told_of_model = False

    # What is so.

    @property
    def mode(self) -> Mode:
        """What the session is doing."""
        if not self._transport.is_running:
            return "stopped"
        if self._turn is None:
            return "listening"
        return "answering" if self._is_answering else "thinking"

    @property
    def has_work(self) -> bool:
        """Whether there is something to do at the next measure line."""
        is_waiting = self._turn is None and self._phrase is None and not self._roles.is_pending
        return not is_waiting or self._controls.is_changing

    def due(self) -> list[Due]:
        """What comes next, while the run moves: the line first, so that its notes are booked."""
        due: list[Due] = []
        if self.has_work:
            due.append((self._time_of_stage(), self._reach_stage))
        if (send := self.scheduler.next_due(self._transport.time_of)) is not None:
            due.append((send, lambda now: self._send_due(now, send)))
        return due

    @property
    def ahead_s(self) -> float:
        """How long before their place notes are sent, by the preset in force, in seconds."""
        return self._latency_s(self._controls.preset)

    @property
    def _is_answering(self) -> bool:
        return self._turn is not None and self._line > self._turn.first

    @property
    def _is_ours(self) -> bool:
        """Whether the measure at the next line is one the machine answers with."""
        return self._turn is not None and self._turn.has(self._line)

    def _latency_s(self, preset: Preset) -> float:
        own = self._settings.latency_ms
        return (preset.latency_ms if own is None else own) / 1000 + self.output_delay_s

    @property
    def _crossing(self) -> float:
        """When the next line's notes must be booked: on the line, or early by the latency."""
        line = self._transport.time_of(self._line * self._ticks)
        return line - max(0.0, self._latency_s(self._controls.coming))

    def _run_at(self, time: float) -> float:
        return self._transport.run_at(time)

    @property
    def _frozen(self) -> float:
        """Where on the run the freeze is."""
        return self._run_at(self._freeze)

    @property
    def _freeze(self) -> float:
        return self._crossing - HALF_STEP * self._transport.period

    @property
    def _plan(self) -> float:
        return self._freeze - self.plans.lead.seconds(self._drafts)

    @property
    def lead_ms(self) -> float:
        """How long before the freeze a plan is asked for, in milliseconds."""
        return self.plans.lead.seconds(self._drafts) * 1000

    @property
    def _drafts(self) -> int:
        return min(DRAFTS, self._controls.coming.sampling.candidates)

    # What time brings.

    def _time_of_stage(self) -> float:
        match self._stage:
            case "ask":
                return self._asks_at
            case "draft":
                return self._plan - LONGEST_S
            case "plan":
                return self._plan
            case "freeze":
                return self._freeze
            case "line":
                return self._crossing
            case _:
                assert_never(self._stage)

    def _reach_stage(self, now: float) -> None:
        match self._stage:
            case "ask":
                self._stage = "draft"
                if self._turn is not None and self._is_ours:
                    self._stage = "plan"
                    self._ask(self._turn, now)
            case "draft":
                self._stage = "plan"
                if self._hearing.quiet_since(run := self._transport.run_at(now)) < run:
                    self._plan_early(now)
            case "plan":
                self._stage = "freeze"
                self._tell_of_lead()
                self._plan_early(now)
            case "freeze":
                self._stage = "line"
                self._settle(now)
            case "line":
                self._cross_line(now)
            case _:
                assert_never(self._stage)

    def _plan_early(self, now: float) -> None:
        """Ask for a plan where an answer goes on or may begin at the line."""
        turn = self._turn_at_line(Rest(self._hearing.quiet_since(self._run_at(now)), self._frozen))
        if turn is not None and self.is_model_ready:
            self._ask(turn, now)

    def _settle(self, now: float) -> None:
        """The freeze: who plays from the line on; a plan is renewed where it has grown old."""
        turn = self._turn_at_line(Rest(self._hearing.quiet_since(self._frozen), self._frozen))
        if turn is not None and turn is not self._turn and not self._may_begin(turn):
            turn = None
        self._settle_turn(turn)
        if turn is None or turn.script:
            return
        ask = self._request(turn, self._line, now)
        is_old = self.plans.freeze(self._line, ask)
        fits = self.plans.lead.fits(self._crossing - now)
        if is_old and (fits or not self.plans.are_expected(self._line)):
            self._ask_anew(ask, now)

    def _turn_at_line(self, rest: Rest) -> Turn | None:
        """Whose the measure at the next line is, as things stand: a turn under way or a new one."""
        turn, preset = self._turn, self._controls.coming
        if turn is not None and turn.has(self._line) and self._roles.goes_on(turn, preset, rest):
            return turn
        return self._roles.beginning(self._line, preset, self._phrase, rest)

    def _may_begin(self, turn: Turn) -> bool:
        if self.is_model_ready or turn.script:
            return True
        self._tell_of_model("the model is not ready: only listening")
        self._phrase = None
        return False

    def _settle_turn(self, turn: Turn | None) -> None:
        if turn is self._turn:
            return
        if turn is None:
            if self._turn is not None:
                self._turn = self._turn.ending(self._line)
            return
        if self._turn is not None:
            self.ended_at = self._line * self._ticks
        self._turn = turn
        self._roles.begin(turn)
        self._phrase = None

    def _cross_line(self, now: float) -> None:
        self.switch_preset()
        measure, turn = self._line, self._turn
        self._line += 1
        self._stage = "draft"
        if turn is not None and turn.has(measure):
            self._play(turn, measure)
        elif turn is not None:
            self._end_turn(measure * self._ticks)
        if self._is_ours:
            self._stage, self._asks_at = "ask", now + AFTER_LINE_S

    def _play(self, turn: Turn, measure: int) -> None:
        """Book what is to be played in the measure that begins now; without a plan, a rest."""
        if turn.script:
            script = turn.script[(measure - turn.first) % len(turn.script)]
            self._book(Plan(script, self._controls.preset), measure)
            return
        self._answers += 1
        plan = self.plans.take(measure)
        self._keep(turn, measure, plan)
        if plan is None:
            self.measures_missed += 1
            self._out.note("warning", "no plan was ready at the measure line: a measure of rest")
            return
        self.measures_answered += 1
        self._book(plan, measure)

    def _book(self, plan: Plan, measure: int) -> None:
        self._context.answered(measure, plan.measure.notes)
        self.scheduler.max_polyphony = plan.preset.max_polyphony
        self.scheduler.book(self._voiced(plan, measure))

    def _keep(self, turn: Turn, measure: int, plan: Plan | None) -> None:
        """The answer so far, and what it was made from, for whoever asks for it again."""
        last = self._roles.last
        if measure == turn.first:
            made_from = None if plan is None else plan.made_from
            last = self._roles.last = LastAnswer([], turn.end is None, made_from)
        last.add(Measure(self._settings.meter) if plan is None else plan.measure)

    def _voiced(self, plan: Plan, measure: int) -> list[Booking]:
        """A plan's notes as they are to be sent; made when it arrives, so that it is at the line
        a look-up."""
        latency_s, made = self._latency_s(plan.preset), self._prepared
        if made is None or made.plan is not plan or made.latency_s != latency_s:
            notes = bookings(plan.measure, measure * self._ticks, plan.preset, latency_s)
            made = self._prepared = _Voiced(plan, measure, latency_s, notes)
        return made.notes

    def _take_over(self, measure: int, now: float) -> None:
        """What is left of the measure is played by a plan for it that came after its line."""
        plan = self.plans.take(measure)
        if plan is None or self._turn is None or not self._turn.has(measure):
            return
        first = step_of(self._run_at(now)) + 1 - measure * self._settings.meter.steps
        begins = measure * self._ticks + first * TICKS_PER_STEP
        self.scheduler.drop_from(begins)
        self.scheduler.max_polyphony = plan.preset.max_polyphony
        self.scheduler.book(b for b in self._voiced(plan, measure) if b.start >= begins)
        kept = [note for note in plan.measure.notes if note.onset >= first]
        self._context.overtaken(measure, first, kept)
        if self._roles.last.measures:
            self._roles.last.measures[-1] = plan.measure

    def _ask(self, turn: Turn, now: float) -> None:
        """Ask for the measure at the next line, unless the same has been asked already."""
        if not turn.script:
            ask = self._request(turn, self._line, now)
            if self.plans.is_news(self._line, ask):
                self._ask_anew(ask, now)

    def _ask_anew(self, ask: Ask, now: float) -> None:
        self.plans.asked(self._line, ask, self._controls.coming, now)
        self._out.add(ask)

    def _ask_at_once(self, turn: Turn, measure: int, now: float) -> None:
        """Ask for a measure that another preset is to play, though it may have begun."""
        if turn.script or not self.is_model_ready:
            return
        ask = self._request(turn, measure, now)
        wanted_by = max(ask.wanted_by, now) if measure == self._line else now
        beat_s = PPQN * self._transport.period
        ask = replace(ask, wanted_by=wanted_by, deadline=max(self._crossing, now) + beat_s)
        self.plans.asked(measure, ask, self._controls.coming, now, takes_over=True)
        self._out.add(ask)

    def _request(self, turn: Turn, measure: int, now: float) -> Ask:
        """What would be asked now for a measure of a turn."""
        preset = self._controls.coming
        start, context = self._made_from(turn, measure, now)
        return Ask(
            plan_id=self.plans.next_id,
            checkpoint=preset.checkpoint,
            meter=self._settings.meter,
            start=start,
            context=context,
            sampling=preset.sampling,
            seed=seed_of(self._settings.seed, self._answers),
            deadline=self._crossing,
            wanted_by=self._next_stage(now),
        )

    def _made_from(self, turn: Turn, measure: int, now: float) -> tuple[int, tuple[Measure, ...]]:
        """What a measure is made from: all that was heard; for another answer to the same, that."""
        last = self._roles.last
        if turn.because != "mutate" or last.made_from is None:
            return self._context.before(measure, self._run_at(now))
        start, heard = last.made_from
        if measure > turn.first:
            heard += tuple(last.measures)
        surplus = max(0, len(heard) - CONTEXT_MEASURES)
        return start + surplus, heard[surplus:]

    def _next_stage(self, now: float) -> float:
        """When the model may be asked again, before the line or on it."""
        for stage in (self._plan, self._freeze):
            if now < stage:
                return stage
        return self._crossing

    def _send_due(self, now: float, until: float) -> None:
        self._out.send(self.scheduler.due(now, self._transport.time_of, until=until))

    # What others bring.

    def hear(self, measure: int, now: float) -> None:
        """The performer has played a note in `measure`."""
        self._aim(now)
        turn, phrase = self._turn, self._phrase
        if turn is not None and self._stays(turn):
            if self._is_answering and self._controls.preset.on_interruption == "finish":
                self._finish(turn)
        else:
            if turn is not None:
                was_rest_too_short = not self._is_answering and turn.because == "rest"
                phrase = turn.phrase if was_rest_too_short else None
                self._roles.is_handed = False
            self.fall_silent(now)
        if phrase is not None or self._turn is not None:
            self._context.reach(measure)
        else:
            self._context.begin_phrase(measure)
        self._phrase = Phrase(measure, measure) if phrase is None else phrase.reaching(measure)

    def _stays(self, turn: Turn) -> bool:
        """Whether the machine plays on while the performer plays."""
        if turn.because in ("duet", "freeze"):
            return True
        if self._is_answering:
            return self._controls.preset.on_interruption != "yield"
        return turn.because not in ("rest", "full")  # it was asked for, and is about to begin

    def _finish(self, turn: Turn) -> None:
        if turn.because not in ("duet", "freeze"):
            self._turn = turn.ending(self._line)
            self._roles.is_handed = False

    def receive(self, planned: Planned) -> None:
        """The model has answered a request."""
        if (trouble := self.plans.receive(planned, self._line)) is not None:
            self._out.note("warning", trouble)
        if (plan := self.plans.ready(self._line)) is not None:
            self._voiced(plan, self._line)
        if self._is_answering and self.plans.ready(self._line - 1) is not None:
            self._take_over(self._line - 1, planned.time)

    def do(self, gesture: Gesture, now: float) -> None:
        """The player asks for something by a control: in force from the next line on.

        While nothing rolls, another preset and other values are in force at once.
        """
        self._aim(now)
        was_coming = self._controls.coming
        match gesture:
            case SetValue():
                self._controls.set_value(gesture.field, gesture.value)
            case ChoosePreset():
                self._choose(gesture.number)
            case StepPreset():
                self._controls.step(gesture.by)
            case HandOver():
                self._hand_over(gesture.is_on, now)
            case Mutate():
                self._roles.once = "mutate"
            case Repeat():
                self._roles.once = "repeat"
            case Freeze():
                self._roles.is_frozen = gesture.is_on
            case Panic():
                self.panic(now)
                self._out.send(self.scheduler.panic(now, self._controls.preset.channel - 1))
            case _:
                assert_never(gesture)
        coming = self._controls.coming
        if coming.mode != was_coming.mode and self._phrase is not None:
            self._phrase = Phrase(self._phrase.last, self._phrase.last)  # the new mode's begins
        if not self._transport.is_running:
            self.switch_preset()
        else:
            self._reconsider(coming.number != was_coming.number, now)

    def _choose(self, number: int) -> None:
        if not self._controls.choose(number):
            self._out.note("warning", f"no preset has the number {number}: nothing changes")

    def _hand_over(self, is_on: bool, now: float) -> None:
        if is_on:
            self._roles.is_handed = True
        elif self._controls.coming.mode == "continue":
            self._roles.is_handed = False
            is_yielding = self._controls.preset.on_interruption == "yield"
            if is_yielding and self._turn is not None and self._turn.mode == "continue":
                self.fall_silent(now)

    def _reconsider(self, is_other_preset: bool, now: float) -> None:
        """What was asked for changes the measure to come; another preset even one just begun."""
        into_measure = self._run_at(now) - (self._line - 1) * self._ticks
        if is_other_preset and self._is_answering and 0 <= into_measure < HALF_STEP:
            self.switch_preset()
            self._ask_again(self._line - 1, now)
        elif self._stage == "line":
            self._settle(now)
            if is_other_preset:
                self._ask_again(self._line, now)
        elif is_other_preset and self._is_ours:
            self._ask_again(self._line, now)

    def _ask_again(self, measure: int, now: float) -> None:
        if self._turn is not None and self._turn.has(measure):
            self._ask_at_once(self._turn, measure, now)

    def switch_preset(self) -> None:
        """Put what comes in force."""
        preset = self._controls.switch()
        if preset is not None:
            self._out.note("info", f"preset {preset.name!r}")

    def find_model(self, response_s: float) -> None:
        """The model answers from now on, as fast as that, so far as is known."""
        self.is_model_ready, self._has_told_of_model = True, False
        if response_s > 0:
            self.plans.lead.learn(response_s)

    def lose_model(self, now: float) -> None:
        """The model is gone: listen only."""
        self.is_model_ready = False
        self.fall_silent(now)
        self.plans.lose()
        self._tell_of_model("the model is gone: only listening until it is back")

    def fall_silent(self, now: float) -> None:
        """Release what sounds, drop what is booked, and end the turn."""
        if self._turn is not None:
            run = self._transport.run_at(now + self._latency_s(self._controls.preset))
            self._end_turn(run)
            self._context.cut(run)
            self.plans.drop()
        self._out.send(self.scheduler.release(now))

    def panic(self, now: float) -> None:
        """Silence: what sounds is released, what was asked for forgotten; the phrase stays."""
        self.fall_silent(now)
        self._roles.forget()
        if self._controls.coming.mode != "answer":
            self._phrase = None

    def halt(self, now: float) -> None:
        """The run is interrupted: silence, and the phrase is forgotten; what was heard stays.

        A half phrase answered minutes later would surprise.
        """
        self._out.send(self.scheduler.release(now))
        self._context.cut(self._transport.left_at)
        self.plans.drop()
        self._turn = self._phrase = None
        self._roles.forget()
        self.switch_preset()

    def _aim(self, now: float) -> None:
        """Before work arises where there was none: find the line that comes next."""
        if self._transport.is_running and not self.has_work:
            self._line = int(self._transport.run_at(now) // self._ticks) + 1
            self._stage = "draft"

    def _end_turn(self, run: float) -> None:
        self._turn = None
        self.ended_at = run

    def _tell_of_lead(self) -> None:
        if not self.is_model_ready:
            return
        left_s = self._crossing - self._freeze
        text = self.plans.lead.news(self._drafts, left_s, self._transport.tempo)
        if text is not None:
            self._out.note("info", text)

    def _tell_of_model(self, text: str) -> None:
        if not self._has_told_of_model:
            self._has_told_of_model = True
            self._out.note("warning", text)


def seed_of(seed: int, answer: int) -> int:
    """The seed (0..2**31 - 1) of one answered measure: mixed, so that neighbours differ."""
    mixed = (seed * 0x9E3779B1 + answer * 0x85EBCA6B + 0x27D4EB2F) & 0xFFFFFFFF
    mixed = ((mixed ^ (mixed >> 15)) * 0x2C1B3C6D) & 0xFFFFFFFF
    return (mixed ^ (mixed >> 12)) & 0x7FFFFFFF
