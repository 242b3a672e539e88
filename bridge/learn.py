"""The walk through the controls: each is asked for, what moves is its own from then on. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from bridge.control_map import (
    CHOICE,
    CONTROLS,
    VALUES,
    Binding,
    Sort,
    Source,
    is_shared,
    sort_of,
)
from bridge.controls_text import ABOUT, in_words
from bridge.events import ChannelMessage
from bridge.what_moved import Ear, Moved

_HOW: dict[Sort, str] = {
    "value": "turn its knob",
    "choice": "turn its knob, or send a program change",
    "press": "press its button, pad or key",
    "hold": "tap its button, pad or key to switch it, or keep it down to hold it",
}


class Walk:
    """From the first control to the last, beginning with a map there is.

    A control keeps what it has until something else is moved for it. What is moved for one is no
    longer another's, unless that learned it in this walk: then it was a mistake.
    """

    def __init__(self, bindings: Iterable[Binding], controls: Iterable[str] = CONTROLS) -> None:
        self._controls = tuple(controls)
        self._bindings = list(bindings)
        self._ear = Ear()
        self._index = 0
        self.learned: dict[str, Source] = {}

    @property
    def control(self) -> str | None:
        """Which is asked for; None: there are no more."""
        return self._controls[self._index] if self._index < len(self._controls) else None

    @property
    def bindings(self) -> tuple[Binding, ...]:
        """The map as it is now."""
        return tuple(self._bindings)

    def prompt(self) -> str:
        """What to do for the control that is asked for; nothing where there is none."""
        if self.control is None:
            return ""
        now = ", ".join(in_words(source) for source in self._sources(self.control))
        place = f"{self._index + 1}/{len(self._controls)}"
        how = _HOW[sort_of(self.control)]
        return f"{place} {self.control}: {ABOUT[self.control]} (now {now or 'nothing'}): {how}"

    def hear(self, event: ChannelMessage) -> None:
        """One message came in."""
        self._ear.hear(event)

    def skip(self) -> None:
        """Leave the control as it is."""
        self._ear.ask()
        self._index += 1

    def look(self, now: float) -> str | None:
        """What moved for the control, in words, and what follows; None: nothing yet."""
        if self.control is None:
            return None
        moved = self._ear.moved(self.control, now)
        if moved is not None:
            return self._take(self.control, moved)
        button = self._ear.unfit(self.control, now)
        if button is not None:
            return f"heard {in_words(button)}, which only goes down and up: turn a knob, slowly"
        return None

    def _take(self, control: str, moved: Moved) -> str:
        heard = in_words(moved.source)
        for user, source in self.learned.items():
            if is_shared(source, moved.source):
                return f"heard {heard}, which you just gave to {user}: move another"
        others = [user for user in self._users(moved.source) if user != control]
        before = [b for b in self._bindings if b.control == control]
        value = before[0].value if before else VALUES.get(control)
        self._bindings = [
            binding
            for binding in self._bindings
            if not is_shared(binding.source, moved.source)
            and not (binding.control == control and _takes_over(moved.source, binding))
        ]
        self._bindings.append(Binding(control, moved.source, value, moved.is_toggle))
        self.learned[control] = moved.source
        self._index += 1
        lost = f"; {' and '.join(others)} had it until now" if others else ""
        return f"heard {heard}{_way(control, moved)}{lost}"

    def _users(self, source: Source) -> list[str]:
        """Which controls hear what a source sends, each once."""
        found = [b.control for b in self._bindings if is_shared(b.source, source)]
        return list(dict.fromkeys(found))

    def _sources(self, control: str) -> list[Source]:
        return [binding.source for binding in self._bindings if binding.control == control]


def _takes_over(source: Source, binding: Binding) -> bool:
    """Whether what is learned is instead of what there was: a preset may have knob and program."""
    is_other_way = (source.kind == "program") != (binding.source.kind == "program")
    return not (binding.control == CHOICE and is_other_way)


def _way(control: str, moved: Moved) -> str:
    if sort_of(control) != "hold":
        return ""
    return ", tapped: each tap switches" if moved.is_toggle else ", kept down: on while it is down"
