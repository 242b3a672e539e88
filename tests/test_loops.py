"""The benchmark of simpler loops plays every note by each; no lateness is held to anything."""

from __future__ import annotations

import pytest

from bridge.performer import Performer
from tests.loops import (
    CASES,
    GUESSES,
    Loops,
    band,
    due_notes,
    jack_late_ms,
    jitter_rows,
    lateness_ms,
    left_of_jitter_ms,
    percentiles,
)

FAKE = "tests.fakes:load"
SECONDS = 0.2


@pytest.mark.parametrize(("kind", "loops"), [(kind, loops) for kind, _, loops in CASES[:2]])
def test_every_loop_sends_every_note_while_the_model_plans(
    kind: type[Performer], loops: Loops
) -> None:
    with band(kind, FAKE) as playing:
        for _, loop in loops:
            late = lateness_ms(loop, playing, SECONDS, is_raised=False)
            assert len(late) == len(due_notes(0.0, SECONDS))
            assert min(late) >= 0
        assert playing.performer.figures[0].response_ms


def test_a_model_that_does_not_load_is_told() -> None:
    with (
        pytest.raises(SystemExit, match="there is no checkpoint"),
        band(Performer, "tests.fakes:load_nothing"),
    ):
        pass


def test_percentiles_are_of_the_values_there_are() -> None:
    assert percentiles([float(n) for n in range(1001)]) == [500, 990, 999, 1000]


def test_the_follower_leaves_less_of_a_clocks_jitter_than_simpler_guesses() -> None:
    spreads = [left_of_jitter_ms(guess, jack_late_ms)[0] for _, guess in GUESSES]
    assert spreads[2] < spreads[1] / 5
    assert spreads[2] < spreads[0] / 5
    assert all(left_of_jitter_ms(guess, lambda _: 3.0)[1] < 1e-6 for _, guess in GUESSES)


def test_there_is_a_row_for_each_guess() -> None:
    assert [row.split(" | ")[0].strip("| ") for row in jitter_rows()] == [n for n, _ in GUESSES]
