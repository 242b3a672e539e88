"""What goes on below a melody: the lower notes of a measure that was heard, as they were.

    heard    C5 . . . E5 . . .      the new line, and below it what is no part of the old one,
             C3 . G3 . C3 . G3      where it is lower than all of the new line that sounds with it

Nothing is composed: a melody family says nothing of other voices. Pitches beyond the piano's keys
are left out. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pianogen.families.sizes import FINGERS, key_of
from pianogen.families.steering import free_keys
from pianogen.families.symbols import STEPS, symbols_of
from pianogen.grid import HIGHEST_KEY, KEYS, LOWEST_KEY, Measure, Note
from pianogen.sampling import Sampling

AGO = 4  # measures: of those that long ago, overlaps with real music are higher than of the last


def with_lower_notes(melody: Measure, heard: Sequence[Measure], sampling: Sampling) -> Measure:
    """A melody with the lower notes of the measure heard four measures before it, of the last one
    where so many were not heard; alone where only one note may sound at once."""
    if sampling.max_polyphony == 1 or not heard:
        return melody
    source = heard[-AGO] if len(heard) >= AGO else heard[-1]
    free = free_keys(sampling)
    lower = [n for n in lower_notes(source) if _may_sound(n, melody, free)]
    most = min(sampling.max_polyphony, FINGERS) - 1
    kept: list[Note] = []
    for note in sorted(lower, key=lambda n: n.pitch):  # of a chord too thick the lowest stay
        if sum(other.onset == note.onset for other in kept) < most:
            kept.append(note)
    return replace(melody, notes=(*melody.notes, *kept))


def lower_notes(measure: Measure) -> list[Note]:
    """The notes of a measure that are no part of its top line."""
    line = symbols_of((measure,)).tolist()
    cell = {place: symbol for place, symbol in enumerate(line) if symbol < KEYS}
    return [n for n in measure.notes if cell.get(n.onset // STEPS) != key_of(n.pitch)]


def _may_sound(note: Note, melody: Measure, free: Sequence[bool]) -> bool:
    return (
        LOWEST_KEY <= note.pitch <= HIGHEST_KEY
        and free[note.pitch - LOWEST_KEY]
        and all(note.pitch < other.pitch for other in melody.notes if _together(note, other))
    )


def _together(note: Note, other: Note) -> bool:
    return note.onset < other.onset + other.duration and other.onset < note.onset + note.duration
