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
is done by the line.
Whatever is asked is wanted by the stage that comes next, when the model may be asked again: a
first plan by the time of `plan`, one renewed there by the freeze, one renewed there by the line;
and what is asked behind a line, inside an answer, by the next `plan`. The model draws as many
drafts as are done by then, so that the next request finds it free. Knows no MIDI events:
session.py translates.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias, assert_never

from bridge.candidates import LONGEST_S
from bridge.context import Context
from bridge.controls import Controls
from bridge.events import Ask, Planned
from bridge.measure import Hearing
from bridge.outbox import Outbox
from bridge.phrase import Phrase, Turn, has_rested
from bridge.plans import Plans
from bridge.presets import Preset
from bridge.scheduler import Booking, Scheduler
from bridge.status import Mode, Settings
from bridge.transport import HALF_STEP, Transport
from bridge.voice import bookings
from pianogen.grid import Measure

DRAFTS = 8  # the lead is long enough for so many, where the preset wants as many
AFTER_LINE_S = 0.002  # the next request is made when what is due on the line has gone out

Stage: TypeAlias = Literal["ask", "draft", "plan", "freeze", "line"]
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
        self._phrase: Phrase | None = None
        self._turn: Turn | None = None
        self._line = 0  # the measure whose line is next, while there is something to do at it
        self._stage: Stage = "draft"
        self._asks_at = 0.0
        self._prepared: tuple[tuple[Measure, int, Preset, float] | None, list[Booking]] = (None, [])
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
        is_waiting = self._turn is None and self._phrase is None
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
    def _is_answering(self) -> bool:
        return self._turn is not None and self._line > self._turn.first

    @property
    def _is_ours(self) -> bool:
        """Whether the measure at the next line is one the machine answers with."""
        return self._turn is not None and self._line < self._turn.end

    def _latency_s(self, preset: Preset) -> float:
        own = self._settings.latency_ms
        return (preset.latency_ms if own is None else own) / 1000 + self.output_delay_s

    @property
    def _crossing(self) -> float:
        """When the next line's notes must be booked: on the line, or early by the latency."""
        line = self._transport.time_of(self._line * self._ticks)
        return line - max(0.0, self._latency_s(self._controls.coming))

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
                self._stage = "plan" if self._is_ours else "draft"
                if self._is_ours:
                    self._ask(now)
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
        if self._is_ours:
            self._ask(now)
        phrase, preset = self._phrase, self._controls.coming
        if phrase is None or not self.is_model_ready:
            return
        quiet = self._hearing.quiet_since(self._transport.run_at(now))
        frozen = self._transport.run_at(self._freeze)
        if phrase.is_full(self._line, preset) or has_rested(quiet, frozen, preset):
            self._ask(now)

    def _settle(self, now: float) -> None:
        """The freeze: who plays from the line on; a plan is renewed where it has grown old."""
        if self._turn is None and self._phrase is not None:
            self._settle_phrase(self._phrase)
        if not self._is_ours:
            return
        ask = self._request(now)
        is_old = self.plans.freeze(self._line, ask)
        fits = self.plans.lead.fits(self._crossing - now)
        if is_old and (fits or not self.plans.are_expected(self._line)):
            self._ask_anew(ask, now)

    def _settle_phrase(self, phrase: Phrase) -> None:
        preset, frozen = self._controls.coming, self._transport.run_at(self._freeze)
        rested = has_rested(self._hearing.quiet_since(frozen), frozen, preset)
        if not rested and not phrase.is_full(self._line, preset):
            return
        self._phrase = None
        if not self.is_model_ready:
            self._tell_of_model("the model is not ready: only listening")
            return
        length = phrase.answer_length(preset)
        self._turn = Turn(self._line, length, phrase, "rest" if rested else "full")

    def _cross_line(self, now: float) -> None:
        self.switch_preset()
        measure = self._line
        is_ours = self._is_ours
        self._line += 1
        self._stage = "draft"
        if is_ours:
            self._play(measure)
        elif self._turn is not None:
            self._end_turn(measure * self._ticks)
        if self._is_ours:
            self._stage, self._asks_at = "ask", now + AFTER_LINE_S

    def _play(self, measure: int) -> None:
        """Book the newest plan for the measure that begins now; none is a rest."""
        self._answers += 1
        plan = self.plans.take(measure)
        if plan is None:
            self.measures_missed += 1
            self._out.note("warning", "no plan was ready at the measure line: a measure of rest")
            return
        self.measures_answered += 1
        self._context.answered(measure, plan.notes)
        self.scheduler.book(self._voiced(plan, measure, self._controls.preset))

    def _voiced(self, plan: Measure, measure: int, preset: Preset) -> list[Booking]:
        """A plan's notes as they are to be sent; made when it arrives, so that it is at the line
        a look-up."""
        latency_s = self._latency_s(preset)
        key = plan, measure, preset, latency_s
        if self._prepared[0] != key:
            notes = bookings(plan, measure * self._ticks, preset, latency_s)
            self._prepared = key, notes
        return self._prepared[1]

    def _ask(self, now: float) -> None:
        """Ask for the measure at the next line, unless the same has been asked already."""
        self._ask_anew(self._request(now), now)

    def _ask_anew(self, ask: Ask, now: float) -> None:
        if self.plans.is_news(self._line, ask):
            self.plans.asked(self._line, ask, now)
            self._out.add(ask)

    def _request(self, now: float) -> Ask:
        """What would be asked now for the measure at the next line."""
        preset = self._controls.coming
        start, context = self._context.before(self._line, self._transport.run_at(now))
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
        """The performer has played a note in `measure`: it is their turn."""
        self._aim(now)
        turn, phrase = self._turn, self._phrase
        if turn is not None:
            was_rest_too_short = not self._is_answering and turn.because == "rest"
            phrase = turn.phrase if was_rest_too_short else None
        self.fall_silent(now)
        if phrase is None:
            self._context.begin_phrase(measure)
            self._phrase = Phrase(measure, measure)
        else:
            self._context.reach(measure)
            self._phrase = phrase.reaching(measure)

    def receive(self, planned: Planned) -> None:
        """The model has answered a request."""
        if (trouble := self.plans.receive(planned, self._line)) is not None:
            self._out.note("warning", trouble)
        if (plan := self.plans.ready(self._line)) is not None:
            self._voiced(plan, self._line, self._controls.coming)

    def choose_preset(self, number: int, now: float) -> None:
        """Another preset from the next measure line on; while nothing rolls, at once."""
        self._aim(now)
        if not self._controls.choose(number):
            self._out.note("warning", f"no preset has the number {number}: nothing changes")
        elif not self._transport.is_running:
            self.switch_preset()
        elif self._is_ours:
            self._ask(now)

    def switch_preset(self) -> None:
        """Put the chosen preset in force."""
        if self._controls.switch():
            self.scheduler.max_polyphony = self._controls.preset.max_polyphony
            self._out.note("info", f"preset {self._controls.preset.name!r}")

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

    def halt(self, now: float) -> None:
        """The run is interrupted: silence, and the phrase is forgotten; what was heard stays.

        A half phrase answered minutes later would surprise.
        """
        self._out.send(self.scheduler.release(now))
        self._context.cut(self._transport.left_at)
        self.plans.drop()
        self._turn = self._phrase = None
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
        if self._phrase is None or not self.is_model_ready:
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
