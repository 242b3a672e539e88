"""The actions of one `handle`, gathered in order; the way out of every message."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from bridge.events import Action, ChannelMessage, Notice, Send
from bridge.sounding import Owner, Sounding


class Outbox:
    """What is to be done, until it is taken."""

    def __init__(self) -> None:
        self._actions: list[Action] = []
        self._sounding = Sounding()

    def add(self, action: Action) -> None:
        """One more thing to do."""
        self._actions.append(action)

    def send(self, messages: Iterable[ChannelMessage], owner: Owner = "machine") -> None:
        """Messages to be sent now; what would cut or hang another's note is held back."""
        for message in messages:
            self._actions += [Send(m) for m in self._sounding.admit(message, owner)]

    def end(self, now: float, owner: Owner, channel: int | None = None) -> None:
        """End what `owner` has sounding, on a channel (0..15) or on all."""
        self._actions += [Send(m) for m in self._sounding.end(now, owner, channel)]

    def note(self, level: Literal["info", "warning"], text: str) -> None:
        """Something for the log."""
        self._actions.append(Notice(level, text))

    def take(self) -> list[Action]:
        """All of it, and begin anew."""
        actions, self._actions = self._actions, []
        return actions
