"""The transport on fake time: what DAWs send, and where the music is then."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.line import period_of
from bridge.transport import Change, Transport
from pianogen.grid import PPQN, Meter
from tests.daws import MAKES, Daw

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
    assert deck.transport.source == "internal"
    assert deck.transport.tempo == pytest.approx(100)
    assert deck.transport.place_at(4.0 + 1e-9) == (1, 0)
    deck.time = 5.0
    assert deck.ticks(1) == ["halt"]
    assert (deck.transport.source, deck.transport.is_running) == ("midi", False)


# Whole DAWs, held against the truth they keep.

makes = st.sampled_from(sorted(MAKES))
doings = st.one_of(
    st.tuples(st.just("play"), st.integers(1, 300)),
    st.tuples(st.just("stop"), st.floats(0.5, 400)),
    st.tuples(st.just("locate"), st.integers(0, 400)),
)


def do(daw: Daw, doing: tuple[str, float]) -> None:
    match doing:
        case ("play", ticks):
            daw.play(int(ticks))
        case ("stop", ticks):
            daw.stop(wait_ticks=ticks)
        case ("locate", sixteenths):
            daw.locate(int(sixteenths))


def assert_in_place(daw: Daw) -> None:
    """The newest tick is where the DAW has it; asked half a tick after it, jitter or not."""
    time, song = daw.truth[-1]
    place = daw.transport.place_at(time + period_of(daw.bpm) / 2)
    assert place == (song // 96 + 1, song % 96 // 3)


@given(makes, st.lists(doings, max_size=12), st.sampled_from([20, 60, 118.7, 240, 400]))
@settings(max_examples=150, deadline=None)
def test_every_daw_is_followed_to_the_tick(
    make: str, happenings: list[tuple[str, float]], bpm: float
) -> None:
    daw = Daw(MAKES[make], bpm=bpm)
    for doing in happenings:
        do(daw, doing)
        assert daw.is_rolling or not daw.transport.is_running
    daw.play(1)
    assert_in_place(daw)


@given(makes, st.lists(doings, max_size=12), st.floats(0, 1.5))
@settings(max_examples=100, deadline=None)
def test_no_jitter_below_a_tenth_of_a_tick_moves_a_daw_out_of_place(
    make: str, happenings: list[tuple[str, float]], jitter_ms: float
) -> None:
    daw = Daw(MAKES[make], bpm=120, jitter_ms=jitter_ms)
    daw.play(2 * PPQN)
    for doing in happenings:
        do(daw, doing)
    daw.play(2 * PPQN)
    assert_in_place(daw)


@given(makes, st.lists(doings, min_size=2, max_size=12), st.floats(0, 5))
@settings(max_examples=100, deadline=None)
def test_the_run_never_goes_back(
    make: str, happenings: list[tuple[str, float]], jitter_ms: float
) -> None:
    daw = Daw(MAKES[make], jitter_ms=jitter_ms)
    for doing in happenings:
        do(daw, doing)
    pairs = zip(daw.runs, daw.runs[1:], strict=False)
    assert all(later > earlier - 0.5 for earlier, later in pairs)


@pytest.mark.parametrize("make", sorted(MAKES))
@pytest.mark.parametrize("lost", [1, 3, 23, 24, 40, 500])
def test_lost_ticks_leave_every_daw_in_place(make: str, lost: int) -> None:
    daw = Daw(MAKES[make])
    daw.play(100)
    daw.lose_ticks(lost)
    lost_at = daw.transport.lost_at
    assert lost_at is not None
    if lost_at < daw.time:
        daw.transport.lose(lost_at)
        assert not daw.transport.is_running
    daw.play(48)
    assert_in_place(daw)


@pytest.mark.parametrize("bpm", [20, 120, 240, 400])
def test_a_lost_clock_rolls_on_for_a_beat(bpm: float) -> None:
    daw = Daw(MAKES["Ardour"], bpm=bpm)
    daw.play(100)
    newest = daw.truth[-1][0]
    assert daw.transport.lost_at == pytest.approx(newest + 60 / bpm)


def test_a_stop_long_after_the_last_tick_takes_the_run_no_step_back() -> None:
    for seconds in (0.2, 0.4, 2.0):
        deck = Deck()
        deck.transport.start(deck.time)
        deck.ticks(50)
        deck.time += seconds
        if seconds > 0.5:
            deck.transport.lose(deck.time)
        deck.transport.stop(deck.time)
        deck.transport.resume(deck.time)
        deck.ticks(1)
        assert deck.place == (1, 16)
        assert deck.transport.run_at(deck.time - P) >= deck.transport.left_at - 1.5
