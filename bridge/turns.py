"""Whose turn it is: from the performer's phrase to the machine's answer and back.

Each measure line is reached in stages (stages.py): plans are made and renewed, who plays from the
line on is settled by mode, phrase and controls (roles.py), and the newest plan that is ready plays.
A plan is renewed only where what it was made from has changed; at the freeze only where notes have
begun since, and one draft is done by the line. Another preset is asked for at once, and where its
plan comes after the line all the same, it takes over from the step that comes next: a note is never
half of two presets. Knows no MIDI events: session.py translates.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias, assert_never

from bridge.asking import Asking
from bridge.context import Context
from bridge.controls import Controls
from bridge.events import Planned
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
from bridge.scheduler import Scheduler
from bridge.stages import Stages
from bridge.status import Mode, Settings
from bridge.transport import HALF_STEP, Transport
from pianogen.grid import TICKS_PER_STEP, Measure

Due: TypeAlias = tuple[float, Callable[[float], None]]  # when, and what to call with the time now


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
        self.plans = plans = Plans(settings.meter)
        self.scheduler = Scheduler(controls.preset.max_polyphony)
        self.stages = stages = Stages(settings, controls, transport, plans.lead)
        self.is_model_ready = False
        self.measures_answered = 0
        self.measures_missed = 0  # no plan was ready: a rest
        self.ended_at = 0.0  # where on the run the newest turn ended
        self._meter = settings.meter
        self._ticks = settings.meter.ticks
        self._controls = controls
        self._transport = transport
        self._hearing = hearing
        self._out = outbox
        self._context = context = Context(settings.meter, hearing)
        self._asking = Asking(
            settings, controls, transport, hearing, stages, context, plans, outbox.add
        )
        self._roles = Roles(settings.meter)
        self._phrase: Phrase | None = None
        self._turn: Turn | None = None
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
            due.append((self.stages.next, self._reach_stage))
        if (send := self.scheduler.next_due(self._transport.time_of)) is not None:
            due.append((send, lambda now: self._send_due(now, send)))
        return due

    @property
    def _is_answering(self) -> bool:
        return self._turn is not None and self.stages.line > self._turn.first

    # What time brings.

    def _reach_stage(self, now: float) -> None:
        match self.stages.stage:
            case "ask":
                self.stages.stage = "draft"
                if self._turn is not None and self._turn.has(self.stages.line):
                    self.stages.stage = "plan"
                    self._asking.ask(self._turn, self._roles.last, now)
            case "draft":
                self.stages.stage = "plan"
                if self._hearing.quiet_since(run := self._transport.run_at(now)) < run:
                    self._plan(now)
            case "plan":
                self.stages.stage = "freeze"
                self._tell_of_lead()
                self._plan(now)
            case "freeze":
                self.stages.stage = "line"
                self._settle(now)
            case "line":
                self._cross_line(now)
            case _:
                assert_never(self.stages.stage)

    def _plan(self, now: float) -> None:
        """Ask for a plan where the machine goes on or may begin at the line."""
        turn = self._turn_at_line(self._transport.run_at(now))
        if turn is not None and self.is_model_ready:
            self._asking.ask(turn, self._roles.last, now)

    def _settle(self, now: float) -> None:
        """The freeze: who plays from the line on; a plan is renewed where it has grown old."""
        turn = self._turn_at_line(self.stages.frozen)
        if turn is not None and turn is not self._turn and not self._may_begin(turn):
            turn = None
        self._settle_turn(turn)
        if turn is not None:
            self._asking.renew(turn, self._roles.last, now)

    def _turn_at_line(self, run: float) -> Turn | None:
        """Whose the measure at the next line is, by what is known at `run` (ticks): a turn under
        way or a new one; None for the performer's."""
        turn, preset, line = self._turn, self._controls.coming, self.stages.line
        rest = Rest(self._hearing.quiet_since(run), self.stages.frozen)
        if turn is not None and turn.has(line) and self._roles.goes_on(turn, preset, rest):
            return turn
        return self._roles.beginning(line, preset, self._phrase, rest)

    def _may_begin(self, turn: Turn) -> bool:
        if self.is_model_ready or turn.script:
            return True
        self._tell_of_model("the model is not ready: only listening")
        self._phrase = None
        return False

    def _settle_turn(self, turn: Turn | None) -> None:
        before, line = self._turn, self.stages.line
        if turn is before:
            return
        if turn is not None:
            if before is not None:
                self.ended_at = line * self._ticks
            self._turn, self._phrase = turn, None
            self._roles.begin(turn)
        elif before is not None:
            self._turn = before.ending(line)

    def _cross_line(self, now: float) -> None:
        self.switch_preset()
        measure, turn = self.stages.line, self._turn
        self.stages.cross()
        if turn is not None and turn.has(measure):
            self._play(turn, measure)
        elif turn is not None:
            self._end_turn(measure * self._ticks)
        if self._turn is not None and self._turn.has(measure + 1):
            self.stages.ask_soon(now)

    def _play(self, turn: Turn, measure: int) -> None:
        """Book what is to be played in the measure that begins now; without a plan, a rest."""
        if turn.script:
            self._book(turn.script[(measure - turn.first) % len(turn.script)], measure)
            return
        self._asking.answers += 1
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
        self.scheduler.book(self._asking.voiced(plan, measure))

    def _keep(self, turn: Turn, measure: int, plan: Plan | None) -> None:
        """The answer so far, and what it was made from, for whoever asks for it again."""
        last = self._roles.last
        if measure == turn.first:
            made_from = None if plan is None else plan.made_from
            last = self._roles.last = LastAnswer([], turn.end is None, made_from)
        last.add(Plan(Measure(self._meter), self._controls.preset) if plan is None else plan)

    def _take_over(self, measure: int, now: float) -> None:
        """What is left of the measure is played by a plan for it that came after its line."""
        plan = self.plans.take(measure)
        if plan is None or self._turn is None or not self._turn.has(measure):
            return
        first = step_of(self._transport.run_at(now)) + 1 - measure * self._meter.steps
        begins = measure * self._ticks + first * TICKS_PER_STEP
        self.scheduler.drop_from(begins)
        self.scheduler.max_polyphony = plan.preset.max_polyphony
        voiced = self._asking.voiced(plan, measure)
        self.scheduler.book(booking for booking in voiced if booking.start >= begins)
        kept = [note for note in plan.measure.notes if note.onset >= first]
        self._context.overtaken(measure, first, kept)
        self._roles.last.plans[-1:] = [plan]

    def _send_due(self, now: float, until: float) -> None:
        self._out.send(self.scheduler.due(now, self._transport.time_of, until=until))

    # What the performer brings.

    def hear(self, measure: int, now: float) -> None:
        """The performer has played a note in `measure`."""
        self._aim(now)
        phrase = self._phrase
        if self._turn is not None and self._stays(self._turn):
            if self._is_answering and self._controls.preset.on_interruption == "finish":
                self._finish(self._turn)
        else:
            phrase = self._yield(self._turn, now)
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
            self._turn = turn.ending(self.stages.line)
            self._roles.is_handed = False

    def _yield(self, turn: Turn | None, now: float) -> Phrase | None:
        """Fall silent; returns the phrase that goes on, where there is one."""
        phrase = self._phrase
        if turn is not None:
            was_rest_too_short = not self._is_answering and turn.because == "rest"
            phrase = turn.phrase if was_rest_too_short else None
            self._roles.is_handed = False
        self.fall_silent(now)
        return phrase

    def do(self, gesture: Gesture, now: float) -> None:
        """The player asks for something by a control: in force from the next line on.

        While nothing rolls, another preset and other values are in force at once.
        """
        self._aim(now)
        before = self._controls.coming
        match gesture:
            case SetValue() | ChoosePreset() | StepPreset():
                if (trouble := self._controls.do(gesture)) is not None:
                    self._out.note("warning", trouble)
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
        self._turn_to_what_comes(before, now)

    def replace_presets(self, presets: Sequence[Preset], now: float) -> None:
        """Other presets to choose from; the one that comes, where it changed, from the next line.

        While nothing rolls, at once.
        """
        self._aim(now)
        before = self._controls.coming
        self._controls.replace(presets)
        if self._controls.coming is not before:
            self._turn_to_what_comes(before, now, is_renewed=True)

    def _turn_to_what_comes(self, before: Preset, now: float, *, is_renewed: bool = False) -> None:
        coming = self._controls.coming
        if coming.mode != before.mode and self._phrase is not None:
            self._phrase = Phrase(self._phrase.last, self._phrase.last)  # the new mode's begins
        self._reconsider(is_renewed or coming.number != before.number, now)

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
        line = self.stages.line
        if not self._transport.is_running:
            self.switch_preset()
        elif is_other_preset and self._is_answering and self._has_just_begun(now):
            self.switch_preset()
            self._ask_at_once(line - 1, now)
        elif self.stages.stage == "line":
            self._settle(now)
            if is_other_preset:
                self._ask_at_once(line, now)
        elif is_other_preset:
            self._ask_at_once(line, now)

    def _has_just_begun(self, now: float) -> bool:
        """Whether what comes now belongs, rounded as notes are, to the line just crossed."""
        into_measure = self._transport.run_at(now) - (self.stages.line - 1) * self._ticks
        return 0 <= into_measure < HALF_STEP

    def _ask_at_once(self, measure: int, now: float) -> None:
        if self._turn is not None and self._turn.has(measure) and self.is_model_ready:
            self._asking.ask_at_once(self._turn, self._roles.last, measure, now)

    def switch_preset(self) -> None:
        """Put what comes in force."""
        if (preset := self._controls.switch()) is not None:
            self._out.note("info", f"preset {preset.name!r}")

    # What the model and the transport bring.

    def receive(self, planned: Planned) -> None:
        """The model has answered a request."""
        line = self.stages.line
        if (trouble := self.plans.receive(planned, line)) is not None:
            self._out.note("warning", trouble)
        if (plan := self.plans.ready(line)) is not None:
            self._asking.voiced(plan, line)
        if self._is_answering and self.plans.ready(line - 1) is not None:
            self._take_over(line - 1, planned.time)

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
            run = self._transport.run_at(now + self.stages.latency_s(self._controls.preset))
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
            self.stages.aim(now)

    def _end_turn(self, run: float) -> None:
        self._turn = None
        self.ended_at = run

    def _tell_of_lead(self) -> None:
        if self.is_model_ready and (text := self.stages.news_of_lead()) is not None:
            self._out.note("info", text)

    def _tell_of_model(self, text: str) -> None:
        if not self._has_told_of_model:
            self._has_told_of_model = True
            self._out.note("warning", text)
