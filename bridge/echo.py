"""What comes back of what was sent: a DAW that monitors its input feeds the bridge to itself. Pure.

Whatever was sent and arrives again, byte for byte, within 30 ms (and the port's own delay) is an
echo, once for each time it was sent. A note-on always is: no hand strikes a key twice so soon and
just as hard. Of the rest, to ignore one real message could cost more than to hear one echo twice
(a note-off that is missing hangs, a wheel stays bent): it is an echo where nothing is lost by
ignoring it, as it says what was said last; or where a loop is known, of which all came back lately.
Of a known loop a second copy is ignored too: two tracks may send it back.
"""

from __future__ import annotations

from collections import deque

from bridge.events import ChannelMessage, ControlChange, NoteOff, Other
from bridge.midi_bytes import KEY_PRESSURE, NOTE_OFF, NOTE_ON, encode

WITHIN_S = 0.030
SLACK_S = 0.001  # what stamps may differ by: an echo may seem to be so much before its message
KNOWN = 3  # so many came back, and none was missing: there is a loop
MOST = 4096  # messages waited for at once


class EchoGuard:
    """Remembers what was sent for as long as it may come back.

    delay_s: how much later than it is given a message the port lets it out.
    """

    def __init__(self) -> None:
        self.delay_s = 0.0
        self._sent: dict[bytes, deque[float]] = {}  # when each was sent, and has not come back
        self._order: deque[tuple[float, bytes]] = deque()
        self._again: dict[bytes, float] = {}  # when what came back was sent: a copy may follow
        self._newest: dict[bytes, bytes] = {}  # of what has a value: the value sent last
        self._came_back: dict[int, int] = {}  # by kind: how many, since one was missing

    def sent(self, message: ChannelMessage, now: float) -> None:
        """A message goes out at `now`, or at its time where that is later."""
        at, key = max(now, message.time), _key(message)
        self._forget(at)
        self._sent.setdefault(key, deque()).append(at)
        self._order.append((at, key))
        if (place := _place(message, key)) is not None:
            self._newest[place] = key

    def is_echo(self, message: ChannelMessage) -> bool:
        """Whether a message that arrived is one that was sent; it is waited for no longer."""
        self._forget(message.time)
        key = _key(message)
        kind = _kind(key)
        came_back = self._came_back.get(kind, 0)
        times = self._sent.get(key)
        if not times or times[0] > message.time + SLACK_S:
            return came_back >= KNOWN and key in self._again
        self._again[key] = times.popleft()
        self._came_back[kind] = came_back + 1
        if key[0] & 0xF0 == NOTE_ON or came_back >= KNOWN:
            return True
        place = _place(message, key)
        return place is not None and self._newest.get(place) == key

    def _forget(self, now: float) -> None:
        """What has not come back by now never will: then there is no loop, for its kind."""
        oldest = now - WITHIN_S - self.delay_s
        while self._order and (self._order[0][0] < oldest or len(self._order) > MOST):
            at, key = self._order.popleft()
            times = self._sent.get(key)
            if times and times[0] <= at:
                times.popleft()
                if key[0] & 0xF0 != NOTE_OFF:  # a DAW may leave one out that ends nothing
                    self._came_back[_kind(key)] = 0
            if not times:
                self._sent.pop(key, None)
            if self._again.get(key, at + 1) <= at:
                del self._again[key]


def _key(message: ChannelMessage) -> bytes:
    """What an echo has in common with its message: all but a note-off's velocity."""
    data = encode(message)
    return data[:2] if isinstance(message, NoteOff) else data


def _kind(key: bytes) -> int:
    """Notes come back or not as one, whatever their ends."""
    kind = key[0] & 0xF0
    return NOTE_ON if kind == NOTE_OFF else kind


def _place(message: ChannelMessage, key: bytes) -> bytes | None:
    """Where a value is set: a controller, a bend, a pressure, a program; None for a note."""
    match message:
        case ControlChange():
            return key[:2]
        case Other():
            return key[:2] if message.kind == KEY_PRESSURE else key[:1]
        case _:
            return None if key[0] & 0xF0 in (NOTE_ON, NOTE_OFF) else key[:1]
