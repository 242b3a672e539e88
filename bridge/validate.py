"""A folder of presets and its map of controls, told a line each: what is there, what is wrong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bridge.control_map import CONTROLS, Binding
from bridge.controls_file import read_controls
from bridge.errors import BridgeError
from bridge.presets import Preset, read_presets
from bridge.yaml_lines import shown


@dataclass(frozen=True, slots=True)
class Told:
    """A line each: what can be used, and what cannot, with file and line."""

    lines: tuple[str, ...]
    faults: tuple[str, ...]


def validate(folder: Path | None, controls: Path | None) -> Told:
    """Read the presets of a folder, or the package's, and a map of controls where there is one."""
    lines: list[str] = []
    faults: list[str] = []
    try:
        files, faults = read_presets(folder)
        lines += _table([file.preset for file in files])
    except BridgeError as error:
        faults += str(error).splitlines()
    if controls is not None:
        try:
            lines.append(_line(read_controls(controls).bindings, controls))
        except BridgeError as error:
            faults += str(error).splitlines()
    return Told(tuple(lines), tuple(faults))


def _table(presets: Sequence[Preset]) -> Iterator[str]:
    """Number, name, mode, description."""
    width = max((len(preset.name) for preset in presets), default=0)
    for preset in presets:
        description = " ".join(preset.description.split())
        yield f"{preset.number:3}  {preset.name:{width}}  {preset.mode:8}  {description}".rstrip()


def _line(bindings: tuple[Binding, ...], path: Path) -> str:
    moved = {binding.control for binding in bindings}
    still = [control for control in CONTROLS if control not in moved]
    without = f", nothing moves {', '.join(still)}" if still else ""
    return f"{shown(path)}: {len(moved)} of {len(CONTROLS)} controls{without}"
