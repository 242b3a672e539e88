"""What a daemon says of itself: what it counts, how it is published, how it reads."""

from __future__ import annotations

import pytest

from bridge.events import Event, ModelReady, NoteOff, NoteOn
from tests.stage import clock, perform, play, preset, seconds

AT = 10.0  # where the song begins


def at(beat: float) -> float:
    return AT + seconds(beat)


# A note so near the line that the plan made before it has grown old by the freeze.
LAST: list[Event] = [NoteOn(at(3.75), 0, 67, 80), NoteOff(at(3.8), 0, 67)]


@pytest.mark.parametrize(("response_s", "stale"), [(0.02, 0), (0.03, 1)])
def test_a_measure_is_stale_where_its_plan_was_made_of_less_than_was_known_at_the_freeze(
    response_s: float, stale: int
) -> None:
    p = perform(
        [ModelReady(at(0), response_s), *clock(8), *play("| c4 d4 - - |"), *LAST],
        presets=[preset(rest_beats=0.1)],
        is_ready=False,
    )
    assert (p.status.measures_answered, p.status.measures_stale) == (1, stale)


def test_a_renewal_that_comes_too_late_leaves_a_stale_measure() -> None:
    p = perform(
        [ModelReady(at(0), 0.001), *clock(8), *play("| c4 d4 - - |"), *LAST],
        presets=[preset(rest_beats=0.1)],
        delay=0.035,
        is_ready=False,
    )
    assert (p.status.measures_answered, p.status.measures_stale) == (1, 1)


def test_nothing_is_stale_where_nothing_changed_before_the_freeze() -> None:
    p = perform(clock(16) + play("| c4 d4 - - | e4 - - - |"))
    assert (p.status.measures_answered, p.status.measures_stale) == (2, 0)
