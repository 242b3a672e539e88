"""The echo guard: what the bridge sent does not move it again; what the player plays does."""

from __future__ import annotations

from collections.abc import Iterable
from heapq import heappop, heappush
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.echo import KNOWN, EchoGuard
from bridge.events import (
    Ask,
    ControlChange,
    Event,
    ModelReady,
    NoteOff,
    NoteOn,
    Other,
    OutputDelay,
    Planned,
    Quit,
    Send,
    Wake,
)
from bridge.session import Session, Settings
from tests.stage import BEGIN, FOUR, assert_whole, clock, play, preset, seconds
from tests.test_invariants import at

PLAYED = "| c4 d4 e4 - |"


class Loop:
    """A DAW that sends what it gets back into the bridge, `latency` seconds later, once or more."""

    def __init__(
        self, events: Iterable[Event], latency: float, *, copies: int = 1, **values: Any
    ) -> None:
        self.session = Session([preset(**values)], Settings())
        self.sent: list[Any] = []
        self._latency, self._copies, self._serial = latency, copies, 0
        self._queue: list[tuple[float, int, Event]] = []
        for event in events:
            self._push(event.time, event)

    def run(self, until: float) -> Loop:
        self._handle(ModelReady(0.0))
        while True:
            due = self.session.next_deadline()
            coming = self._queue[0][0] if self._queue else float("inf")
            if min(coming, due if due is not None else float("inf")) > until:
                return self
            if due is not None and due < coming:
                self._handle(Wake(due))
            else:
                self._handle(heappop(self._queue)[2])

    def _handle(self, event: Event) -> None:
        for action in self.session.handle(event):
            match action:
                case Send(message):
                    self.sent.append(message)
                    back = max(message.time, event.time) + self._latency
                    for _ in range(self._copies):
                        self._push(back, at(message, back))
                case Ask():
                    self._push(event.time, Planned(event.time, action.plan_id, FOUR))
                case _:
                    pass

    def _push(self, time: float, event: Event) -> None:
        self._serial += 1
        heappush(self._queue, (time, self._serial, event))


def notes(messages: Iterable[Any]) -> list[int]:
    return [m.pitch for m in messages if isinstance(m, NoteOn)]


@pytest.mark.parametrize("latency", [0.0, 0.001, 0.012, 0.029])
@pytest.mark.parametrize("thru", ["off", "on", "listening"])
def test_a_daw_that_sends_everything_back_changes_nothing(latency: float, thru: Any) -> None:
    looped = Loop(clock(12) + play(PLAYED), latency, thru=thru).run(BEGIN + seconds(11.9))
    straight = Loop(clock(12) + play(PLAYED), latency, copies=0, thru=thru)
    straight.run(BEGIN + seconds(11.9))
    assert looped.sent == straight.sent
    assert looped.session.status().notes_heard == 3


def test_the_port_that_lets_messages_out_later_is_allowed_for() -> None:
    events = [OutputDelay(0.0, 0.010), *clock(12), *play(PLAYED)]
    looped = Loop(events, 0.039).run(BEGIN + seconds(11.9))
    assert looped.session.status().notes_heard == 3


def test_what_comes_back_much_later_is_played() -> None:
    looped = Loop(clock(16) + play(PLAYED), 0.3).run(BEGIN + seconds(15))
    assert looped.session.status().notes_heard > 3


def test_a_wheel_turned_fast_does_not_go_round_and_round() -> None:
    turned: list[Event] = [
        Other(1.0 + n / 500, 0, 0xE0, bytes((n % 128, 64 + n // 128))) for n in range(400)
    ]
    looped = Loop(turned, 0.011, thru="on").run(5.0)
    assert len(looped.sent) <= 400 + KNOWN * 2
    assert max(message.time for message in looped.sent) < 1.9


@pytest.mark.parametrize("copies", [2, 3])
def test_several_tracks_that_send_it_back_do_not_keep_it_going_either(copies: int) -> None:
    played: list[Event] = [*play("| c4 d4 e4 f4 " * 4 + "|", begin=1.0)]
    played += [ControlChange(1.0 + n / 100, 0, 1, n % 128) for n in range(400)]
    loop = Loop(played, 0.008, copies=copies, thru="on", mode="off").run(20.0)
    assert max(message.time for message in loop.sent) < max(e.time for e in played) + 0.1
    assert len(loop.sent) < len(played) + 8 * copies


def test_a_note_of_another_velocity_at_the_same_moment_is_heard() -> None:
    guard = EchoGuard()
    guard.sent(NoteOn(1.0, 0, 60, 80), 1.0)
    assert not guard.is_echo(NoteOn(1.005, 0, 60, 81))
    assert not guard.is_echo(NoteOn(1.005, 1, 60, 80))
    assert guard.is_echo(NoteOn(1.005, 0, 60, 80))
    assert not guard.is_echo(NoteOn(1.006, 0, 60, 80))  # once for each time it was sent


def test_an_echo_comes_within_its_time_and_not_before_its_message() -> None:
    guard = EchoGuard()
    guard.sent(NoteOn(1.0, 0, 60, 80), 1.0)
    assert not guard.is_echo(NoteOn(0.99, 0, 60, 80))
    assert guard.is_echo(NoteOn(1.030, 0, 60, 80))
    guard.sent(NoteOn(2.0, 0, 60, 80), 2.0)
    assert not guard.is_echo(NoteOn(2.031, 0, 60, 80))


def test_a_note_off_is_let_through_until_a_loop_is_known() -> None:
    guard = EchoGuard()
    guard.sent(NoteOff(1.0, 0, 60, 64), 1.0)
    assert not guard.is_echo(NoteOff(1.01, 0, 60))
    for n in range(KNOWN):
        guard.sent(NoteOn(1.02, 0, 70 + n, 80), 1.02)
        assert guard.is_echo(NoteOn(1.03, 0, 70 + n, 80))
    guard.sent(NoteOff(1.04, 0, 60, 64), 1.04)
    assert guard.is_echo(NoteOff(1.05, 0, 60))


def test_one_note_that_does_not_come_back_says_that_there_is_no_loop() -> None:
    guard = EchoGuard()
    for n in range(KNOWN + 1):
        guard.sent(NoteOn(1.0, 0, 60 + n, 80), 1.0)
        assert guard.is_echo(NoteOn(1.01, 0, 60 + n, 80))
    guard.sent(NoteOn(2.0, 0, 60, 80), 2.0)
    guard.sent(NoteOff(2.1, 0, 60), 2.1)
    assert not guard.is_echo(NoteOff(2.11, 0, 60))


def test_without_a_loop_a_wheel_that_swings_to_and_fro_ends_where_the_hand_leaves_it() -> None:
    values = [64, 65, 64, 70, 64, 63, 64]
    turned: list[Event] = [
        ControlChange(1.0 + n / 250, 0, 1, value) for n, value in enumerate(values)
    ]
    straight = Loop(turned, 0.0, copies=0, thru="on").run(3.0)
    assert straight.sent == turned


def test_what_was_sent_by_the_bridge_is_no_control() -> None:
    guard = EchoGuard()
    guard.sent(ControlChange(1.0, 0, 21, 127), 1.0)
    assert guard.is_echo(ControlChange(1.01, 0, 21, 127))
    assert not guard.is_echo(ControlChange(1.02, 0, 21, 0))


def test_it_forgets_what_does_not_come_back() -> None:
    guard = EchoGuard()
    for n in range(20_000):
        guard.sent(NoteOn(0.0, n % 16, n % 128, 1 + n % 127), n * 1e-6)
    assert sum(map(len, guard._sent.values())) <= 4097
    guard.sent(NoteOn(9.0, 0, 0, 1), 9.0)
    assert sum(map(len, guard._sent.values())) == 1


chords = st.lists(
    st.tuples(st.floats(0, 5), st.integers(60, 64), st.integers(1, 127), st.floats(0.05, 1)),
    max_size=20,
)


@given(chords, st.floats(0, 0.029), st.sampled_from(["off", "on"]))
@settings(max_examples=60, deadline=None)
def test_in_a_loop_every_note_of_the_player_is_heard_and_none_goes_round(
    drawn: list[tuple[float, int, int, float]], latency: float, thru: Any
) -> None:
    played: list[Event] = []
    velocities: set[tuple[int, int]] = set()
    for start, pitch, velocity, length in drawn:
        if (pitch, velocity) not in velocities:  # nobody strikes twice so soon and just as hard
            velocities.add((pitch, velocity))
            played += [NoteOn(1 + start, 0, pitch, velocity), NoteOff(1 + start + length, 0, pitch)]
    loop = Loop(played, latency, thru=thru, mode="off").run(20.0)
    assert loop.session.status().notes_heard == len(velocities)
    assert len(notes(loop.sent)) == (len(velocities) if thru == "on" else 0)
    assert len(loop.sent) <= len(played) * 2


@given(chords, st.floats(0, 0.029), st.sampled_from(["off", "listening", "on"]), st.integers(1, 2))
@settings(max_examples=40, deadline=None)
def test_in_a_loop_a_duet_hears_the_player_alone_and_ends_whole(
    drawn: list[tuple[float, int, int, float]], latency: float, thru: Any, copies: int
) -> None:
    played: list[Event] = []
    for n, (start, pitch, _, length) in enumerate(drawn):  # FOUR has another velocity: 82
        played += [NoteOn(BEGIN + start, 0, pitch + 24, n + 1)]
        played += [NoteOff(BEGIN + start + length, 0, pitch + 24)]
    events = [*clock(16), *played, Quit(BEGIN + 7.9)]
    loop = Loop(events, latency, copies=copies, thru=thru, mode="duet", pedal="played").run(30.0)
    assert_whole(loop.sent)
    heard = loop.session.status().notes_heard
    assert len(drawn) <= heard <= len(drawn) + KNOWN * (copies - 1)
