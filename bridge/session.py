"""The conductor: event in, actions out. Pure: no port, no thread, no clock reading.

`handle` first does all that is due by the event's time, then takes the event in. The parts:
transport.py says where the music is, measure.py what the performer plays, turns.py whose turn it
is, plans.py what the model makes of it, scheduler.py what is sent. What comes back of that is kept
out by echo.py; what of the player's is sent on, thru.py says; state_out.py tells lights what is so.
Here they are told what happens.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from bridge.control_map import ControlMap
from bridge.controls import Controls
from bridge.echo import EchoGuard
from bridge.events import (
    Action,
    ChannelMessage,
    Continue,
    ControlChange,
    Event,
    ModelLost,
    ModelReady,
    NoteOff,
    NoteOn,
    Other,
    OutputDelay,
    OutputLost,
    Planned,
    PresetsRead,
    ProgramChange,
    Quit,
    Send,
    SongPosition,
    Start,
    Stop,
    Tick,
    Wake,
)
from bridge.events import (
    Transport as TransportEvent,
)
from bridge.gestures import Panic
from bridge.measure import Hearing
from bridge.outbox import Outbox
from bridge.pedal import SUSTAIN
from bridge.presets import Preset
from bridge.scheduler import ALL_NOTES_OFF, ALL_SOUND_OFF, RESET_CONTROLLERS
from bridge.state_out import Lights
from bridge.status import Mode, Settings, Status
from bridge.thru import Thru, is_open
from bridge.transport import Change, Transport
from bridge.turns import Due, Turns
from pianogen.grid import PPQN

__all__ = ["Mode", "Session", "Settings", "Status"]

IDLE_MEASURES = 2  # after as much silence the internal clock begins anew with the next note
PEDAL_DOWN = 64  # CC 64 values from here on


class Session:
    """One performer, one machine, one clock.

    presets: at least one, numbers differing.
    """

    def __init__(self, presets: Sequence[Preset], settings: Settings) -> None:
        self._settings = settings
        self._out = Outbox()
        self._controls = Controls(presets, settings.preset)
        self._control_map = ControlMap(settings.bindings)
        self._echo = EchoGuard()
        self._thru = Thru()
        self._lights = Lights(settings.state_out, settings.meter)
        self._hearing = Hearing(settings.meter)
        self._transport = Transport(
            settings.meter,
            shift_ticks=settings.shift_beats * PPQN,
            bpm=settings.bpm,
            clock_wait_s=settings.clock_wait_s,
        )
        self._turns = Turns(settings, self._controls, self._transport, self._hearing, self._out)
        self._now = float("-inf")
        self._take_run = 0.0  # where on the run the newest take began
        self._notes_heard = 0
        self._has_told_of_clock = False
        self._has_ended = False

    def handle(self, event: Event) -> list[Action]:
        """Do what is due by the event's time, then take the event in; returns what to do now."""
        if self._has_ended:
            return []
        self._now = max(self._now, event.time)
        self._advance()
        self._take_in(event)
        self._advance()
        if self._lights.is_on and not self._has_ended:
            self._show_state()
        return self._sent(self._out.take())

    def next_deadline(self) -> float | None:
        """When `handle(Wake(...))` is wanted at the latest, in seconds; None for not at all."""
        due = self._next_due()
        return None if due is None else due[0]

    def run_at(self, time: float) -> float | None:
        """Where the run is at `time`, in ticks of the clock it follows; None while it stands."""
        return self._transport.run_at(time) if self._transport.is_running else None

    @property
    def ahead_s(self) -> float:
        """How long before their place notes are sent, by the preset in force, in seconds."""
        return self._turns.stages.latency_s(self._controls.preset)

    def status(self, now: float | None = None) -> Status:
        """A snapshot; `now` (by default the newest event's time) is where the measure is told."""
        transport, turns = self._transport, self._turns
        is_running = transport.is_running
        at = self._now if now is None else now
        measure, step = transport.place_at(at) if is_running else (None, None)
        return Status(
            mode=turns.mode,
            clock=transport.source,
            is_rolling=is_running,
            tempo=transport.tempo,
            meter=self._settings.meter,
            measure=measure,
            step=step,
            preset=self._controls.preset.name,
            play_mode=self._controls.preset.mode,
            sounding=turns.scheduler.sounding,
            is_model_ready=turns.is_model_ready,
            notes_heard=self._notes_heard,
            notes_sent=turns.scheduler.sent,
            notes_dropped=turns.scheduler.dropped,
            late=turns.scheduler.late,
            plans_asked=turns.plans.tally.asked,
            plans_answered=turns.plans.tally.answered,
            plans_failed=turns.plans.tally.failed,
            plans_late=turns.plans.tally.late,
            plan_lead_ms=1000 * turns.stages.lead_s,
            candidates=turns.plans.candidates,
            measures_answered=turns.playing.answered,
            measures_missed=turns.playing.missed,
            measures_stale=turns.plans.tally.stale,
            ticks_lost=transport.lost_ticks,
        )

    def _sent(self, actions: list[Action]) -> list[Action]:
        for action in actions:
            if isinstance(action, Send):
                self._echo.sent(action.message, self._now)
        return actions

    def _show_state(self) -> None:
        shown = self._lights.show(self._turns.mode, self._controls.preset.number, self._now)
        self._out.send(shown, "lights")

    # Time.

    def _advance(self) -> None:
        while (due := self._next_due()) is not None and due[0] <= self._now:
            due[1](self._now)

    def _next_due(self) -> Due | None:
        if self._has_ended or not self._transport.is_running:
            return None
        due = self._turns.due()
        if (lost := self._transport.lost_at) is not None:
            due.append((lost, self._lose_clock))
        if self._lights.counts:  # last: of what is due at one time, the first is done first
            due.append((self._transport.time_of(self._lights.beat), self._show_beat))
        return min(due, key=lambda entry: entry[0], default=None)

    def _lose_clock(self, now: float) -> None:
        self._transport.lose(now)
        self._halt()
        self._out.note("warning", "the MIDI clock is lost: waiting for it to come back")

    def _show_beat(self, now: float) -> None:
        due = self._transport.time_of(self._lights.beat)
        self._out.send(self._lights.show_beat(self._transport.run_at(now), due), "lights")

    # Events.

    def _take_in(self, event: Event) -> None:
        match event:
            case Tick() | Start() | Continue() | Stop() | SongPosition():
                self._follow(self._change(event))
            case NoteOn() | NoteOff() | ControlChange() | ProgramChange() | Other():
                if not self._echo.is_echo(event):
                    self._take_in_message(event)
            case Wake():
                pass
            case Planned():
                self._turns.receive(event, self._now)
            case ModelReady():
                self._turns.find_model(event.response_s)
            case ModelLost():
                self._turns.lose_model(self._now)
            case OutputLost():
                self._turns.fall_silent(self._now)
            case OutputDelay():
                self._turns.stages.output_delay_s = self._echo.delay_s = event.delay_s
            case PresetsRead():
                self._turns.replace_presets(event.presets, self._now)
            case Quit():
                self._quit()
            case _:
                assert_never(event)

    def _change(self, event: TransportEvent) -> Change:
        match event:
            case Tick():
                return self._transport.tick(event.time)
            case Start():
                return self._transport.start(event.time)
            case Continue():
                return self._transport.resume(event.time)
            case Stop():
                return self._transport.stop(event.time)
            case SongPosition():
                return self._transport.locate(event.time, event.sixteenths)
            case _:
                assert_never(event)

    def _follow(self, change: Change) -> None:
        match change:
            case "none":
                pass
            case "halt":
                self._halt()
            case "take":
                self._halt()
                self._begin_take(self._transport.struck_since)
            case _:
                assert_never(change)

    def _halt(self) -> None:
        self._turns.halt(self._now)
        self._hearing.halt(self._transport.left_at)
        self._out.send(self._lights.rest(self._now), "lights")

    def _begin_take(self, since: float) -> None:
        """The run moves on from here; keys struck at or after `since` are its first notes."""
        self._take_run = self._transport.run_at(self._now)
        self._turns.begin(self._now)
        self._lights.aim(self._take_run)
        for measure in self._hearing.begin(self._take_run, since):
            self._turns.hear(measure, self._now)

    def _take_in_message(self, event: ChannelMessage) -> None:
        if isinstance(event, ControlChange) and event.control in (ALL_SOUND_OFF, ALL_NOTES_OFF):
            self._panic(event)
        elif self._control_map.hears(event, self._settings.channel):
            for gesture in self._control_map.read(event, self._settings.channel):
                if isinstance(gesture, Panic):
                    self._out.end(self._now, "player")
                self._turns.do(gesture, self._now)
            return
        elif self._settings.channel in (None, event.channel + 1):
            self._take_in_playing(event)
        self._pass_on(event)

    def _pass_on(self, event: ChannelMessage) -> None:
        """Thru, last of all: a note that silences the machine begins behind what it ends."""
        thru, is_answering = self._controls.preset.thru, self._turns.mode == "answering"
        if self._thru.passes(event, is_open=is_open(thru, is_answering=is_answering)):
            self._out.send([event], "player")

    def _take_in_playing(self, event: ChannelMessage) -> None:
        match event:
            case NoteOn():
                self._key_down(event)
            case NoteOff():
                run = self._run_of(event.time)
                self._hearing.note_off(channel=event.channel, pitch=event.pitch, run=run)
            case ControlChange():
                self._control(event)
            case ProgramChange() | Other():
                pass
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
            self._turns.hear(measure, self._now)

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
            self._out.note("info", f"no MIDI clock comes: counting at {self._settings.bpm:g} bpm")

    def _is_idle(self, run: float) -> bool:
        turns, hearing = self._turns, self._hearing
        if turns.has_work or turns.scheduler.sounding or hearing.is_playing:
            return False
        last = max(hearing.quiet_since(run), turns.ended_at)
        return run - last > IDLE_MEASURES * self._settings.meter.ticks

    def _control(self, event: ControlChange) -> None:
        if event.control in (SUSTAIN, RESET_CONTROLLERS):
            is_down = event.control == SUSTAIN and event.value >= PEDAL_DOWN
            run = self._run_of(event.time)
            self._hearing.pedal(channel=event.channel, is_down=is_down, run=run)

    def _panic(self, event: ControlChange) -> None:
        """End what sounds and the machine's turn; the performer's phrase and the context stay.

        DAWs send this on every channel at play, stop and locate: then nothing sounds, and
        nothing is sent.
        """
        self._hearing.silence(channel=event.channel, run=self._run_of(event.time))
        self._turns.panic(self._now)
        self._out.end(self._now, "player", event.channel)

    def _quit(self) -> None:
        self._out.end(self._now, "player")
        panic = self._turns.scheduler.panic(self._now, self._controls.preset.channel - 1)
        self._out.send(panic)
        self._out.send(self._lights.darken(self._now), "lights")
        self._has_ended = True
