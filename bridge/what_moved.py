"""What a player moved, told from all that comes in: a knob from one that jitters, a pad from music.

Pure: messages in with their times, a source out. A hand is told from the rest like this:

a knob      several values, far enough apart, and then it rests
a button    down and up again, far apart; or down to stay
a pad       a key struck alone, with silence before and after: whoever plays strikes others too
a program   at once
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias, assert_never

from bridge.control_map import DOWN, FINE, Source, sort_of
from bridge.events import ChannelMessage, ControlChange, NoteOff, NoteOn, Other, ProgramChange

REST_S = 0.4  # a knob that stands so long has arrived
LONGEST_S = 4.0  # one that never does (automation) is moved all the same
STILL_S = 1.0  # what was just taken counts again when it has stood so long
TAP_S = 0.5  # what is down longer is meant to be held
HELD_S = 1.0  # a button so long down need not come up
ALONE_S = 0.5  # silence around a key that is a pad
FEWEST, TRAVEL = 4, 12  # values of a knob that is turned, and how far it goes at least
SWING = 64  # how far a button goes
SUSTAIN, MODE_MESSAGES = 64, 120  # the pedal of who plays; from 120 on what DAWs send by themselves

Place: TypeAlias = tuple[int, int]  # channel and controller


@dataclass(frozen=True, slots=True)
class Moved:
    """What moved; is_toggle: tapped where it could have been held."""

    source: Source
    is_toggle: bool = False


@dataclass(slots=True)
class _Track:
    """One controller since the control was asked for; times in seconds."""

    since: float
    at: float
    values: set[int]
    value: int
    travel: int = 0
    messages: int = 1
    down_at: float | None = None
    up_at: float | None = None

    def take(self, event: ControlChange) -> None:
        self.travel += abs(event.value - self.value)
        self.values.add(event.value)
        self.value, self.at = event.value, event.time
        self.messages += 1
        if event.value >= DOWN and self.down_at is None:
            self.down_at = event.time
        elif event.value < DOWN and self.down_at is not None and self.up_at is None:
            self.up_at = event.time

    @property
    def span(self) -> int:
        return max(self.values) - min(self.values)

    @property
    def is_turned(self) -> bool:
        """Whether it is a knob that was moved."""
        return len(self.values) >= FEWEST and self.span >= TRAVEL

    def has_arrived(self, now: float) -> bool:
        """Whether it stands, or has moved for so long that it need not."""
        return now - self.at >= REST_S or now - self.since >= LONGEST_S

    def down_s(self, now: float) -> float | None:
        """How long a button was down, once that is known; None: it is none, or not yet."""
        is_button = self.span >= SWING or self.values == {127}
        if self.down_at is None or not is_button:
            return None
        if self.up_at is not None:
            return self.up_at - self.down_at
        return now - self.down_at if now - self.down_at >= HELD_S else None


@dataclass(slots=True)
class _Key:
    """A key that was struck alone."""

    channel: int
    pitch: int
    down_at: float
    up_at: float | None = None

    def down_s(self, now: float) -> float | None:
        """How long it was down, once it is known that nothing follows."""
        if self.up_at is None or now - self.up_at < ALONE_S:
            return None
        return self.up_at - self.down_at


class Ear:
    """Hears everything; says what moved since a control was asked for."""

    def __init__(self) -> None:
        self._tracks: dict[Place, _Track] = {}
        self._taken: dict[Place, float] = {}  # still moving, after it was taken: last heard
        self._program: ProgramChange | None = None
        self._key: _Key | None = None
        self._down: set[tuple[int, int]] = set()  # channels and pitches
        self._note_at = float("-inf")  # when a key last went down or up

    def ask(self) -> None:
        """Another control is asked for: what moved until now counts no longer."""
        self._tracks, self._program, self._key = {}, None, None

    def hear(self, event: ChannelMessage) -> None:
        """One message came in."""
        match event:
            case ControlChange():
                if event.control != SUSTAIN and event.control < MODE_MESSAGES:
                    self._turn(event)
            case NoteOn() | NoteOff():
                self._strike(event)
            case ProgramChange():
                self._program = event
            case Other():
                pass
            case _:
                assert_never(event)

    def moved(self, control: str, now: float) -> Moved | None:
        """What is to move a control; None where nothing was moved yet. It counts only once."""
        sort = sort_of(control)
        is_button = sort in ("press", "hold")
        found = self._pressed(now) if is_button else self._turned(now, may_pair=sort == "value")
        if found is None and sort != "value" and self._program is not None:
            number = None if sort == "choice" else self._program.program
            found = Moved(Source("program", number, self._program.channel), is_toggle=True)
        if found is None and is_button and self._key is not None:
            down_s = self._key.down_s(now)
            source = Source("note", self._key.pitch, self._key.channel)
            found = None if down_s is None else Moved(source, down_s < TAP_S)
        if found is None:
            return None
        self._taken |= dict.fromkeys(_places(found.source), now)
        self.ask()
        return Moved(found.source, found.is_toggle and sort == "hold")

    def unfit(self, control: str, now: float) -> Source | None:
        """A button that was pressed where only a knob will do, told once."""
        if sort_of(control) not in ("value", "choice"):
            return None
        for (channel, number), track in self._tracks.items():
            is_over = track.has_arrived(now) and track.down_s(now) is not None
            if is_over and not track.is_turned:
                del self._tracks[channel, number]
                return Source("cc", number, channel)
        return None

    def _turn(self, event: ControlChange) -> None:
        place = (event.channel, event.control)
        if place in self._taken:
            stood_s = event.time - self._taken[place]
            self._taken[place] = event.time
            if stood_s < STILL_S:
                return
            del self._taken[place]
        track = self._tracks.get(place)
        if track is None:
            is_down = event.value >= DOWN
            down_at = event.time if is_down else None
            self._tracks[place] = _Track(
                event.time, event.time, {event.value}, event.value, down_at=down_at
            )
        else:
            track.take(event)

    def _strike(self, event: NoteOn | NoteOff) -> None:
        which = (event.channel, event.pitch)
        if isinstance(event, NoteOn):
            is_alone = not self._down and event.time - self._note_at >= ALONE_S
            self._key = _Key(*which, event.time) if is_alone else None
            self._down.add(which)
        else:
            self._down.discard(which)
            if self._key is not None and which == (self._key.channel, self._key.pitch):
                self._key.up_at = event.time
        self._note_at = event.time

    def _turned(self, now: float, *, may_pair: bool) -> Moved | None:
        turned = [place for place, track in self._tracks.items() if track.is_turned]
        place = max(turned, key=lambda place: self._tracks[place].travel, default=None)
        if place is None or not self._tracks[place].has_arrived(now):
            return None
        channel, number, is_pair = self._coarse(place)
        return Moved(Source("cc14" if is_pair and may_pair else "cc", number, channel))

    def _pressed(self, now: float) -> Moved | None:
        for place, track in self._tracks.items():
            down_s = track.down_s(now)
            channel, number, is_pair = self._coarse(place)
            if down_s is not None and (not is_pair or number == place[1]):
                return Moved(Source("cc", number, channel), down_s < TAP_S)
        return None

    def _coarse(self, place: Place) -> tuple[int, int, bool]:
        """Channel and controller of a knob, and whether it is the coarse half of a pair."""
        channel, number = place
        for coarse in (number, number - FINE):
            pair = [self._tracks.get((channel, n)) for n in (coarse, coarse + FINE)]
            if 0 <= coarse < FINE and _are_together(*pair):
                return channel, coarse, True
        return channel, number, False


def _are_together(coarse: _Track | None, fine: _Track | None) -> bool:
    if coarse is None or fine is None:
        return False
    return coarse.messages > 1 and fine.messages > 1 and abs(coarse.at - fine.at) < REST_S


def _places(source: Source) -> Iterator[Place]:
    if source.number is not None and source.channel is not None:
        if source.kind in ("cc", "cc14"):
            yield source.channel, source.number
        if source.kind == "cc14":
            yield source.channel, source.number + FINE
