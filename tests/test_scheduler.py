"""Booked notes: in time, each with its end, never too many, and the rules for what is late."""

from __future__ import annotations

from typing import Any

from bridge.events import ControlChange, NoteOff, NoteOn
from bridge.scheduler import Booking, Scheduler
from bridge.voice import bookings, folded
from pianogen.grid import Measure, Note
from tests.stage import preset

TICK = 0.01  # seconds


def time_of(run: float) -> float:
    return run * TICK


def booked(*notes: tuple[float, float, int], polyphony: int = 6, **more: Any) -> Scheduler:
    scheduler = Scheduler(polyphony)
    scheduler.book(Booking(start, end, 0, pitch, 80, **more) for start, end, pitch in notes)
    return scheduler


def due(scheduler: Scheduler, now: float) -> list[tuple[str, float, int]]:
    return [
        ("on" if isinstance(m, NoteOn) else "off", round(m.time, 6), m.pitch)
        for m in scheduler.due(now, time_of)
        if isinstance(m, NoteOn | NoteOff)
    ]


def test_a_note_is_sent_when_due_with_its_off_to_follow() -> None:
    scheduler = booked((10, 20, 60))
    assert due(scheduler, 0.09) == []
    assert scheduler.next_due(time_of) == 0.10
    assert due(scheduler, 0.10) == [("on", 0.10, 60)]
    assert scheduler.next_due(time_of) == 0.20
    assert due(scheduler, 0.21) == [("off", 0.20, 60)]
    assert scheduler.next_due(time_of) is None


def test_a_tempo_change_moves_what_is_booked() -> None:
    assert booked((10, 20, 60)).next_due(lambda run: run * 0.02) == 0.2


def test_at_one_tick_the_off_goes_before_the_on() -> None:
    scheduler = booked((0, 10, 60), (10, 20, 60), (10, 20, 72))
    assert due(scheduler, 0.0) == [("on", 0.0, 60)]
    assert due(scheduler, 0.1) == [("off", 0.1, 60), ("on", 0.1, 60), ("on", 0.1, 72)]


def test_a_pitch_struck_again_while_it_sounds_is_ended_first() -> None:
    scheduler = booked((0, 30, 60), (10, 20, 60))
    due(scheduler, 0.0)
    assert due(scheduler, 0.1) == [("off", 0.1, 60), ("on", 0.1, 60)]
    assert due(scheduler, 0.4) == [("off", 0.2, 60)]


def test_the_oldest_gives_way() -> None:
    scheduler = booked((0, 90, 60), (10, 90, 64), (20, 90, 67), polyphony=2)
    due(scheduler, 0.0)
    due(scheduler, 0.1)
    assert due(scheduler, 0.2) == [("off", 0.2, 60), ("on", 0.2, 67)]
    assert scheduler.sounding == (64, 67)


def test_a_chord_that_is_too_thick_loses_its_last_notes_not_its_first() -> None:
    scheduler = booked((0, 9, 72), (0, 9, 67), (0, 9, 64), polyphony=2)
    assert due(scheduler, 0.0) == [("on", 0.0, 72), ("on", 0.0, 67)]
    assert scheduler.dropped == 1


def test_a_note_too_late_is_dropped_with_its_off_and_counted() -> None:
    scheduler = booked((0, 10, 60), (3, 10, 64), limit_s=0.030)
    assert due(scheduler, 0.05) == [("on", 0.03, 64)]
    assert (scheduler.sent, scheduler.dropped, scheduler.late) == (1, 1, 1)


def test_a_note_off_is_sent_however_late() -> None:
    scheduler = booked((0, 10, 60))
    due(scheduler, 0.0)
    assert due(scheduler, 99.0) == [("off", 0.10, 60)]


def test_latency_sends_earlier() -> None:
    scheduler = booked((10, 20, 60), latency_s=0.04)
    assert due(scheduler, 0.061) == [("on", 0.06, 60)]
    assert due(scheduler, 0.161) == [("off", 0.16, 60)]


def test_release_ends_what_sounds_and_drops_what_is_booked() -> None:
    scheduler = booked((0, 50, 60), (20, 50, 64))
    due(scheduler, 0.0)
    assert scheduler.release(0.1) == [NoteOff(0.1, 0, 60)]
    assert scheduler.release(0.1) == []
    assert due(scheduler, 9.0) == []
    assert scheduler.dropped == 1


def test_panic_releases_then_silences_its_channel() -> None:
    scheduler = booked((0, 50, 60))
    due(scheduler, 0.0)
    assert scheduler.panic(0.1, 0) == [
        NoteOff(0.1, 0, 60),
        ControlChange(0.1, 0, 64, 0),
        ControlChange(0.1, 0, 120, 0),
        ControlChange(0.1, 0, 123, 0),
    ]


# How a plan sounds.


def test_a_preset_gives_channel_octave_and_loudness() -> None:
    plan = Measure(notes=(Note(8, 60, 20, 4),))
    loud = preset(channel=3, octave_shift=1, velocity_scale=2.0)
    (booking,) = bookings(plan, 96, loud, 0.02)
    assert booking == Booking(120, 132, 2, 72, 127, 0.02, 0.030)


def test_a_pitch_out_of_range_is_folded_by_octaves() -> None:
    assert [folded(pitch) for pitch in (-13, -1, 0, 127, 128, 150)] == [11, 11, 0, 127, 116, 126]


def test_two_octaves_folded_into_one_are_one_note() -> None:
    plan = Measure(notes=(Note(0, 108, 20, 4), Note(0, 120, 20, 8)))
    notes = bookings(plan, 0, preset(octave_shift=1), 0.0)
    assert [(note.pitch, note.end) for note in notes] == [(120, 24)]
