"""In a storm of controls nothing is left sounding and no state is half applied (see storm.py)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bridge.events import NoteOn, ProgramChange
from bridge.presets import Preset
from pianogen.grid import bin_to_velocity
from tests.storm import BINS, MODES, PRESETS, Model, Storm, hash_of, logged, weather


@pytest.mark.parametrize("mode", [None, *MODES])
def test_every_note_comes_from_one_whole_state_and_ends(mode: str | None) -> None:
    after = weather(Storm(seconds=10.0, mode=mode, is_repeating=False))
    assert after.wrong == []
    assert after.sounding == 0
    assert (after.notes > 0) is (mode != "off")


def test_what_is_played_again_comes_from_one_whole_state_too() -> None:
    after = weather(Storm(seconds=10.0, seed=1))
    assert (after.wrong, after.sounding) == ([], 0)


def test_the_same_storm_brings_the_same_bytes() -> None:
    storm = Storm(seconds=6.0, seed=2)
    assert weather(storm).digest == weather(storm, is_checked=False).digest
    assert weather(storm).digest != weather(replace(storm, seed=3)).digest


def test_a_storm_is_played_again_from_its_log_to_the_byte() -> None:
    after, is_same = logged(Storm(seconds=5.0, seed=4))
    assert after.events > 25_000
    assert is_same


def first_note(drawn: Preset, voiced: Preset) -> NoteOn:
    """The first of a measure drawn by one preset and voiced by another."""
    velocity = round(bin_to_velocity(BINS[0]) * voiced.velocity_scale)
    return NoteOn(1.0, voiced.channel - 1, 24 + (hash_of(drawn.sampling) & 63), velocity)


def test_the_model_knows_half_a_state_when_it_sees_one() -> None:
    one, other = PRESETS[:2]
    model = Model()
    model.hear(ProgramChange(0.5, 0, other.number))
    for is_repeating in (True, False):
        assert model.wrong_with(first_note(other, other), is_repeating) is None
        assert model.wrong_with(first_note(one, other), is_repeating) is not None
        assert model.wrong_with(first_note(other, one), is_repeating) is not None
    assert model.wrong_with(first_note(one, one), is_repeating=True) is None
    assert model.wrong_with(first_note(one, one), is_repeating=False) is not None  # too old
