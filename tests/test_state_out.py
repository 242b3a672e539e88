"""What the session does, as controllers and notes for lights and lanes; places are beats."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.events import ControlChange, Event, NoteOff, NoteOn, ProgramChange, Quit, Send
from bridge.state_out import Light, Lights, StateOut
from pianogen.grid import Meter
from tests import stage
from tests.stage import BEGIN, Performance, assert_whole, clock, play, preset, seconds
from tests.test_invariants import PRESETS, performances, plans

MODE, PRESET, PROGRESS = Light("cc", 14, 9), Light("cc", 15, 9), Light("cc", 3, 9)
ALL = StateOut(MODE, PRESET, PROGRESS)
PHRASE = clock(11.75, stops=True) + play("| c4 d4 - - |")


def perform(events: list[Event], state_out: StateOut = ALL, **settings: Any) -> Performance:
    end = max(event.time for event in events)
    return stage.perform(events, state_out=state_out, until=end, **settings)


def told(p: Performance, light: Light) -> list[tuple[float, int]]:
    return [
        (round((m.time - BEGIN) * 2, 3), m.value)
        for m in p.messages
        if isinstance(m, ControlChange) and (m.control, m.channel) == (light.number, light.channel)
    ]


def test_nothing_is_told_by_default() -> None:
    p = perform(PHRASE, StateOut())
    assert not [m for m in p.messages if isinstance(m, ControlChange)]


def test_the_mode_is_0_listening_64_thinking_127_answering() -> None:
    assert told(perform(PHRASE), MODE) == [(0, 0), (3.938, 64), (4, 127), (8, 0)]


def test_the_preset_is_told_by_its_number_when_it_is_in_force() -> None:
    chosen = ProgramChange(BEGIN + seconds(5), 0, 7)
    p = perform([*PHRASE, chosen], presets=[preset(), preset(7)])
    assert told(p, PRESET) == [(0, 0), (8, 7)]


def test_how_far_the_measure_is_is_told_at_each_beat() -> None:
    p = perform(PHRASE)
    assert told(p, PROGRESS)[:6] == [(0, 0), (1, 32), (2, 64), (3, 96), (4, 0), (5, 32)]


def test_a_take_that_begins_inside_a_measure_begins_with_the_next_beat() -> None:
    lights = Lights(ALL, Meter())
    lights.aim(96 + 30)
    assert lights.beat == 96 + 48
    assert lights.show_beat(96 + 48, 1.0) == [ControlChange(1.0, 9, 3, 64)]
    assert lights.beat == 96 + 72


def test_beats_that_were_missed_are_not_told_afterwards() -> None:
    lights = Lights(ALL, Meter())
    lights.aim(0)
    assert lights.show_beat(5 * 96 + 50, 1.0) == [ControlChange(1.0, 9, 3, 64)]
    assert lights.beat == 5 * 96 + 72


@pytest.mark.parametrize(
    ("meter", "values"),
    [(Meter(3, 4), [0, 42, 85]), (Meter(6, 8), [0, 42, 85]), (Meter(7, 8), [0, 36, 73, 109])],
)
def test_every_measure_line_is_0_whatever_the_meter(meter: Meter, values: list[int]) -> None:
    p = perform(clock(12, stops=True), meter=meter)
    shown = [value for _, value in told(p, PROGRESS)]
    assert shown[: 2 * len(values)] == values * 2


def test_notes_due_at_the_same_time_go_first() -> None:
    at_line = [m for m in perform(PHRASE).messages if abs(m.time - BEGIN - seconds(4)) < 1e-6]
    assert [type(m) for m in at_line] == [NoteOn, ControlChange, ControlChange]


def test_as_a_note_it_is_lit_by_its_velocity_and_put_out_in_the_end() -> None:
    lit = StateOut(mode=Light("note", 30, 15))
    quits = [e for e in PHRASE if e.time < BEGIN + seconds(5)] + [Quit(BEGIN + seconds(5))]
    p = perform(quits, lit)
    notes = [m for m in p.messages if m.channel == 15]
    assert [(type(m), getattr(m, "velocity", 0)) for m in notes] == [
        (NoteOn, 64), (NoteOff, 0), (NoteOn, 127), (NoteOff, 0),
    ]  # fmt: skip
    p.assert_whole()


def test_at_the_end_mode_and_place_are_nothing() -> None:
    events = [e for e in PHRASE if e.time < BEGIN + seconds(5.5)] + [Quit(BEGIN + seconds(5.5))]
    p = perform(events)
    assert told(p, MODE)[-1] == (5.5, 0)
    assert told(p, PROGRESS)[-1] == (5.5, 0)


def test_what_is_told_moves_no_control_when_it_comes_back() -> None:
    on_a_control = StateOut(mode=Light("cc", 21, 0))  # CC 21 is the mode's control
    lights = [ControlChange(BEGIN + seconds(4) + 0.01, 0, 21, 127)]
    p = perform([*PHRASE, *lights], on_a_control)
    assert p.status.play_mode == "answer"
    without = perform([*PHRASE, *lights], StateOut())
    assert without.status.play_mode == "off"


@given(performances(), st.lists(plans, min_size=1, max_size=2), st.floats(0, 25))
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_lights_change_nothing_of_the_music_and_are_only_told_what_changes(
    events: list[Event], answers: Any, end: float
) -> None:
    def sent(state_out: StateOut) -> list[Any]:
        p = stage.perform(
            [*events, Quit(end)], ask=lambda ask: answers[ask.seed % len(answers)],
            presets=PRESETS, state_out=state_out,
        )  # fmt: skip
        assert_whole(p.messages)
        return [(d.time, d.action.message) for d in p.done if isinstance(d.action, Send)]

    lit = sent(ALL)
    assert [s for s in lit if s[1].channel != 9] == sent(StateOut())
    for light in (MODE, PRESET, PROGRESS):
        values = [m.value for _, m in lit if m.channel == 9 and m.control == light.number]
        assert all(a != b for a, b in pairwise(values))
