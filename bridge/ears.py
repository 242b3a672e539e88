"""Whose music a message is: what the performer plays, what the machine does, and what is none.

No music: what moves a control, channels that are not heard, echoes, and what is told to lights.
What thru passes on is the performer's already. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

from bridge.control_map import ControlMap
from bridge.echo import EchoGuard
from bridge.events import (
    ChannelMessage,
    ControlChange,
    Event,
    NoteOff,
    NoteOn,
    Other,
    OutputDelay,
    ProgramChange,
)
from bridge.status import Settings


class Ears:
    """Hears what goes into a session and what comes out, in the same order."""

    def __init__(self, settings: Settings) -> None:
        self._channel = settings.channel
        self._control_map = ControlMap(settings.bindings)
        self._echo = EchoGuard()
        told = [getattr(settings.state_out, field.name) for field in fields(settings.state_out)]
        self._lights = {(light.kind, light.channel, light.number) for light in told if light}

    def heard(self, event: Event) -> ChannelMessage | None:
        """The message where an event is the performer's playing."""
        match event:
            case NoteOn() | NoteOff() | ControlChange() | ProgramChange() | Other():
                return event if not self._echo.is_echo(event) and self._is_playing(event) else None
            case OutputDelay():
                self._echo.delay_s = event.delay_s
            case _:
                pass
        return None

    def sent(
        self, messages: Sequence[ChannelMessage], event: Event, now: float
    ) -> list[ChannelMessage]:
        """The machine's own of what was sent at `now`, when `event` had come in."""
        for message in messages:
            self._echo.sent(message, now)
        return [m for m in messages if m != event and _place(m) not in self._lights]

    def _is_playing(self, message: ChannelMessage) -> bool:
        is_heard = self._channel in (None, message.channel + 1)
        return is_heard and not self._control_map.hears(message, self._channel)


def _place(message: ChannelMessage) -> tuple[str, int, int] | None:
    """Where a light would be told by such a message."""
    match message:
        case ControlChange():
            return "cc", message.channel, message.control
        case NoteOn() | NoteOff():
            return "note", message.channel, message.pitch
        case _:
            return None
