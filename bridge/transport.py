"""Where the music is: song position, takes, and which clock counts.

Two positions, both in ticks:

    song   as MIDI counts it: 0 at Start, told by SongPosition, may jump back
    run    as the session counts it: never jumps back; a multiple of the measure's ticks is a
           measure line. Every jump of the song begins a new `take` on a fresh measure of the run.

Transport by MIDI 1.0: the first Tick after Start or Continue *is* the position; a song position
counts sixteenths; ticks while stopped keep the tempo warm and move nothing. Where no clock comes,
an internal clock counts from the performer's first note.
"""

from __future__ import annotations

from math import floor
from typing import Literal, TypeAlias

from bridge.clock import Follower
from bridge.line import period_of
from pianogen.grid import PPQN, TICKS_PER_SIXTEENTH, TICKS_PER_STEP, Meter

Source: TypeAlias = Literal["none", "midi", "internal"]
Change: TypeAlias = Literal["none", "halt", "take"]  # nothing; the run stands still; it runs on

HALF_STEP = TICKS_PER_STEP / 2


class Transport:
    """Follows a DAW's transport and tells `run <-> time` while it rolls.

    shift_ticks: how much later than the song position says the measure lines are.
    bpm: the internal clock's tempo. clock_wait_s: silence after which it may take over.
    """

    def __init__(
        self, meter: Meter, *, shift_ticks: float, bpm: float, clock_wait_s: float
    ) -> None:
        self.source: Source = "none"
        self.armed_at: float | None = None  # when last told to go somewhere
        self.struck_since = 0.0  # a note struck from then on is on the newest take's first tick
        self._measure = meter.ticks
        self._shift = shift_ticks
        self._wait_s = clock_wait_s
        self._follower = Follower(bpm)
        self._internal_period = period_of(bpm)
        self._is_told_to_roll = False
        self._told: int | None = None  # song position of the tick to come, where told
        self._song: int | None = None  # song position of the newest tick while rolling
        self._is_lost = False
        self._is_displaced = False  # the internal clock has run since the newest rolling tick
        self._base = 0.0  # run - the clock's own count
        self._origin = 0.0  # run - shifted song: run - origin is 0 on the song's first line
        self._top: float | None = None  # the farthest the run has come
        self.left_at = 0.0  # where (in ticks of the run) it was last interrupted

    # What is so.

    @property
    def is_running(self) -> bool:
        """Whether the run moves, so that `run_at` and `time_of` mean something."""
        match self.source:
            case "internal":
                return True
            case "midi":
                return (
                    self._is_told_to_roll
                    and self._told is None
                    and self._song is not None
                    and not (self._is_lost or self._is_displaced)
                )
            case "none":
                return False

    @property
    def period(self) -> float:
        """Seconds a tick."""
        return self._internal_period if self.source == "internal" else self._follower.period

    @property
    def tempo(self) -> float:
        """Quarter notes a minute."""
        return 60.0 / (PPQN * self.period)

    @property
    def lost_ticks(self) -> int:
        """MIDI clocks believed lost so far."""
        return self._follower.lost

    def run_at(self, time: float) -> float:
        """The run's position at `time`, in ticks."""
        if self.source == "internal":
            return self._base + time / self._internal_period
        return self._base + self._follower.count_at(time)

    def time_of(self, run: float) -> float:
        """When the run is at `run` ticks; the inverse of `run_at`."""
        if self.source == "internal":
            return (run - self._base) * self._internal_period
        return self._follower.time_of(run - self._base)

    def place_at(self, time: float) -> tuple[int, int]:
        """The song's measure (from 1) and the step in it (from 0) at `time`."""
        measure, tick = divmod(self.run_at(time) - self._origin, self._measure)
        return int(measure) + 1, int(tick // TICKS_PER_STEP)

    @property
    def lost_at(self) -> float | None:
        """When, without another tick, the clock is given up: a beat after the newest one."""
        if self.source != "midi" or not self.is_running or self._follower.last is None:
            return None
        return self._follower.last + PPQN * self._follower.period

    def may_begin_internal(self, time: float) -> bool:
        """Whether nothing has been heard of a MIDI clock for long enough."""
        heard = (self._follower.last, self.armed_at)
        return not self.is_running and all(h is None or time - h > self._wait_s for h in heard)

    # What happens.

    def tick(self, time: float) -> Change:
        """Hear a MIDI clock; it takes over from the internal one at once."""
        was_internal = self.source == "internal"
        if was_internal:
            self._leave(time)
        self.source = "midi"
        was_told_at = self.armed_at if self._told is not None and self.armed_at else time
        moved = self._follower.tick(time, is_first=self._told is not None)
        if not self._is_told_to_roll:
            return "halt" if was_internal else "none"
        if self._told is None and not self._is_displaced and self._song is not None:
            self._song += moved
            if not self._is_lost:
                return "none"
            self._is_lost = False
        else:
            self._arrive(self._told if self._told is not None else (self._song or 0) + moved)
        half_step = HALF_STEP * self._follower.period
        self.struck_since = min(was_told_at, time) - half_step
        return "take"

    def start(self, time: float) -> Change:
        """Roll from the beginning; the next tick is song position 0."""
        return self._go(time, 0)

    def resume(self, time: float) -> Change:
        """Continue: roll from where stopped or from the last song position, at the next tick."""
        if self._is_told_to_roll:
            return "none"
        return self._go(time, self._told if self._told is not None else 0)

    def stop(self, time: float) -> Change:
        """Stand still; the position is kept. While the internal clock runs, nothing changes."""
        if not self._is_told_to_roll:
            return "none"
        was_running = self.is_running and self.source == "midi"
        if was_running:
            self._leave(time)
        self._is_told_to_roll = False
        if self._told is None and self._song is not None:
            self._told = self._song + 1
        return "halt" if was_running else "none"

    def locate(self, time: float, sixteenths: int) -> Change:
        """Go to a song position at the next tick; one that says where we are changes nothing."""
        position = sixteenths * TICKS_PER_SIXTEENTH
        if not self._is_told_to_roll:
            self._told = position
            return "none"
        here = self._song
        if self._told is None and here is not None and position in (here, here + 1):
            return "none"
        return self._go(time, position)

    def begin_internal(self, time: float) -> None:
        """Count on our own from `time`, which is a measure line, at the internal tempo."""
        if self.is_running:
            self._leave(time)
        self.source = "internal"
        self._is_displaced = True
        run = self._fresh_measure()
        self._origin = run
        self._base = run - time / self._internal_period

    def lose(self, time: float) -> None:
        """Give the clock up; its next tick carries on in place."""
        self._leave(time)
        self._is_lost = True

    def _go(self, time: float, position: int) -> Change:
        was_running = self.is_running and self.source == "midi"
        if was_running:
            self._leave(time)
        self._is_told_to_roll = True
        self._told = position
        self.armed_at = time
        return "halt" if was_running else "none"

    def _arrive(self, position: int) -> None:
        """The newest tick is at this song position: here begins a take, or goes on in place."""
        if not self._is_in_place(position):
            line, phase = self._fresh_measure(), (position - self._shift) % self._measure
            self._origin = line + phase - (position - self._shift)
        run = position - self._shift + self._origin
        self._base = run - self._follower.count
        self._song, self._told = position, None
        self._is_lost = self._is_displaced = False

    def _is_in_place(self, position: int) -> bool:
        """Whether the song goes on where it was; not if the run has gone on without it."""
        if self._song is None or position != self._song + 1 or self._is_displaced:
            return False
        run = position - self._shift + self._origin
        return self._top is None or self._top <= run + HALF_STEP

    def _fresh_measure(self) -> int:
        """The first measure line of the run that no music has reached."""
        if self._top is None:
            return 0
        return (floor((self._top + HALF_STEP) / self._measure) + 1) * self._measure

    def _leave(self, time: float) -> None:
        here = self.run_at(time)
        self.left_at = here
        self._top = here if self._top is None else max(self._top, here)
