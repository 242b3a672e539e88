"""Keys and scales: what they are called, which pitch classes they hold, and which was heard.

Pure, and light enough to ask while music plays. A pitch class is 0..11, 0 for C. Knows nothing
of how notes are drawn.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum, sqrt
from operator import mul

from pianogen.errors import ConfigError
from pianogen.grid import Measure

PITCH_CLASSES = 12
ALL_CLASSES = tuple(range(PITCH_CLASSES))
NAMES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
# How well each degree fits a key, as listeners rated it: C. Krumhansl, Cognitive Foundations of
# Musical Pitch (1990), from Krumhansl and Kessler (1982).
MAJOR = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
MINOR = (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)
# Semitones above the tonic. Minor is what minor keys use: the natural scale, and the leading note.
SCALES = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10, 11),
    "natural minor": (0, 2, 3, 5, 7, 8, 10),
    "harmonic minor": (0, 2, 3, 5, 7, 8, 11),
    "melodic minor": (0, 2, 3, 5, 7, 9, 11),  # as it ascends
    "ionian": (0, 2, 4, 5, 7, 9, 11),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "phrygian": (0, 1, 3, 5, 7, 8, 10),
    "lydian": (0, 2, 4, 6, 7, 9, 11),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
    "aeolian": (0, 2, 3, 5, 7, 8, 10),
    "locrian": (0, 1, 3, 5, 6, 8, 10),
    "major pentatonic": (0, 2, 4, 7, 9),
    "minor pentatonic": (0, 3, 5, 7, 10),
    "blues": (0, 3, 5, 6, 7, 10),
    "whole tone": (0, 2, 4, 6, 8, 10),
    "octatonic": (0, 2, 3, 5, 6, 8, 9, 11),
}
CHROMATIC = "chromatic"
FEWEST_NOTES = 8  # of fewer, no key is heard

_TONICS = {"c": 0, "d": 2, "e": 4, "f": 5, "g": 7, "a": 9, "b": 11}
_SHIFTS = {"": 0, "#": 1, "♯": 1, "b": -1, "♭": -1}
_SCALE = re.compile(r"([a-g])([#♯b♭]?) (.+)")


@dataclass(frozen=True, slots=True)
class Key:
    """A major or minor key; tonic is a pitch class."""

    tonic: int
    is_minor: bool = False

    @property
    def scale(self) -> tuple[int, ...]:
        """Its pitch classes: 7 in major, 8 in minor (both sevenths)."""
        degrees = SCALES["minor" if self.is_minor else "major"]
        return tuple((self.tonic + degree) % PITCH_CLASSES for degree in degrees)

    def __str__(self) -> str:
        return f"{NAMES[self.tonic]} {'minor' if self.is_minor else 'major'}"


def _standardised(profile: Sequence[float], tonic: int) -> tuple[float, ...]:
    middle = fsum(profile) / len(profile)
    spread = sqrt(fsum((value - middle) ** 2 for value in profile) / len(profile))
    return tuple((profile[n - tonic] - middle) / spread for n in ALL_CLASSES)


_PROFILES = tuple(
    (Key(tonic, is_minor), _standardised(MINOR if is_minor else MAJOR, tonic))
    for is_minor in (False, True)
    for tonic in ALL_CLASSES
)


def best_key(lasting: Sequence[float]) -> Key:
    """The key whose profile correlates best with how long each pitch class lasts, (12,).

    Krumhansl and Schmuckler's method.
    """
    # The correlation but for the spread of `lasting`, which is the same for every key.
    return max(_PROFILES, key=lambda profile: sum(map(mul, profile[1], lasting)))[0]


def heard_scale(measures: Sequence[Measure]) -> tuple[int, ...]:
    """The pitch classes of the key of measures that were heard, sorted; all 12 for fewer than 8
    notes. What would ring on past the last measure is cut there."""
    if sum(len(measure.notes) for measure in measures) < FEWEST_NOTES:
        return ALL_CLASSES
    left, lasting = sum(measure.meter.steps for measure in measures), [0.0] * PITCH_CLASSES
    for measure in measures:
        for note in measure.notes:
            most = left - note.onset
            lasting[note.pitch % PITCH_CLASSES] += note.duration if note.duration < most else most
        left -= measure.meter.steps
    return tuple(sorted(best_key(lasting).scale))


def parse_scale(text: str) -> tuple[int, ...]:
    """The pitch classes, sorted, of a scale by name: `c major`, `f# minor`, `Bb dorian`.

    `chromatic` has all 12. Raises ConfigError, which lists the names, for anything else.
    """
    words = " ".join(text.lower().split())
    if words == CHROMATIC:
        return ALL_CLASSES
    read = _SCALE.fullmatch(words)
    if read is None or read[3] not in SCALES:
        raise ConfigError(
            f"scale {text!r}: write a note and a scale, such as 'c major' or 'f# minor', or "
            f"'{CHROMATIC}'; there are: {', '.join(SCALES)}"
        )
    tonic = _TONICS[read[1]] + _SHIFTS[read[2]]
    return tuple(sorted((tonic + degree) % PITCH_CLASSES for degree in SCALES[read[3]]))
