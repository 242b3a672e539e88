"""What a display or a log may know of a session: frozen snapshots and the settings it has."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from bridge.control_map import DEFAULT_BINDINGS, Binding
from bridge.presets import PlayMode
from bridge.state_out import StateOut
from bridge.transport import Source
from pianogen.grid import Meter

Mode: TypeAlias = Literal["listening", "thinking", "answering", "stopped"]


@dataclass(frozen=True, slots=True)
class Settings:
    """What a session is told at its start.

    shift_beats: how many quarter notes later than the song position says the measure lines are.
    bpm: tempo of the internal clock, 20..400. bindings: what moves which control.
    channel: the only input channel heard, 1..16 as players count; None hears all.
    clock_wait_s: how long no MIDI clock must have come before the internal clock takes over.
    latency_ms: overrides the presets'. preset: the number of the first; None takes the first one.
    state_out: what is told to lights and lanes; nothing, unless said.
    """

    meter: Meter = field(default_factory=Meter)
    shift_beats: float = 0.0
    bpm: float = 120.0
    seed: int = 0
    bindings: tuple[Binding, ...] = DEFAULT_BINDINGS
    channel: int | None = None
    clock_wait_s: float = 2.0
    latency_ms: float | None = None
    preset: int | None = None
    state_out: StateOut = field(default_factory=StateOut)


@dataclass(frozen=True, slots=True)
class Status:
    """A session at one moment.

    mode: what it does now; play_mode: what the preset in force has it do.
    measure: the song's, from 1; step: in it, from 0; both None while nothing rolls.
    sounding: the machine's pitches, as sent. notes_dropped: planned, never begun, for any reason;
    `late` of them because their time had passed. plan_lead_ms: how long before the freeze a plan
    is asked for. measures_missed: no plan was ready (a rest); measures_stale: of those answered,
    made of less than was known at the freeze.
    candidates: how many drafts the newest plan was chosen from; 0 before the first.
    """

    mode: Mode
    clock: Source
    is_rolling: bool
    tempo: float
    meter: Meter
    measure: int | None
    step: int | None
    preset: str
    play_mode: PlayMode
    sounding: tuple[int, ...]
    is_model_ready: bool
    notes_heard: int
    notes_sent: int
    notes_dropped: int
    late: int
    plans_asked: int
    plans_answered: int
    plans_failed: int
    plans_late: int
    plan_lead_ms: float
    candidates: int
    measures_answered: int
    measures_missed: int
    measures_stale: int
    ticks_lost: int
