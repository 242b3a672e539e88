"""What a map of controls says of lights: `state: {mode: {cc: 112}, progress: {note: 0}}`.

Checked as a whole; knows nothing of controls but how their lines are written.
"""

from __future__ import annotations

from bridge.control_lines import HIGHEST, NONE, Say, near, whole_number
from bridge.state_out import Light, StateOut
from bridge.yaml_lines import Entry, Plain, Table, Written

STATE = "state"
TOLD = ("mode", "preset", "progress")
_KEYS = ("cc", "note", "channel")
_PEDAL = 64


def read_state(written: Written, say: Say) -> StateOut:
    """What is told to lights, and where; what cannot be used is told to `say` instead."""
    if not isinstance(written, Table):
        say(written.line, "must be what is told where, such as {mode: {cc: 112}}")
        return StateOut()
    for again, first in written.twice():
        say(again.line, f"{again.key} is given twice, first in line {first.line}")
    lights: dict[str, Light] = {}
    for entry in written.entries:
        if entry.key not in TOLD:
            say(entry.line, f"there is no {entry.key!r} here{near(entry.key, TOLD)}")
        elif (light := _light(entry, say)) is not None:
            lights[entry.key] = light
    if len(set(lights.values())) < len(lights):
        say(written.line, "two of them are told in one place")
    return StateOut(**lights)


def state_text(state_out: StateOut) -> str:
    """The line that is read as this; empty where nothing is told."""
    lights = [(what, getattr(state_out, what)) for what in TOLD]
    told = [f"{what}: {_text(light)}" for what, light in lights if light is not None]
    return f"{STATE}: {{{', '.join(told)}}}\n" if told else ""


def _text(light: Light) -> str:
    return f"{{{light.kind}: {light.number}, channel: {light.channel + 1}}}"


def _light(entry: Entry, say: Say) -> Light | None:
    written = entry.value
    if isinstance(written, Plain) and written.value == NONE:
        return None
    if not isinstance(written, Table):
        say(entry.line, f"{entry.key} must be where it is told, such as {{cc: 112}}, or none")
        return None
    keys = {each.key: each for each in written.entries}
    for each in written.entries:
        if each.key not in _KEYS:
            say(each.line, f"there is no {each.key!r} here{near(each.key, _KEYS)}")
    if ("cc" in keys) == ("note" in keys):
        say(entry.line, f"{entry.key} needs one of cc or note")
        return None
    number, kind = None, "cc"
    if "cc" in keys:
        number = whole_number(keys["cc"], 0, HIGHEST["cc"], say)
        if number == _PEDAL:
            say(keys["cc"].line, "cc 64 is the sustain pedal of what sounds there")
    else:
        number, kind = whole_number(keys["note"], 0, 127, say), "note"
    channel = whole_number(keys["channel"], 1, 16, say) if "channel" in keys else 1
    if number is None or channel is None:
        return None
    return Light("cc" if kind == "cc" else "note", number, channel - 1)
