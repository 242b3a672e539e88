"""What the session does, told to lights and lanes: mode, preset and place in the measure, as MIDI.

Sent only where it changes, and never before notes that are due. The values suit lights and a DAW's
lanes, which know low, middle and high: listening 0, thinking 64, answering 127. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from bridge.events import ChannelMessage, ControlChange, NoteOff, NoteOn
from pianogen.grid import PPQN, Meter

if TYPE_CHECKING:
    from bridge.status import Mode

What: TypeAlias = Literal["mode", "preset", "progress"]
CLOSE_ENOUGH = 1e-6  # ticks; what floating point may cost


@dataclass(frozen=True, slots=True)
class Light:
    """Where a value is told: a controller or, by its velocity, a note; 0 is its note-off.

    number: of the controller, or the pitch, 0..127. channel: 0..15.
    """

    kind: Literal["cc", "note"]
    number: int
    channel: int = 0


@dataclass(frozen=True, slots=True)
class StateOut:
    """What is told, and where; None for what is not.

    mode: 0 listening (or stopped), 64 thinking, 127 answering. preset: the number of the one in
    force. progress: how much of the measure is over, of 128, at each beat.
    """

    mode: Light | None = None
    preset: Light | None = None
    progress: Light | None = None


_MODES: dict[Mode, int] = {"stopped": 0, "listening": 0, "thinking": 64, "answering": 127}


class Lights:
    """Remembers what was told last."""

    def __init__(self, state_out: StateOut, meter: Meter) -> None:
        self._lights: dict[What, Light] = {}
        for what in ("mode", "preset", "progress"):
            if (light := getattr(state_out, what)) is not None:
                self._lights[what] = light
        self._meter = meter
        self._told: dict[What, int] = {}
        self.beat = 0.0  # where on the run the next beat is, in ticks

    @property
    def is_on(self) -> bool:
        """Whether anything is told."""
        return bool(self._lights)

    @property
    def counts(self) -> bool:
        """Whether beats are told."""
        return "progress" in self._lights

    def show(self, mode: Mode, preset: int, now: float) -> list[ChannelMessage]:
        """Tell what has changed of mode and preset (its number, 0..127)."""
        return [*self._tell("mode", _MODES[mode], now), *self._tell("preset", preset, now)]

    def aim(self, run: float) -> None:
        """The next beat is the one at `run` (ticks) or after it."""
        line, tick = divmod(run - CLOSE_ENOUGH, self._meter.ticks)
        next_tick = min((tick // PPQN + 1) * PPQN, self._meter.ticks)
        self.beat = line * self._meter.ticks + next_tick

    def show_beat(self, run: float, due: float) -> list[ChannelMessage]:
        """Tell the newest beat up to `run` (ticks), which was due at `due`; aim at the next."""
        line, tick = divmod(max(run, self.beat) + CLOSE_ENOUGH, self._meter.ticks)
        here = tick // PPQN * PPQN
        self.aim(line * self._meter.ticks + here + 2 * CLOSE_ENOUGH)
        return self._tell("progress", int(here * 128 // self._meter.ticks), due)

    def rest(self, now: float) -> list[ChannelMessage]:
        """The run stands: no measure is under way."""
        return self._tell("progress", 0, now)

    def darken(self, now: float) -> list[ChannelMessage]:
        """The end: mode and place are nothing any more, and no note is left on."""
        ended = [w for w, light in self._lights.items() if w != "preset" or light.kind == "note"]
        return [message for what in ended for message in self._tell(what, 0, now)]

    def _tell(self, what: What, value: int, now: float) -> list[ChannelMessage]:
        light = self._lights.get(what)
        if light is None or self._told.get(what) == value:
            return []
        self._told[what] = value
        if light.kind == "cc":
            return [ControlChange(now, light.channel, light.number, value)]
        if value:
            return [NoteOn(now, light.channel, light.number, value)]
        return [NoteOff(now, light.channel, light.number)]
