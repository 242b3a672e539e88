"""Which presets there are to choose from, while their files change. Pure.

Of each file there is what is chosen from now and what was last read without fault. What was read
takes its place when it can play and neither its number nor its name is another's; until then the
file's preset stays as it was, or is left out where there was none. Who was there first keeps a
number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from bridge.presets import Preset, PresetFile, clashes


@dataclass(slots=True)
class _Place:
    """One file's. now: what is chosen from; None where nothing is. read: the newest."""

    now: PresetFile | None
    read: PresetFile


class Shelf:
    """Presets by their files' names.

    files: those there are at first, all of which can play, numbers and names differing.
    """

    def __init__(self, files: Iterable[PresetFile]) -> None:
        self._places = {file.path.name: _Place(file, file) for file in files}
        self._told: dict[str, list[str]] = {}

    @property
    def read(self) -> tuple[Preset, ...]:
        """All that were read, chosen from or not yet."""
        return tuple(place.read.preset for place in self._places.values())

    def put(self, file: PresetFile) -> None:
        """A file was read without fault."""
        place = self._places.setdefault(file.path.name, _Place(None, file))
        place.read = file
        self._told.pop(file.path.name, None)

    def drop(self, name: str) -> None:
        """A file is gone."""
        self._places.pop(name, None)
        self._told.pop(name, None)

    def refusal(self, name: str, faults: Iterable[str]) -> list[str]:
        """What to tell of a file's faults, in a line each: what is wrong and what becomes of it."""
        place = self._places.get(name)
        is_there = place is not None and place.now is not None
        return [f"{fault}: {'it stays as it was' if is_there else 'left out'}" for fault in faults]

    def settle(self, can_play: Callable[[Preset], bool]) -> tuple[tuple[Preset, ...], list[str]]:
        """What is chosen from now on, by number, and a line for each refusal not yet told."""
        chosen = {name: self._newest(name, can_play) for name in self._places}
        refused: dict[str, list[str]] = {}
        while (lost := self._first_clash(chosen)) is not None:
            name, faults = lost
            refused[name] = faults
            before = self._places[name].now
            chosen[name] = before if before is not None and can_play(before.preset) else None
        for name, place in self._places.items():
            place.now = chosen[name]
        lines = []
        for name, faults in refused.items():
            if self._told.get(name) != faults:
                lines += self.refusal(name, faults)
        self._told = refused
        presets = [file.preset for file in chosen.values() if file is not None]
        return tuple(sorted(presets, key=lambda preset: preset.number)), lines

    def _newest(self, name: str, can_play: Callable[[Preset], bool]) -> PresetFile | None:
        place = self._places[name]
        for file in (place.read, place.now):
            if file is not None and can_play(file.preset):
                return file
        return None

    def _first_clash(self, chosen: dict[str, PresetFile | None]) -> tuple[str, list[str]] | None:
        """The file that must give way, and why: never one whose preset stays as it was."""

        def is_new(name: str) -> bool:
            return chosen[name] is not self._places[name].now

        names = sorted(chosen, key=lambda name: (is_new(name), name))
        found = list(clashes([file for name in names if (file := chosen[name]) is not None]))
        if not found:
            return None
        loser = found[0][0]
        return loser.path.name, [fault for file, fault in found if file is loser]
