"""Which ports are meant: the names of our own, and those of others found by a part of theirs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from bridge.errors import PortError

Direction: TypeAlias = Literal["in", "out"]
_NUMBERS = re.compile(r"\s\d+(:\d+)?$")  # the client and port numbers that drivers append


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which ports to open: virtual ones called after `name`, unless others are named."""

    name: str = "pianogen"
    input_name: str | None = None
    output_name: str | None = None


def own_name(name: str, direction: Direction) -> str:
    """What a port of ours is called."""
    return f"{name} {direction}"


def choose(present: Sequence[str], direction: Direction, part: str) -> int:
    """The index of the one port whose name contains `part`, exact names first.

    Raises PortError where there is none, or more than one.
    """
    near = (
        [i for i, name in enumerate(present) if name == part]
        or [i for i, name in enumerate(present) if _stem(name) == part]
        or [i for i, name in enumerate(present) if part.lower() in name.lower()]
    )
    if len(near) == 1:
        return near[0]
    there = ", ".join(repr(name) for name in present) or "none"
    what = "more than one" if near else "no"
    raise PortError(f"there is {what} MIDI {direction}put named {part!r}; there are: {there}")


def find_again(present: Sequence[str], was: str) -> int | None:
    """The index of the port that was called `was`; systems number those that come back anew."""
    for is_it in (lambda name: name == was, lambda name: _stem(name) == _stem(was)):
        for index, name in enumerate(present):
            if is_it(name):
                return index
    return None


def _stem(name: str) -> str:
    """A port's name without the numbers a driver appends."""
    return _NUMBERS.sub("", name)
