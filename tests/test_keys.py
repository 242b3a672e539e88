"""Scales by name, and the scale that was heard."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pianogen.errors import ConfigError
from pianogen.grid import Measure, Meter
from pianogen.keys import ALL_CLASSES, NAMES, SCALES, Key, heard_scale, parse_scale
from pianogen.metrics import Stretch, estimate_key
from tests.made import C_MAJOR, line
from tests.music import random_measures

CADENCE = [line([60, 64, 67, 72]), line([65, 69, 72, 77]), line([67, 71, 74, 62]), line(C_MAJOR)]


@pytest.mark.parametrize(
    ("text", "scale"),
    [
        ("c major", (0, 2, 4, 5, 7, 9, 11)),
        ("  F#   Minor ", (1, 2, 4, 5, 6, 8, 9, 11)),
        ("a minor", (0, 2, 4, 5, 7, 8, 9, 11)),
        ("a natural minor", (0, 2, 4, 5, 7, 9, 11)),
        ("a harmonic minor", (0, 2, 4, 5, 8, 9, 11)),
        ("b major", (1, 3, 4, 6, 8, 10, 11)),
        ("bb major", (0, 2, 3, 5, 7, 9, 10)),
        ("B♭ major", (0, 2, 3, 5, 7, 9, 10)),
        ("cb lydian", (1, 3, 5, 6, 8, 10, 11)),
        ("d dorian", (0, 2, 4, 5, 7, 9, 11)),
        ("e minor pentatonic", (2, 4, 7, 9, 11)),
        ("c whole tone", (0, 2, 4, 6, 8, 10)),
        ("Chromatic", ALL_CLASSES),
    ],
)
def test_a_scale_is_its_pitch_classes(text: str, scale: tuple[int, ...]) -> None:
    assert parse_scale(text) == scale


@pytest.mark.parametrize("text", ["", "c", "major", "h major", "c## major", "c majorish", "cmajor"])
def test_what_is_no_scale_is_one_line_with_the_names(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_scale(text)
    said = str(caught.value)
    assert repr(text) in said
    assert "'c major'" in said
    assert "\n" not in said
    assert all(name in said for name in (*SCALES, "chromatic"))


@pytest.mark.parametrize("name", SCALES)
@pytest.mark.parametrize("tonic", range(12))
def test_every_scale_holds_its_tonic_and_moves_with_it(name: str, tonic: int) -> None:
    scale = parse_scale(f"{NAMES[tonic]} {name}")
    assert tonic in scale
    assert scale == tuple(sorted((degree + tonic) % 12 for degree in parse_scale(f"c {name}")))


def test_the_scale_of_a_key_is_the_scale_of_its_name() -> None:
    for key in (Key(tonic, is_minor) for tonic in range(12) for is_minor in (False, True)):
        assert parse_scale(str(key)) == tuple(sorted(key.scale))


@pytest.mark.parametrize("up", range(12))
def test_the_scale_heard_moves_with_the_music(up: int) -> None:
    moved = [Measure(notes=tuple(replace(n, pitch=n.pitch + up) for n in m.notes)) for m in CADENCE]
    assert heard_scale(moved) == parse_scale(f"{NAMES[up]} major")


@pytest.mark.parametrize("heard", [[], [Measure()], [line([60, 64, 67]), line([60, 64, 67, 60])]])
def test_of_too_few_notes_no_scale_is_heard(heard: list[Measure]) -> None:
    assert heard_scale(heard) == ALL_CLASSES


@given(st.integers(0, 10**6), st.sampled_from([Meter(4, 4), Meter(3, 4)]))
def test_the_key_heard_is_the_key_that_figures_are_told_by(seed: int, meter: Meter) -> None:
    measures = random_measures(3, seed, meter)
    key = estimate_key(Stretch.of(measures))
    assert key is not None
    assert heard_scale(measures) == tuple(sorted(key.scale))
