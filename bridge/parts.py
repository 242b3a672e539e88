"""The players the command line names: one a --port, and what is said for each. Pure.

What else can be given by player is given once, for all, or as often as --port: the first for the
first port, and so on.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

from bridge.errors import BridgeError
from bridge.port_names import Wanted

DEFAULT_NAME = "pianogen"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Part:
    """One player.

    number: from 0; wanted: its ports; preset: name or number of its first, None for the first
    there is; channel: the only one it hears, 1..16; latency_ms: overrides the presets'.
    """

    number: int
    wanted: Wanted
    preset: str | None
    channel: int | None
    latency_ms: float | None

    @property
    def name(self) -> str:
        """That of its ports."""
        return self.wanted.name


def parts_of(options: argparse.Namespace) -> tuple[Part, ...]:
    """All of them, one at least; raises BridgeError where words and players do not add up."""
    names: list[str] = options.ports or [DEFAULT_NAME]
    for number, name in enumerate(names):
        if name in names[:number]:
            raise BridgeError(f"--port {name}: given twice; each player needs a name of its own")
    count = len(names)
    inputs = _each("--in", options.inputs, count)
    outputs = _each("--out", options.outputs, count)
    presets = _each("--preset", options.first_presets, count)
    channels = _each("--channel", options.channels, count)
    latencies = _each("--latency-ms", options.latencies_ms, count)
    return tuple(
        Part(n, Wanted(names[n], inputs[n], outputs[n]), presets[n], channels[n], latencies[n])
        for n in range(count)
    )


def only_one(parts: Sequence[Part], option: str) -> Part:
    """The only player there is; raises BridgeError where there are more than `option` is for."""
    if len(parts) > 1:
        raise BridgeError(f"--port is given {len(parts)} times: {option} is for one player")
    return parts[0]


def file_of(part: Part, path: Path, players: int) -> Path:
    """A player's own file: `path`, or, where there are several, OUT-NAME.mid for OUT.mid."""
    if players == 1:
        return path
    return path.with_name(f"{path.stem}-{quote(part.name, safe=' ')}{path.suffix}")


def _each(option: str, given: Sequence[T] | None, players: int) -> Sequence[T | None]:
    """What is given for each player."""
    if not given:
        return [None] * players
    if len(given) == 1:
        return [given[0]] * players
    if len(given) == players:
        return given
    raise BridgeError(
        f"{option} is given {len(given)} times, --port {players}: "
        "give it once, for all, or once for each --port, in their order"
        if players > 1
        else f"{option} is given {len(given)} times: one player needs it once"
    )
