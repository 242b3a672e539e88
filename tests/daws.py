"""A DAW as its manual describes it, written without a look at the transport it is held against.

It knows where its song is, sends what its make of DAW sends, and keeps the truth beside it.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal

from bridge.line import period_of
from bridge.transport import Change, Transport
from pianogen.grid import TICKS_PER_SIXTEENTH, Meter

Jump = Literal["silent", "position", "stop and go"]


@dataclass(frozen=True)
class Make:
    """What one kind of DAW does.

    clock_while_stopped: whether it ticks on when it stands.
    is_start_everywhere: whether every play is a Start (and the song counts from there).
    tells_position: whether a song position comes before Continue.
    jump: how it says that it jumps while it plays: not at all, by a song position, or by Stop and,
    20 ms later, a song position and Continue.
    stray: clocks that come between a song position and Continue, the song standing still.
    """

    clock_while_stopped: bool = False
    is_start_everywhere: bool = False
    tells_position: bool = True
    jump: Jump = "stop and go"
    is_start_doubled: bool = False
    is_stop_doubled: bool = False
    stray: int = 0


MAKES = {
    "Ardour": Make(),
    "jack_midi_clock": Make(stray=6),
    "Live": Make(clock_while_stopped=True, jump="position"),
    "Live without positions": Make(clock_while_stopped=True, tells_position=False, jump="silent"),
    "REAPER": Make(is_stop_doubled=True),
    "a drum machine": Make(
        clock_while_stopped=True, is_start_everywhere=True, tells_position=False, jump="silent"
    ),
    "a nervous one": Make(is_start_doubled=True, is_stop_doubled=True, jump="position"),
}


class Daw:
    """Plays its song into a transport and keeps the truth: where the song is, tick by tick."""

    def __init__(self, make: Make, *, bpm: float = 120.0, jitter_ms: float = 0.0) -> None:
        self.transport = Transport(Meter(), shift_ticks=0, bpm=100, clock_wait_s=2.0)
        self.make = make
        self.bpm = bpm
        self.time = 10.0  # of the next tick
        self.song = 0  # what the next tick is, in ticks
        self.is_rolling = False
        self.changes: list[Change] = []
        self.truth: list[tuple[float, int]] = []  # (when a tick was sent, its song position)
        self.runs: list[float] = []  # where the run was then
        self._jitter_s = jitter_ms / 1000
        self._draw = random.Random(7)
        self._heard = 0.0

    def play(self, ticks: int) -> None:
        """Play on for so many ticks."""
        if not self.is_rolling:
            self._go()
        self._tick(ticks)

    def stop(self, *, wait_ticks: float = 30.4) -> None:
        """Stand still for so long; the clock, where it goes on, goes on in its row."""
        if self.is_rolling:
            self._say("stop", times=2 if self.make.is_stop_doubled else 1)
            self.is_rolling = False
        if self.make.clock_while_stopped:
            self._idle(int(wait_ticks))
        else:
            self.time += wait_ticks * period_of(self.bpm)

    def locate(self, sixteenths: int) -> None:
        """Move the cursor, or jump where it plays."""
        if not (self.make.tells_position or self.is_rolling):
            return
        if not self.is_rolling or self.make.jump == "position":
            self._move(sixteenths)
        elif self.make.jump == "stop and go":
            self.stop(wait_ticks=0.020 / period_of(self.bpm))
            self._move(sixteenths)
            self._go()

    def lose_ticks(self, ticks: int) -> None:
        """Play on, unheard."""
        self.time += ticks * period_of(self.bpm)
        self.song += ticks

    def _move(self, sixteenths: int) -> None:
        self.song = sixteenths * TICKS_PER_SIXTEENTH
        self._say("locate")

    def _go(self) -> None:
        make = self.make
        self.is_rolling = True
        if make.is_start_everywhere or self.song == 0:
            self.song = 0
            self._say("start", times=2 if make.is_start_doubled else 1)
            return
        if make.tells_position:
            self.song = -(-self.song // TICKS_PER_SIXTEENTH) * TICKS_PER_SIXTEENTH
            self._say("locate")
            self._idle(make.stray)
        self._say("resume")

    def _say(self, what: str, *, times: int = 1) -> None:
        transport, time = self.transport, self._arrival(self.time)
        for _ in range(times):
            match what:
                case "start":
                    self.changes.append(transport.start(time))
                case "resume":
                    self.changes.append(transport.resume(time))
                case "stop":
                    self.changes.append(transport.stop(time))
                case "locate":
                    place = self.song // TICKS_PER_SIXTEENTH
                    self.changes.append(transport.locate(time, place))

    def _idle(self, ticks: int) -> None:
        for _ in range(ticks):
            self.changes.append(self.transport.tick(self._arrival(self.time)))
            self.time += period_of(self.bpm)

    def _tick(self, ticks: int) -> None:
        for _ in range(ticks):
            self.changes.append(self.transport.tick(self._arrival(self.time)))
            self.truth.append((self.time, self.song))
            self.runs.append(self.transport.run_at(self.time))
            self.song += 1
            self.time += period_of(self.bpm)

    def _arrival(self, time: float) -> float:
        """Late by 0 or more: nothing is heard before it is sent, or before what was sent before."""
        self._heard = max(self._heard, time + abs(self._draw.gauss(0, self._jitter_s)))
        return self._heard
