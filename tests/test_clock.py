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
from pianogen.grid import PPQN
from tests.clock_sources import (
    Arrival,
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


def test_a_tick_that_came_twice_is_counted_once() -> None:
    times = even(120, 200)
    times.insert(100, times[100])
    follower = follow(times)
    assert follower.count == 200
    assert follower.time_of(200) == pytest.approx(times[-1], abs=1e-4)


@pytest.mark.parametrize("bpm", [30, 60, 120, 240, 300])
@pytest.mark.parametrize("seed", range(6))
def test_of_a_millisecond_of_jitter_at_most_a_fifth_is_left(bpm: float, seed: int) -> None:
    sent = steady(bpm, 1500)
    heard = gaussian(1, seed=seed)(sent)
    errors = errors_s(Follower(), sent, heard)[192:]
    late = [h - s for h, s in zip(heard, sent, strict=True)][192:]
    assert deviation(errors) < deviation(late) / 5


@pytest.mark.parametrize("bpm", [30, 60, 120, 240, 300])
@pytest.mark.parametrize("arrival", [gaussian(1), winmm(), jack(64), jack(256), bursts()])
def test_a_clock_is_locked_on_within_a_beat(bpm: float, arrival: Arrival) -> None:
    sent = steady(bpm, 400)
    errors = errors_s(Follower(), sent, arrival(sent))
    middle = offset_s(errors)
    assert max(abs(error - middle) for error in errors[PPQN:]) < 0.002


def test_a_tick_far_from_its_time_moves_nothing() -> None:
    for late_s in (-0.015, 0.015, 0.030):
        times = even(120, 200)
        follower = follow(times)
        before = follower.time_of(250)
        follower.tick(times[-1] + follower.period + late_s)
        assert follower.time_of(250) == pytest.approx(before, abs=5e-4)


@pytest.mark.parametrize("bpm", [60, 120, 240, 400])
@pytest.mark.parametrize("held_s", [0.05, 0.1, 0.2, 0.3, 0.6, 1.5])
def test_ticks_held_back_and_let_go_at_once_are_all_counted(bpm: float, held_s: float) -> None:
    sent = steady(bpm, 800)
    begin = sent[200] + 0.4 * period_of(bpm)
    heard = [max(time, begin + held_s) if begin < time < begin + held_s else time for time in sent]
    follower = follow(heard)
    assert (follower.count, follower.lost) == (800, 0)
    assert follower.time_of(800) == pytest.approx(sent[-1], abs=1e-3)


@pytest.mark.parametrize("bpm", [105, 110, 113, 117, 118, 119, 120, 121, 124])
@pytest.mark.parametrize("phase", [0.0, 0.3, 0.6])
def test_audio_periods_as_long_as_a_tick_cost_no_tick(bpm: float, phase: float) -> None:
    """At 1024 frames a tick comes a period, and now and then two or none: none is lost for that."""
    assert follow(jack(1024, phase=phase)(steady(bpm, 1500))).count == 1500


@pytest.mark.parametrize("bpm", [90, 119, 120, 121, 140])
def test_the_saw_of_audio_periods_is_averaged_out(bpm: float) -> None:
    sent = steady(bpm, 1500)
    errors = errors_s(Follower(), sent, jack(1024)(sent))[192:]
    assert deviation(errors) < 0.0015  # of 6.2 ms


@pytest.mark.parametrize(
    ("sent", "worst_ms"),
    [(ramp(60, 180, 8), 20), (ramp(180, 60, 8), 15), (ramp(120, 124, 16), 2)],
)
def test_ramps_are_followed_without_losing_count(sent: list[float], worst_ms: float) -> None:
    follower = Follower()
    errors = errors_s(follower, sent, gaussian(1)(sent))[48:]
    assert follower.count == len(sent)
    assert max(map(abs, errors)) < worst_ms / 1000


@pytest.mark.parametrize(("old", "new"), [(60, 240), (240, 60), (20, 400), (400, 20)])
def test_a_jump_of_tempo_is_followed_after_four_ticks(old: float, new: float) -> None:
    sent = jumps((old, new), 200)
    follower = Follower()
    errors = errors_s(follower, sent, sent)
    assert follower.count == 400
    assert max(map(abs, errors[204:])) < 0.001


def test_the_tempo_survives_a_pause_and_the_phase_begins_anew() -> None:
    follower = follow(even(90, 100))
    begin = 60.0
    assert follower.tick(begin, is_first=True) == 1
    assert follower.time_of(101 + 24) == pytest.approx(begin + 60 / 90)
    assert follower.lost == 0


def test_another_tempo_after_a_pause_is_followed_from_the_second_tick() -> None:
    follower = follow(even(120, 100))
    for n, time in enumerate(even(80, 24, begin=60.0)):
        follower.tick(time, is_first=not n)
        if n > 1:
            assert follower.tempo == pytest.approx(80, rel=0.01)


@given(
    st.sampled_from([20, 60, 120, 240, 400]),
    st.lists(st.floats(-0.2, 0.2), min_size=1, max_size=300),
)
@settings(max_examples=100, deadline=None)
def test_no_jitter_below_a_fifth_of_a_tick_costs_or_gains_one(
    bpm: float, jitter: list[float]
) -> None:
    times = even(bpm, 48)
    after = even(bpm, len(jitter) + 96, times[-1] + period_of(bpm))
    late = jitter + [0.0] * 96
    times += [time + part * period_of(bpm) for time, part in zip(after, late, strict=True)]
    assert follow(times).count == len(times)


@given(
    st.lists(st.tuples(st.integers(1, 40), st.integers(3, 20)), max_size=20),
    st.sampled_from([30, 120, 300]),
)
@settings(max_examples=100, deadline=None)
def test_losing_ticks_costs_no_place(losses: list[tuple[int, int]], bpm: float) -> None:
    """So many lost, so many heard, and so on."""
    heard = list(range(48))
    for lost, after in losses:
        heard += range(heard[-1] + 1 + lost, heard[-1] + 1 + lost + after)
    times = [5.0 + n * period_of(bpm) for n in heard]
    follower = follow(times)
    assert follower.count == heard[-1] + 1
    assert follower.time_of(follower.count) == pytest.approx(times[-1], abs=1e-4)


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
