"""One control of a map of controls: what was written as its source, checked and made a binding.

Knows nothing of the other controls, nor of the file but the lines in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from difflib import get_close_matches
from typing import TypeAlias

from bridge.control_map import FITS, HOLDS, VALUES, Binding, Kind, Source, Value, Words, sort_of
from bridge.presets import fault_of
from bridge.yaml_lines import Entry, Items, Plain, Table, Written, short

NONE, ANY, TOGGLE = "none", "any", "toggle"
HIGHEST: dict[Kind, int] = {"cc": 119, "cc14": 31, "note": 127, "program": 127}
_KEYS = (*HIGHEST, "channel", "range", "curve", "as")
_PEDAL = 64
_NO_RELEASE = "a program change has no release: say `as: toggle`"
_MODE_MESSAGES = "from 120 on they are all notes off and the like, which DAWs send by themselves"

Say: TypeAlias = Callable[[int, str], None]  # a fault: its line, and what it is


def read_control(control: str, written: Written, say: Say) -> Iterator[tuple[Binding, int]]:
    """What moves a control, each with its line; what cannot be used is told to `say` instead."""
    if isinstance(written, Plain) and written.value == NONE:
        return
    for source in written.items if isinstance(written, Items) else (written,):
        if not isinstance(source, Table):
            say(source.line, "must be what moves it, such as {cc: 23}, or none")
            continue
        binding = _Line(control, source, say).binding()
        if binding is not None:
            yield binding, source.line


def near(word: str, words: Sequence[str]) -> str:
    """The word that may have been meant, to end a fault with."""
    found = get_close_matches(word, words, n=1, cutoff=0.5)
    return f", did you mean {found[0]}?" if found else ""


class _Line:
    """One source as written: `{cc: 23, range: [0.3, 2.0], curve: log}`."""

    def __init__(self, control: str, table: Table, say: Say) -> None:
        self._control, self._line = control, table.line
        self._sort = sort_of(control)
        self._keys = {entry.key: entry for entry in table.entries}
        self._faults = 0
        self._tell = say
        for again, _ in table.twice():
            self._say(again, f"{again.key} is given twice")
        for entry in table.entries:
            if entry.key not in _KEYS:
                self._say(entry, f"there is no {entry.key!r} here{near(entry.key, _KEYS)}")

    def binding(self) -> Binding | None:
        """The binding it makes; None where it has faults."""
        source, value, is_toggle = self._source(), self._value(), self._is_toggle()
        if source is None or self._faults:
            return None
        return Binding(self._control, source, value, is_toggle)

    def _say(self, entry: Entry | None, what: str) -> None:
        self._faults += 1
        self._tell(self._line if entry is None else entry.line, what)

    def _source(self) -> Source | None:
        kinds = [kind for kind in HIGHEST if kind in self._keys]
        if len(kinds) != 1:
            given = " and ".join(kinds) or "none of them"
            self._say(None, f"needs one of cc, cc14, note or program, has {given}")
            return None
        kind, entry = kinds[0], self._keys[kinds[0]]
        is_any = kind == "program" and _plain(entry) == ANY
        number = None if is_any else self._whole(entry, 0, HIGHEST[kind])
        channel = self._whole(self._keys["channel"], 1, 16) if "channel" in self._keys else None
        if kind not in FITS[self._sort]:
            self._say(entry, self._misfit(kind))
        if (kind, number) == ("cc", _PEDAL) and "channel" not in self._keys:
            pedal = "cc 64 is the sustain pedal of who plays"
            self._say(entry, f"{pedal}: to take one all the same, name its channel")
        return Source(kind, number, None if channel is None else channel - 1)

    def _misfit(self, kind: Kind) -> str:
        if kind == "cc14":
            return "a 14-bit pair is for what turns a value: say cc"
        what = "a key" if kind == "note" else "a program change"
        does = "does not tell which preset" if self._sort == "choice" else "does not turn a value"
        return f"{what} {does}: say {' or '.join(FITS[self._sort])}"

    def _value(self) -> Value | Words | None:
        value = VALUES.get(self._control)
        if isinstance(value, Value):
            return self._curved(self._ranged(value))
        for key in ("range", "curve"):
            if key in self._keys:
                self._say(self._keys[key], f"{key} is for what is turned in numbers")
        return value

    def _ranged(self, value: Value) -> Value:
        if (entry := self._keys.get("range")) is None:
            return value
        ends = [_number(item) for item in getattr(entry.value, "items", ())]
        if len(ends) != 2 or ends[0] is None or ends[1] is None:
            self._say(entry, f"range must be two numbers, such as [{value.low}, {value.high}]")
            return value
        for end in ends:
            if (fault := fault_of(value.field, end)) is not None:
                self._say(entry, f"range: {fault}")
                return value
        if ends[0] == ends[1]:
            self._say(entry, f"range must go from one value to another, stays at {ends[0]}")
        return replace(value, low=ends[0], high=ends[1])

    def _curved(self, value: Value) -> Value:
        entry = self._keys.get("curve")
        match _plain(entry):
            case "linear":
                return replace(value, curve="linear")
            case "log":
                value = replace(value, curve="log")
            case _ if entry is not None:
                self._say(entry, f"curve must be linear or log, is {_given(entry)}")
        if value.curve == "log" and min(value.low, value.high) <= 0:
            ends = f"[{value.low}, {value.high}]"
            self._say(entry, f"a log curve needs a range above 0, has {ends}: say `curve: linear`")
        return value

    def _is_toggle(self) -> bool:
        entry = self._keys.get("as")
        way = _plain(entry)
        if entry is not None and self._sort != "hold":
            self._say(entry, f"as is for what lasts ({', '.join(HOLDS)})")
        elif entry is not None and way not in ("hold", TOGGLE):
            self._say(entry, f"as must be hold or toggle, is {_given(entry)}")
        elif self._sort == "hold" and "program" in self._keys and way != TOGGLE:
            self._say(entry, _NO_RELEASE)
        return way == TOGGLE

    def _whole(self, entry: Entry, low: int, high: int) -> int | None:
        return whole_number(entry, low, high, lambda _, what: self._say(entry, what))


def whole_number(entry: Entry, low: int, high: int, say: Say) -> int | None:
    """A whole number in a range; anything else is told to `say`."""
    value = _number(entry.value)
    if isinstance(value, int) and low <= value <= high:
        return value
    text = f"{entry.key} must be a whole number from {low} to {high}, is {_given(entry)}"
    if entry.key == "cc" and value is not None and high < value <= 127:
        text += f": {_MODE_MESSAGES}"
    say(entry.line, text)
    return None


def _plain(entry: Entry | None) -> object:
    """A single value as written; nothing where there is none."""
    return entry.value.value if entry is not None and isinstance(entry.value, Plain) else None


def _number(written: Written) -> int | float | None:
    value = written.value if isinstance(written, Plain) else None
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _given(entry: Entry) -> str:
    return short(entry.value.value) if isinstance(entry.value, Plain) else "no single value"
