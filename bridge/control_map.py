"""Which message moves which control, and how far: messages in, gestures out. Pure.

A control hears a controller (CC 0..119; a 14-bit pair is CC n and n + 32), a note or a program
change, on one channel or on any. What it makes of them:

value     a field of the preset, along a curve between two ends; a word, by equal parts
choice    a preset, by the value or the number itself
press     something done each time it goes down
hold      something that lasts while it is down; as a toggle, until it goes down again
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from bridge.events import ChannelMessage, ControlChange, NoteOff, NoteOn, Other, ProgramChange
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
from pianogen.keys import CHROMATIC, NAMES
from pianogen.presets import HEARD
from pianogen.sampling import DENSEST, SPARSEST

Kind: TypeAlias = Literal["cc", "cc14", "note", "program"]
Curve: TypeAlias = Literal["linear", "log"]
Sort: TypeAlias = Literal["value", "choice", "press", "hold"]

DOWN = 64  # controller values from here on are down (MIDI 1.0, switches)
FINE = 32  # how far above the coarse half of a 14-bit pair the fine one lies
_COARSE, _MOST_14 = 128, 16383
_ANY_PROGRAM = None


@dataclass(frozen=True, slots=True)
class Value:
    """A control that turns a field of the preset from `low` to `high`, as curve says.

    is_whole: whole numbers only. A log curve turns by equal factors, and needs both ends above 0.
    With low above high it turns backwards.
    """

    field: str
    low: float
    high: float
    curve: Curve = "linear"
    is_whole: bool = False

    def at(self, share: float) -> float:
        """The value at a share, 0..1, of the way."""
        if self.curve == "log":
            value = self.low * float((self.high / self.low) ** share)
        else:
            value = self.low + (self.high - self.low) * share
        value = min(max(value, min(self.low, self.high)), max(self.low, self.high))  # rounding
        return round(value) if self.is_whole else value


@dataclass(frozen=True, slots=True)
class Words:
    """A control that turns a field of the preset through words, in equal parts."""

    field: str
    words: tuple[str, ...]

    def at(self, share: float) -> str:
        """The word at a share, 0..1, of the way."""
        return self.words[min(int(share * len(self.words)), len(self.words) - 1)]


@dataclass(frozen=True, slots=True)
class Source:
    """What is heard: `number` of a controller, pitch or program (None: any program); `channel`
    0..15, None for all."""

    kind: Kind
    number: int | None
    channel: int | None = None


@dataclass(frozen=True, slots=True)
class Binding:
    """A control and what moves it.

    value: how far, where the control turns a value. is_toggle: each press changes a hold.
    """

    control: str
    source: Source
    value: Value | Words | None = None
    is_toggle: bool = False


SCALES = (
    CHROMATIC,
    HEARD,
    *(f"{name} {mode}" for mode in ("major", "minor") for name in NAMES),
)
VALUES: dict[str, Value | Words] = {
    "mode": Words("mode", ("answer", "continue", "duet", "off")),
    "thru": Words("thru", ("off", "listening", "on")),
    "temperature": Value("temperature", 0.3, 2.0, "log"),
    "velocity_temperature": Value("velocity_temperature", 0.1, 2.0, "log"),
    "rhythm_temperature": Value("rhythm_temperature", 0.2, 2.0, "log"),
    "duration_temperature": Value("duration_temperature", 0.2, 2.0, "log"),
    "density": Value("density", SPARSEST, DENSEST, "log"),
    "polyphony": Value("max_polyphony", 1, 16, is_whole=True),
    "low_pitch": Value("low_pitch", 0, 127, is_whole=True),
    "high_pitch": Value("high_pitch", 0, 127, is_whole=True),
    "scale": Words("scale", SCALES),
    "velocity_scale": Value("velocity_scale", 0.25, 2.0, "log"),
    "velocity_follow": Value("velocity_follow", 0.0, 1.0),
    "answer_measures": Value("answer_measures", 1, 16, is_whole=True),
}
HOLDS: dict[str, type[HandOver | Freeze]] = {"hand_over": HandOver, "freeze": Freeze}
PRESSES: dict[str, Gesture] = {
    "next_preset": StepPreset(1),
    "previous_preset": StepPreset(-1),
    "mutate": Mutate(),
    "repeat": Repeat(),
    "panic": Panic(),
}
CHOICE = "preset"
CONTROLS = (CHOICE, *PRESSES, *HOLDS, *VALUES)


FITS: dict[Sort, tuple[Kind, ...]] = {
    "value": ("cc", "cc14"),  # what turns has a place to stand at; a key or a program has none
    "choice": ("cc", "program"),
    "press": ("cc", "note", "program"),
    "hold": ("cc", "note", "program"),
}


def sort_of(control: str) -> Sort:
    """What a control makes of what it hears."""
    if control == CHOICE:
        return "choice"
    if control in PRESSES:
        return "press"
    return "hold" if control in HOLDS else "value"


def _by_default() -> tuple[Binding, ...]:
    """Undefined controllers only (MIDI 1.0 Control Change Messages, 20-31 and 102-119)."""
    cc = {
        "preset": 20,
        "mode": 21,
        "hand_over": 22,
        "temperature": 23,
        "velocity_temperature": 24,
        "rhythm_temperature": 25,
        "duration_temperature": 26,
        "polyphony": 27,
        "density": 28,
        "low_pitch": 29,
        "high_pitch": 30,
        "velocity_scale": 31,
        "velocity_follow": 102,
        "answer_measures": 103,
        "scale": 104,
        "mutate": 105,
        "repeat": 106,
        "freeze": 107,
        "thru": 108,
        "panic": 109,
        "next_preset": 110,
        "previous_preset": 111,
    }
    bound = [Binding(name, Source("cc", n), VALUES.get(name)) for name, n in cc.items()]
    return (*bound, Binding(CHOICE, Source("program", _ANY_PROGRAM)))


DEFAULT_BINDINGS = _by_default()


@dataclass(slots=True)
class _State:
    """Where a binding's control stands."""

    is_down: bool = False
    number: int = -1  # what was sent last
    coarse: int = 0
    fine: int = 0


@dataclass(frozen=True, slots=True)
class _Moved:
    """A control stands at `share`, 0..1; `number` is what was sent, 0..127."""

    share: float
    number: int
    is_down: bool


class ControlMap:
    """Bindings, and where each control stands."""

    def __init__(self, bindings: Iterable[Binding] = DEFAULT_BINDINGS) -> None:
        self._by_place: dict[tuple[str, int | None], list[tuple[Binding, _State]]] = {}
        for binding in bindings:
            state = _State()
            for place in _places(binding.source):
                self._by_place.setdefault(place, []).append((binding, state))

    def hears(self, event: ChannelMessage, channel: int | None = None) -> bool:
        """Whether a message belongs to a control: then it is no music.

        channel: 1..16, where a control that names no channel hears only that.
        """
        return bool(self._moved_by(event, channel))

    def read(self, event: ChannelMessage, channel: int | None = None) -> list[Gesture]:
        """What a message asks for; nothing where it belongs to no control."""
        gestures = []
        for binding, state in self._moved_by(event, channel):
            moved = _move(binding.source, state, event)
            gesture = _gesture(binding, state, moved)
            state.is_down, state.number = moved.is_down, moved.number
            if gesture is not None:
                gestures.append(gesture)
        return gestures

    def _moved_by(self, event: ChannelMessage, channel: int | None) -> list[tuple[Binding, _State]]:
        heard = None if channel is None else channel - 1
        return [
            (binding, state)
            for place in _place_of(event)
            for binding, state in self._by_place.get(place, ())
            if _is_on(binding.source.channel, heard, event.channel)
        ]


def is_shared(one: Source, other: Source) -> bool:
    """Whether there are messages that both sources hear."""
    if None not in (one.channel, other.channel) and one.channel != other.channel:
        return False
    if one.kind == other.kind == "program" and _ANY_PROGRAM in (one.number, other.number):
        return True
    return not set(_places(one)).isdisjoint(_places(other))


def _is_on(bound: int | None, heard: int | None, channel: int) -> bool:
    wanted = heard if bound is None else bound
    return wanted is None or wanted == channel


def _places(source: Source) -> list[tuple[str, int | None]]:
    if source.kind == "cc14":
        assert source.number is not None
        return [("cc", source.number), ("cc", source.number + FINE)]
    return [(source.kind, source.number)]


def _place_of(event: ChannelMessage) -> list[tuple[str, int | None]]:
    match event:
        case ControlChange():
            return [("cc", event.control)]
        case NoteOn() | NoteOff():
            return [("note", event.pitch)]
        case ProgramChange():
            return [("program", event.program), ("program", _ANY_PROGRAM)]
        case Other():
            return []


def _move(source: Source, state: _State, event: ChannelMessage) -> _Moved:
    match event:
        case ControlChange() if source.kind == "cc14":
            if event.control == source.number:
                state.coarse, state.fine = event.value, 0  # as MIDI 1.0 has it
            else:
                state.fine = event.value
            whole = _COARSE * state.coarse + state.fine
            return _Moved(whole / _MOST_14, state.coarse, state.coarse >= DOWN)
        case ControlChange():
            return _Moved(event.value / 127, event.value, event.value >= DOWN)
        case NoteOn():
            return _Moved(event.velocity / 127, event.velocity, True)
        case NoteOff() | Other():
            return _Moved(0.0, 0, False)
        case ProgramChange():
            state.is_down = False  # each program change is a press
            return _Moved(event.program / 127, event.program, True)


def _gesture(binding: Binding, state: _State, moved: _Moved) -> Gesture | None:
    is_again = moved.is_down and state.is_down and moved.number == state.number  # it has no release
    is_pressed = (moved.is_down and not state.is_down) or is_again
    if binding.control == CHOICE:
        return ChoosePreset(moved.number)
    if (press := PRESSES.get(binding.control)) is not None:
        return press if is_pressed else None
    if (hold := HOLDS.get(binding.control)) is not None:
        if not binding.is_toggle and not is_again:
            return hold(moved.is_down) if moved.is_down != state.is_down else None
        return hold(None) if is_pressed else None
    assert binding.value is not None
    return SetValue(binding.value.field, binding.value.at(moved.share))
