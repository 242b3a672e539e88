"""What was heard leans what is drawn: rhythm, lengths and loudness come again."""

from __future__ import annotations

import numpy as np

from pianogen.families.arithmetic import chosen
from pianogen.families.heard_notes import HORIZON, HeardNotes
from pianogen.grid import Measure, Meter
from tests.made import measure

ANY_WAIT = np.full(HORIZON + 1, 1 / (HORIZON + 1))
ANY_BIN = np.full(32, 1 / 32)
QUARTERS = measure((8 * n, 60 + n, 4 + 8 * (n % 2), 2 + n) for n in range(4))
CHORDS = measure((16 * n, pitch, 16, 8) for n in range(2) for pitch in (72, 64, 60))


def test_a_wait_that_was_heard_is_the_likeliest() -> None:
    heard = HeardNotes.of([QUARTERS] * 3)
    leaning = heard.waits(8, 0, 40, ANY_WAIT)
    assert leaning.argmax() == 8
    assert leaning[8] > 0 > leaning[7]


def test_who_is_out_of_time_finds_back() -> None:
    heard = HeardNotes.of([QUARTERS] * 3)
    leaning = heard.waits(3, 0, 40, ANY_WAIT)
    assert leaning[5] > leaning[4]
    assert leaning[13] > leaning[12]


def test_chords_are_as_thick_as_they_were_heard() -> None:
    heard = HeardNotes.of([CHORDS] * 3)
    assert [heard.waits(16, rank, 40, ANY_WAIT).argmax() for rank in range(3)] == [0, 0, 16]


def test_what_was_heard_last_counts_most() -> None:
    slow = measure([(0, 60, 16, 16), (16, 60, 16, 16)])
    assert HeardNotes.of([QUARTERS, slow, slow]).waits(0, 0, 40, ANY_WAIT).argmax() == 16
    assert HeardNotes.of([slow, QUARTERS, QUARTERS]).waits(0, 0, 40, ANY_WAIT).argmax() == 8


def test_notes_of_a_step_are_as_loud_and_as_long_as_there_before() -> None:
    heard = HeardNotes.of([QUARTERS] * 3)
    assert [heard.loudness(place, 40, ANY_BIN).argmax() for place in (0, 8)] == [4, 12]
    assert [heard.lengths(place, 40, ANY_BIN).argmax() for place in (0, 8, 16)] == [1, 2, 3]


def test_a_key_heard_at_a_step_is_likelier_there_but_not_one_that_cannot_be() -> None:
    heard, any_key = HeardNotes.of([QUARTERS] * 3), np.full(88, 1 / 88)
    any_key[41] = 0.0  # D4 at step 16
    chances = [heard.keys(place, any_key, is_within=False) for place in (0, 8, 16)]
    assert [chance.argmax() for chance in chances[:2]] == [39, 40]
    assert chances[2][41] == 0


def test_who_has_heard_nothing_leans_nowhere() -> None:
    for heard in (HeardNotes.of([]), HeardNotes.of([Measure(Meter())] * 2)):
        np.testing.assert_allclose(heard.waits(0, 0, 40, ANY_WAIT), 0, atol=1e-12)
        np.testing.assert_allclose(heard.loudness(0, 40, ANY_BIN), 0, atol=1e-12)


def test_a_rest_of_measures_is_one_long_wait() -> None:
    rest = Measure(Meter())
    heard = HeardNotes.of([measure([(0, 60, 16, 8)]), rest, rest, measure([(0, 60, 16, 8)])])
    assert heard.wait.tolist() == [HORIZON]


def test_one_is_chosen_by_its_chances() -> None:
    nats = np.log(np.array([0.25, 0.5, 0.25])) + 7
    assert [chosen(nats, uniform) for uniform in (0.0, 0.24, 0.26, 0.74, 0.76, 1.0)] == [
        0, 0, 1, 1, 2, 2,
    ]  # fmt: skip
    assert chosen(np.array([-np.inf, 0.0, -np.inf]), 0.0) == 1
