"""The follower and the transport on fake time: jitter, tempo changes, lost ticks, DAWs."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from itertools import accumulate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.clock import Follower
from bridge.line import period_of
from bridge.transport import Change, Transport
from pianogen.grid import Meter


def even(bpm: float, ticks: int, begin: float = 5.0) -> list[float]:
    return [begin + n * period_of(bpm) for n in range(ticks)]


def follow(times: Iterable[float], bpm: float = 120.0) -> Follower:
    follower = Follower(bpm)
    for time in times:
        follower.tick(time)
    return follower


# The follower.


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


# The transport.

P = period_of(120)


class Deck:
    """A transport and a master that ticks evenly."""

    def __init__(self, *, shift: float = 0.0, meter: str = "4/4") -> None:
        self.transport = Transport(Meter.parse(meter), shift_ticks=shift, bpm=100, clock_wait_s=2.0)
        self.time = 1.0

    def ticks(self, count: int) -> list[Change]:
        return list(self._ticks(count))

    def _ticks(self, count: int) -> Iterator[Change]:
        for _ in range(count):
            yield self.transport.tick(self.time)
            self.time += P

    @property
    def place(self) -> tuple[int, int]:
        """Measure and step of the newest tick."""
        return self.transport.place_at(self.time - P + 1e-6)


def test_the_first_tick_after_start_is_position_zero() -> None:
    deck = Deck()
    deck.transport.start(deck.time)  # with the same stamp as the tick
    assert deck.ticks(1) == ["take"]
    assert deck.place == (1, 0)
    assert deck.transport.run_at(1.0) == pytest.approx(0)
    deck.ticks(96)
    assert deck.place == (2, 0)


def test_ticks_without_start_keep_the_tempo_and_move_nothing() -> None:
    deck = Deck()
    assert deck.ticks(30) == ["none"] * 30
    assert not deck.transport.is_running
    assert deck.transport.tempo == pytest.approx(120)
    deck.transport.start(deck.time)
    deck.ticks(1)
    assert deck.place == (1, 0)


def test_stop_keeps_the_position_and_stray_ticks_do_not_move_it() -> None:
    deck = Deck()
    deck.transport.start(deck.time)
    deck.ticks(48 + 1)
    assert deck.transport.stop(deck.time) == "halt"
    assert deck.transport.stop(deck.time) == "none"  # Stop twice
    deck.ticks(6)
    run = deck.transport.left_at
    deck.transport.resume(deck.time)
    assert deck.ticks(1) == ["take"]
    assert deck.place == (1, 16)
    assert deck.transport.run_at(deck.time - P) == pytest.approx(49) == pytest.approx(run)


def test_continue_without_any_position_begins_at_zero() -> None:
    deck = Deck()
    deck.transport.resume(deck.time)
    deck.ticks(1)
    assert deck.place == (1, 0)


def test_continue_follows_the_last_song_position_though_seconds_later_and_told_twice() -> None:
    deck = Deck()
    deck.transport.locate(deck.time, 16)
    deck.transport.locate(deck.time, 36)
    deck.transport.locate(deck.time, 36)
    deck.time += 4
    deck.transport.resume(deck.time)
    deck.ticks(1)
    assert deck.place == (3, 8)
    assert deck.transport.resume(deck.time) == "none"  # Continue while rolling


def test_start_after_a_song_position_is_from_the_beginning() -> None:
    deck = Deck()
    deck.transport.locate(deck.time, 36)
    deck.transport.start(deck.time)
    deck.ticks(1)
    assert deck.place == (1, 0)


@given(st.integers(0, 16383), st.sampled_from(["4/4", "3/4", "6/8", "5/4", "7/8"]))
@settings(deadline=None)
def test_a_song_position_counts_sixteenths(sixteenths: int, meter: str) -> None:
    deck = Deck(meter=meter)
    deck.transport.locate(deck.time, sixteenths)
    deck.transport.resume(deck.time)
    deck.ticks(1)
    steps = Meter.parse(meter).steps
    assert deck.place == (sixteenths * 2 // steps + 1, sixteenths * 2 % steps)
    run = round(deck.transport.run_at(deck.time - P), 6)
    assert run % (3 * steps) == sixteenths * 6 % (3 * steps)


def test_a_song_position_while_rolling_begins_a_new_take_at_the_next_tick() -> None:
    deck = Deck()
    deck.transport.start(deck.time)
    deck.ticks(100)
    assert deck.transport.locate(deck.time, 0) == "halt"
    assert not deck.transport.is_running
    assert deck.ticks(1) == ["take"]
    assert deck.place == (1, 0)
    assert deck.transport.run_at(deck.time - P) == pytest.approx(192)  # the run never goes back


def test_a_song_position_that_says_where_we_are_changes_nothing() -> None:
    deck = Deck()
    deck.transport.start(deck.time)
    deck.ticks(96)
    assert deck.transport.locate(deck.time, 16) == "none"
    deck.ticks(1)
    assert deck.transport.locate(deck.time, 16) == "none"
    assert deck.place == (2, 0)


def test_a_loop_as_bitwig_and_as_ardour_send_it() -> None:
    for is_start in (True, False):
        deck = Deck()
        deck.transport.start(deck.time)
        deck.ticks(96)
        deck.transport.stop(deck.time)
        deck.time += 0.02
        deck.transport.locate(deck.time, 0)
        (deck.transport.start if is_start else deck.transport.resume)(deck.time)
        assert deck.ticks(1) == ["take"]
        assert deck.place == (1, 0)
        deck.ticks(95)
        assert deck.place == (1, 31)


def test_a_loop_without_a_word_counts_on() -> None:
    deck = Deck()
    deck.transport.start(deck.time)
    assert set(deck.ticks(400)[1:]) == {"none"}
    assert deck.place == (5, 5)


def test_start_while_rolling_goes_to_the_beginning() -> None:
    deck = Deck()
    deck.transport.start(deck.time)
    deck.ticks(50)
    assert deck.transport.start(deck.time) == "halt"
    deck.ticks(1)
    assert deck.place == (1, 0)


def test_a_new_phase_at_start_is_no_tempo_step() -> None:
    deck = Deck()
    deck.ticks(60)
    deck.time -= P * 0.6
    deck.transport.start(deck.time)
    deck.ticks(1)
    assert deck.transport.time_of(deck.transport.run_at(deck.time - P)) == pytest.approx(
        deck.time - P
    )
    assert deck.transport.tempo == pytest.approx(120, rel=1e-6)


@pytest.mark.parametrize("shift", [24, -24, 12, 0.5])
def test_the_measure_lines_can_be_shifted(shift: float) -> None:
    deck = Deck(shift=shift)
    deck.transport.start(deck.time)
    deck.ticks(12)
    line = (deck.transport.run_at(1.0) // 96 + 1) * 96
    assert (deck.transport.time_of(line) - 1.0) / P == pytest.approx(shift % 96)


def test_a_lost_clock_is_given_up_after_a_beat_and_found_in_place() -> None:
    deck = Deck()
    deck.transport.start(deck.time)
    deck.ticks(97)
    assert deck.transport.lost_at == pytest.approx(deck.time - P + 0.5)
    deck.time += 95 * P  # ninety-five ticks are lost
    deck.transport.lose(deck.time)
    assert not deck.transport.is_running
    assert deck.ticks(1) == ["take"]
    assert deck.place == (3, 0)


def test_the_internal_clock_waits_for_silence_and_yields_at_once() -> None:
    deck = Deck()
    assert deck.transport.may_begin_internal(1.0)
    deck.ticks(2)
    assert not deck.transport.may_begin_internal(2.0)
    assert deck.transport.may_begin_internal(4.0)
    deck.transport.begin_internal(4.0)
    assert (deck.transport.source, deck.transport.tempo) == ("internal", pytest.approx(100))
    assert deck.transport.place_at(4.0 + 1e-9) == (1, 0)
    deck.time = 5.0
    assert deck.ticks(1) == ["halt"]
    assert (deck.transport.source, deck.transport.is_running) == ("midi", False)
