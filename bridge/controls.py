"""Which preset plays and which one comes: chosen, its values turned, in force from a line on.

What comes is always one whole preset: a choice replaces it, a control turned since changes one
value of it, in the order in which they happen. So nothing is ever half of one and half of another.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from bridge.gestures import ChoosePreset, SetValue, StepPreset
from bridge.presets import Preset

_RANGE = {"low_pitch": "high_pitch", "high_pitch": "low_pitch"}


class Controls:
    """Presets by their numbers; the one in force stays until `switch`.

    first: the number of the preset to begin with; where there is none such, the first one plays.
    """

    def __init__(self, presets: Sequence[Preset], first: int | None = None) -> None:
        if not presets:
            raise ValueError("a session needs at least one preset")
        self._by_number = {preset.number: preset for preset in presets}
        self.preset = presets[0] if first is None else self._by_number.get(first, presets[0])
        self.coming = self.preset  # in force from the next measure line on

    @property
    def is_changing(self) -> bool:
        """Whether the next measure line brings another preset, or other values."""
        return self.coming is not self.preset

    @property
    def presets(self) -> tuple[Preset, ...]:
        """All there are, as they were read, by number."""
        return tuple(self._by_number[number] for number in sorted(self._by_number))

    def do(self, gesture: SetValue | ChoosePreset | StepPreset) -> str | None:
        """What a player asks for; returns why it cannot be."""
        match gesture:
            case SetValue():
                self.set_value(gesture.field, gesture.value)
            case ChoosePreset(number):
                if not self.choose(number):
                    return f"no preset has the number {number}: nothing changes"
            case StepPreset():
                self.step(gesture.by)
            case _:
                assert_never(gesture)
        return None

    def choose(self, number: int) -> bool:
        """Ask for a preset as it was read; False where no preset has the number."""
        preset = self._by_number.get(number)
        if preset is None:
            return False
        self._bring(preset)
        return True

    def step(self, by: int) -> None:
        """Ask for the preset that follows so many places after the one that comes."""
        numbers = sorted(self._by_number)
        behind = sum(number < self.coming.number for number in numbers)  # it may be gone
        is_there = self.coming.number in self._by_number
        self.choose(numbers[(behind + by - (by > 0 and not is_there)) % len(numbers)])

    def set_value(self, field: str, value: float | str) -> None:
        """Ask for another value; a limit of the range moves the other where they would cross."""
        if getattr(self.coming, field) == value:
            return
        update = {field: value}
        if (other := _RANGE.get(field)) is not None:
            meet = min if other == "low_pitch" else max
            update[other] = meet(getattr(self.coming, other), value)
        self.coming = self.coming.model_copy(update=update)

    def replace(self, presets: Sequence[Preset]) -> None:
        """Other presets from now on; the one that comes is renewed where it is among them."""
        if not presets:
            raise ValueError("a session needs at least one preset")
        before = self._by_number.get(self.coming.number)
        self._by_number = {preset.number: preset for preset in presets}
        anew = self._by_number.get(self.coming.number)
        if anew is not None and anew != before:
            self._bring(anew)

    def _bring(self, preset: Preset) -> None:
        """What is equal to one that is here is that one: whether it was read anew tells nothing."""
        if preset == self.preset:
            self.coming = self.preset
        elif preset != self.coming:
            self.coming = preset

    def switch(self) -> Preset | None:
        """The measure line: what comes is in force; returns it where it is another preset."""
        before, self.preset = self.preset, self.coming
        is_other = before.number != self.preset.number or before.name != self.preset.name
        return self.preset if is_other else None
