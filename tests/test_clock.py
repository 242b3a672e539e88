"""The follower on fake time: jitter, steps and ramps of tempo, lost and doubled ticks, bursts."""

from __future__ import annotations

import random
from collections.abc import Iterable
from itertools import accumulate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.clock import Follower
from bridge.line import period_of


def even(bpm: float, ticks: int, begin: float = 5.0) -> list[float]:
    return [begin + n * period_of(bpm) for n in range(ticks)]


def follow(times: Iterable[float], bpm: float = 120.0) -> Follower:
    follower = Follower(bpm)
    for time in times:
        follower.tick(time)
    return follower


@pytest.mark.parametrize("bpm", [20, 47.3, 120, 300, 400])
def test_an_even_clock_is_followed_exactly(bpm: float) -> None:
    times = even(bpm, 100)
    follower = follow(times)
    assert follower.tempo == pytest.approx(bpm)
    assert follower.time_of(follower.count) == pytest.approx(times[-1])
    assert follower.lost == 0


@pytest.mark.parametrize("bpm", [60, 120, 240])
def test_the_tempo_is_usable_after_six_ticks(bpm: float) -> None:
    assert follow(even(bpm, 6)).tempo == pytest.approx(bpm)


@pytest.mark.parametrize(("half_period_ms", "worst_ms"), [(0.7, 0.3), (2.67, 1.0), (10.6, 6.0)])
def test_jitter_is_filtered(half_period_ms: float, worst_ms: float) -> None:
    """Uniform jitter, as a JACK period makes it, comes out several times smaller."""
    draw = random.Random(1)
    follower, errors = Follower(), []
    for n, time in enumerate(even(120, 960)):
        predicted = follower.time_of(follower.count + 1)
        if n > 120:
            errors.append(abs(predicted - time))
        follower.tick(time + draw.uniform(-1, 1) * half_period_ms / 1000)
    assert sorted(errors)[int(0.99 * len(errors))] * 1000 < worst_ms
    assert follower.count == 960


@pytest.mark.parametrize(("old", "new"), [(120, 140), (120, 121), (120, 60), (120, 40), (60, 180)])
def test_a_tempo_step_is_followed_within_two_beats_without_losing_count(
    old: float, new: float
) -> None:
    times = even(old, 200)
    times += even(new, 49, times[-1] + period_of(new))
    follower = follow(times)
    assert follower.count == 249
    assert follower.time_of(follower.count) == pytest.approx(times[-1], abs=0.003)
    assert follower.tempo == pytest.approx(new, rel=0.02)


def test_a_ramp_from_90_to_150_over_four_measures_is_followed() -> None:
    tempos = [90 + 60 * n / 384 for n in range(384)]
    times = list(accumulate((period_of(bpm) for bpm in tempos), initial=3.0))
    follower, worst = Follower(90), 0.0
    for n, time in enumerate(times):
        if n > 48:
            worst = max(worst, abs(follower.time_of(follower.count + 1) - time))
        follower.tick(time)
    assert follower.count == len(times)
    assert worst < 0.020


@pytest.mark.parametrize("missing", [1, 2, 3, 5])
def test_lost_ticks_are_counted(missing: int) -> None:
    times = even(120, 200)
    del times[100 : 100 + missing]
    follower = follow(times)
    assert (follower.count, follower.lost) == (200, missing)
    assert follower.time_of(200) == pytest.approx(times[-1], abs=1e-4)


def test_every_third_tick_may_be_lost() -> None:
    times = even(120, 200)
    del times[100:130:3]
    assert follow(times).count == 200


def test_a_silence_counts_by_time() -> None:
    times = even(120, 400)
    del times[100:300]
    assert follow(times).count == 400


def test_two_ticks_at_once_do_not_upset_the_tempo() -> None:
    times = even(120, 200)
    times[99] = times[100]
    assert follow(times).tempo == pytest.approx(120, rel=0.01)


@given(
    st.lists(st.floats(0.0, 0.6), min_size=1, max_size=60),
    st.lists(st.floats(-1000, 1000), min_size=2, max_size=8, unique=True),
)
@settings(max_examples=60, deadline=None)
def test_tick_and_time_are_monotone_and_inverse_whatever_comes(
    gaps: list[float], places: list[float]
) -> None:
    follower = follow(accumulate(gaps))
    places.sort()
    times = [follower.time_of(place) for place in places]
    assert times == sorted(times)
    assert [follower.count_at(time) for time in times] == pytest.approx(places, abs=1e-3)
    assert 20 <= round(follower.tempo, 6) <= 400
