"""The one definition of the representation: meters, steps, bins, notes and measures.

A quarter note is 24 MIDI clocks (`ticks`) and 8 `steps` of 3 ticks, a 32nd note each:

    beat     1               2               3               4               | 4/4
    step     0 1 2 3 4 5 6 7 8 ...           16 ...          24 ...       31 | 32 steps
    tick     0  3  6  9 ...  24              48              72           93 | 96 ticks

Knows nothing of files, time in seconds, ports or models.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from pianogen.errors import ConfigError

GRID_VERSION = 1

PPQN = 24
TICKS_PER_STEP = 3
STEPS_PER_BEAT = PPQN // TICKS_PER_STEP  # 8 steps a quarter note
STEPS_PER_WHOLE = 4 * STEPS_PER_BEAT  # 32: a 4/4 measure
TICKS_PER_SIXTEENTH = PPQN // 4  # the unit of a MIDI song position
MAX_STEPS = 64  # the longest measure: 4/2, 8/4
MAX_DURATION = 255  # steps

PITCHES = 128
LOWEST_KEY, HIGHEST_KEY = 21, 108  # A0 and C8, the piano's outermost keys
KEYS = HIGHEST_KEY - LOWEST_KEY + 1

VELOCITY_BINS = 32
VELOCITIES_PER_BIN = 128 // VELOCITY_BINS


def velocity_to_bin(velocity: int) -> int:
    """The bin (0..31) of a MIDI velocity (1..127)."""
    return velocity // VELOCITIES_PER_BIN


def bin_to_velocity(velocity_bin: int) -> int:
    """The MIDI velocity (2..126) at the centre of a bin (0..31)."""
    return velocity_bin * VELOCITIES_PER_BIN + VELOCITIES_PER_BIN // 2


@dataclass(frozen=True, slots=True)
class Meter:
    """A time signature whose measure is a whole number of steps: 4/4 has 32, 3/4 and 6/8 24."""

    numerator: int = 4
    denominator: int = 4

    def __post_init__(self) -> None:
        steps, rest = divmod(
            STEPS_PER_WHOLE * self.numerator, self.denominator if self.denominator > 0 else 1
        )
        if self.denominator not in (1, 2, 4, 8, 16, 32) or rest or not 1 <= steps <= MAX_STEPS:
            raise ConfigError(
                f"meter {self} cannot be used: the denominator must be 1, 2, 4, 8, 16 or 32 "
                f"and the measure 1 to {MAX_STEPS} thirty-second notes long"
            )

    @classmethod
    def parse(cls, text: str) -> Meter:
        """Read a meter written "3/4"; raises ConfigError for anything else."""
        numerator, slash, denominator = text.partition("/")
        if not (slash and numerator.strip().isdecimal() and denominator.strip().isdecimal()):
            raise ConfigError(f"meter {text!r} cannot be read: write it as 4/4, 3/4 or 6/8")
        return cls(int(numerator), int(denominator))

    @property
    def steps(self) -> int:
        """Steps (32nd notes) in a measure."""
        return STEPS_PER_WHOLE * self.numerator // self.denominator

    @property
    def ticks(self) -> int:
        """MIDI clocks in a measure."""
        return self.steps * TICKS_PER_STEP

    def __str__(self) -> str:
        return f"{self.numerator}/{self.denominator}"


@dataclass(frozen=True, slots=True)
class Note:
    """One note of a measure.

    onset: step within its measure, from 0. pitch: 0..127. velocity_bin: 0..31.
    duration: steps, 1..255; it may reach beyond the measure line.
    """

    onset: int
    pitch: int
    velocity_bin: int
    duration: int

    @property
    def velocity(self) -> int:
        """The MIDI velocity at which the note is played, its bin's centre."""
        return bin_to_velocity(self.velocity_bin)


@dataclass(frozen=True, slots=True)
class Measure:
    """The notes that begin in one measure, by onset and from the top down, one a pitch and step.

    Building one sorts the notes, brings durations into 1..255, and of two notes of a pitch on
    one step keeps the longer; a note whose onset lies outside the measure raises ValueError.
    """

    meter: Meter = field(default_factory=Meter)
    notes: tuple[Note, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "notes", _in_order(self.notes, self.meter.steps))

    @property
    def is_silent(self) -> bool:
        """Whether no note begins in the measure."""
        return not self.notes


def _in_order(notes: Iterable[Note], steps: int) -> tuple[Note, ...]:
    kept: dict[tuple[int, int], Note] = {}
    for note in notes:
        if not 0 <= note.onset < steps:
            raise ValueError(f"onset {note.onset} is outside a measure of {steps} steps")
        duration = min(max(note.duration, 1), MAX_DURATION)
        if duration != note.duration:
            note = Note(note.onset, note.pitch, note.velocity_bin, duration)
        place = (note.onset, -note.pitch)
        if place not in kept or kept[place].duration < note.duration:
            kept[place] = note
    return tuple(kept[place] for place in sorted(kept))
