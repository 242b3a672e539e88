"""The answer's own pedalling: where it is needed, when it moves, and that it never stays down."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.events import ChannelMessage, ControlChange, Event, NoteOff, NoteOn, OutputLost, Quit
from bridge.jack_frames import Cycle, Outgoing
from bridge.ledger import Ledger
from bridge.midi_bytes import encode
from bridge.pedal import Pedal, Stroke
from bridge.pedalling import strokes
from bridge.scheduler import Scheduler
from bridge.voice import bookings, voiced
from pianogen.grid import Measure, Note
from tests import stage
from tests.stage import BEGIN, Performance, assert_whole, clock, play, preset, seconds
from tests.test_invariants import PRESETS, at, happenings, performances, plans
from tests.test_thru import pedals_down

PLAYED = preset(pedal="played")
TWO_HARMONIES = Measure(
    notes=(
        Note(0, 48, 20, 16), *(Note(step, 60 + step, 20, 2) for step in (4, 8, 12)),
        Note(16, 41, 20, 16), *(Note(step, 60 + step, 20, 2) for step in (20, 24, 28)),
    )
)  # fmt: skip


def pedalled(*notes: tuple[int, int]) -> list[tuple[float, float]]:
    """Strokes, in steps, for notes of (onset, duration)."""
    plan = Measure(notes=tuple(Note(o, 40 + n, 20, d) for n, (o, d) in enumerate(notes)))
    made = strokes(bookings(plan, 0, PLAYED, 0.0), 96)
    return [(stroke.start / 3, stroke.end / 3) for stroke in made]


def pedal(p: Performance) -> list[tuple[float, int]]:
    return [
        (round((m.time - BEGIN) * 2, 3), m.value)
        for m in p.messages
        if isinstance(m, ControlChange)
    ]


# Where it is needed.


def test_none_by_default() -> None:
    plain = voiced(TWO_HARMONIES, 0, preset(), 0.0)
    assert not [booked for booked in plain if isinstance(booked, Stroke)]


def test_no_pedal_where_nothing_lasts_under_anything() -> None:
    assert pedalled((0, 8), (8, 8), (16, 8)) == []
    assert pedalled((0, 32)) == []
    assert pedalled((0, 16), (0, 16), (0, 16)) == []


def test_down_a_step_after_a_note_that_lasts_under_others_and_up_at_its_end() -> None:
    assert pedalled((0, 16), (4, 4), (8, 4)) == [(1, 16)]


def test_up_at_the_change_and_a_step_later_down() -> None:
    assert pedalled((0, 16), (4, 4), (12, 16), (16, 4)) == [(1, 12), (13, 28)]


def test_up_at_the_measure_line_at_the_latest() -> None:
    assert pedalled((0, 60), (4, 4)) == [(1, 32)]


def test_a_stroke_too_short_is_not_made() -> None:
    assert pedalled((0, 2), (1, 2), (2, 2), (3, 1)) == []


# When it moves.


def test_it_is_sent_in_time_up_before_the_notes_and_down_after_them() -> None:
    p = stage.perform(
        clock(12, stops=True) + play("| c4 - - - |"),
        ask=lambda ask: TWO_HARMONIES,
        presets=[PLAYED],
    )
    step = 1 / 8
    assert pedal(p) == [(4 + step, 127), (6, 0), (6 + step, 127), (8, 0)]
    at_change = [m for m in p.messages if abs(m.time - BEGIN - seconds(6)) < 1e-6]
    assert [type(m) for m in at_change] == [NoteOff, ControlChange, NoteOn]
    p.assert_whole()


def test_it_keeps_to_the_machines_channel_and_latency() -> None:
    there = preset(pedal="played", channel=3, latency_ms=40)
    made = [b for b in voiced(TWO_HARMONIES, 96, there, 0.04) if isinstance(b, Stroke)]
    assert made[0] == Stroke(99, 144, 2, 0.04, 0.030)


def test_a_stroke_too_late_is_left_out_and_one_under_way_comes_up() -> None:
    foot = Pedal()
    foot.book([Stroke(0, 10, 0), Stroke(20, 40, 0), Stroke(30, 50, 0)])

    def values(now: float) -> list[int]:
        sent = []
        while (way := foot.next(lambda run: run * 0.1)) is not None and way[0] <= now:
            due, is_down, stroke = way
            sent += foot.go_down(stroke, due, now) if is_down else [foot.come_up(stroke, due)]
        return [message.value for message in sent]

    assert values(0.9) == []
    assert values(2.0) == [127]
    assert values(3.0) == [0, 127]  # the next begins: this one ends
    assert values(9.0) == [0]
    assert foot.is_idle


# It never stays down.


@pytest.mark.parametrize(
    "end",
    [NoteOn(0, 0, 60, 80), ControlChange(0, 0, 123, 0), ControlChange(0, 0, 109, 127), Quit(0),
     OutputLost(0), ControlChange(0, 0, 20, 1)],
)  # fmt: skip
def test_it_comes_up_with_whatever_ends_the_turn(end: Event) -> None:
    events = [*clock(12, stops=True), *play("| c4 - - - |"), at(end, BEGIN + seconds(5))]
    p = stage.perform(
        events, ask=lambda ask: TWO_HARMONIES, presets=[PLAYED, preset(1)],
        until=BEGIN + seconds(11.7),
    )  # fmt: skip
    assert (4.125, 127) in pedal(p)
    assert pedals_down(p.messages) == set()


def test_what_a_shutdown_must_release_has_the_pedals() -> None:
    ledger = Ledger()
    for message in (NoteOn(0, 1, 60, 9), ControlChange(0, 1, 64, 90), ControlChange(0, 2, 64, 127)):
        ledger.record(message, 0.0)
    ledger.record(ControlChange(0, 2, 64, 0), 0.0)
    assert ledger.releases(5.0) == [NoteOff(5.0, 1, 60), ControlChange(5.0, 1, 64, 0)]
    ledger.record(ControlChange(0, 1, 121, 0), 0.0)
    assert ledger.releases(5.0) == [NoteOff(5.0, 1, 60)]


def test_where_jack_loses_a_cycle_the_way_up_is_said_again() -> None:
    outgoing = Outgoing()
    cycle = Cycle(0.0, 480, 48_000)
    later = Cycle(0.01, 480, 48_000)
    written: list[bytes] = []

    def put(_offset: int, data: bytes) -> None:
        written.append(data)

    up, down = (encode(ControlChange(0, 0, 64, value)) for value in (0, 127))
    for data in (down, up):
        outgoing.hand(data, -1.0)
    outgoing.write(cycle, put)
    outgoing.repeat_note_offs(later)
    outgoing.write(later, put)
    assert written == [down, up, up]


def test_the_pedal_is_booked_and_released_with_the_notes() -> None:
    scheduler = Scheduler()
    scheduler.book([Stroke(0, 10, 4), Stroke(20, 30, 4)])
    assert scheduler.next_due(lambda run: run) == 0
    assert scheduler.due(0.0, lambda run: run) == [ControlChange(0, 4, 64, 127)]
    assert scheduler.release(5.0) == [ControlChange(5.0, 4, 64, 0)]
    assert scheduler.next_due(lambda run: run) is None


def test_a_plan_that_takes_over_drops_the_strokes_of_the_one_before() -> None:
    scheduler = Scheduler()
    scheduler.book([Stroke(0, 10, 4), Stroke(20, 30, 4)])
    scheduler.drop_from(15)
    scheduler.due(10.0, lambda run: run)
    assert scheduler.next_due(lambda run: run) is None


def ends_up(messages: list[ChannelMessage]) -> None:
    assert_whole(messages)
    assert pedals_down(messages) == set()


storms = st.lists(st.tuples(happenings, st.floats(0, 20)), max_size=8)


@given(performances(), st.lists(plans, min_size=1, max_size=3), storms, st.sampled_from([0, 0.3]))
@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
def test_whatever_comes_the_pedal_is_up_in_the_end(
    events: list[Event], answers: Any, storm: list[tuple[Event, float]], delay: float
) -> None:
    presets = [p.model_copy(update={"pedal": "played"}) for p in PRESETS]
    events = [*events, *(at(event, time) for event, time in storm)]
    p = stage.perform(
        events, ask=lambda ask: answers[ask.seed % len(answers)], presets=presets, delay=delay,
        until=1000.0,
    )  # fmt: skip
    ends_up(p.messages)


@given(performances(), st.lists(plans, min_size=1, max_size=3), st.floats(0, 20))
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_quit_at_any_moment_lifts_it(events: list[Event], answers: Any, moment: float) -> None:
    presets = [p.model_copy(update={"pedal": "played"}) for p in PRESETS]
    p = stage.perform(
        [*events, Quit(moment)], ask=lambda ask: answers[ask.seed % len(answers)], presets=presets
    )
    ends_up(p.messages)
