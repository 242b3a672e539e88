import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pianogen.errors import ConfigError
from pianogen.grid import Measure, Meter, Note
from pianogen.sampling import Sampling, limit_polyphony, measure_seed

notes = st.builds(
    Note,
    onset=st.integers(0, 31),
    pitch=st.integers(55, 66),
    velocity_bin=st.integers(0, 31),
    duration=st.integers(1, 80),
)
measures = st.builds(lambda row: Measure(Meter(), tuple(row)), st.lists(notes, max_size=24))


def spans(music: tuple[Measure, ...]) -> list[tuple[int, int, int]]:
    """Start, end and pitch of every note, in steps from the beginning."""
    return [
        (32 * number + note.onset, 32 * number + note.onset + note.duration, note.pitch)
        for number, measure in enumerate(music)
        for note in measure.notes
    ]


@given(st.lists(measures, min_size=1, max_size=4), st.integers(1, 6))
def test_never_more_notes_than_the_limit_nor_a_pitch_twice(music: list[Measure], most: int) -> None:
    limited = limit_polyphony(music, most)
    for step in range(32 * len(music)):
        sounding = [pitch for start, end, pitch in spans(limited) if start <= step < end]
        assert len(sounding) <= most
        assert len(set(sounding)) == len(sounding)
    assert all(end <= 32 * len(music) for _, end, _ in spans(limited))
    assert limit_polyphony(limited, most) == limited


@given(st.lists(measures, min_size=1, max_size=3))
def test_notes_are_only_shortened_or_left_out(music: list[Measure]) -> None:
    whole = {(start, pitch): end for start, end, pitch in spans(tuple(music))}
    for start, end, pitch in spans(limit_polyphony(music, 3)):
        assert start < end <= whole[start, pitch]


def test_the_oldest_gives_way() -> None:
    music = [Measure(Meter(), (Note(0, 60, 9, 32), Note(4, 64, 9, 28), Note(8, 67, 9, 8)))]
    assert spans(limit_polyphony(music, 2)) == [(0, 8, 60), (4, 32, 64), (8, 16, 67)]


def test_of_a_chord_too_thick_the_lowest_are_left_out() -> None:
    music = [Measure(Meter(), tuple(Note(0, pitch, 9, 4) for pitch in (48, 60, 64, 67)))]
    assert [note.pitch for note in limit_polyphony(music, 3)[0].notes] == [67, 64, 60]


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"temperature": 0}, "temperature must be greater than 0, is 0"),
        ({"temperature": math.inf}, "temperature must be finite, is inf"),
        ({"rhythm_temperature": -1}, "rhythm_temperature must be greater than 0, is -1"),
        ({"max_polyphony": 0}, "max_polyphony must be 1 to 32, is 0"),
        ({"low_pitch": 80, "high_pitch": 60}, "low before high"),
    ],
)
def test_a_setting_out_of_range_is_named(settings: dict[str, float], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        Sampling(**settings)  # type: ignore[arg-type]


def test_measures_of_one_seed_have_seeds_of_their_own() -> None:
    seeds = {measure_seed(seed, number) for seed in range(20) for number in range(20)}
    assert len(seeds) == 400
