"""How many drafts fit: what was seen decides, nothing is late for the sake of one more."""

from __future__ import annotations

import random
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.candidates import GROWTH, HANDING_OVER_S, LONGEST_S, NEWEST, Costs

Numbers = st.integers(1, 256)


class Machine:
    """Takes `first` + `each` * N seconds, give or take a share, times how busy it is."""

    def __init__(self, first: float, each: float, noise: float = 0.0, seed: int = 0) -> None:
        self.first, self.each, self.noise = first, each, noise
        self.busy = 1.0
        self.costs = Costs()
        self._random = random.Random(seed)
        for _ in range(3):
            for candidates in (1, 8):
                self.costs.learn(candidates, self.takes(candidates))

    def takes(self, candidates: int) -> float:
        share = self._random.uniform(-self.noise, self.noise)
        return self.busy * (self.first + self.each * candidates) * (1 + share)

    def answer(self, left_s: float, most: int = 256) -> tuple[int, float]:
        """How many drafts were drawn, and how long that took."""
        candidates = self.costs.fitting(most, left_s)
        took = self.takes(candidates)
        self.costs.learn(candidates, took, left_s)
        return candidates, took

    def answers(self, times: int, left_s: float, most: int = 256) -> list[tuple[int, float]]:
        return [self.answer(left_s, most) for _ in range(times)]


@given(
    st.lists(st.tuples(Numbers, st.floats(0, 20), st.floats(-1, 5)), max_size=40),
    Numbers,
    st.floats(-5, 5),
)
def test_never_more_than_allowed_and_never_none(
    seen: list[tuple[int, float, float]], most: int, left_s: float
) -> None:
    costs = Costs()
    for candidates, took, left in seen:
        costs.learn(candidates, took, left)
        assert costs.beyond_first(candidates, took) <= took
    assert 1 <= costs.fitting(most, left_s) <= most


@given(
    first=st.floats(0.001, 0.2),
    each=st.floats(0.0001, 0.1),
    left_s=st.floats(0.02, 2),
)
def test_known_costs_are_used_up_but_not_overdrawn(
    first: float, each: float, left_s: float
) -> None:
    machine = Machine(first, each)
    answers = machine.answers(40, left_s)
    assert all(took <= left_s for candidates, took in answers if candidates > 1)
    candidates, took = answers[-1]
    usable = min((left_s - HANDING_OVER_S) / 1.3, LONGEST_S)
    is_last = candidates == 256 or took + each > usable
    assert is_last


@pytest.mark.parametrize("left_s", [0.15, 0.25, 0.5])
def test_what_a_noisy_machine_does_is_in_time(left_s: float) -> None:
    late = [
        took > left_s
        for seed in range(20)
        for _, took in Machine(0.05, 0.01, noise=0.25, seed=seed).answers(60, left_s)
    ]
    assert sum(late) / len(late) < 0.005


@given(st.floats(0.3, 5), st.floats(0.01, 1))
def test_a_slow_machine_gets_one(first: float, each: float) -> None:
    assert {n for n, _ in Machine(first, each).answers(30, left_s=0.25)} == {1}


def test_time_that_is_up_is_enough_for_one() -> None:
    machine = Machine(0.05, 0.01)
    assert [machine.costs.fitting(8, left) for left in (-inf, -1.0, 0.0, 0.01)] == [1] * 4


def test_before_anything_was_seen_there_is_one() -> None:
    assert Costs().fitting(256, 100.0) == 1


def test_endless_time_is_not_measured() -> None:
    assert Costs().fitting(8, inf) == 8
    assert Machine(9.0, 9.0).costs.fitting(8, inf) == 8


def test_drafting_goes_on_for_half_a_second_at_most() -> None:
    machine = Machine(0.05, 0.01)
    assert max(took for _, took in machine.answers(40, left_s=60.0)) <= LONGEST_S


def test_a_late_answer_has_fewer_after_it_at_once() -> None:
    machine = Machine(0.05, 0.01)
    before, _ = machine.answers(20, left_s=0.25)[-1]
    assert machine.costs.learn(before, 0.3, left_s=0.25)
    after, took = machine.answer(left_s=0.25)
    assert after < before
    assert took < 0.15


def test_a_nearly_late_one_too_and_room_brings_them_back_slowly() -> None:
    machine = Machine(0.05, 0.01)
    before, _ = machine.answers(30, left_s=0.25)[-1]
    assert machine.costs.learn(before, 0.24, left_s=0.25)
    drawn = [n for n, _ in machine.answers(30, left_s=0.25)]
    assert drawn[0] < before
    assert drawn[1] < before
    assert drawn[-1] == before


def test_what_was_late_with_one_draft_tells_nothing_of_many() -> None:
    machine = Machine(0.05, 0.01)
    before = machine.answers(20, left_s=0.25)[-1][0]
    for _ in range(20):
        machine.answer(left_s=0.03)
    assert not machine.costs.learn(1, 0.06, left_s=0.03)
    grown = [n for n, _ in machine.answers(20, left_s=0.25)]
    assert grown[-1] == before


def test_one_slow_answer_bends_no_line() -> None:
    machine = Machine(0.05, 0.01)
    machine.answers(20, left_s=0.4)
    expected = machine.costs.expected(10)
    machine.costs.learn(10, 1.0)
    assert machine.costs.expected(10) == pytest.approx(expected, rel=0.01)


def test_a_machine_that_becomes_busy_is_late_a_few_times_at_most() -> None:
    machine = Machine(0.05, 0.01)
    machine.answers(20, left_s=0.25)
    machine.busy = 2.5
    late = [took > 0.25 for _, took in machine.answers(40, left_s=0.25)]
    assert sum(late[:NEWEST]) <= 3
    assert not any(late[NEWEST:])


def test_a_machine_that_is_idle_again_is_used_again() -> None:
    machine = Machine(0.05, 0.01)
    before = machine.answers(20, left_s=0.25)[-1][0]
    machine.busy = 5.0
    assert machine.answers(40, left_s=0.25)[-1][0] == 1
    machine.busy = 1.0
    assert machine.answers(60, left_s=0.25)[-1][0] == before


def test_a_device_that_draws_all_at_once_draws_all_that_was_tried() -> None:
    machine = Machine(0.03, 0.0)
    drawn = [n for n, _ in machine.answers(20, left_s=0.25)]
    assert drawn[0] == int(8 * GROWTH)
    assert drawn[-1] == 256


def test_the_drafts_beyond_the_first_are_what_an_answer_could_do_without() -> None:
    machine = Machine(0.05, 0.01)
    assert machine.costs.beyond_first(11, 0.16) == pytest.approx(0.1)
    assert machine.costs.beyond_first(11, 0.32) == pytest.approx(0.2)
    assert machine.costs.beyond_first(1, 0.06) == 0.0
