"""What a player asks for by a control, whichever message it came by (see control_map.py)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class SetValue:
    """A field of the preset that comes takes a value of its type, within its range."""

    field: str
    value: float | str


@dataclass(frozen=True, slots=True)
class ChoosePreset:
    """Another preset, by its number, 0..127."""

    number: int


@dataclass(frozen=True, slots=True)
class StepPreset:
    """The preset so many places on (or back) in the order of numbers, round and round."""

    by: int


@dataclass(frozen=True, slots=True)
class HandOver:
    """The machine's turn from the next measure line, or no longer; None: the other of the two."""

    is_on: bool | None


@dataclass(frozen=True, slots=True)
class Mutate:
    """The last answer again, drawn anew."""


@dataclass(frozen=True, slots=True)
class Repeat:
    """The last answer again, note by note."""


@dataclass(frozen=True, slots=True)
class Freeze:
    """The last answer round and round, or no longer; None: the other of the two."""

    is_on: bool | None


@dataclass(frozen=True, slots=True)
class Panic:
    """Silence at once."""


Gesture: TypeAlias = (
    SetValue | ChoosePreset | StepPreset | HandOver | Mutate | Repeat | Freeze | Panic
)
