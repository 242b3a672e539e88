"""How a continuation is drawn: temperatures, polyphony, range, density and scale. Pure; knows no
model."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from math import inf
from typing import Any, Literal, get_args

from pianogen.errors import ConfigError
from pianogen.grid import PITCHES, Measure, Note
from pianogen.keys import ALL_CLASSES

SPARSEST, DENSEST = 0.25, 4.0
MOST_USUAL = 1000  # notes a measure
MOST_PENALTY = 4.0
COLDEST = 1e-4  # the temperature at which the likeliest is drawn
TEMPERATURES = ("temperature", "velocity_temperature", "rhythm_temperature", "duration_temperature")
Decoding = Literal["sample", "max", "beam"]


@dataclass(frozen=True, slots=True)
class Sampling:
    """What a player may turn while the machine plays.

    Temperatures are greater than 0 (1 draws as the model believes, lower is safer).
    min_p: pitches less likely than this share of the likeliest, 0..1, are never drawn; 0 leaves
    all in (Nguyen et al. 2024, "Min-p sampling").
    max_polyphony: notes sounding at once, 1..32; the oldest gives way.
    low_pitch..high_pitch: the range notes are drawn from, both included, 0..127.
    density: how many notes, as a multiple of what the model would play by itself, 0.25..4.
    usual_notes: what density is a multiple of, in notes a measure, 0..1000; 0 asks what was heard.
    pitch_classes: those notes are drawn from, 0..11 (0 for C), at least one; kept sorted.
    candidates: how many drafts of a measure are drawn, 1..256, of which the best is played.
    decoding: `sample` draws by the temperatures; `max` takes the likeliest each time; `beam`
    follows the `candidates` likeliest lines at once and plays the likeliest (families that say
    one symbol after another: chords, melody; for the others it is `max`).
    repetition_penalty: 1..4, what a figure that was played before is the less likely by (chords,
    melody); 1 leaves it.
    """

    temperature: float = 0.8  # which pitches
    velocity_temperature: float = 0.3
    rhythm_temperature: float = 0.5  # when the next onset comes
    duration_temperature: float = 0.6
    min_p: float = 0.0
    max_polyphony: int = 6
    low_pitch: int = 21
    high_pitch: int = 108
    density: float = 1.0
    usual_notes: float = 0.0
    pitch_classes: tuple[int, ...] = ALL_CLASSES
    candidates: int = 1
    decoding: Decoding = "sample"
    repetition_penalty: float = 1.0

    def __post_init__(self) -> None:
        for name in TEMPERATURES:
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name} must be greater than 0, is {getattr(self, name):g}")
            if getattr(self, name) == inf:
                raise ConfigError(f"{name} must be finite, is inf")
        if self.decoding not in get_args(Decoding):
            known = ", ".join(get_args(Decoding))
            raise ConfigError(f"decoding must be one of {known}, is {self.decoding!r}")
        if not 1 <= self.repetition_penalty <= MOST_PENALTY:
            raise ConfigError(
                f"repetition_penalty must be 1 to {MOST_PENALTY:g}, is {self.repetition_penalty:g}"
            )
        if not 0 <= self.min_p < 1:
            raise ConfigError(f"min_p must be at least 0 and less than 1, is {self.min_p:g}")
        if not 1 <= self.max_polyphony <= 32:
            raise ConfigError(f"max_polyphony must be 1 to 32, is {self.max_polyphony}")
        if not 1 <= self.candidates <= 256:
            raise ConfigError(f"candidates must be 1 to 256, is {self.candidates}")
        if not 0 <= self.low_pitch <= self.high_pitch < PITCHES:
            raise ConfigError(
                f"the range must lie in 0..127, low before high: "
                f"is {self.low_pitch}..{self.high_pitch}"
            )
        if not SPARSEST <= self.density <= DENSEST:
            raise ConfigError(f"density must be {SPARSEST:g} to {DENSEST:g}, is {self.density:g}")
        if not 0 <= self.usual_notes <= MOST_USUAL:
            raise ConfigError(f"usual_notes must be 0 to {MOST_USUAL}, is {self.usual_notes:g}")
        classes = tuple(sorted(set(self.pitch_classes)))
        if not classes or not set(classes) <= set(ALL_CLASSES):
            raise ConfigError(
                f"pitch_classes must be at least one of 0 to 11, is {self.pitch_classes}"
            )
        object.__setattr__(self, "pitch_classes", classes)


def plain(sampling: Sampling) -> dict[str, Any]:
    """Its settings by name, as JSON has them."""
    return {**asdict(sampling), "pitch_classes": list(sampling.pitch_classes)}


def anchored(sampling: Sampling, heard: Sequence[Measure]) -> Sampling:
    """The same, its density a multiple of these measures' notes, however long it then plays.

    Without, it is one of all that was heard, in which steered measures come to count in time.
    """
    counts = [len(measure.notes) for measure in heard if not measure.is_silent]
    usual = sum(counts) / len(counts) if counts else 0.0
    return replace(sampling, usual_notes=min(usual, MOST_USUAL))


def decided(sampling: Sampling) -> Sampling:
    """The same; where the likeliest is to be taken, at temperatures that leave no other choice."""
    if sampling.decoding == "sample":
        return sampling
    return replace(
        sampling, temperature=COLDEST, velocity_temperature=COLDEST, rhythm_temperature=COLDEST,
        duration_temperature=COLDEST,
    )  # fmt: skip


def measure_seed(seed: int, number: int) -> int:
    """The seed of measure `number` of a continuation, from the seed of the whole."""
    return zlib.crc32(f"{seed}/{number}".encode())


def limit_polyphony(measures: Sequence[Measure], most: int) -> tuple[Measure, ...]:
    """Measures in which never more than `most` notes sound at once, nor a pitch twice.

    The oldest gives way where a new note begins; of a chord that is itself too thick the
    lowest notes are left out; and nothing sounds on after the last measure.
    """
    lines = [0]
    for measure in measures:
        lines.append(lines[-1] + measure.meter.steps)
    kept: list[tuple[int, Note]] = []  # measure number, note
    sounding: list[int] = []  # indices into kept, oldest first
    for number, measure in enumerate(measures):
        for note in measure.notes:
            now = lines[number] + note.onset
            sounding = [i for i in sounding if _end(lines, kept[i]) > now]
            for index in _giving_way(lines, kept, sounding, note, now, most):
                where, old = kept[index]
                kept[index] = (where, replace(old, duration=now - lines[where] - old.onset))
                sounding.remove(index)
            if len(sounding) < most:
                sounding.append(len(kept))
                kept.append((number, _within(note, now, lines[-1])))
    return tuple(
        replace(measure, notes=tuple(note for where, note in kept if where == number))
        for number, measure in enumerate(measures)
    )


def _end(lines: Sequence[int], placed: tuple[int, Note]) -> int:
    number, note = placed
    return lines[number] + note.onset + note.duration


def _within(note: Note, now: int, last: int) -> Note:
    return replace(note, duration=min(note.duration, last - now))


def _giving_way(
    lines: Sequence[int], kept: Sequence[tuple[int, Note]], sounding: Iterable[int],
    note: Note, now: int, most: int,
) -> list[int]:  # fmt: skip
    same = [i for i in sounding if kept[i][1].pitch == note.pitch]
    others = [i for i in sounding if i not in same]
    old = [i for i in others if lines[kept[i][0]] + kept[i][1].onset < now]
    return same + old[: max(0, len(others) + 1 - most)]
