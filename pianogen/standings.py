"""What is said of each who answered the same contexts, and how it stands in tables.

Pure: music in, figures by name out. The names are those of JSON and of the picture.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from pianogen.by_piece import mean_of
from pianogen.comparison import Context, Music
from pianogen.grid import Measure, Note
from pianogen.metrics import Estimate, Stretch, figures, histograms, overlap
from pianogen.repetition import FIGURE, repeated_share
from pianogen.report import Block, Standing

ALL_FIVE, AUC = "all five overlaps", "two-sample AUC"
KEY, AGAIN, EMPTY = "notes in the key heard", "repeated figures", "empty measures"
DENSITY, THICKNESS = "notes a measure", "notes sounding"
ALONE = (KEY, EMPTY, DENSITY, THICKNESS)
MEDIAN_MS, SLOW_MS = "ms a measure, median", "ms a measure, 95th %"
PARAMETERS, MEMORY, PROCESS = "parameters, millions", "memory, MiB", "process, MiB"

FIVE = {"pitch classes": "pitch class", "onset density": "density", "polyphony": "polyphony",
        "velocity": "velocity", "note length": "length"}  # fmt: skip
OVERLAPS = {ALL_FIVE: "all five", **FIVE}
PLAYING = {AUC: "AUC", KEY: "in the key", AGAIN: "repeated", EMPTY: "empty",
           DENSITY: "notes a measure", THICKNESS: "sounding"}  # fmt: skip
ONE_TABLE = {
    ALL_FIVE: "all five", "pitch classes": "pitch", "onset density": "dens.",
    "polyphony": "poly.", "velocity": "vel.", "note length": "len.", AUC: "AUC", KEY: "in key",
    AGAIN: "again", EMPTY: "empty", MEDIAN_MS: "ms 50%", SLOW_MS: "ms 95%",
    PARAMETERS: "par. M", MEMORY: "MiB",
}  # fmt: skip

ONE_TABLE_NOTES = (
    "All five to len.: the share of a histogram in common with the real continuation, 0..1, the",
    "more the nearer: the mean of all five, then pitch classes, onset density, polyphony,",
    "velocity, note length. AUC: how well a classifier tells it from real music, 0.5 not at all,",
    "1 always; of the real: two halves. In key: share of the notes in the key heard. Again: share",
    f"of the top notes that complete a figure of {FIGURE}, pitches and rhythm, that stood before.",
    "Empty: share of the measures in which nothing begins. These three are best as the real are.",
    "Ms: processor time to plan a measure, hearing one and answering: the median, and 95 %.",
    "Par. M: millions of weights. MiB: what a process that loads it and plays grows by at most.",
)
BLOCKS = (
    Block(ONE_TABLE, is_bare=True, notes=ONE_TABLE_NOTES),
    Block(OVERLAPS, notes=("The overlaps with their 95 % intervals by bootstrap over pieces.",)),
    Block(PLAYING, notes=("What they play, likewise. Sounding: notes at once.",)),
)
LINE_NOTES = (
    "As above, but of everyone, the real among them, and of what was heard only the line on top",
    "is kept, a note at a time: for those who play a melody alone.",
)
LINE_BLOCKS = (Block(OVERLAPS, notes=LINE_NOTES), Block(PLAYING))
DIFFERENCE_NOTES = (
    "Overlaps of {leader}, less those of each at the same places; above 0 {leader} is nearer to",
    "what really follows. As the places are the same, this tells more than two intervals do.",
)

Answer = Music | None
Rows = Sequence[Mapping[str, float]]  # one a context


def describe(places: Sequence[Context], answers: Sequence[Answer]) -> Rows:
    """The figures of each answer by name; none of an answer that is not there."""
    pairs = zip(places, answers, strict=True)
    return [_described(place, answer) if answer is not None else {} for place, answer in pairs]


def _described(place: Context, answer: Music) -> dict[str, float]:
    heard, stretch = Stretch.of(place.heard), Stretch.of(answer)
    mine, real = histograms(stretch), histograms(Stretch.of(place.real))
    overlaps = {name: overlap(mine[name], real[name]) for name in FIVE}
    alone = figures(heard, stretch)
    return {
        ALL_FIVE: sum(overlaps.values()) / len(overlaps),
        **overlaps,
        **{name: alone[name] for name in ALONE},
        AGAIN: repeated_share(heard, stretch),
    }


def top_line(music: Answer) -> Answer:
    """The line on top, as music: at each step with onsets the highest note, unless a higher one of
    the line still sounds. A note ends where the next one begins."""
    if music is None:
        return None
    line: list[tuple[int, int, Note]] = []  # when it begins, in which measure, the note
    start = 0
    for number, measure in enumerate(music):
        for note in _highest(measure):
            time = start + note.onset
            if line and line[-1][0] + line[-1][2].duration > time:
                began, where, last = line[-1]
                if last.pitch > note.pitch:
                    continue
                line[-1] = (began, where, replace(last, duration=time - began))
            line.append((time, number, note))
        start += measure.meter.steps
    return tuple(
        replace(measure, notes=tuple(note for _, where, note in line if where == number))
        for number, measure in enumerate(music)
    )


def _highest(measure: Measure) -> Iterable[Note]:
    """The highest note of each step; notes lie by onset and from the top down."""
    kept = {note.onset: note for note in reversed(measure.notes)}
    return sorted(kept.values(), key=lambda note: note.onset)


def melody(place: Context) -> Context:
    """A context of which only the top line is left, in what was heard and what follows."""
    return replace(place, heard=top_line(place.heard) or (), real=top_line(place.real) or ())


def means(places: Sequence[Context], rows: Rows, seed: int) -> dict[str, Estimate]:
    """The mean of each figure over contexts, with its 95 % interval by bootstrap over pieces."""
    groups = [place.piece.group for place in places]
    names = dict.fromkeys(name for row in rows for name in row)
    return {n: mean_of([row.get(n, math.nan) for row in rows], groups, seed) for n in names}


def differences(
    places: Sequence[Context], described: Mapping[str, Rows], leader: str, seed: int
) -> Standing:
    """By how much the leader's overlaps are above everyone's, context by context."""
    columns = {
        who: means(places, _less(described[leader], rows), seed)
        for who, rows in described.items()
        if who != leader
    }
    notes = tuple(note.format(leader=leader) for note in DIFFERENCE_NOTES)
    return Standing("Differences", columns, (Block(OVERLAPS, notes=notes),))


def _less(mine: Rows, others: Rows) -> Rows:
    return [
        {name: own[name] - other[name] for name in OVERLAPS if name in other}
        for own, other in zip(mine, others, strict=True)
    ]
