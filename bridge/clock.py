"""The 24-ppqn follower: jittered MIDI clocks in, `tick <-> time` out.

Two questions about each tick. *When* it is, a filtered line says (line.py). *Which* one it is
comes from counting; a tick far from its time moves nothing until those after it tell what it was:

    errors, in periods    +1 +1 +1         one tick was lost
                          -1 -1 -1         one came twice
                          +3 +2 +1  0      three came late, all at once
                          +.2 +.4 +.6 ...  another tempo

A tick lost or doubled never moves the line: it only numbers the arrivals anew.
Knows nothing of song positions, Start or Stop (see transport.py), and reads no clock.
"""

from __future__ import annotations

from bridge.line import SEED_TICKS, Line, period_of
from pianogen.grid import PPQN

SPREAD_TICKS, BIAS_TICKS = 96, 12  # memory of the mean |error| (the spread) and of the mean error
BIAS_S, BIAS_SPREADS, BIAS_GRAINS = 0.0003, 0.85, 0.65  # a mean error of so much: the tempo changes
OUTLIER_S, OUTLIER_SPREADS, OUTLIER_GRAINS = 0.002, 4, 1.3
OUTLIER_PERIODS = 0.75  # while the jitter is not known yet
OUTLIERS = 6  # as many of one sign: the tempo has stepped
EVEN_OUTLIERS = 3
HELD_BACK_S = 0.003  # but ticks so close are no tempo: they had been held back
SLIP_PERIODS = 0.3  # how close to whole periods an error must be to mean lost or doubled ticks
ON_TIME_PERIODS = 0.2
LOST_S, LOST_PERIODS = 0.250, 6
AT_ONCE_S = 0.001  # ticks so close after a silence had been held back

# Where ticks are handed over once an audio period (JACK through rtmidi), a tempo whose ticks are
# nearly whole periods apart looks like the tempo where they are, with a tick far off now and then.
AUDIO_S = tuple(frames / rate for frames in (256, 512, 1024, 2048) for rate in (44_100, 48_000))
AUDIO_SHARE = 0.0005  # how near a filtered period must be to whole audio periods


class Follower:
    """Follows MIDI clocks: counts them, and tells the time of any tick and the tick of any time.

    bpm: the tempo assumed until two ticks have come.
    """

    def __init__(self, bpm: float = 120.0) -> None:
        self.count = 0  # ticks so far, lost ones too
        self.last: float | None = None  # arrival of the newest tick, as stamped
        self.lost = 0  # ticks believed lost so far
        self._line = Line(period_of(bpm))
        self._heard = 0  # ticks that the line has been corrected by
        self._error = 0.0  # of the newest of those, in seconds
        self._bias = self._spread = 0.0  # mean error, with sign and without, in seconds
        self._grain = 0.0  # the audio period by which ticks are handed over, where one was seen
        self._outliers: list[float] = []
        self._late = True  # the sign of the outliers
        self._slip = 0  # whole periods by which the newest outlier was late
        self._held_back = 0  # ticks missed in a silence that may yet come all at once

    @property
    def period(self) -> float:
        """Seconds a tick, filtered."""
        return self._line.period

    @property
    def tempo(self) -> float:
        """Quarter notes a minute, filtered."""
        return 60.0 / (PPQN * self.period)

    @property
    def lost_after_s(self) -> float:
        """Seconds of silence after which the clock counts as lost."""
        return max(LOST_S, LOST_PERIODS * self.period)

    def time_of(self, count: float) -> float:
        """When tick `count` (a fraction is between ticks) is or was, in seconds."""
        return self._line.phase + (count - self.count) * self.period

    def count_at(self, time: float) -> float:
        """Which tick it is at `time`; the inverse of `time_of`."""
        return self.count + (time - self._line.phase) / self.period

    def tick(self, time: float, *, is_first: bool = False) -> int:
        """Hear one tick; returns by how many the count moved: 1 but for lost or doubled ones.

        is_first: the first after Start, Continue or a song position, where the sender may have
        begun its clock anew, so that a break in the phase is no tempo step and a silence no loss.
        """
        before, last, self.last = self.count, self.last, time
        error = self._line.error_of(time)
        if last is None or is_first:
            self._begin(time, error)
        elif time - last > self.lost_after_s:
            self._held_back = max(0, round(error / self._line.step))
            self._return(time, error)
        elif self._held_back and time - last < AT_ONCE_S:
            self._held_back -= 1
            self.lost = max(0, self.lost - 1)
        else:
            self._held_back = 0
            self._follow(time, error)
        return self.count - before

    # Ticks after a break.

    def _begin(self, time: float, error: float) -> None:
        """The first tick, or the first of a new place; the period stays, but the phase may not."""
        self._held_back = 0
        limit = self._limit if self._heard >= PPQN else OUTLIER_S
        if self._heard and abs(error) <= limit:
            self._accept(error)
        else:
            self._take_phase(time)

    def _take_phase(self, time: float) -> None:
        self._line.take(time)
        self.count += 1
        self._bias = self._grain = 0.0
        self._forget_outliers()

    def _return(self, time: float, error: float) -> None:
        """The clock is back after a silence, whose ticks count by time.

        The first tick may have been held back: where it is off the line, the next one tells.
        """
        slip = round(error / self._line.step)
        self._number(slip)
        error -= slip * self._line.step
        if abs(error) <= self._limit:
            self._accept(error)
        elif self._line.age:
            self._line.age = 0
            self._pass_over()
        else:
            self._take_phase(time)

    # Ticks in their row.

    def _follow(self, time: float, error: float) -> None:
        if abs(error) <= self._limit:
            self._accept(error)
        elif not self._line.age:
            self._return(time, error)
        elif self._line.age < SEED_TICKS:
            self._line.forget_period()
            self._accept(error)
        elif grain := self._grain_of(error):
            self._grain = grain
            self._accept(error)
        elif self._has_slipped(error):
            slip = self._slip
            self._number(slip)
            self._accept(error - slip * self._line.step)
        else:
            self._coast(time, is_late=error > 0)

    @property
    def _limit(self) -> float:
        """The error beyond which a tick is an outlier, in seconds."""
        if self._heard < PPQN:
            return max(OUTLIER_S, OUTLIER_PERIODS * self.period)
        return max(OUTLIER_S, self._jitter)

    @property
    def _jitter(self) -> float:
        return max(OUTLIER_SPREADS * self._spread, OUTLIER_GRAINS * self._grain)

    def _grain_of(self, error: float) -> float:
        """The audio period that all ticks have come whole numbers of apart until this one; or 0."""
        step = self._line.step
        for audio in AUDIO_S:
            is_by_one = abs(abs(error) - audio) < SLIP_PERIODS * audio
            is_whole = abs(step - round(step / audio) * audio) < AUDIO_SHARE * step
            if is_by_one and is_whole and not self._outliers:
                return audio
        return 0.0

    def _has_slipped(self, error: float) -> bool:
        """Whether this tick and the one before it are late (or early) by the same whole periods.

        The tick before those was on time; at a step of the tempo it is on its way off already.
        """
        step, before = self._line.step, self._slip
        slip = round(error / step)
        is_whole = abs(error - slip * step) <= min(self._limit, SLIP_PERIODS * step)
        was_on_time = abs(self._error) <= max(self._limit / 2, ON_TIME_PERIODS * step)
        is_sudden = before != 0 or (was_on_time and not self._outliers)
        can_tell = self._jitter < step and self._heard >= PPQN
        self._slip = slip if is_whole and is_sudden and can_tell else 0
        return self._slip != 0 and self._slip == before

    def _coast(self, time: float, *, is_late: bool) -> None:
        """Pass over a tick far from its time; enough of one sign and a new line is begun."""
        if is_late is not self._late:
            self._outliers = []
        self._late = is_late
        self._outliers.append(time)
        self._pass_over()
        if self._is_new_tempo:
            self._step_tempo()
        elif len(self._outliers) >= OUTLIERS:
            del self._outliers[0]

    @property
    def _is_new_tempo(self) -> bool:
        """Whether the outliers make a line of their own: as many do, or three that are even.

        Not where they come faster than any tempo: they had been held back.
        """
        if len(self._outliers) < EVEN_OUTLIERS:
            return False
        if len(self._outliers) >= OUTLIERS:
            return self._outliers[-1] - self._outliers[0] > (OUTLIERS - 1) * HELD_BACK_S
        first, second, third = self._outliers[-EVEN_OUTLIERS:]
        step, near = (third - first) / 2, self._limit / 2
        is_even = abs(second - first - step) < near
        return is_even and step > HELD_BACK_S and abs(step - self._line.step) > near

    def _step_tempo(self) -> None:
        """Take the line of the outliers."""
        first, *others = self._outliers
        self._line.take(first)
        self._line.forget_period()
        for time in others:
            self._line.correct(self._line.error_of(time))
        self._bias = self._grain = 0.0
        self._forget_outliers()

    def _accept(self, error: float) -> None:
        """Correct the line by a tick that came `error` seconds late."""
        self._line.correct(error)
        self.count += 1
        self._heard += 1
        self._error = error
        self._spread += (abs(error) - self._spread) / min(self._heard, SPREAD_TICKS)
        self._watch_for_drift(error)
        self._forget_outliers()

    def _watch_for_drift(self, error: float) -> None:
        """A line with a long memory lags behind a tempo that changes; errors of one sign tell."""
        self._bias += (error - self._bias) / BIAS_TICKS
        if abs(self._bias) > max(BIAS_S, BIAS_SPREADS * self._spread, BIAS_GRAINS * self._grain):
            self._line.doubt_period()
            self._bias = 0.0

    def _pass_over(self) -> None:
        self._line.skip(1)
        self.count += 1

    def _number(self, slip: int) -> None:
        """Count ticks that were lost, or came twice (below 0); the line stays where it is."""
        self._line.skip(slip)
        self.count += slip
        self.lost = max(0, self.lost + slip)

    def _forget_outliers(self) -> None:
        self._outliers = []
        self._slip = 0
