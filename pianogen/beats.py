"""Beats annotated over a performance, in seconds, and the measure lines they make.

A line of an annotation file is a time, the time again and a label: `db` a downbeat, `b` a beat,
`bR` a beat the score does not place, each with a time signature and a key where one comes into
force:

    4.924479   4.924479   db,4/4,0

Knows nothing of notes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pianogen.errors import DataError
from pianogen.grid import STEPS_PER_BEAT, STEPS_PER_WHOLE, Meter
from pianogen.measure_lines import MeasureLines, Span, meter_of, meter_of_length

UNITS_PER_STEP = 960
LEAD = STEPS_PER_BEAT * UNITS_PER_STEP  # before the first beat: what is early by less than a step

Signature = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Beat:
    """A beat of a performance.

    time: seconds. is_placed: whether the score has it. signature: in force from here, if told.
    """

    time: float
    is_downbeat: bool = False
    is_placed: bool = True
    signature: Signature | None = None


@dataclass(frozen=True, slots=True)
class Ruler:
    """Measure lines of a performance, and the way from its seconds to their units."""

    lines: MeasureLines
    times: NDArray[np.float64]  # seconds, rising
    places: NDArray[np.float64]  # units at those times

    def units(self, seconds: NDArray[np.float64]) -> NDArray[np.int64]:
        """The places of some times; what lies outside the beats comes to their edge."""
        return np.rint(np.interp(seconds, self.times, self.places)).astype(np.int64)


def read_ruler(path: Path) -> Ruler:
    """The measure lines of an annotation file; raises DataError, one line, if it has none."""
    try:
        return ruler_from_beats(read_beats(path))
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


def read_beats(path: Path) -> tuple[Beat, ...]:
    """Read an annotation file; raises DataError, one line, where it cannot be used."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"the beats cannot be read ({error})") from error
    beats = []
    for number, line in enumerate(lines, start=1):
        try:
            beats.append(_parsed(line))
        except ValueError as error:
            raise DataError(f"line {number} is not a beat: {line[:60]!r}") from error
    return tuple(beats)


def _parsed(line: str) -> Beat:
    time, _, label = line.split("\t")[:3]
    kind, signature, *_ = (*label.split(","), "")
    if kind not in ("db", "b", "bR"):
        raise ValueError(kind)
    numerator, _, denominator = signature.partition("/")
    return Beat(
        time=float(time),
        is_downbeat=kind == "db",
        is_placed=kind != "bR",
        signature=(int(numerator), int(denominator)) if signature else None,
    )


def ruler_from_beats(beats: Sequence[Beat]) -> Ruler:
    """Measure lines from one downbeat to the next, their beats spread evenly over the steps.

    A measure with more or fewer beats than its signature has (an upbeat, a repeat) is as long as
    its beats; one with beats that the score does not place (a cadenza) cannot be used. The last
    measure is taken for whole. Raises DataError without two beats rising in time or a signature.
    """
    if len(beats) < 2 or any(after.time <= beat.time for beat, after in pairwise(beats)):
        raise DataError("the annotated beats do not rise in time")
    groups = _to_the_end(list(_measures(beats)), beats[-1].time - beats[-2].time)
    times, places = [2 * beats[0].time - beats[1].time], [-LEAD]
    spans = [Span(-LEAD, None)]
    at = 0
    for (signature, group), (_, (following, *_)) in pairwise(groups):
        spans.append(_span(at, group, signature, following.time - group[0].time))
        for beat in group:
            times.append(beat.time)
            places.append(at)
            at += _units_of_beat(signature)
    lines = MeasureLines(tuple(spans), at, UNITS_PER_STEP)
    times.append(groups[-1][1][0].time)
    return Ruler(lines, np.array(times), np.array([*places, at], np.float64))


Group = tuple[Signature, list[Beat]]  # a measure's beats and the signature it stands in


def _measures(beats: Sequence[Beat]) -> Iterator[Group]:
    signature = next((beat.signature for beat in beats if beat.signature), None)
    if signature is None or signature[0] < 1 or signature[1] < 1:
        raise DataError("no time signature is annotated")
    lines = [0, *(i for i, beat in enumerate(beats) if beat.is_downbeat and i > 0), len(beats)]
    for start, stop in pairwise(lines):
        group = list(beats[start:stop])
        yield group[0].signature or signature, group
        signature = next((b.signature for b in reversed(group) if b.signature), signature)


def _to_the_end(groups: list[Group], interval: float) -> list[Group]:
    """The measures with the last one filled up at its last pace, and the line that ends it."""
    signature, group = groups[-1]
    end = group[-1].time
    missing = max(_beats_in(signature) - len(group), 0)
    filled = [*group, *(Beat(end + interval * n) for n in range(1, missing + 1))]
    line = replace(group[0], time=end + interval * (missing + 1))
    return [*groups[:-1], (signature, filled), (signature, [line])]


def _beats_in(signature: Signature) -> int:
    """Beats a measure: three units each in 6/8, 9/8, 12/8 and their like, one in all others."""
    numerator = signature[0]
    return numerator // 3 if numerator > 3 and numerator % 3 == 0 else numerator


def _units_of_beat(signature: Signature) -> int:
    numerator, denominator = signature
    return UNITS_PER_STEP * STEPS_PER_WHOLE * numerator // _beats_in(signature) // denominator


def _span(at: int, group: Sequence[Beat], signature: Signature, seconds: float) -> Span:
    steps, rest = divmod(len(group) * _units_of_beat(signature), UNITS_PER_STEP)
    tempo = 60 * (steps / STEPS_PER_BEAT) / seconds
    meter: Meter | None = None
    if all(beat.is_placed for beat in group) and rest == 0:
        is_regular = len(group) == _beats_in(signature)
        meter = meter_of(*signature) if is_regular else meter_of_length(steps, signature[1])
    return Span(at, meter, tempo)
