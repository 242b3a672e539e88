"""The 24-ppqn follower: jittered MIDI clocks in, `tick <-> time` out.

A delay-locked loop after F. Adriaensen, "Using a DLL to filter time": the loop predicts when the
next tick comes, and each arrival corrects phase and period by a little of the error. It says only
*when* a tick is; *which* tick it is comes from counting, lost ones too.

    tick            n-1        n          n+1              filtered line: time_of(n + x)
    arrivals      --|-----------|--|-------|-->            = phase + x * period
                              phase ^ arrival of n, error e

Knows nothing of song positions, Start or Stop (see transport.py), and reads no clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import pi, sqrt

from pianogen.grid import PPQN

SLOWEST_BPM, FASTEST_BPM = 20.0, 400.0
SEED_TICKS = 6  # a line through these starts the loop
WIDE_HZ, NARROW_HZ = 1.0, 0.2  # the loop's bandwidth, first wide, then narrow
WIDE_TICKS = 48
MEMORY = 0.05  # what one tick weighs in the mean error
RAMP_S, RAMP_SHARE = 0.002, 0.8  # a mean error of so much, and so one-sided, is a ramp: wide again
OUTLIERS = 6  # as many of one sign: the tempo has stepped
OUTLIER_S, OUTLIER_PERIODS, OUTLIER_SPREADS = 0.002, 0.75, 3  # a spread: the mean |error|
LOST_SPREADS = 4  # jitter above a quarter period hides single lost ticks
GAP_PERIODS = 0.3  # how close to whole periods a gap must be to mean lost ticks
SAME_TEMPO = 0.1  # relative difference of period below which a tempo has not stepped
LOST_S, LOST_PERIODS = 0.250, 6


def period_of(bpm: float) -> float:
    """Seconds between ticks at a tempo in quarter notes a minute, kept within 20..400."""
    return 60.0 / (PPQN * min(max(bpm, SLOWEST_BPM), FASTEST_BPM))


def _bounded(period: float) -> float:
    return min(max(period, period_of(FASTEST_BPM)), period_of(SLOWEST_BPM))


def _line(times: Sequence[float], period: float) -> tuple[float, float]:
    """Fit ticks one apart by least squares: (time of the last, period); `period` where only one."""
    n = len(times)
    if n == 1:
        return times[0], period
    middle, mean = (n - 1) / 2, sum(times) / n
    slope = sum((i - middle) * (t - mean) for i, t in enumerate(times))
    slope = _bounded(slope / sum((i - middle) ** 2 for i in range(n)))
    return mean + middle * slope, slope


class Follower:
    """Follows MIDI clocks: counts them, and tells the time of any tick and the tick of any time.

    bpm: the tempo assumed until two ticks have come.
    """

    def __init__(self, bpm: float = 120.0) -> None:
        self.count = 0  # ticks so far, lost ones too
        self.period = period_of(bpm)  # seconds, filtered
        self.last: float | None = None  # arrival of the newest tick, as stamped
        self.lost = 0  # ticks believed lost so far
        self._phase = 0.0  # filtered time of tick `count`
        self._age = 0  # ticks since the loop was last made wide
        self._born = 0  # count at which the clock appeared
        self._bias = self._spread = 0.0  # mean error, with sign and without, in seconds
        self._seed: list[float] = []
        self._outliers: list[float] = []
        self._late = True  # the sign of the outliers
        self._gap = 0  # lost ticks counted at the newest tick, not yet confirmed by the next

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
        return self._phase + (count - self.count) * self.period

    def count_at(self, time: float) -> float:
        """Which tick it is at `time`; the inverse of `time_of`."""
        return self.count + (time - self._phase) / self.period

    def tick(self, time: float, *, is_first: bool = False) -> int:
        """Hear one tick; returns by how many the count moved (more than 1 where some were lost).

        is_first: the first after Start, Continue or a song position, where the sender may have
        begun its clock anew, so that a break in the phase is no tempo step.
        """
        before = self.count
        if self.last is None or time - self.last > self.lost_after_s:
            self._begin(time)
        elif is_first and abs(time - self.time_of(self.count + 1)) > OUTLIER_S:
            self._rephase(time)
        elif self._seed:
            self._extend_seed(time)
        else:
            self._follow(time)
        self.last = time
        return self.count - before

    def _begin(self, time: float) -> None:
        """Start from nothing or after a silence; the ticks of a silence count by time."""
        if self.last is not None:
            self._lose(max(0, round((time - self._phase) / self.period) - 1))
        self.count += 1
        self._born = self.count
        self._phase = time
        self._seed = [time]
        self._forget_outliers()

    def _rephase(self, time: float) -> None:
        """Keep the tempo, take the phase from this tick."""
        self.count += 1
        self._phase = time
        self._age = 0
        if self._seed:
            self._seed = [time]
        self._forget_outliers()

    def _extend_seed(self, time: float) -> None:
        self.count += 1
        self._seed.append(time)
        self._phase, self.period = _line(self._seed, self.period)
        if len(self._seed) >= SEED_TICKS:
            self._seed = []
            self._age = 0

    def _follow(self, time: float) -> None:
        error = time - self._phase - self.period
        limit = max(OUTLIER_S, OUTLIER_PERIODS * self.period, OUTLIER_SPREADS * self._spread)
        if abs(error) <= limit:
            self._forget_outliers()
            self._correct(error)
            return
        missing = round(error / self.period)
        rest = error - missing * self.period
        is_whole = missing > 0 and abs(rest) <= GAP_PERIODS * self.period
        if is_whole and self._is_on_time and self._can_tell_lost:
            self._lose(missing)
            self._correct(rest)
            self._gap = missing
            return
        self._outlie(time, is_late=error > 0)

    @property
    def _is_on_time(self) -> bool:
        return not self._outliers and not self._gap

    @property
    def _can_tell_lost(self) -> bool:
        """Whether the jitter is known to be so small that a tick a period late means a lost one."""
        is_known = self.count - self._born >= PPQN
        return is_known and self.period > LOST_SPREADS * self._spread

    def _correct(self, error: float) -> None:
        """One turn of the loop (Adriaensen's b and c), with bandwidth by age."""
        omega = 2 * pi * (WIDE_HZ if self._age < WIDE_TICKS else NARROW_HZ) * self.period
        self._phase += self.period + sqrt(2) * omega * error
        self.period = _bounded(self.period + omega * omega * error)
        self.count += 1
        self._age += 1
        self._spread += MEMORY * (abs(error) - self._spread)
        self._watch_for_ramp(error)

    def _watch_for_ramp(self, error: float) -> None:
        """A narrow loop lags behind a tempo that keeps changing; errors of one sign tell."""
        self._bias += MEMORY * (error - self._bias)
        if self._age <= WIDE_TICKS:
            self._bias = 0.0
        elif abs(self._bias) > max(RAMP_S, RAMP_SHARE * self._spread):
            self._age = 0

    def _outlie(self, time: float, *, is_late: bool) -> None:
        """Coast over a tick far from its time; enough of one sign and the loop is seeded anew."""
        if is_late is not self._late:
            self._outliers = []
        self._late = is_late
        self._outliers.append(time)
        self.count += 1
        self._phase += self.period
        if len(self._outliers) >= OUTLIERS:
            self._reseed()

    def _reseed(self) -> None:
        """Take the line of the outliers.

        Where its tempo is the old one, ticks were lost and not seen as such; where it is another,
        what looked like lost ticks was the new tempo's first interval.
        """
        phase, period = _line(self._outliers, self.period)
        if abs(period - self.period) < SAME_TEMPO * self.period and self._can_tell_lost:
            self._lose(max(0, round((phase - self._phase) / self.period)))
        else:
            self._lose(-self._gap)
        self._phase, self.period = phase, period
        self._age = 0
        self._forget_outliers()

    def _lose(self, ticks: int) -> None:
        self.count += ticks
        self.lost += ticks
        self._phase += ticks * self.period

    def _forget_outliers(self) -> None:
        self._outliers = []
        self._gap = 0
