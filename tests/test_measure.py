"""The performer's notes on the grid: by time, to the nearest step, with keys and pedal."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bridge.measure import Hearing, step_of
from pianogen.grid import Meter, Note


class Keys:
    """A hearing on channel 0, played at positions in ticks; velocity 80 is bin 20."""

    def __init__(self, meter: str = "4/4") -> None:
        self.hearing = Hearing(Meter.parse(meter))

    def down(self, run: float | None, pitch: int = 60, time: float = 0.0) -> int | None:
        return self.hearing.note_on(channel=0, pitch=pitch, velocity=80, time=time, run=run)

    def up(self, run: float | None, pitch: int = 60) -> None:
        self.hearing.note_off(channel=0, pitch=pitch, run=run)

    def pedal(self, run: float, is_down: bool) -> None:
        self.hearing.pedal(channel=0, is_down=is_down, run=run)

    def notes(self, measure: int, now: float = 1000) -> list[tuple[int, int, int]]:
        """(onset, pitch, duration) in steps."""
        return [(n.onset, n.pitch, n.duration) for n in self.hearing.notes(measure, now)]


def test_a_note_goes_to_the_nearest_step() -> None:
    keys = Keys()
    for run in (0, 13.4, 13.6, 23.9):  # the last comes before its tick
        keys.down(run)
        keys.up(run + 6)
    assert [onset for onset, _, _ in keys.notes(0)] == [0, 4, 5, 8]


def test_the_last_half_step_belongs_to_the_next_measure() -> None:
    keys = Keys()
    assert keys.down(94.4, 60) == 0
    assert keys.down(94.5, 62) == 1
    assert (keys.notes(0, 96), keys.notes(1, 99)) == ([(31, 60, 1)], [(0, 62, 1)])


@given(st.floats(-1000, 100_000))
def test_the_nearest_step_is_at_most_half_a_step_away(run: float) -> None:
    assert abs(3 * step_of(run) - run) <= 1.5 + 1e-6


def test_velocity_becomes_its_bin() -> None:
    keys = Keys()
    keys.down(0)
    assert keys.hearing.notes(0, 3) == (Note(0, 60, 20, 1),)


def test_a_held_key_is_as_long_as_known_and_is_corrected_later() -> None:
    keys = Keys()
    keys.down(48)
    assert keys.notes(0, now=48) == [(16, 60, 1)]
    assert keys.notes(0, now=96) == [(16, 60, 16)]
    assert keys.hearing.is_playing
    keys.up(120)
    assert keys.notes(0, now=400) == [(16, 60, 24)]
    assert keys.hearing.quiet_since(130) == 120


def test_the_pedal_holds_notes_until_it_comes_up() -> None:
    keys = Keys()
    keys.pedal(0, True)
    keys.down(0)
    keys.up(6)
    assert keys.hearing.is_playing
    keys.pedal(24, False)
    assert keys.notes(0) == [(0, 60, 8)]
    assert not keys.hearing.is_playing


def test_the_pedal_coming_up_leaves_keys_that_are_down() -> None:
    keys = Keys()
    keys.pedal(0, True)
    keys.down(0)
    keys.pedal(12, False)
    keys.up(24)
    assert keys.notes(0) == [(0, 60, 8)]


def test_striking_a_pitch_again_ends_it_with_and_without_pedal() -> None:
    keys = Keys()
    keys.pedal(0, True)
    keys.down(0)
    keys.up(6)
    keys.down(12)
    keys.down(24)  # no note-off between
    assert keys.notes(0, now=30) == [(0, 60, 4), (4, 60, 4), (8, 60, 2)]


def test_a_note_off_without_its_note_on_is_nothing() -> None:
    keys = Keys()
    keys.up(3)
    keys.pedal(4, False)
    assert keys.notes(0) == []


def test_keys_struck_while_nothing_rolls_have_no_place() -> None:
    keys = Keys()
    assert keys.down(None) is None
    assert keys.hearing.is_playing
    keys.up(None)
    assert not keys.hearing.is_playing


def test_keys_struck_just_before_a_take_are_its_first_notes_and_older_ones_are_not() -> None:
    keys = Keys()
    keys.down(None, 48, time=1.0)
    keys.down(None, 60, time=4.99)
    assert keys.hearing.begin(96.0, since=4.97) == [1]
    keys.up(120, 48)
    keys.up(120, 60)
    assert keys.notes(1) == [(0, 60, 8)]


def test_a_note_rounded_into_the_take_before_moves_to_the_new_one() -> None:
    keys = Keys()
    keys.down(40, 48, time=1.0)
    keys.down(95, 60, time=4.99)
    keys.hearing.halt(96)
    keys.hearing.begin(288.0, since=4.97)
    keys.up(312, 48)
    keys.up(312, 60)
    assert (keys.notes(0), keys.notes(1)) == ([(13, 48, 19)], [])
    assert keys.notes(3) == [(0, 60, 8)]


def test_other_meters_have_other_measures() -> None:
    keys = Keys("3/4")
    assert [keys.down(run) for run in (0, 71, 72)] == [0, 1, 1]


def test_all_notes_off_ends_the_channel() -> None:
    keys = Keys()
    keys.pedal(0, True)
    keys.down(0, 60)
    keys.up(3, 60)
    keys.down(0, 64)
    keys.hearing.silence(channel=1, run=6)
    assert keys.hearing.is_playing
    keys.hearing.silence(channel=0, run=12)
    assert not keys.hearing.is_playing
    assert keys.notes(0) == [(0, 60, 4), (0, 64, 4)]
