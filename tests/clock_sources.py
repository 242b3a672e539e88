"""Simulated MIDI clocks: the true grid of a tempo, and how its ticks arrive.

A source keeps the order of what it sends, as a wire does: a late tick holds back those after it.
The figures are those measured of real ones: JACK hands events over once a period, USB and Windows
jitter, a busy machine lets several ticks come at once.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from itertools import accumulate
from math import ceil, sqrt
from statistics import median
from typing import Protocol

from bridge.line import period_of
from pianogen.grid import PPQN

FRAMES_A_SECOND = 48_000


def steady(bpm: float, ticks: int, *, begin: float = 5.0) -> list[float]:
    """When each tick of an even clock is sent, in seconds."""
    return [begin + n * period_of(bpm) for n in range(ticks)]


def ramp(bpm: float, to_bpm: float, ramp_s: float, *, steady_s: float = 8.0) -> list[float]:
    """A steady clock, a tempo that changes evenly in time, and a steady clock again."""
    times, time = [], 0.0
    while time < 2 * steady_s + ramp_s:
        times.append(time)
        share = min(max((time - steady_s) / ramp_s, 0.0), 1.0)
        time += 60 / (PPQN * (bpm + share * (to_bpm - bpm)))
    return times


def jumps(tempos: Iterable[float], ticks: int) -> list[float]:
    """As many ticks of each tempo in turn, in seconds."""
    gaps = [period_of(bpm) for bpm in tempos for _ in range(ticks)]
    return list(accumulate(gaps[:-1], initial=1.0))


# How ticks arrive: the times they were sent at, in seconds, to the times they are heard at.

Arrival = Callable[[list[float]], list[float]]


def in_order(times: Iterable[float]) -> list[float]:
    return list(accumulate(times, max))


def gaussian(jitter_ms: float, *, outliers: float = 0.0, seed: int = 1) -> Arrival:
    """Gaussian jitter; a share of the ticks comes 10 ms later still."""
    draw = random.Random(seed)

    def late(time: float) -> float:
        return time + draw.gauss(0, jitter_ms / 1000) + 0.010 * (draw.random() < outliers)

    return lambda sent: in_order(map(late, sent))


def jack(frames: int, *, phase: float = 0.3) -> Arrival:
    """Handed over at the next line of a JACK period, as python-rtmidi does."""
    period = frames / FRAMES_A_SECOND
    return lambda sent: [(ceil(time / period - phase) + phase) * period for time in sent]


def winmm(*, seed: int = 1) -> Arrival:
    """Up to a millisecond early or late, stamped in whole milliseconds."""
    draw = random.Random(seed)
    return lambda sent: in_order(
        round(1000 * (time + draw.uniform(-0.001, 0.001))) / 1000 for time in sent
    )


def bursts(jitter_ms: float = 0.3, *, every: int = 97, size: int = 5, seed: int = 1) -> Arrival:
    """As often, the machine stalls: so many ticks are held back and come with the last of them."""
    jitter = gaussian(jitter_ms, seed=seed)

    def arrive(sent: list[float]) -> list[float]:
        heard = jitter(sent)
        for at in range(every, len(heard) - size, every):
            heard[at : at + size] = [heard[at + size - 1]] * size
        return heard

    return arrive


# What a follower makes of them.


class Loop(Protocol):
    """Whatever counts ticks and tells their time."""

    count: int

    def tick(self, time: float) -> object: ...

    def time_of(self, count: float) -> float: ...


def errors_s(follower: Loop, sent: list[float], heard: list[float]) -> list[float]:
    """How far from the truth each tick is foretold, when the one before it has been heard."""
    errors = []
    for time, coming in zip(heard, sent[1:] + sent[-1:], strict=True):
        follower.tick(time)
        errors.append(follower.time_of(follower.count + 1) - coming)
    return errors[:-1]


def offset_s(errors: Iterable[float]) -> float:
    """The constant part, which `latency_ms` makes up for."""
    return median(errors)


def deviation(values: Iterable[float]) -> float:
    """Standard deviation."""
    values = list(values)
    mean = sum(values) / len(values)
    return sqrt(sum((v - mean) ** 2 for v in values) / len(values))
