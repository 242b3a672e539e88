"""Thru: what the player sends comes out again, well formed whoever else plays; places are beats."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.control_map import DEFAULT_BINDINGS
from bridge.events import (
    ControlChange,
    Event,
    NoteOff,
    NoteOn,
    Other,
    ProgramChange,
    Quit,
    Send,
    Stop,
)
from bridge.sounding import Owner, Sounding
from bridge.thru import Thru
from pianogen.grid import Measure, Note
from tests import stage
from tests.stage import BEGIN, Performance, assert_whole, measure, play, preset, seconds
from tests.test_invariants import PRESETS, at, happenings, performances, plans

THRU = 108
OPEN = preset(thru="on")
NO_CHANGES = tuple(b for b in DEFAULT_BINDINGS if b.source.kind != "program")


def beat(place: float) -> float:
    return BEGIN + seconds(place)


def clock(beats: float) -> list[Event]:
    return stage.clock(beats - 0.25, stops=True)


def perform(events: list[Event], **settings: Any) -> Performance:
    """Nothing after the clock: a key struck then would begin the internal one."""
    return stage.perform(events, until=max(event.time for event in events), **settings)


def key(place: float, end: float, pitch: int = 60, channel: int = 0) -> list[Event]:
    return [NoteOn(beat(place), channel, pitch, 80), NoteOff(beat(end), channel, pitch)]


# What is passed on.


def test_off_is_the_default_and_passes_nothing() -> None:
    assert perform(key(0, 1)).messages == []


def test_on_passes_on_everything_a_channel_carries_at_once() -> None:
    played: list[Event] = [
        NoteOn(1.0, 0, 60, 80),
        Other(1.1, 0, 0xE0, bytes((5, 70))),
        Other(1.2, 2, 0xD0, bytes((9,))),
        Other(1.3, 2, 0xA0, bytes((60, 9))),
        ControlChange(1.4, 0, 11, 100),
        ControlChange(1.5, 0, 64, 127),
        NoteOff(1.6, 0, 60, 33),
        ProgramChange(1.7, 3, 4),
    ]
    p = perform(played, presets=[OPEN], bindings=NO_CHANGES)
    assert p.messages == played
    sent = [done.time for done in p.done if isinstance(done.action, Send)]
    assert sent == [event.time for event in played]


def test_what_a_control_is_bound_to_is_not_passed_on() -> None:
    bound: list[Event] = [ControlChange(1.0, 0, 23, 90), ProgramChange(1.1, 0, 0)]
    assert perform(bound, presets=[OPEN]).messages == []


def test_the_channel_of_the_preset_is_the_machines_alone() -> None:
    events = clock(8) + key(0, 1, channel=4)
    p = perform(events, presets=[preset(thru="on", channel=3)])
    assert {m.channel for m in p.messages if m.pitch == 60} == {4}
    assert {m.channel for m in p.messages if m.pitch != 60} == {2}


def test_channels_that_are_not_heard_pass_by_while_thru_is_on() -> None:
    events = clock(8) + key(0, 1, channel=4)
    p = perform(events, presets=[OPEN], channel=1)
    assert p.messages == events[-2:]
    assert p.status.notes_heard == 0
    assert perform(events, channel=1).messages == []


def test_while_listening_only_means_while_the_machine_does_not_answer() -> None:
    over = preset(thru="listening", on_interruption="overlap")
    p = perform(clock(16) + play("| c4 - - - |") + key(5, 6, 61) + key(12, 13, 62), presets=[over])
    assert [pitch for _, pitch in p.notes()] == [60, *[84, 86, 88, 89] * 2, 62]
    p.assert_whole()


def test_the_note_that_takes_the_turn_back_is_passed_on_behind_what_it_ends() -> None:
    yields = preset(thru="listening")
    p = perform(clock(12) + play("| c4 - - - |") + key(4.5, 5), presets=[yields])
    ended = NoteOff(beat(4.5), 0, 84)
    assert p.messages[3:6] == [ended, NoteOn(beat(4.5), 0, 60, 80), NoteOff(beat(5), 0, 60)]


def test_a_control_switches_it_at_the_measure_line() -> None:
    events = clock(12) + key(0, 0.5, 60) + key(4.5, 5, 61) + key(8.5, 9, 62)
    events += [ControlChange(beat(1), 0, THRU, 127), ControlChange(beat(6), 0, THRU, 0)]
    p = perform(events, presets=[preset(mode="off")])
    assert p.notes() == [(4.5, 61)]


# What was begun is finished.


@pytest.mark.parametrize("switch", [ControlChange(0, 0, THRU, 0), ProgramChange(0, 0, 1), Stop(0)])
def test_a_note_passed_on_gets_its_note_off_whatever_is_switched_meanwhile(switch: Event) -> None:
    events = [*clock(12), *key(1, 9), at(switch, beat(2))]
    p = perform(events, presets=[preset(mode="off", thru="on"), preset(1)])
    assert p.messages == [NoteOn(beat(1), 0, 60, 80), NoteOff(beat(9), 0, 60)]


@pytest.mark.parametrize("end", [ControlChange(0, 0, 123, 0), ControlChange(0, 0, 109, 127)])
def test_a_panic_ends_what_was_passed_on_and_its_own_note_off_is_no_longer_sent(end: Event) -> None:
    events: list[Event] = [*key(1, 9), at(end, beat(2))]
    p = perform(events, presets=[preset(thru="on", mode="off")])
    assert [m for m in p.messages if isinstance(m, NoteOff)] == [NoteOff(beat(2), 0, 60)]


def test_a_panic_ends_it_though_thru_is_off_by_then() -> None:
    events = [*key(1, 9), ControlChange(beat(2), 0, THRU, 0), ControlChange(beat(5), 0, 123, 0)]
    p = perform([*clock(12), *events], presets=[preset(thru="on", mode="off")])
    assert p.messages == [NoteOn(beat(1), 0, 60, 80), NoteOff(beat(5), 0, 60)]


def test_quit_ends_what_was_passed_on_and_lifts_its_pedal() -> None:
    events: list[Event] = [NoteOn(1.0, 5, 60, 80), ControlChange(1.1, 5, 64, 127), Quit(2.0)]
    p = perform(events, presets=[OPEN])
    assert p.messages[2:4] == [NoteOff(2.0, 5, 60), ControlChange(2.0, 5, 64, 0)]


def test_a_pedal_and_a_wheel_are_followed_until_they_are_at_rest_and_then_no_more() -> None:
    thru = Thru()
    away, middle = (Other(0, 0, 0xE0, bytes(data)) for data in ((0, 80), (0, 64)))
    assert not thru.passes(away, is_open=False)
    assert thru.passes(away, is_open=True)
    assert thru.passes(away, is_open=False)
    assert thru.passes(middle, is_open=False)
    assert not thru.passes(away, is_open=False)
    assert thru.passes(ControlChange(0, 0, 64, 9), is_open=True)
    assert thru.passes(ControlChange(0, 0, 64, 0), is_open=False)
    assert not thru.passes(ControlChange(0, 0, 64, 9), is_open=False)
    assert not thru.passes(ControlChange(0, 0, 7, 0), is_open=False)


# Who owns a key that both strike.


def test_a_key_both_strike_belongs_to_whoever_struck_last() -> None:
    over = preset(thru="on", on_interruption="overlap")
    events = clock(12) + play("| c4 - - - |") + key(4.5, 4.6, 60) + key(6.5, 7.5, 62)
    answer = measure(60, 62, length=12)  # beats 4..5.5 and 5..6.5
    p = perform(events, presets=[over], ask=lambda ask: answer)
    mine = [m for m in p.messages if m.pitch == 60 and m.time > beat(3)]
    assert mine == [
        NoteOn(beat(4), 0, 60, 82),
        NoteOff(beat(4.5), 0, 60),  # struck by the player: ended first
        NoteOn(beat(4.5), 0, 60, 80),
        NoteOff(beat(4.6), 0, 60),  # the player's; the machine's, due at 5.5, is swallowed
    ]
    p.assert_whole()


def test_a_note_off_of_what_one_does_not_own_is_swallowed() -> None:
    sounding = Sounding()
    assert sounding.admit(NoteOn(0, 0, 60, 1), "player") == [NoteOn(0, 0, 60, 1)]
    struck = sounding.admit(NoteOn(1, 0, 60, 2), "machine")
    assert struck == [NoteOff(1, 0, 60), NoteOn(1, 0, 60, 2)]
    assert sounding.admit(NoteOff(2, 0, 60), "player") == []
    assert sounding.admit(NoteOff(3, 0, 60), "machine") == [NoteOff(3, 0, 60)]
    assert sounding.admit(NoteOff(4, 0, 60), "machine") == []


def test_a_pedal_that_both_hold_is_up_when_both_are() -> None:
    sounding = Sounding()

    def tread(value: int, owner: Any) -> list[int]:
        messages = sounding.admit(ControlChange(0, 0, 64, value), owner)
        return [m.value for m in messages if isinstance(m, ControlChange)]

    assert tread(90, "player") == [90]
    assert tread(127, "machine") == [127]
    assert tread(0, "machine") == [90]
    assert tread(127, "machine") == [127]
    assert tread(0, "player") == []
    assert tread(0, "machine") == [0]
    assert tread(0, "player") == [0]  # nobody holds it: passed by as it is


places = st.tuples(st.integers(0, 1), st.integers(60, 62))
owners = st.sampled_from(["machine", "player", "lights"])
strokes = st.one_of(
    st.builds(lambda place, v: NoteOn(0, place[0], place[1], v), places, st.integers(1, 127)),
    st.builds(lambda place: NoteOff(0, place[0], place[1]), places),
    st.builds(ControlChange, st.just(0), st.integers(0, 1), st.sampled_from([64, 120, 121, 123]),
              st.sampled_from([0, 50, 127])),
)  # fmt: skip


@given(st.lists(st.tuples(strokes, owners), max_size=40))
def test_what_goes_out_is_well_formed_whatever_wants_to(wanted: list[tuple[Any, Any]]) -> None:
    sounding = Sounding()
    sent = [m for message, owner in wanted for m in sounding.admit(message, owner)]
    everyone: tuple[Owner, ...] = ("machine", "player", "lights")
    sent += [m for owner in everyone for m in sounding.end(1.0, owner)]
    assert_whole(sent)
    assert pedals_down(sent) == set()


def pedals_down(messages: list[Any]) -> set[int]:
    down: set[int] = set()
    for message in messages:
        if isinstance(message, ControlChange) and message.control in (64, 121):
            is_down = message.control == 64 and message.value > 0
            down = down | {message.channel} if is_down else down - {message.channel}
    return down


others = st.builds(Other, st.just(0.0), st.integers(0, 2), st.just(0xE0), st.just(b"\x00\x50"))
through = st.sampled_from(["off", "listening", "on"])


@given(
    performances(),
    st.lists(plans, min_size=1, max_size=3),
    st.lists(st.tuples(happenings | others, st.floats(0, 20)), max_size=12),
    st.tuples(through, through, through),
    st.floats(0, 25),
)
@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
def test_with_thru_every_note_on_has_its_note_off_and_no_pedal_stays_down(
    events: list[Event],
    answers: Any,
    storm: list[tuple[Event, float]],
    modes: Any,
    end: float,
) -> None:
    presets = [p.model_copy(update={"thru": thru}) for p, thru in zip(PRESETS, modes, strict=True)]
    turned = [ControlChange(time, 0, THRU, 127) for _, time in storm[::2]]
    events = [*events, *(at(event, time) for event, time in storm), *turned, Quit(end)]
    p = stage.perform(events, ask=lambda ask: answers[ask.seed % len(answers)], presets=presets)
    assert_whole(p.messages)
    assert pedals_down(p.messages) == set()


near = st.builds(
    Note, st.integers(0, 31), st.integers(58, 66), st.integers(0, 31), st.integers(1, 40)
)
crowds = st.lists(near, min_size=6, max_size=16).map(lambda drawn: Measure(notes=tuple(drawn)))
hands = st.lists(
    st.tuples(st.floats(0, 16), st.integers(58, 66), st.floats(0.01, 4)), min_size=5, max_size=30
)


@given(hands, crowds, through, st.sampled_from(["none", "played"]), st.floats(1, 24))
@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
def test_both_on_the_same_few_keys_hang_nothing(
    played: Any, answer: Measure, thru: Any, pedal: Any, end: float
) -> None:
    events: list[Event] = [*stage.clock(24), Quit(beat(end))]
    for start, pitch, length in played:
        events += key(start, start + length, pitch)
        events.append(ControlChange(beat(start + length / 2), 0, 64, 127 * (pitch % 2)))
    duet = preset(mode="duet", thru=thru, pedal=pedal)
    p = stage.perform(events, ask=lambda ask: answer, presets=[duet])
    assert_whole(p.messages)
    assert pedals_down(p.messages) == set()


@given(hands)
@settings(max_examples=40, deadline=None)
def test_all_that_is_played_goes_out_while_the_machine_is_silent(played: Any) -> None:
    events: list[Event] = []
    for n, (start, pitch, length) in enumerate(played):  # a key of its own and a velocity each
        events += [NoteOn(beat(start), n % 16, pitch, n + 1)]
        events += [NoteOff(beat(start + length), n % 16, pitch)]
    p = stage.perform(events, presets=[preset(mode="off", thru="on")], until=beat(40))
    assert [m for m in p.messages if isinstance(m, NoteOn)] == sorted(
        (e for e in events if isinstance(e, NoteOn)), key=lambda e: e.time
    )
    assert_whole(p.messages)


def storm(seconds: float, a_second: int, seed: int) -> Iterator[Event]:
    """Keys, pedals, wheels and controls of three channels, anyhow."""
    rng = Random(seed)
    for n in range(round(seconds * a_second)):
        time, channel, pitch = BEGIN + n / a_second, rng.randrange(3), rng.randrange(56, 72)
        match rng.randrange(20):
            case 0:
                yield ControlChange(time, channel, 64, rng.choice((0, 127)))
            case 1:
                yield Other(time, channel, 0xE0, bytes((0, rng.randrange(128))))
            case 2:
                control = rng.choice((1, 20, 21, 22, 105, 106, 107, THRU))
                yield ControlChange(time, channel, control, rng.randrange(128))
            case odd if odd % 2:
                yield NoteOn(time, channel, pitch, rng.randrange(1, 128))
            case _:
                yield NoteOff(time, channel, pitch)


@pytest.mark.parametrize("seed", [0, 1])
def test_in_a_storm_of_all_that_can_be_sent_nothing_hangs(seed: int) -> None:
    modes = ("duet", "answer", "continue", "duet")
    presets = [
        preset(n, mode=mode, thru=thru, pedal="played", channel=1 + n % 3, latency_ms=20 * n,
               on_interruption="overlap")
        for n, (mode, thru) in enumerate(zip(modes, ("on", "listening", "off", "on"), strict=True))
    ]  # fmt: skip
    answer = Measure(notes=tuple(Note(n, 56 + 5 * n % 16, n, 5 + n) for n in range(24)))
    events = [*stage.clock(12), *storm(6.0, 2000, seed), Quit(beat(12))]
    p = stage.perform(events, ask=lambda ask: answer, presets=presets)
    assert p.status.notes_sent > 0
    assert_whole(p.messages)
    assert pedals_down(p.messages) == set()
