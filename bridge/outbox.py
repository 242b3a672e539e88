"""The actions of one `handle`, gathered in order."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from bridge.events import Action, ChannelMessage, Notice, Send


class Outbox:
    """What is to be done, until it is taken."""

    def __init__(self) -> None:
        self._actions: list[Action] = []

    def add(self, action: Action) -> None:
        """One more thing to do."""
        self._actions.append(action)

    def send(self, messages: Iterable[ChannelMessage]) -> None:
        """Messages to be sent now."""
        self._actions += [Send(message) for message in messages]

    def note(self, level: Literal["info", "warning"], text: str) -> None:
        """Something for the log."""
        self._actions.append(Notice(level, text))

    def take(self) -> list[Action]:
        """All of it, and begin anew."""
        actions, self._actions = self._actions, []
        return actions
