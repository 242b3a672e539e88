"""Whose turn it is: from the performer's phrase to the machine's answer and back.

Each measure line is reached in stages (stages.py): plans are made and renewed, who plays from the
line on is settled by mode, phrase and controls (roles.py), and the newest plan that is ready plays.
A plan is renewed only where what it was made from has changed; at the freeze only where more has
than how long notes last, and one draft is done by the line. Another preset is asked for at once,
and where its plan comes after the line all the same, it takes over from the step that comes next: a
note is never half of two presets. Knows no MIDI events: session.py translates.
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
from bridge.measure import Hearing
from bridge.outbox import Outbox
from bridge.phrase import Phrase, Turn
from bridge.plans import Plans
from bridge.playing import Playing
from bridge.presets import Preset
from bridge.roles import Rest, Roles
from bridge.scheduler import Scheduler
from bridge.stages import Stages
from bridge.status import Mode, Settings
from bridge.transport import HALF_STEP, Transport

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
        self._roles = roles = Roles(settings.meter)
        self.playing = Playing(
            settings.meter, controls, transport, stages, context, plans, self._asking, roles,
            self.scheduler, outbox,
        )  # fmt: skip
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
        is_heard = self._phrase is not None and self._may_answer
        is_waiting = self._turn is None and not is_heard
        is_asked = self._roles.is_pending(self._controls.coming)
        return not is_waiting or is_asked or self._controls.is_changing

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
        turn = self._settle_turn()
        if turn is not None:
            self._asking.renew(turn, self._roles.last, now)

    def _turn_at_line(self, run: float) -> Turn | None:
        """Whose the measure at the next line is, by what is known at `run` (ticks): a turn under
        way or a new one; None for the performer's."""
        turn, preset, line = self._turn, self._controls.coming, self.stages.line
        rest = Rest(self._hearing.quiet_since(run), self.stages.frozen)
        if turn is not None and turn.has(line) and self._roles.goes_on(turn, preset, rest):
            return turn
        phrase = self._phrase_for(preset)
        if phrase is None and turn is not None and turn.first == line:
            phrase = turn.phrase  # settled otherwise a moment ago
        return self._roles.beginning(line, preset, phrase, rest, turn)

    def _phrase_for(self, preset: Preset) -> Phrase | None:
        """The phrase as a preset has it: for another mode it begins anew, if it still goes on."""
        phrase = self._phrase
        if phrase is None or preset.mode == self._controls.preset.mode:
            return phrase
        run = self.stages.frozen
        is_over = run - self._hearing.quiet_since(run) > self._ticks
        return None if is_over else Phrase(phrase.last, phrase.last)

    def _settle_turn(self) -> Turn | None:
        """Who plays from the next line on; the machine's turn, if it is."""
        before, line = self._turn, self.stages.line
        turn = self._turn_at_line(self.stages.frozen)
        if turn is not None and turn is not before and not self._may_begin(turn):
            turn = None
        if turn is before:
            if turn is not None and turn.first == line:
                turn = self._turn = turn.answering(self._controls.coming)
            return turn
        if turn is not None:
            if before is not None:
                self.ended_at = line * self._ticks
            self._turn, self._phrase = turn, None
            self._roles.begin(turn)
        elif before is not None:
            self._turn = before.ending(line)
            if before.mode == "duet":
                self._phrase = None  # it was left
        return turn

    def _may_begin(self, turn: Turn) -> bool:
        if self.is_model_ready or turn.script:
            return True
        self._tell_of_model("the model is not ready: only listening")
        self._phrase = None
        self._roles.silenced()
        return False

    def _cross_line(self, now: float) -> None:
        self.switch_preset()
        measure, turn = self.stages.line, self._turn
        self.stages.cross()
        if turn is not None and turn.has(measure):
            self.playing.play(turn, measure)
        elif turn is not None:
            self._end_turn(measure * self._ticks)
        if self._turn is not None and self._turn.has(measure + 1):
            self.stages.ask_soon(now)

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
        if self._turn is not None or (phrase is not None and self._may_answer):
            self._context.reach(measure)
        else:
            self._context.begin_phrase(measure)
        self._phrase = Phrase(measure, measure) if phrase is None else phrase.reaching(measure)

    @property
    def _may_answer(self) -> bool:
        """Whether a phrase is waited for."""
        return self._controls.coming.mode in ("answer", "duet")

    def _stays(self, turn: Turn) -> bool:
        """Whether the machine plays on, or begins all the same, while the performer plays."""
        if turn.mode == "duet" or turn.because == "freeze":
            return True
        if self._is_answering:
            return self._controls.preset.on_interruption != "yield"
        if turn.because == "full":
            return self._controls.coming.on_interruption != "yield"
        return turn.because != "rest"  # it was asked for, and is about to begin

    def _finish(self, turn: Turn) -> None:
        if turn.mode != "duet" and turn.because != "freeze":
            self._turn = turn.ending(self.stages.line)
            self._roles.interrupted()

    def _yield(self, turn: Turn | None, now: float) -> Phrase | None:
        """Fall silent; returns the phrase that goes on, where there is one.

        Where the machine does not yield, its last notes end by themselves.
        """
        if turn is None:
            if self._controls.preset.on_interruption == "yield":
                self.fall_silent(now)
            return self._phrase
        was_rest_too_short = not self._is_answering and turn.because == "rest"
        self._roles.interrupted()
        self.fall_silent(now)
        return turn.phrase if was_rest_too_short else None

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
                self._roles.ask_again("mutate", before)
            case Repeat():
                self._roles.ask_again("repeat", before)
            case Freeze():
                is_frozen = self._roles.is_frozen
                self._roles.is_frozen = not is_frozen if gesture.is_on is None else gesture.is_on
            case Panic():
                self.panic(now)
                self._roles.forget()
                self._phrase = None
                self._out.send(self.scheduler.panic(now, self._controls.preset.channel - 1))
            case _:
                assert_never(gesture)
        self._reconsider(before, now)

    def replace_presets(self, presets: Sequence[Preset], now: float) -> None:
        """Other presets to choose from; the one that comes, where it changed, from the next line.

        While nothing rolls, at once.
        """
        self._aim(now)
        before = self._controls.coming
        self._controls.replace(presets)
        if self._controls.coming is not before:
            self._reconsider(before, now, is_renewed=True)

    def _hand_over(self, is_on: bool | None, now: float) -> None:
        was_held, turn = self._roles.is_held, self._turn
        self._roles.hand_over(is_on, self._controls.coming)
        is_yielding = self._controls.preset.on_interruption == "yield"
        is_released = was_held and not self._roles.is_held and is_yielding
        if turn is None and self._roles.is_called and self._has_just_begun(now):
            self._begin_late(now)
        elif is_released and turn is not None and turn.is_held:
            self.fall_silent(now)

    def _begin_late(self, now: float) -> None:
        """Asked to play a moment after the line: from the next step on that it can."""
        measure = self.stages.line - 1
        rest = Rest(self._hearing.quiet_since(run := self._transport.run_at(now)), run)
        turn = self._roles.beginning(measure, self._controls.coming, self._phrase, rest)
        if turn is None or turn.script or not self._may_begin(turn):
            return
        self.switch_preset()
        self._turn, self._phrase = turn, None
        self._roles.begin(turn)
        self.playing.begin_late(turn, measure)
        self._ask_at_once(measure, now)

    def _reconsider(self, before: Preset, now: float, *, is_renewed: bool = False) -> None:
        """What was asked for changes the measure to come; another preset even one just begun."""
        coming = self._controls.coming
        is_other = coming.number != before.number
        if not self._transport.is_running:
            self.switch_preset()
        elif is_other and self._is_answering and self._has_just_begun(now):
            self._switch_late(now)
        elif self.stages.stage == "line":
            self._settle_late(is_other or is_renewed, now)
        elif is_other or is_renewed:
            self._ask_at_once(self.stages.line, now)

    def _settle_late(self, is_other: bool, now: float) -> None:
        """Between freeze and line; a value that was turned counts from the next plan."""
        turn = self._settle_turn()
        if turn is not None and (is_other or not self.plans.are_expected(self.stages.line)):
            self._ask_at_once(self.stages.line, now)

    def _switch_late(self, now: float) -> None:
        """Another preset a moment after the line: its plan takes over within the measure."""
        turn, coming = self._turn, self._controls.coming
        if coming.mode == "off":
            self.switch_preset()
            self.fall_silent(now)
        elif turn is not None and turn.mode == coming.mode and not turn.script:
            self.switch_preset()
            if turn.first == self.stages.line - 1:
                self._turn = turn.answering(coming)
            self._ask_at_once(self.stages.line - 1, now)

    def _has_just_begun(self, now: float) -> bool:
        """Whether what comes now belongs, rounded as notes are, to the line just crossed."""
        return self._transport.is_running and (
            self._transport.run_at(now) - (self.stages.line - 1) * self._ticks < HALF_STEP
        )

    def _ask_at_once(self, measure: int, now: float) -> None:
        if self._turn is not None and self._turn.has(measure) and self.is_model_ready:
            self._asking.ask_at_once(self._turn, self._roles.last, measure, now)

    def switch_preset(self) -> None:
        """Put what comes in force."""
        if self._transport.is_running:
            self._phrase = self._phrase_for(self._controls.coming)
        if (preset := self._controls.switch()) is not None:
            self._out.note("info", f"preset {preset.name!r}")

    # What the model and the transport bring.

    def receive(self, planned: Planned, now: float) -> None:
        """The model has answered a request."""
        line = self.stages.line
        if (trouble := self.plans.receive(planned, line)) is not None:
            self._out.note("warning", trouble)
        if (plan := self.plans.ready(line)) is not None:
            self._asking.voiced(plan, line)
        if self._is_answering and self.plans.ready(line - 1) is not None:
            self.playing.take_over(self._turn, line - 1, now)

    def find_model(self, response_s: float) -> None:
        """The model answers from now on, as fast as that, so far as is known."""
        self.is_model_ready, self._has_told_of_model = True, False
        if response_s > 0:
            self.plans.lead.learn(response_s)

    def lose_model(self, now: float) -> None:
        """The model is gone: listen only."""
        self.is_model_ready = False
        if self._turn is None or not self._turn.script:
            self.fall_silent(now)
        self.plans.lose()
        self._tell_of_model("the model is gone: only listening until it is back")

    def fall_silent(self, now: float) -> None:
        """Release what sounds, drop what is booked, and end the turn."""
        run = self._transport.run_at(now + self.stages.latency_s(self._controls.preset))
        self._context.cut(run)
        if self._turn is not None:
            self._end_turn(run)
            self.plans.drop()
        self._out.send(self.scheduler.release(now))

    def panic(self, now: float) -> None:
        """Silence: what sounds is released, what was asked for once is forgotten; the phrase stays,
        and what is held down. DAWs send it by themselves, when they stop and when they begin."""
        self.fall_silent(now)
        self._roles.silenced()
        if self._controls.coming.mode != "answer":
            self._phrase = None

    def halt(self, now: float) -> None:
        """The run is interrupted: silence, and the phrase is forgotten; what was heard stays.

        A half phrase answered minutes later would surprise.
        """
        self._out.send(self.scheduler.release(now))
        early_s = max(0.0, self.stages.latency_s(self._controls.preset))
        self._context.cut(self._transport.left_at + early_s / self._transport.period)
        self.plans.drop()
        self._roles.silenced()
        self._turn = self._phrase = None
        self.switch_preset()

    def begin(self, now: float) -> None:
        """The run moves on from here."""
        self.ended_at = self._transport.run_at(now)
        self.stages.aim(now)

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
