"""Where an answer wants the sustain pedal, by which of its notes last on under others. Pure.

Where a note lasts under what begins after it, a hand would need the pedal. Pianists change it with
the harmony: up with the new notes, so that the old ones stop, and down a little after them, so that
only the new ones are held:

    notes    |C-------------- |F----------------    a note that lasts under others
             |    e   g   e   |    a   c   a
    pedal    |_/‾‾‾‾‾‾‾‾‾‾‾‾‾\\|_/‾‾‾‾‾‾‾‾‾‾‾‾‾\\      up at the change, a step later down

It is up at the measure line at the latest: each measure is pedalled by itself.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from bridge.pedal import Stroke
from bridge.scheduler import Booking
from pianogen.grid import TICKS_PER_STEP

BEHIND = TICKS_PER_STEP  # the pedal goes down so long after the notes that it is to hold
OVERLAP = TICKS_PER_STEP  # a note lasts under the next if by so much; less is only legato
SHORTEST = 2 * TICKS_PER_STEP  # a stroke that would be shorter is not made


def strokes(notes: Sequence[Booking], line: float) -> list[Stroke]:
    """The strokes for the notes of a measure; `line` is where the next one begins, in ticks."""
    onsets = sorted({note.start for note in notes})
    lasting: dict[float, Booking] = {}  # by onset, the longest
    for note in notes:
        later = bisect_right(onsets, note.start)
        if later < len(onsets) and note.end >= onsets[later] + OVERLAP:
            longest = lasting.get(note.start)
            if longest is None or longest.end < note.end:
                lasting[note.start] = note
    changes = sorted(lasting)
    return [
        Stroke(start + BEHIND, end, note.channel, note.latency_s, note.limit_s)
        for start, following in zip(changes, [*changes[1:], line], strict=False)
        for note in (lasting[start],)
        if (end := min(note.end, following)) - start - BEHIND >= SHORTEST
    ]
