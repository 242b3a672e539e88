"""How well loops follow clocks, as a table: `python -m tests.clocks`.

Each loop foretells the next tick when it has heard one; the error is taken against the true grid,
its constant part (what `latency_ms` makes up for) aside. Ours beside simpler ones:

    last interval    the next tick is as far off as the newest two are apart
    mean of 24       the newest tick, and the mean of the last 24 intervals
    1 Hz             Adriaensen's delay-locked loop with one bandwidth
    2/bpm            the same with the bandwidth Ardour 7 follows clocks with
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from math import pi, sqrt
from statistics import mean

from bridge.clock import Follower
from bridge.line import period_of
from tests.clock_sources import (
    Arrival,
    Loop,
    bursts,
    deviation,
    errors_s,
    gaussian,
    jack,
    jumps,
    offset_s,
    ramp,
    steady,
    winmm,
)

TICKS = 1500
LOCKED = 192  # ticks after which a steady clock is judged: two measures of 4/4
NEAR_S = 0.002  # locked: for good within this, or within the jitter's spread


class Intervals:
    """The newest tick, and the mean of the newest intervals."""

    def __init__(self, intervals: int) -> None:
        self.count = 0
        self._times: deque[float] = deque(maxlen=intervals + 1)

    def tick(self, time: float) -> object:
        self.count += 1
        self._times.append(time)
        return None

    def time_of(self, count: float) -> float:
        first, last = self._times[0], self._times[-1]
        period = (last - first) / max(1, len(self._times) - 1)
        return last + (count - self.count) * period


class DelayLocked:
    """Adriaensen's second-order loop, seeded by the first interval."""

    def __init__(self, bandwidth_hz: Callable[[float], float]) -> None:
        self.count = 0
        self._bandwidth_hz = bandwidth_hz
        self._phase = 0.0
        self._period = period_of(120)

    def tick(self, time: float) -> object:
        self.count += 1
        error = time - self._phase - self._period
        if self.count == 1:
            self._phase = time
        elif self.count == 2:
            self._phase, self._period = time, max(time - self._phase, 0.001)
        else:
            bpm = 2.5 / self._period
            omega = 2 * pi * self._bandwidth_hz(bpm) * self._period
            self._phase += self._period + sqrt(2) * omega * error
            self._period = max(self._period + omega * omega * error, 0.001)
        return None

    def time_of(self, count: float) -> float:
        return self._phase + (count - self.count) * self._period


LOOPS: dict[str, Callable[[], Loop]] = {
    "ours": Follower,
    "last interval": lambda: Intervals(1),
    "mean of 24": lambda: Intervals(24),
    "1 Hz": lambda: DelayLocked(lambda bpm: 1.0),
    "2/bpm": lambda: DelayLocked(lambda bpm: 2 / bpm),
}

Sources = Callable[[int], Arrival]

JITTERS: dict[str, Sources] = {
    "gaussian 0.3 ms": lambda seed: gaussian(0.3, seed=seed),
    "gaussian 1 ms": lambda seed: gaussian(1, seed=seed),
    "gaussian 3 ms": lambda seed: gaussian(3, seed=seed),
    "1 ms, 1 % 10 ms late": lambda seed: gaussian(1, outliers=0.01, seed=seed),
    "winmm": lambda seed: winmm(seed=seed),
    "5 held back": lambda seed: bursts(seed=seed),
    "JACK 64": lambda seed: jack(64, phase=seed / 5),
    "JACK 256": lambda seed: jack(256, phase=seed / 5),
    "JACK 1024": lambda seed: jack(1024, phase=seed / 5),
}

CHANGES = {
    "60 to 180 in 8 s": ramp(60, 180, 8),
    "90 to 150 in 32 s": ramp(90, 150, 32),
    "120 to 124 in 16 s": ramp(120, 124, 16),
    "1 bpm every 2 beats": jumps(range(100, 130), 48),
    "120, then 121": jumps((120, 121), 400),
    "120, then 140": jumps((120, 140), 400),
    "60, then 240": jumps((60, 240), 400),
}


def locked_after(errors: Sequence[float], near_s: float) -> int:
    """Ticks after which every error, the constant part aside, stays as near as that."""
    middle = offset_s(errors[LOCKED:])
    far = [n for n, error in enumerate(errors) if abs(error - middle) > near_s]
    return far[-1] + 2 if far else 0


def steady_row(name: str, loop: Callable[[], Loop], sources: Sources, bpm: float) -> str:
    """A line: spread in and out, their ratio, p99, largest, ticks to lock, ticks miscounted."""
    ins, outs, sizes, locks, wrong = [], [], [], [], 0
    sent = steady(bpm, TICKS)
    for seed in range(4):
        heard, follower = sources(seed)(sent), loop()
        late = [h - s for h, s in zip(heard, sent, strict=True)]
        errors = errors_s(follower, sent, heard)
        settled, middle = errors[LOCKED:], offset_s(errors[LOCKED:])
        ins.append(deviation(late[LOCKED:]))
        outs.append(deviation(settled))
        sizes += [abs(error - middle) for error in settled]
        locks.append(locked_after(errors, max(NEAR_S, ins[-1])))
        wrong = max(wrong, abs(follower.count - len(sent)))
    sizes.sort()
    before, after = 1000 * mean(ins), 1000 * mean(outs)
    p99, worst = 1000 * sizes[int(0.99 * len(sizes))], 1000 * sizes[-1]
    lock = f"{max(locks):5d}" if max(locks) < TICKS else "never"
    return (
        f"{name:15}{before:8.2f}{after:9.3f}{after / before:7.2f}{p99:8.2f}{worst:8.2f}"
        f"{lock:>7}{wrong:6d}"
    )


def change_row(name: str, loop: Callable[[], Loop], sent: list[float]) -> str:
    """A line: the largest error over all after two beats, and its spread, at 1 ms of jitter."""
    worst, spreads, wrong = 0.0, [], 0
    for seed in range(4):
        follower = loop()
        errors = errors_s(follower, sent, gaussian(1, seed=seed)(sent))[48:]
        worst = max(worst, *map(abs, errors))
        spreads.append(deviation(errors))
        wrong = max(wrong, abs(follower.count - len(sent)))
    return f"{name:15}{1000 * mean(spreads):9.2f}{1000 * worst:9.1f}{wrong:6d}"


def main() -> None:
    """Print the tables."""
    print("steady clocks; ms; `lock` in ticks (24 a beat); `off`: ticks miscounted of", TICKS)
    for jitter, sources in JITTERS.items():
        tempos = (90, 115, 118, 120, 140) if jitter.startswith("JACK") else (30, 60, 120, 240, 300)
        for bpm in tempos:
            heads = f"{'in':>8}{'out':>9}{'ratio':>7}{'p99':>8}{'worst':>8}{'lock':>7}{'off':>6}"
            print(f"\n{jitter}, {bpm} bpm\n{'':15}{heads}")
            for name, loop in LOOPS.items():
                print(steady_row(name, loop, sources, bpm))
    print("\ntempo changes at 1 ms of gaussian jitter; ms, all ticks after the first two beats")
    for change, sent in CHANGES.items():
        print(f"\n{change}\n{'':15}{'sd':>9}{'worst':>9}{'off':>6}")
        for name, loop in LOOPS.items():
            print(change_row(name, loop, sent))


if __name__ == "__main__":
    main()
