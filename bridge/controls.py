"""Which preset plays and which one comes: chosen by number, switched at a measure line."""

from __future__ import annotations

from collections.abc import Sequence

from bridge.presets import Preset


class Controls:
    """Presets by their numbers; the one in force stays until `switch`.

    first: the number of the preset to begin with; where there is none such, the first one plays.
    """

    def __init__(self, presets: Sequence[Preset], first: int | None = None) -> None:
        if not presets:
            raise ValueError("a session needs at least one preset")
        self._by_number = {preset.number: preset for preset in presets}
        self.preset = presets[0] if first is None else self._by_number.get(first, presets[0])
        self._next: Preset | None = None

    @property
    def coming(self) -> Preset:
        """The preset in force from the next measure line on."""
        return self._next or self.preset

    @property
    def is_changing(self) -> bool:
        """Whether the next measure line brings another preset."""
        return self._next is not None

    def choose(self, number: int) -> bool:
        """Ask for a preset from the next measure line on; False where no preset has the number."""
        preset = self._by_number.get(number)
        if preset is None:
            return False
        self._next = None if preset is self.preset else preset
        return True

    def switch(self) -> bool:
        """The measure line: put the coming preset in force; True where it is another."""
        if self._next is None:
            return False
        self.preset, self._next = self._next, None
        return True
