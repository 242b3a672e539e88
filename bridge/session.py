"""Who plays when: events in, actions out. Pure: no port, no thread, no clock reading.

Each measure line is reached in three stages, each with its time:

    |--------------- measure ----------------|-- the answer --
    |                    ^plan      ^freeze  ^line
    |                    |          |        the newest plan that is ready begins here
    |                    |          half a step before: who plays next is settled, the plan renewed
    |                    plan_lead_s before the freeze: a first plan, where an answer may begin

`handle` first does all that is due by the event's time, then the event. Stop ends the turn and
forgets the phrase (a half phrase answered minutes later would surprise); what was heard stays
context. The parts: transport.py says where the music is, measure.py what the performer plays,
plans.py what the model makes of it, scheduler.py what is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, assert_never

from bridge.context import Context
from bridge.controls import Controls
from bridge.events import (
    Action,
    Ask,
    ChannelMessage,
    Continue,
    ControlChange,
    Event,
    ModelLost,
    ModelReady,
    NoteOff,
    NoteOn,
    Notice,
    OutputLost,
    Planned,
    ProgramChange,
    Quit,
    Send,
    SongPosition,
    Start,
    Stop,
    Tick,
    Wake,
)
from bridge.measure import Hearing
from bridge.phrase import Phrase, Turn, has_rested
from bridge.plans import Plans
from bridge.presets import Preset
from bridge.scheduler import ALL_NOTES_OFF, ALL_SOUND_OFF, Scheduler
from bridge.status import Mode, Settings, Status
from bridge.transport import HALF_STEP, Change, Transport
from bridge.voice import bookings
from pianogen.grid import PPQN

__all__ = ["Mode", "Session", "Settings", "Status"]

Stage = Literal["plan", "freeze", "line"]

IDLE_MEASURES = 2  # after as much silence the internal clock begins anew with the next note
PEDAL_DOWN = 64  # CC 64 values from here on


class Session:
    """The conductor: listens, asks, answers and hands back.

    presets: at least one, numbers differing.
    """

    def __init__(self, presets: Sequence[Preset], settings: Settings) -> None:
        meter = settings.meter
        self._settings = settings
        self._controls = Controls(presets, settings.preset)
        self._transport = Transport(
            meter,
            shift_ticks=settings.shift_beats * PPQN,
            bpm=settings.bpm,
            clock_wait_s=settings.clock_wait_s,
        )
        self._hearing = Hearing(meter)
        self._context = Context(meter, self._hearing)
        self._plans = Plans(meter)
        self._scheduler = Scheduler(self._controls.preset.max_polyphony)
        self._now = float("-inf")
        self._actions: list[Action] = []
        self._phrase: Phrase | None = None
        self._turn: Turn | None = None
        self._line = 0  # the measure whose line is next, while there is something to do at it
        self._stage: Stage = "plan"
        self._answers = 0  # measures answered so far, rests too: what seeds differ by
        self._notes_heard = self._measures_answered = self._measures_missed = 0
        self._take_run = self._turn_end_run = 0.0
        self._is_model_ready = self._has_ended = False
        self._has_told_of_model = self._has_told_of_clock = False

    # The interface.

    def handle(self, event: Event) -> list[Action]:
        """Do what is due by the event's time, then take the event in; returns what to do now."""
        if self._has_ended:
            return []
        self._now = max(self._now, event.time)
        self._advance()
        self._take_in(event)
        if not self._has_ended:
            self._advance()
        actions, self._actions = self._actions, []
        return actions

    def next_deadline(self) -> float | None:
        """When `handle(Wake(...))` is wanted at the latest, in seconds; None for not at all."""
        due = None if self._has_ended else self._next_due()
        return None if due is None else due[0]

    def status(self, now: float | None = None) -> Status:
        """A snapshot; `now` (by default the newest event's time) is where the measure is told."""
        transport, plans = self._transport, self._plans.tally
        is_running = transport.is_running
        at = self._now if now is None else now
        measure, step = transport.place_at(at) if is_running else (None, None)
        return Status(
            mode=self._mode,
            clock=transport.source,
            is_rolling=is_running,
            tempo=transport.tempo,
            meter=self._settings.meter,
            measure=measure,
            step=step,
            preset=self._controls.preset.name,
            sounding=self._scheduler.sounding,
            is_model_ready=self._is_model_ready,
            notes_heard=self._notes_heard,
            notes_sent=self._scheduler.sent,
            notes_dropped=self._scheduler.dropped,
            late=self._scheduler.late,
            plans_asked=plans.asked,
            plans_answered=plans.answered,
            plans_failed=plans.failed,
            plans_late=plans.late,
            measures_answered=self._measures_answered,
            measures_missed=self._measures_missed,
            ticks_lost=transport.lost_ticks,
        )

    # What time brings.

    def _advance(self) -> None:
        while (due := self._next_due()) is not None and due[0] <= self._now:
            time, do = due
            do(time)

    def _next_due(self) -> tuple[float, Callable[[float], None]] | None:
        """The next thing to do; at equal times the line comes first, so its notes are booked."""
        transport = self._transport
        if not transport.is_running:
            return None
        due: list[tuple[float, Callable[[float], None]]] = []
        if self._has_work:
            due.append((self._time_of_stage(), self._reach_stage))
        if (send := self._scheduler.next_due(transport.time_of)) is not None:
            due.append((send, self._send_due))
        if (lost := transport.lost_at) is not None:
            due.append((lost, self._lose_clock))
        return min(due, key=lambda entry: entry[0], default=None)

    @property
    def _has_work(self) -> bool:
        is_waiting = self._turn is None and self._phrase is None
        return not is_waiting or self._controls.is_changing

    @property
    def _is_answering(self) -> bool:
        return self._turn is not None and self._line > self._turn.first

    @property
    def _mode(self) -> Mode:
        if not self._transport.is_running:
            return "stopped"
        if self._turn is None:
            return "listening"
        return "answering" if self._is_answering else "thinking"

    def _latency_s(self, preset: Preset) -> float:
        own = self._settings.latency_ms
        return (preset.latency_ms if own is None else own) / 1000

    @property
    def _crossing(self) -> float:
        """When the next line's notes must be booked: on the line, or early by the latency."""
        line = self._transport.time_of(self._line * self._settings.meter.ticks)
        return line - max(0.0, self._latency_s(self._controls.coming))

    @property
    def _freeze(self) -> float:
        return self._crossing - HALF_STEP * self._transport.period

    def _time_of_stage(self) -> float:
        match self._stage:
            case "plan":
                return self._freeze - max(self._settings.plan_lead_s, self._plans.response_s)
            case "freeze":
                return self._freeze
            case "line":
                return self._crossing
            case _:
                assert_never(self._stage)

    def _reach_stage(self, _: float) -> None:
        match self._stage:
            case "plan":
                self._stage = "freeze"
                self._plan_early()
            case "freeze":
                self._stage = "line"
                self._settle()
            case "line":
                self._cross_line()
            case _:
                assert_never(self._stage)

    def _plan_early(self) -> None:
        """Ask for a first plan where an answer may begin at the line."""
        phrase, preset = self._phrase, self._controls.coming
        if phrase is None or not self._is_model_ready:
            return
        quiet = self._hearing.quiet_since(self._transport.run_at(self._now))
        frozen = self._transport.run_at(self._freeze)
        if phrase.is_full(self._line, preset) or has_rested(quiet, frozen, preset):
            self._ask()

    def _settle(self) -> None:
        """The freeze: who plays from the line on; a plan is renewed where it has grown old."""
        if self._turn is None and self._phrase is not None:
            self._settle_phrase(self._phrase)
        if self._turn is not None and self._line < self._turn.end:
            self._ask()

    def _settle_phrase(self, phrase: Phrase) -> None:
        preset, frozen = self._controls.coming, self._transport.run_at(self._freeze)
        rested = has_rested(self._hearing.quiet_since(frozen), frozen, preset)
        if not rested and not phrase.is_full(self._line, preset):
            return
        self._phrase = None
        if self._is_model_ready:
            length = phrase.answer_length(preset)
            self._turn = Turn(self._line, length, phrase, "rest" if rested else "full")
        elif not self._has_told_of_model:
            self._has_told_of_model = True
            self._note("warning", "the model is not ready: only listening")

    def _cross_line(self) -> None:
        self._switch_preset()
        measure, turn = self._line, self._turn
        self._line += 1
        self._stage = "plan"
        if turn is None:
            return
        if measure >= turn.end:
            self._end_turn(measure * self._settings.meter.ticks)
            return
        self._play(measure)
        if self._line < turn.end:
            self._ask()
            self._stage = "freeze"

    def _play(self, measure: int) -> None:
        """Book the newest plan for the measure that begins now; none is a rest."""
        self._answers += 1
        plan = self._plans.take(measure)
        if plan is None:
            self._measures_missed += 1
            self._note("warning", "no plan was ready at the measure line: a measure of rest")
            return
        self._measures_answered += 1
        self._context.answered(measure, plan.notes)
        preset = self._controls.preset
        line = measure * self._settings.meter.ticks
        for booking in bookings(plan, line, preset, self._latency_s(preset)):
            self._scheduler.book(booking)

    def _ask(self) -> None:
        """Ask for the measure at the next line, unless the same has been asked already."""
        preset = self._controls.coming
        run = self._transport.run_at(self._now)
        start, context = self._context.before(self._line, run)
        ask = Ask(
            plan_id=self._plans.next_id,
            checkpoint=preset.checkpoint,
            meter=self._settings.meter,
            start=start,
            context=context,
            sampling=preset.sampling,
            seed=seed_of(self._settings.seed, self._answers),
            deadline=self._crossing,
        )
        if self._plans.is_news(self._line, ask):
            self._plans.asked(self._line, ask, self._now)
            self._actions.append(ask)

    def _send_due(self, time: float) -> None:
        self._send(self._scheduler.due(self._now, self._transport.time_of, until=time))

    def _lose_clock(self, _: float) -> None:
        self._transport.lose(self._now)
        self._halt()
        self._note("warning", "the MIDI clock is lost: waiting for it to come back")

    # What events bring.

    def _take_in(self, event: Event) -> None:
        match event:
            case Tick() | Start() | Continue() | Stop() | SongPosition():
                self._take_in_transport(event)
            case NoteOn() | NoteOff() | ControlChange() | ProgramChange():
                self._take_in_message(event)
            case Wake():
                pass
            case Planned():
                if (trouble := self._plans.receive(event, self._line)) is not None:
                    self._note("warning", trouble)
            case ModelReady():
                self._is_model_ready, self._has_told_of_model = True, False
            case ModelLost():
                self._lose_model()
            case OutputLost():
                self._fall_silent()
            case Quit():
                self._quit()
            case _:
                assert_never(event)

    def _take_in_transport(self, event: Tick | Start | Continue | Stop | SongPosition) -> None:
        transport = self._transport
        match event:
            case Tick():
                self._follow(transport.tick(event.time))
            case Start():
                self._follow(transport.start(event.time))
            case Continue():
                self._follow(transport.resume(event.time))
            case Stop():
                self._follow(transport.stop(event.time))
            case SongPosition():
                self._follow(transport.locate(event.time, event.sixteenths))
            case _:
                assert_never(event)

    def _follow(self, change: Change) -> None:
        if change == "none":
            return
        self._halt()
        if change == "take":
            self._begin_take(self._transport.struck_since)

    def _begin_take(self, since: float) -> None:
        self._take_run = self._turn_end_run = self._transport.run_at(self._now)
        for measure in self._hearing.begin(self._take_run, since):
            self._hear_in(measure)

    def _take_in_message(self, event: ChannelMessage) -> None:
        is_panic = isinstance(event, ControlChange) and event.control in (
            ALL_SOUND_OFF,
            ALL_NOTES_OFF,
        )
        if not is_panic and self._settings.channel not in (None, event.channel + 1):
            return
        match event:
            case NoteOn():
                self._key_down(event)
            case NoteOff():
                run = self._run_of(event.time)
                self._hearing.note_off(channel=event.channel, pitch=event.pitch, run=run)
            case ControlChange():
                self._control(event)
            case ProgramChange():
                self._choose(event.program)
            case _:
                assert_never(event)

    def _run_of(self, time: float) -> float | None:
        """Where on the run something happened; None while nothing rolls."""
        if not self._transport.is_running:
            return None
        return max(self._transport.run_at(time), self._take_run)

    def _key_down(self, event: NoteOn) -> None:
        self._notes_heard += 1
        self._count_in(event.time)
        measure = self._hearing.note_on(
            channel=event.channel,
            pitch=event.pitch,
            velocity=event.velocity,
            time=event.time,
            run=self._run_of(event.time),
        )
        if measure is not None:
            self._hear_in(measure)

    def _count_in(self, time: float) -> None:
        """Begin the internal clock with this note, where no clock comes or after long idleness."""
        transport = self._transport
        if transport.is_running:
            if transport.source != "internal" or not self._is_idle(transport.run_at(time)):
                return
        elif not transport.may_begin_internal(time):
            return
        transport.begin_internal(time)
        self._begin_take(time)
        if not self._has_told_of_clock:
            self._has_told_of_clock = True
            self._note("info", f"no MIDI clock comes: counting at {self._settings.bpm:g} bpm")

    def _is_idle(self, run: float) -> bool:
        if self._has_work or self._scheduler.sounding or self._hearing.is_playing:
            return False
        last = max(self._hearing.quiet_since(run), self._turn_end_run)
        return run - last > IDLE_MEASURES * self._settings.meter.ticks

    def _hear_in(self, measure: int) -> None:
        """The performer has played a note in `measure`: it is their turn."""
        self._aim()
        turn, phrase = self._turn, self._phrase
        if turn is not None:
            is_rest_too_short = not self._is_answering and turn.because == "rest"
            phrase = turn.phrase if is_rest_too_short else None
        self._fall_silent()
        if phrase is None:
            self._context.begin_phrase(measure)
            self._phrase = Phrase(measure, measure)
        else:
            self._context.reach(measure)
            self._phrase = phrase.reaching(measure)

    def _control(self, event: ControlChange) -> None:
        run = self._run_of(event.time)
        match event.control:
            case 120 | 123:  # all sound off, all notes off
                self._hearing.silence(channel=event.channel, run=run)
                self._fall_silent()
            case 64:  # sustain
                is_down = event.value >= PEDAL_DOWN
                self._hearing.pedal(channel=event.channel, is_down=is_down, run=run)
            case self._settings.preset_control:
                self._choose(event.value)
            case _:
                pass

    def _choose(self, number: int) -> None:
        self._aim()
        if not self._controls.choose(number):
            self._note("warning", f"no preset has the number {number}: nothing changes")
        elif not self._transport.is_running:
            self._switch_preset()
        elif self._turn is not None and self._line < self._turn.end:
            self._ask()

    def _lose_model(self) -> None:
        self._is_model_ready = False
        self._fall_silent()
        self._plans.lose()
        if not self._has_told_of_model:
            self._has_told_of_model = True
            self._note("warning", "the model is gone: only listening until it is back")

    def _quit(self) -> None:
        self._send(self._scheduler.panic(self._now, self._controls.preset.channel - 1))
        self._has_ended = True

    # Shared by both.

    def _aim(self) -> None:
        """Before work arises where there was none: find the line that comes next."""
        if self._transport.is_running and not self._has_work:
            run = self._transport.run_at(self._now)
            self._line = int(run // self._settings.meter.ticks) + 1
            self._stage = "plan"

    def _fall_silent(self) -> None:
        """Release what sounds, drop what is booked, and end the turn."""
        if self._turn is not None:
            run = self._transport.run_at(self._now + self._latency_s(self._controls.preset))
            self._end_turn(run)
            self._context.cut(run)
            self._plans.drop()
        self._send(self._scheduler.release(self._now))

    def _end_turn(self, run: float) -> None:
        self._turn = None
        self._turn_end_run = run

    def _halt(self) -> None:
        """The run is interrupted: silence, and the phrase is forgotten; what was heard stays."""
        self._send(self._scheduler.release(self._now))
        self._hearing.halt(self._transport.left_at)
        self._context.cut(self._transport.left_at)
        self._plans.drop()
        self._turn = self._phrase = None
        self._switch_preset()

    def _switch_preset(self) -> None:
        if self._controls.switch():
            self._scheduler.max_polyphony = self._controls.preset.max_polyphony
            self._note("info", f"preset {self._controls.preset.name!r}")

    def _send(self, messages: Sequence[ChannelMessage]) -> None:
        self._actions += [Send(message) for message in messages]

    def _note(self, level: Literal["info", "warning"], text: str) -> None:
        self._actions.append(Notice(level, text))


def seed_of(seed: int, answer: int) -> int:
    """The seed (0..2**31 - 1) of one answered measure: mixed, so that neighbours differ."""
    mixed = (seed * 0x9E3779B1 + answer * 0x85EBCA6B + 0x27D4EB2F) & 0xFFFFFFFF
    mixed = ((mixed ^ (mixed >> 15)) * 0x2C1B3C6D) & 0xFFFFFFFF
    return (mixed ^ (mixed >> 12)) & 0x7FFFFFFF
