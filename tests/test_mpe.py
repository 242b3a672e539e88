"""Notes each on a channel of its own, as MPE has them, and ordinary channels beside one another."""

from __future__ import annotations

from typing import TypeAlias

from bridge.events import ControlChange, Event, NoteOff, NoteOn, Other
from bridge.measure import Hearing
from pianogen.grid import Meter
from tests.stage import BEGIN, clock, perform, preset, seconds

MASTER, OTHER_MASTER = 0, 15

Played: TypeAlias = list[tuple[int, int, object]]  # step, channel, and what: see `heard`


def heard(events: Played) -> list[tuple[int, int, int]]:
    """Onset, pitch and duration of what is heard, in steps.

    What is played: a pitch goes down, -pitch comes up, True and False are the pedal's ways.
    """
    hearing = Hearing(Meter())
    for step, channel, what in events:
        run = 3.0 * step
        if isinstance(what, bool):
            hearing.pedal(channel=channel, is_down=what, run=run)
        elif isinstance(what, int) and what > 0:
            hearing.note_on(channel=channel, pitch=what, velocity=80, time=0.0, run=run)
        elif isinstance(what, int):
            hearing.note_off(channel=channel, pitch=-what, run=run)
    return sorted((n.onset, n.pitch, n.duration) for n in hearing.notes(0, 31 * 3.0))


def test_one_pitch_on_two_channels_is_two_notes() -> None:
    played: Played = [(0, 1, 60), (4, 2, 60), (8, 1, -60), (12, 2, -60)]
    assert heard(played) == [(0, 60, 8), (4, 60, 8)]


def test_the_masters_pedal_holds_the_notes_of_all_channels() -> None:
    for master in (MASTER, OTHER_MASTER):
        played: Played = [
            (0, master, True), (0, 1, 60), (2, 2, 64), (4, 1, -60), (6, 2, -64),
            (16, master, False),
        ]  # fmt: skip
        assert heard(played) == [(0, 60, 16), (2, 64, 14)]


def test_a_key_still_down_is_not_ended_by_the_masters_pedal_coming_up() -> None:
    played: Played = [
        (0, MASTER, True), (0, 1, 60), (8, MASTER, False), (12, 1, -60),
    ]  # fmt: skip
    assert heard(played) == [(0, 60, 12)]


def test_an_ordinary_channels_pedal_holds_its_own_notes_alone() -> None:
    played: Played = [
        (0, 0, 48), (0, 1, 60), (1, 0, True), (4, 0, -48), (4, 1, -60), (16, 0, False),
    ]  # fmt: skip
    assert heard(played) == [(0, 48, 16), (0, 60, 4)]
    beside: Played = [
        (0, 4, True), (0, 1, 60), (4, 1, -60), (16, 4, False),
    ]  # fmt: skip
    assert heard(beside) == [(0, 60, 4)]  # channel 5 is no master


def test_a_member_channels_own_pedal_counts_beside_the_masters() -> None:
    played: Played = [
        (0, MASTER, True), (0, 1, True), (0, 1, 60), (4, 1, -60), (8, MASTER, False),
        (12, 1, False),
    ]  # fmt: skip
    assert heard(played) == [(0, 60, 12)]


def strum() -> list[Event]:
    """Three notes a beat apart, each on its own channel, bent and pressed."""
    events: list[Event] = []
    for n, pitch in enumerate((60, 64, 67)):
        at, channel = BEGIN + seconds(0.5 * n), n + 1
        events += [
            Other(at - 0.001, channel, 0xE0, bytes((0, 64))),
            NoteOn(at, channel, pitch, 80),
            Other(at + 0.05, channel, 0xD0, bytes((70,))),
            Other(at + 0.1, channel, 0xE0, bytes((0, 70))),
            NoteOff(at + seconds(0.45), channel, pitch),
        ]
    return events


def test_a_phrase_played_on_member_channels_is_answered() -> None:
    p = perform([*clock(8, stops=True), *strum()])
    assert {note.pitch for note in p.asks[-1][1].context[-1].notes} == {60, 64, 67}
    assert [pitch for _, pitch in p.notes()] == [84, 86, 88, 89]


def test_thru_passes_it_on_channel_by_channel() -> None:
    pedal: list[Event] = [
        ControlChange(BEGIN, MASTER, 64, 127),
        ControlChange(BEGIN + 1, MASTER, 64, 0),
    ]
    events = sorted([*strum(), *pedal], key=lambda event: event.time)
    p = perform([*clock(4, stops=True), *events], presets=[preset(thru="on", mode="off")])
    assert p.messages == events
