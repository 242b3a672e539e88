"""Where the measure lines of a piece lie, and its notes put on the grid between them.

Two ways to know the lines: a file's time signatures, exact in ticks, or beats annotated in
seconds over a performance. Both end as `MeasureLines` on an axis of whole units:

    line          line          line   line                line
    |     4/4     |     4/4     | cut  |  cannot be used   |
    steps 32      32            8      0

Pure: knows nothing of files.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pianogen.errors import ConfigError
from pianogen.grid import (
    MAX_DURATION,
    MAX_STEPS,
    STEPS_PER_BEAT,
    STEPS_PER_WHOLE,
    VELOCITIES_PER_BIN,
    Meter,
)
from pianogen.measure_rows import MEASURE_ROW, MeasureRows

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Span:
    """From one measure line to the next; without a meter it cannot be put on the grid.

    start: units. tempo: quarter notes a minute, at the line.
    """

    start: int
    meter: Meter | None
    tempo: float = 120.0


@dataclass(frozen=True, slots=True)
class MeasureLines:
    """Spans in order, the unit at which the last one ends, and how many units make a step."""

    spans: tuple[Span, ...]
    end: int
    units_per_step: int


def meter_of(numerator: int, denominator: int) -> Meter | None:
    """The meter, or None where its measure is no whole number of steps or too long."""
    try:
        return Meter(numerator, denominator)
    except ConfigError:
        return None


def meter_of_length(steps: int, like: int = 4) -> Meter | None:
    """The meter of an irregular measure, in `like`ths of a note where they fit."""
    if not 1 <= steps <= MAX_STEPS:
        return None
    fitting = (d for d in (like, 4, 8, 16, 32) if steps * d % STEPS_PER_WHOLE == 0)
    denominator = next(d for d in fitting if d in (1, 2, 4, 8, 16, 32))
    return Meter(steps * denominator // STEPS_PER_WHOLE, denominator)


def lines_from_signatures(signatures: Ints, ticks_per_beat: int, last_onset: int) -> MeasureLines:
    """The measure lines that time signatures set, up to beyond the last onset (all in ticks).

    signatures: (s, 3) tick, numerator, denominator, from tick 0 on. A unit is an eighth of a tick,
    so that a step is a whole number of them. A signature inside a measure cuts it short; what is
    left is kept if it is a whole number of steps.
    """
    step = ticks_per_beat
    starts = (signatures[:, 0] * STEPS_PER_BEAT).tolist()
    end = max(last_onset * STEPS_PER_BEAT, starts[-1]) + step
    last_meter = meter_of(*signatures[-1, 1:].tolist())
    if last_meter is not None:  # the last measure is a whole one
        end += (starts[-1] - end) % (last_meter.steps * step)
    spans = [
        span
        for (_, numerator, denominator), start, stop in zip(
            signatures.tolist(), starts, [*starts[1:], end], strict=True
        )
        for span in _spans_of_signature(start, stop, step, (numerator, denominator))
    ]
    return MeasureLines(tuple(spans), end, step)


def _spans_of_signature(
    start: int, stop: int, step: int, signature: tuple[int, int]
) -> Iterator[Span]:
    meter = meter_of(*signature)
    if meter is None:
        yield Span(start, None)
        return
    whole, rest = divmod(stop - start, meter.steps * step)
    yield from (Span(start + index * meter.steps * step, meter) for index in range(whole))
    if rest:
        is_on_step = rest % step == 0
        cut = meter_of_length(rest // step, meter.denominator) if is_on_step else None
        yield Span(stop - rest, cut)


def placed(notes: Ints, lines: MeasureLines) -> MeasureRows:
    """Put notes on the grid: each onset on the nearest step, each end likewise, a step at least.

    notes: (n, 4) start, end, pitch, velocity, in units. An onset within the last half step of a
    measure opens the next one; notes where no measure can be used are left out, and so are the
    measures after the last onset.
    """
    unit = lines.units_per_step
    starts = np.array([*(span.start for span in lines.spans), lines.end], np.int64)
    span = np.searchsorted(starts, notes[:, 0], side="right") - 1
    is_inside = (span >= 0) & (span < len(lines.spans))
    notes, span = notes[is_inside], span[is_inside]
    span = span + (2 * (starts[span + 1] - notes[:, 0]) <= unit)
    is_usable = np.array([*(s.meter is not None for s in lines.spans), False])
    notes, span = notes[is_usable[span]], span[is_usable[span]]
    from_line = notes[:, :2] - starts[span, None]
    onset, end = np.maximum((2 * from_line + unit) // (2 * unit), 0).T
    duration = np.clip(end - onset, 1, MAX_DURATION)
    velocity_bin = notes[:, 3] // VELOCITIES_PER_BIN
    columns = np.stack([span, onset, notes[:, 2], velocity_bin, duration], axis=1)
    return _rows(_one_a_place(columns), lines.spans)


def _one_a_place(columns: Ints) -> Ints:
    """By measure, onset and from the top down; of notes on one place the longest stays."""
    span, onset, pitch, velocity_bin, duration = columns.T
    columns = columns[np.lexsort((-velocity_bin, -duration, -pitch, onset, span))]
    is_first = np.ones(len(columns), np.bool_)
    is_first[1:] = np.any(columns[1:, :3] != columns[:-1, :3], axis=1)
    return columns[is_first]


def _rows(columns: Ints, spans: Sequence[Span]) -> MeasureRows:
    """Rows of the usable spans up to the last with a note; one after an unusable is a break."""
    heard = spans[: int(columns[-1, 0]) + 1] if len(columns) else ()
    rows: list[tuple[float, ...]] = []
    is_break = True
    for index, span in enumerate(heard):
        if span.meter is not None:
            first_note = int(np.searchsorted(columns[:, 0], index))
            meter = span.meter
            rows.append(
                (first_note, meter.numerator, meter.denominator, meter.steps, is_break, span.tempo)
            )
        is_break = span.meter is None
    rows.append((len(columns), 0, 0, 0, 0, 0.0))
    return MeasureRows(columns[:, 1:].astype(np.uint8), np.array(rows, MEASURE_ROW))
