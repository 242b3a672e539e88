"""The presets that come with the package: each plays as its line says.

What a preset promises stands in one table: what the player does, and what then is counted in the
machine's notes, by itself, against the player's, or against what the default preset answers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import TypeAlias

import pytest

from bridge.presets import choose_preset, load_presets
from pianogen.keys import parse_scale
from tests.concert import (
    BREAK_IN,
    CALL,
    TAKE_OVER,
    TOGETHER,
    TRADE,
    Figure,
    Part,
    at_once,
    channel,
    chords,
    highest,
    in_one_key,
    length,
    loudness,
    lowest,
    measures,
    notes,
    of_hymn,
    on_beats,
    onsets,
    pedals,
    performer,
    played,
    restruck,
    within,
)
from tests.stage import BEGIN, clock, perform, play, seconds

MIDDLE_C = 60
PENTATONIC, WHOLE_TONE = parse_scale("c major pentatonic"), parse_scale("c whole tone")
C_MAJOR = parse_scale("c major")  # the song's key, and with G sharp the hymn's
in_key = within({*C_MAJOR, 8})


@dataclass(frozen=True)
class Claim:
    """A number that a preset and a part give, and what it must lie between."""

    number: Callable[[str, Part], float]
    low: float
    high: float


def is_(figure: Figure, low: float, high: float = inf) -> Claim:
    """The figure itself."""
    return Claim(lambda name, part: figure(played(name, part)), low, high)


def to_yours(figure: Figure, low: float, high: float = inf) -> Claim:
    """As a multiple of the player's."""
    return Claim(lambda name, part: figure(played(name, part)) / figure(performer(part)), low, high)


def to_usual(figure: Figure, low: float, high: float = inf) -> Claim:
    """As a multiple of what it is in the default preset's answer to the phrase."""
    return Claim(
        lambda name, part: figure(played(name, part)) / figure(played("default", CALL)), low, high
    )


Promise: TypeAlias = tuple[Part, dict[str, Claim]]

PROMISES: dict[str, Promise] = {
    "default": (CALL, {
        "lasts as long as the phrase": is_(measures, 4, 4),
        "about as busy": to_yours(notes, 0.6, 1.6),
        "about as loud": to_yours(loudness, 0.7, 1.4),
    }),
    "published": (CALL, {
        "lasts as long as the phrase": is_(measures, 4, 4),
        "about as busy": to_yours(notes, 0.6, 1.6),
        "steadier": to_usual(on_beats, 1.01),
    }),
    "nocturne": (CALL, {
        "quiet": to_yours(loudness, 0.5, 0.7),
        "fewer notes": to_yours(notes, 0.2, 0.85),
        "longer": to_usual(length, 1.1),
        "in one key": is_(in_one_key, 1),
        "in the pedal": is_(pedals, 0.5),
    }),
    "high-sparse": (CALL, {
        "high": is_(lowest, 72),
        "sparse": to_yours(notes, 0.05, 0.5),
        "two at a time": is_(at_once, 1, 2),
    }),
    "left-hand": (TOGETHER, {
        "plays along": is_(measures, 6, 7),
        "below middle C": is_(highest, 0, MIDDLE_C - 1),
        "does not bury you": to_yours(notes, 0.3, 1),
        "softer": to_yours(loudness, 0.7, 0.95),
    }),
    "dense-study": (CALL, {
        "twice as many notes": to_yours(notes, 1.4, 2.6),
        "running": to_yours(onsets, 1.3),
        "not thick": is_(at_once, 2, 5),
        "far apart": is_(lambda them: highest(them) - lowest(them), 36),
    }),
    "bold": (CALL, {
        "at length": is_(measures, 8, 8),
        "louder": to_yours(loudness, 1.2),
        "off the key": to_usual(in_key, 0, 0.98),
    }),
    "chorale": (CALL, {
        "four voices": is_(at_once, 3, 4),
        "chords after chords": is_(of_hymn(chords), 0.6),
        "on the beat": to_usual(on_beats, 1.01),
        "not below a bass": is_(lowest, 40),
        "not above a soprano": is_(highest, 0, 79),
    }),
    "quick-reply": (TRADE, {
        "a measure for each": is_(measures, 4, 4),
        "about as busy": to_yours(notes, 0.5, 1.6),
    }),
    "two-pianos": (TOGETHER, {
        "plays along": is_(measures, 6, 7),
        "its own channel": is_(channel, 2, 2),
        "in one key": is_(in_one_key, 1),
        "about as busy": to_yours(notes, 0.5, 1.2),
        "about as loud": to_yours(loudness, 0.9, 1.1),
    }),
    "carry-on": (TAKE_OVER, {
        "until released": is_(measures, 6, 6),
        "in one key": is_(in_one_key, 1),
        "about as busy": to_yours(notes, 0.5, 1.6),
    }),
    "walking-bass": (TOGETHER, {
        "plays along": is_(measures, 6, 7),
        "low": is_(highest, 0, 50),
        "one at a time": is_(at_once, 1, 1),
        "does not bury you": to_yours(notes, 0.15, 0.7),
        "in one key": is_(in_one_key, 1),
    }),
    "descant": (TOGETHER, {
        "plays along": is_(measures, 6, 7),
        "high": is_(lowest, 76),
        "in one key": is_(in_one_key, 1),
        "one at a time": is_(at_once, 1, 1),
        "sparser": to_yours(notes, 0.15, 0.7),
        "softer": to_yours(loudness, 0.7, 0.9),
    }),
    "repeated-notes": (CALL, {
        "two measures": is_(measures, 2, 2),
        "above middle C": is_(lowest, 67),
        "few keys": is_(highest, 67, 69),
        "over and over": is_(restruck, 0.5),
        "fast": is_(onsets, 10),
    }),
    "pentatonic": (CALL, {
        "five notes": is_(within(PENTATONIC), 1),
        "four at a time": is_(at_once, 1, 4),
        "lasts as long as the phrase": is_(measures, 4, 4),
    }),
    "in-key": (CALL, {
        "in one key": is_(in_one_key, 1),
        "as the default": to_usual(notes, 0.6, 1.6),
    }),
    "whole-tone": (CALL, {
        "whole tones": is_(within(WHOLE_TONE), 1),
        "softer": to_yours(loudness, 0.65, 0.85),
        "nothing low": is_(lowest, 48),
        "in the pedal": is_(pedals, 0.5),
    }),
    "cadenza": (BREAK_IN, {
        "goes on": is_(measures, 8, 8),
        "busy": to_yours(notes, 1.2, 3),
    }),
    "halo": (TOGETHER, {
        "plays along": is_(measures, 6, 7),
        "soft": to_yours(loudness, 0.4, 0.65),
        "few": to_yours(notes, 0.05, 0.5),
        "above middle C": is_(lowest, MIDDLE_C),
        "in one key": is_(in_one_key, 1),
    }),
    "silent": (CALL, {
        "silent": is_(notes, 0, 0),
    }),
    "chords": (CALL, {
        "lasts as long as the phrase": is_(measures, 4, 4),
        "about as busy": to_yours(notes, 0.6, 1.6),
        "about as loud": to_yours(loudness, 0.9, 1.1),
    }),
    "chords-beam": (CALL, {
        "lasts as long as the phrase": is_(measures, 4, 4),
        "chords": is_(at_once, 3),
        "in one key": is_(in_one_key, 1),
        "softer": to_yours(loudness, 0.75, 0.95),
    }),
    "events": (CALL, {
        "lasts as long as the phrase": is_(measures, 4, 4),
        "about as busy": to_yours(notes, 0.5, 1.6),
        "about as loud": to_yours(loudness, 0.9, 1.1),
    }),
    "notes": (CALL, {
        "lasts as long as the phrase": is_(measures, 4, 4),
        "about as busy": to_yours(notes, 0.5, 1.6),
        "about as loud": to_yours(loudness, 0.9, 1.1),
    }),
    "melody": (CALL, {
        "lasts as long as the phrase": is_(measures, 4, 4),
        "a melody": is_(onsets, 2),
        "one at a time": is_(at_once, 1, 1),
        "in one key": is_(in_one_key, 1),
        "about as loud": to_yours(loudness, 0.9, 1.1),
        "not in the bass": is_(lowest, 55),
    }),
    "second-melody": (TOGETHER, {
        "plays along": is_(measures, 6, 7),
        "a melody": is_(onsets, 1.5),
        "one at a time": is_(at_once, 1, 1),
        "in one key": is_(in_one_key, 1),
        "high": is_(lowest, 67),
        "softer": to_yours(loudness, 0.7, 0.9),
    }),
    "melody-vae": (CALL, {
        "two measures": is_(measures, 2, 2),
        "a melody": is_(onsets, 2),
        "one at a time": is_(at_once, 1, 1),
        "about as loud": to_yours(loudness, 0.9, 1.1),
    }),
    "ground": (CALL, {
        "lasts as long as the phrase": is_(measures, 4, 4),
        "more than a melody": is_(at_once, 2),
        "a melody": is_(onsets, 2),
    }),
}  # fmt: skip


def test_every_preset_promises_something() -> None:
    assert [preset.name for preset in load_presets()] == list(PROMISES)


@pytest.mark.parametrize(
    ("name", "says"), [(name, says) for name, (_, claims) in PROMISES.items() for says in claims]
)
def test_a_preset_plays_as_its_line_says(name: str, says: str) -> None:
    part, claims = PROMISES[name]
    claim = claims[says]
    assert claim.low <= claim.number(name, part) <= claim.high


@pytest.mark.parametrize("name", ["left-hand", "walking-bass", "descant", "halo"])
def test_an_accompaniment_ends_four_measures_after_you(name: str) -> None:
    done = perform(
        [*clock(40, stops=True), *play("| c4 e4 g4 c5 | g4 e4 c4 - |")],
        presets=[choose_preset(load_presets(), name)],
        until=BEGIN + seconds(41),
    )
    last, _ = max(done.notes())
    assert 20 <= last < 24  # beats: two measures, and four more
