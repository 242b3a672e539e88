"""A melody as symbols: written, read, and made of measures and back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pianogen.errors import ConfigError
from pianogen.families.symbols import (
    END,
    HOLD,
    REST,
    cells_of,
    inputs_of,
    is_ended,
    measures_of,
    read,
    sounding_at,
    symbols_of,
    top_lines,
    written,
)
from pianogen.grid import KEYS, Measure, Meter, Note
from tests.made import measure
from tests.music import as_window, random_measures

WORDS = [*map(str, range(21, 109)), "_", "r"]
METERS = [Meter(4, 4), Meter(3, 4), Meter(6, 8), Meter(7, 8), Meter(3, 32), Meter(1, 32)]
PUBLISHED = "60 _ 62 _ 64 _ 65 _ 67 _ _ 69 71 _ 72 _ _"

words = st.lists(st.sampled_from(WORDS), max_size=40)
meters = st.sampled_from(METERS)


@st.composite
def melodies(draw: st.DrawFn) -> tuple[list[int], Meter]:
    """Symbols of whole measures as `symbols_of` says them: a rest begins only after a note."""
    meter = draw(meters)
    count = cells_of(meter.steps) * draw(st.integers(1, 4))
    symbols, standing = [], END
    for _ in range(count):
        symbol = draw(st.sampled_from([60, 64, 40, HOLD, REST]))
        if symbol == HOLD and standing == END:
            symbol = REST  # nothing to hold
        elif symbol == REST and standing == REST:
            symbol = HOLD  # the rest goes on
        standing = standing if symbol == HOLD else symbol
        symbols.append(symbol)
    return symbols, meter


@given(st.sampled_from(WORDS).filter(lambda word: word != "_"), words)
def test_what_is_read_is_written_as_it_was(first: str, rest: list[str]) -> None:
    text = " ".join([first, *rest])
    assert written(read(text)) == text


def test_a_pitch_is_a_key_and_an_end_is_left_off() -> None:
    assert read("21 _ r 108 /") == (0, HOLD, REST, 87)
    assert is_ended("60 _ /")
    assert not is_ended("60 _")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("60 _ 6O", "word 3 is '6O'"),
        ("60 109", "word 2 is '109'"),
        ("60 -62", "word 2 is '-62'"),
        ("60 / 62", "word 2 is '/', which ends it"),
        ("_ 60", "word 1 is '_', which has nothing to hold"),
        ("", "no notes"),
        ("/", "no notes"),
    ],
)
def test_what_cannot_be_read_says_which_word_and_why(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=r"^the melody") as error:
        read(text)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_a_typed_melody_fills_measures() -> None:
    first, second = measures_of(read(PUBLISHED), Meter())
    assert [(n.onset, n.pitch, n.duration) for n in first.notes] == [
        (0, 60, 4), (4, 62, 4), (8, 64, 4), (12, 65, 4), (16, 67, 6), (22, 69, 2), (24, 71, 4),
        (28, 72, 6),
    ]  # fmt: skip
    assert second.is_silent


def test_an_odd_measure_ends_with_half_a_symbol() -> None:
    music = measures_of(read("60 _ 62 64 65 _"), Meter(7, 32))  # 7 steps, 4 symbols
    assert [[(n.onset, n.duration) for n in m.notes] for m in music] == [[(0, 4), (4, 2), (6, 1)],
                                                                         [(0, 4)]]  # fmt: skip


@given(melodies())
def test_symbols_of_measures_of_symbols_are_the_same(melody: tuple[list[int], Meter]) -> None:
    symbols, meter = melody
    assert symbols_of(measures_of(symbols, meter)).tolist() == symbols


@given(st.integers(0, 30), meters)
def test_a_top_line_is_one_note_at_a_time_and_of_what_was_played(seed: int, meter: Meter) -> None:
    music = random_measures(4, seed, meter)
    line = measures_of(symbols_of(music).tolist(), meter)
    ends = 0
    for number, (heard, kept) in enumerate(zip(music, line, strict=True)):
        struck = {(note.onset // 2, note.pitch) for note in heard.notes}
        for note in kept.notes:
            assert (note.onset // 2, note.pitch) in struck
            assert number * meter.steps + note.onset >= ends
            ends = number * meter.steps + note.onset + note.duration


def test_the_highest_that_sounds_is_the_line_where_it_begins() -> None:
    music = [
        measure([(0, 60, 9, 24), (0, 48, 9, 32), (6, 72, 9, 4), (12, 55, 9, 2), (28, 50, 9, 2)])
    ]
    assert written(symbols_of(music).tolist()) == "60 _ _ 72 _ r _ _ _ _ _ _ _ _ 50 r"


def test_a_note_is_struck_again_and_rings_over_the_line() -> None:
    music = [measure([(0, 60, 9, 8), (8, 60, 9, 40)]), measure([(8, 52, 9, 2)])]
    expected = "60 _ _ _ 60" + " _" * 11 + " _ _ _ _ _ _ _ _ r" + " _" * 7
    assert written(symbols_of(music).tolist()) == expected


def test_silence_is_one_rest() -> None:
    assert written(symbols_of([Measure(Meter(1, 4)), Measure(Meter(1, 4))]).tolist()) == (
        "r _ _ _ _ _ _ _"
    )


def test_pitches_beyond_the_piano_are_heard_as_their_octave() -> None:
    music = [Measure(Meter(1, 8), (Note(0, 127, 9, 4),)), Measure(Meter(1, 8), (Note(0, 0, 9, 4),))]
    assert written(symbols_of(music).tolist()) == "103 _ 24 _"


def test_windows_of_a_batch_are_told_as_measures_are() -> None:
    music = random_measures(5, 7)
    notes = as_window(music)
    columns = (notes.window, notes.time, notes.key, notes.duration)
    window, time, key, duration = (column.numpy() for column in columns)
    both = top_lines(
        np.concatenate([window, window + 1]), np.tile(time, 2), np.tile(key, 2),
        np.tile(duration, 2), (2, 5, 32),
    )  # fmt: skip
    assert both[0].tolist() == both[1].tolist() == symbols_of(music).tolist()


def test_what_is_given_with_a_symbol_stood_before_it() -> None:
    symbols = np.array([read("60 _ r 64 65 _ 67 _")])
    given_with = inputs_of(symbols, 4)[0].tolist()
    assert given_with[0] == [END, END, END, END, 0, 4]
    assert given_with[2] == [HOLD, 39, END, END, 2, 4]
    assert given_with[5] == [44, 44, HOLD, END, 1, 4]
    assert given_with[8] == [HOLD, 46, 44, 39, 0, 4]
    assert sounding_at(symbols)[0].tolist() == [39, 39, REST, 43, 44, 44, 46, 46]


@given(st.lists(st.sampled_from([60, 62, HOLD, REST]), min_size=1, max_size=60), st.integers(0, 59))
def test_nothing_given_depends_on_what_is_to_come(symbols: list[int], place: int) -> None:
    one, other = np.array([symbols]), np.array([symbols])
    other[:, place:] = (other[:, place:] + 1) % KEYS
    assert np.array_equal(inputs_of(one, 4)[:, : place + 1], inputs_of(other, 4)[:, : place + 1])
