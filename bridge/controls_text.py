"""A map of controls as the text of its file: what each control does, and what moves it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from bridge.control_map import CONTROLS, FINE, Binding, Source, Value, sort_of
from bridge.state_lines import state_text
from bridge.state_out import StateOut

ABOUT = {
    "preset": "another preset, by its number",
    "next_preset": "the preset of the next number",
    "previous_preset": "the preset of the number before",
    "mutate": "the last answer again, drawn anew",
    "repeat": "the last answer again, note by note",
    "panic": "silence at once",
    "hand_over": "the machine's turn, from the next measure line on",
    "freeze": "the last answer round and round",
    "mode": "answer, continue, duet or off",
    "thru": "whether what you play is passed on: off, listening or on",
    "temperature": "how daring its pitches are",
    "velocity_temperature": "how daring its loudness is",
    "rhythm_temperature": "how daring its rhythm is",
    "duration_temperature": "how daring its lengths are",
    "density": "how many notes, as a multiple of what you played lately",
    "polyphony": "how many notes sound at once",
    "low_pitch": "the lowest key it plays (middle C is 60)",
    "high_pitch": "the highest key it plays",
    "scale": "all notes, the scale heard, C to B major, C to B minor",
    "velocity_scale": "how loud it plays; 1 is as it was drawn",
    "velocity_follow": "how far its loudness follows yours",
    "answer_measures": "how many measures an answer lasts",
}

_HEADER = """\
# What moves which control. One that is not named keeps its default; none: nothing moves it.
#
#   cc: 0 to 119        a controller
#   cc14: 0 to 31       a 14-bit pair, this one and the one 32 above
#   note: 0 to 127      a key or a pad
#   program: 0 to 127   a program change; or any
#   channel: 1 to 16    only on this channel
#   range: [0.3, 2.0]   from one end of the way to the other; curve: linear or log
#   as: hold or toggle  what lasts: while it is down, or until it goes down again
#
# Several in a list: preset: [{cc: 20}, {program: any}]
#
# What it does can be told to lights, by controllers or notes of its own output; nothing is, unless
# it is said: state: {mode: {cc: 112, channel: 16}, preset: {cc: 113}, progress: {note: 0}}
"""


def controls_text(bindings: Iterable[Binding], state_out: StateOut | None = None) -> str:
    """The file that is read as this: every control, with what it does, and what lights are told."""
    by_control: dict[str, list[Binding]] = {control: [] for control in CONTROLS}
    for binding in bindings:
        by_control[binding.control].append(binding)
    lines = [f"{control}: {_sources(moved)}" for control, moved in by_control.items()]
    width = max(len(line) for line in lines if len(line) <= _WIDEST)
    about = [ABOUT[control] for control in by_control]
    told = "".join(f"{line:{width}}  # {what}\n" for line, what in zip(lines, about, strict=True))
    return _HEADER + told + state_text(state_out or StateOut())


_WIDEST = 80  # a longer line has its comment further out, alone


def in_words(source: Source) -> str:
    """What is heard, for people; channels from 1."""
    channel = "" if source.channel is None else f" on channel {source.channel + 1}"
    return f"{_heard(source)}{channel}"


def _heard(source: Source) -> str:
    if source.number is None:
        return "any program change"
    match source.kind:
        case "cc":
            return f"CC {source.number}"
        case "cc14":
            return f"CC {source.number} and {source.number + FINE}"
        case "note":
            return f"note {source.number}"
        case "program":
            return f"program {source.number}"


def _sources(bindings: list[Binding]) -> str:
    if not bindings:
        return "none"
    sources = ["{" + ", ".join(_keys(binding)) + "}" for binding in bindings]
    return sources[0] if len(sources) == 1 else "[" + ", ".join(sources) + "]"


def _keys(binding: Binding) -> Iterator[str]:
    source = binding.source
    yield f"{source.kind}: {'any' if source.number is None else source.number}"
    if source.channel is not None:
        yield f"channel: {source.channel + 1}"
    if isinstance(binding.value, Value):
        yield f"range: [{_number(binding.value.low)}, {_number(binding.value.high)}]"
        yield f"curve: {binding.value.curve}"
    if sort_of(binding.control) == "hold":
        yield f"as: {'toggle' if binding.is_toggle else 'hold'}"


def _number(value: float) -> str:
    """As YAML reads it back: it takes 1e-05 for a word, and 1.0e-05 for a number."""
    text = repr(value)
    return text.replace("e", ".0e") if "e" in text and "." not in text else text
