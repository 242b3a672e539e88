"""The map of controls as a file, one control a line, read into bindings and checked as a whole.

    temperature: {cc: 23, range: [0.3, 2.0], curve: log}
    preset: [{cc: 20}, {program: any}]
    freeze: {note: 36, channel: 10, as: toggle}
    repeat: none
    state: {mode: {cc: 112, channel: 16}}

A control that is not named keeps what moves it by default; what is not named under `state` is told
to no light.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from bridge.control_lines import near, read_control
from bridge.control_map import CONTROLS, DEFAULT_BINDINGS, Binding, is_shared
from bridge.controls_text import in_words
from bridge.errors import ControlsError
from bridge.state_lines import STATE, read_state
from bridge.state_out import StateOut
from bridge.yaml_lines import Table, UnreadableError, place, read_table
from pianogen.presets import CONTROLS_FILE, find_presets

_FILE = "a map of controls is a list of lines such as `temperature: {cc: 23}`"


def find_controls(folder: Path | None = None, named: Path | None = None) -> Path | None:
    """The map to read: the file named, or the one in the folder of presets; None: defaults."""
    beside = (find_presets() if folder is None else folder) / CONTROLS_FILE
    return named or (beside if beside.is_file() else None)


@dataclass(frozen=True, slots=True)
class ControlsFile:
    """What a map of controls says: what moves which control, and what is told to lights."""

    bindings: tuple[Binding, ...] = DEFAULT_BINDINGS
    state_out: StateOut = field(default_factory=StateOut)


def read_controls(path: Path) -> ControlsFile:
    """A map of controls; raises ControlsError with every fault, a line each."""
    try:
        table = read_table(path, _FILE)
    except UnreadableError as error:
        raise ControlsError(str(error)) from None
    reader = _Reader(path)
    read = ControlsFile(reader.read(table), reader.state_out)
    if reader.faults:
        raise ControlsError("\n".join(text for _, text in sorted(reader.faults)))
    return read


@dataclass(frozen=True, slots=True)
class _Placed:
    """A binding and the line it was written in; 0: it is there by default."""

    binding: Binding
    line: int = 0


@dataclass(slots=True)
class _Reader:
    """One file as it is read: the faults found so far, each with its line."""

    path: Path
    faults: list[tuple[int, str]] = field(default_factory=list)
    state_out: StateOut = field(default_factory=StateOut)

    def read(self, table: Table) -> tuple[Binding, ...]:
        """Every binding, those of the file first; what cannot be used is a fault."""
        for again, first in table.twice():
            self._say(again.key, again.line, f"is given twice, first in line {first.line}")
        placed: list[_Placed] = []
        for entry in table.entries:
            if entry.key == STATE:
                self.state_out = read_state(entry.value, partial(self._say, STATE))
                continue
            if entry.key not in CONTROLS:
                meant = near(entry.key, (*CONTROLS, STATE))
                self._say(entry.key, entry.line, f"there is no such control{meant}")
                continue
            say = partial(self._say, entry.key)
            placed += [_Placed(*read) for read in read_control(entry.key, entry.value, say)]
        named = {entry.key for entry in table.entries}
        placed += [_Placed(b) for b in DEFAULT_BINDINGS if b.control not in named]
        self._find_clashes(placed)
        return tuple(each.binding for each in placed)

    def _say(self, control: str, line: int, what: str) -> None:
        self.faults.append((line, f"{control}: {what} ({place(self.path, line)})"))

    def _find_clashes(self, placed: list[_Placed]) -> None:
        for index, later in enumerate(placed):
            for first in placed[:index]:
                if is_shared(later.binding.source, first.binding.source):
                    self._say_clash(first, later)

    def _say_clash(self, first: _Placed, later: _Placed) -> None:
        heard, control = in_words(later.binding.source), later.binding.control
        if later.line:
            what = f"{heard} moves {first.binding.control} already, in line {first.line}"
            self._say(control, later.line, what)
        else:
            what = f"{heard} moves {control} by default: give {control} another, or none"
            self._say(first.binding.control, first.line, what)
