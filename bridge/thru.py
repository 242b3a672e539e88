"""Which of the player's messages are passed on, and what has to follow those that were. Pure.

Whatever is switched meanwhile, what was begun is finished: a note-off is always passed on (one that
ends nothing is swallowed at the way out, see sounding.py), and a pedal, a wheel or a finger's
pressure that was passed on is followed until it is back at rest.
"""

from __future__ import annotations

from typing import assert_never

from bridge.events import ChannelMessage, ControlChange, NoteOff, NoteOn, Other, ProgramChange
from bridge.midi_bytes import BEND, CONTROL, KEY_PRESSURE
from bridge.presets import Through

SPRINGS_BACK = (1, 64, 66, 67, 69)  # modulation wheel; sustain, sostenuto, soft and hold pedals
_MIDDLE = b"\x00\x40"  # of the bend


def is_open(thru: Through, *, is_answering: bool) -> bool:
    """Whether what the player begins now is passed on."""
    match thru:
        case "off":
            return False
        case "listening":
            return not is_answering
        case "on":
            return True
        case _:
            assert_never(thru)


class Thru:
    """Remembers what was passed on and is not back at rest."""

    def __init__(self) -> None:
        self._away: set[tuple[int, int, int]] = set()  # channel, kind, and which of that kind

    def passes(self, message: ChannelMessage, *, is_open: bool) -> bool:
        """Whether to pass a message on; is_open: whether what begins now is."""
        match message:
            case NoteOn() | ProgramChange():
                return is_open
            case NoteOff():
                return True
            case ControlChange(control=control) if control not in SPRINGS_BACK:
                return is_open
            case ControlChange():
                place = (message.channel, CONTROL, message.control)
                return self._follows(place, message.value == 0, is_open)
            case Other():
                which = message.data[0] if message.kind == KEY_PRESSURE else 0
                return self._follows(
                    (message.channel, message.kind, which), _rests(message), is_open
                )
            case _:
                assert_never(message)

    def _follows(self, place: tuple[int, int, int], is_at_rest: bool, is_open: bool) -> bool:
        if not is_open and place not in self._away:
            return False
        if is_at_rest:
            self._away.discard(place)
        else:
            self._away.add(place)
        return True


def _rests(message: Other) -> bool:
    return message.data == _MIDDLE if message.kind == BEND else message.data[-1] == 0
