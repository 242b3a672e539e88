"""The straight line through ticks heard with jitter: a phase and a period, corrected by each tick.

    tick            n-1        n          n+1              time of tick n + x
    arrivals      --|-----------|--|-------|-->            = phase + x * period
                              phase ^ arrival of n, error e

How much of an error corrects phase and period is a Kalman filter's choice. It begins as the line
of least squares through all ticks so far, and its memory grows until it is as long as DRIFT lets
it be. A period in doubt makes it short again. Knows nothing of lost ticks or steps of tempo.
"""

from __future__ import annotations

from pianogen.grid import PPQN

SLOWEST_BPM, FASTEST_BPM = 20.0, 400.0
SEED_TICKS = 6  # so many before the period is held to what tempos there are

# Variances of the period, in units of the jitter's.
UNKNOWN = 1e7
IN_DOUBT = 0.01  # as if a line through some dozen ticks had given it
DRIFT = 1e-7  # what each tick adds: a memory of some 140 ticks
FAST_DRIFT = 3e-5  # of a tempo that changes: a memory of some 30
CALMING = 0.97  # how much of that is left a tick later


def period_of(bpm: float) -> float:
    """Seconds between ticks at a tempo in quarter notes a minute, kept within 20..400."""
    return 60.0 / (PPQN * min(max(bpm, SLOWEST_BPM), FASTEST_BPM))


class Line:
    """Where ticks are in time: `phase` is the newest one's, the next is a `step` later.

    step: seconds a tick, assumed until two ticks have come. It may be anything while the line
    has fewer than SEED_TICKS; `period` is the same, kept within 20..400 bpm.
    """

    def __init__(self, step: float) -> None:
        self.phase = 0.0
        self.step = step
        self.age = 0  # ticks since the phase was taken from one; 0: it is yet to be taken
        self._phase_var, self._cross_var, self._step_var = 1.0, 0.0, UNKNOWN
        self._drift = DRIFT

    @property
    def period(self) -> float:
        """Seconds a tick."""
        return min(max(self.step, period_of(FASTEST_BPM)), period_of(SLOWEST_BPM))

    def error_of(self, time: float) -> float:
        """How late the next tick is if it comes at `time`, in seconds."""
        return time - self.phase - self.step

    def take(self, time: float) -> None:
        """Take the phase from this tick alone; the period stays, for what it is worth."""
        self.phase, self._phase_var, self._cross_var = time, 1.0, 0.0
        self.age = 1

    def forget_period(self) -> None:
        """Let the next ticks tell the period."""
        self._step_var = UNKNOWN

    def doubt_period(self) -> None:
        """Believe the next dozen ticks more than all before, and keep a short memory for a beat."""
        self._step_var += IN_DOUBT
        self._drift = FAST_DRIFT

    def skip(self, ticks: int) -> None:
        """Move on by whole ticks that tell nothing."""
        self.phase += ticks * self.step

    def correct(self, error: float) -> None:
        """Move on by one tick, which came `error` seconds late: one step of the filter."""
        self.age += 1
        cross = self._cross_var + self._step_var
        ahead = self._phase_var + self._cross_var + cross
        phase_gain, step_gain = ahead / (ahead + 1), cross / (ahead + 1)
        self.phase += self.step + phase_gain * error
        self.step += step_gain * error
        self._phase_var, self._cross_var = phase_gain, step_gain
        self._step_var += self._drift - step_gain * cross
        self._drift = max(DRIFT, CALMING * self._drift)
        if self.age >= SEED_TICKS:
            self.step = self.period
