"""How loud an answer is: as planned, or as loud as the performer, accents kept."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.events import Event, NoteOff, NoteOn
from bridge.loudness import MEASURES, Loudness
from bridge.voice import bookings, followed
from pianogen.grid import Measure, Note
from tests.stage import BEGIN, clock, perform, preset, seconds

ACCENTED = Measure(notes=tuple(Note(8 * n, 60 + n, bin_, 4) for n, bin_ in enumerate((9, 19))))


def velocities(follow: float, loudness: float | None, **values: Any) -> list[int]:
    voice = preset(velocity_follow=follow, **values)
    return [b.velocity for b in bookings(ACCENTED, 0, voice, 0.0, loudness)]


def struck(velocity: int) -> list[Event]:
    """One key at the beginning, so hard."""
    return [NoteOn(BEGIN, 0, 60, velocity), NoteOff(BEGIN + seconds(0.9), 0, 60)]


def test_it_plays_as_planned_unless_told_to_follow() -> None:
    assert velocities(0.0, 100.0) == [38, 78]
    assert velocities(1.0, None) == [38, 78]


def test_it_follows_as_far_as_told_and_accents_stay_in_proportion() -> None:
    assert velocities(1.0, 29.0) == [19, 39]  # half as loud: the plan's mean is 58
    assert velocities(0.5, 29.0) == [28, 58]
    assert velocities(1.0, 58.0) == [38, 78]


def test_the_presets_scale_comes_on_top() -> None:
    assert velocities(1.0, 58.0, velocity_scale=0.5) == [19, 39]


def test_velocities_stay_in_range() -> None:
    assert velocities(1.0, 127.0) == [83, 127]
    assert velocities(1.0, 1.0) == [1, 1]


def test_a_plan_without_notes_has_no_loudness() -> None:
    assert followed(Measure(), 1.0, 90.0) == 1.0


@pytest.mark.parametrize(("velocity", "mean"), [(30, 30), (110, 110)])
def test_an_answer_is_as_loud_as_the_phrase(velocity: int, mean: int) -> None:
    events = [*clock(8, stops=True), *struck(velocity)]
    p = perform(events, presets=[preset(velocity_follow=1.0)])
    assert [m.velocity for m in p.messages if isinstance(m, NoteOn)] == [mean] * 4


def test_what_counts_is_the_newest_measures_that_were_played_in() -> None:
    loudness = Loudness()
    assert loudness.mean is None
    loudness.hear(0, 127)
    for measure in range(1, MEASURES + 1):
        loudness.hear(10 * measure, 40)
        loudness.hear(10 * measure, 60)
    assert loudness.mean == 50
