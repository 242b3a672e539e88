"""How much of a continuation's melody has been there before, note for note.

A figure is 4 notes of the top line in a row: their pitches and the time between their onsets. A
note repeats where it completes a figure that already stood in what was heard or played before it.
Music does that too: the figure means something only beside that of real continuations.
"""

from __future__ import annotations

import math

import numpy as np

from pianogen.metrics import Ints, Stretch

FIGURE = 4  # notes


def repeated_share(heard: Stretch, answer: Stretch) -> float:
    """Share of the top notes of an answer that complete a figure which stood before, 0..1.

    Both are of one meter. A top note is the highest of a step with onsets. nan where no note of
    the answer has three top notes before it.
    """
    time, pitch = _top_line(heard, answer)
    first = int(np.searchsorted(time, heard.length))
    seen: set[tuple[int, ...]] = set()
    repeats = []
    for last in range(FIGURE - 1, len(time)):
        where = slice(last - FIGURE + 1, last + 1)
        figure = (*pitch[where].tolist(), *np.diff(time[where]).tolist())
        if last >= first:
            repeats.append(figure in seen)
        seen.add(figure)
    return sum(repeats) / len(repeats) if repeats else math.nan


def _top_line(heard: Stretch, answer: Stretch) -> tuple[Ints, Ints]:
    """Onset (steps from the first line heard) and pitch of each top note of both, in time."""
    parts = ((heard, 0), (answer, heard.length))
    times = [np.unique(part.onset) + shift for part, shift in parts]
    return np.concatenate(times), np.concatenate([part.top_line() for part, _ in parts])
