"""What a stretch of music is like, in some hundred numbers that need no other stretch.

Pure: arrays in, numbers out; nan where there are too few notes to say. `pianogen.likeness` sets
the numbers of a continuation beside those of what was heard. Shares are 0..1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pianogen.grid import HIGHEST_KEY, KEYS, LOWEST_KEY, STEPS_PER_BEAT, Measure
from pianogen.keys import PITCH_CLASSES
from pianogen.metrics import Ints, Stretch, estimate_key, share_in_key

Bools = NDArray[np.bool_]

WIDEST = 24  # semitones: wider intervals are left out of the vertical ones
SHARP = (1, 6, 13)  # semitone, tritone, minor ninth
GAPS = (1, 2, 3, 4, 5, 8, 9, 16, 17)  # steps between onsets: where each bin begins
LENGTHS = (1, 2, 3, 4, 5, 8, 9, 17)  # steps
LEAPS = (0, 1, 2, 3, 5, 8, 12, 13)  # semitones of a melodic interval
NEAR = (4, 8, 16)  # steps either side that count as near
DIATONIC = np.array(
    [np.isin(np.arange(12), [(t + d) % 12 for d in (0, 2, 4, 5, 7, 9, 11)]) for t in range(12)]
).T  # (pitch classes, tonics)


@dataclass(frozen=True, slots=True, eq=False)
class Sheet:
    """A stretch as rolls, for looking at from many sides.

    music: its notes by onset and from the top down; a key struck again ends its first note.
    begins, sounds: (length, 88) bool. at: steps with onsets, ascending. first: where the notes
    of each begin; the top note is `first`, the bottom note the last before the next.
    """

    music: Stretch
    begins: Bools
    sounds: Bools
    at: Ints
    first: Ints

    @classmethod
    def of(cls, measures: Sequence[Measure]) -> Sheet:
        """From measures of one meter; raises ValueError as `Stretch.of` does."""
        music = Stretch.of(measures)
        music = replace(music, duration=_once_a_key(music))
        key = _keys(music.pitch)
        begins = np.zeros((music.length, KEYS), bool)
        begins[music.onset, key] = True
        edges = np.zeros((music.length + 1, KEYS), np.int16)
        np.add.at(edges, (music.onset, key), 1)
        np.add.at(edges, (music.onset + music.duration, key), -1)
        at, first = np.unique(music.onset, return_index=True)
        return cls(music, begins, edges.cumsum(axis=0)[:-1] > 0, at, first)

    @property
    def classes(self) -> Ints:
        """The pitch class of each note, 0 for C."""
        return self.music.pitch % PITCH_CLASSES

    @property
    def top(self) -> Ints:
        """The highest pitch of each step with onsets."""
        return self.music.pitch[self.first]

    @property
    def bottom(self) -> Ints:
        """The lowest pitch of each step with onsets."""
        last = np.append(self.first[1:], len(self.music.pitch))[: len(self.at)] - 1
        return np.asarray(self.music.pitch[last], np.int64)

    @property
    def chord(self) -> Ints:
        """Which step with onsets each note belongs to, from 0."""
        return np.searchsorted(self.at, self.music.onset)


def _keys(pitch: Ints) -> Ints:
    return np.clip(pitch, LOWEST_KEY, HIGHEST_KEY) - LOWEST_KEY


def _once_a_key(music: Stretch) -> Ints:
    """Durations, cut where the same pitch begins again."""
    order = np.lexsort((music.onset, music.pitch))
    pitch, onset = music.pitch[order], music.onset[order]
    cut = music.duration.copy()
    follows = pitch[1:] == pitch[:-1]
    until = np.where(follows, onset[1:] - onset[:-1], music.length)
    cut[order[:-1]] = np.minimum(cut[order[:-1]], until)
    return cut


def character(sheet: Sheet) -> dict[str, float]:
    """Every number, by name."""
    return {
        **_amount(sheet),
        **_register(sheet),
        **_loudness(sheet),
        **_rhythm(sheet),
        **_lengths(sheet),
        **_line("top", sheet.top),
        **_line("bass", sheet.bottom),
        **_vertical(sheet),
        **_harmony(sheet),
    }


def _amount(sheet: Sheet) -> dict[str, float]:
    music = sheet.music
    notes = np.bincount(music.onset // music.steps, minlength=music.measures)
    onsets = np.bincount(sheet.at // music.steps, minlength=music.measures)
    sounding = sheet.sounds.sum(axis=1)
    chords = np.diff(np.append(sheet.first, len(music.onset)))
    return {
        "notes a measure": mean(notes),
        "onsets a measure": mean(onsets),
        "notes a measure, spread": float(notes.std()),
        "onsets a measure, spread": float(onsets.std()),
        "empty measures": mean(notes == 0),
        "notes an onset": mean(chords),
        "notes an onset, spread": spread(chords),
        "single notes": mean(chords == 1),
        "thick chords": mean(chords > 3),
        "notes sounding": mean(sounding),
        "notes sounding, most": float(sounding.max()),
        "notes sounding, spread": float(sounding.std()),
        "silent steps": mean(sounding == 0),
    }


def _register(sheet: Sheet) -> dict[str, float]:
    pitch = sheet.music.pitch
    return {
        "pitch": mean(pitch),
        "pitch, spread": spread(pitch),
        "highest": float(pitch.max()) if len(pitch) else math.nan,
        "lowest": float(pitch.min()) if len(pitch) else math.nan,
        "top": mean(sheet.top),
        "bass": mean(sheet.bottom),
    }


def _loudness(sheet: Sheet) -> dict[str, float]:
    bins, chord = sheet.music.velocity_bin, sheet.chord
    sums, counts = np.bincount(chord, bins), np.bincount(chord)
    level = sums / counts
    top = bins[sheet.first]
    rest = (sums - top)[counts > 1] / (counts - 1)[counts > 1]
    together = chord[1:] == chord[:-1]
    jumps = np.abs(np.diff(bins))
    return {
        "velocity": mean(bins),
        "velocity, spread": spread(bins),
        "velocity bins a note": len(np.unique(bins)) / len(bins) if len(bins) else math.nan,
        "velocity as before": mean(jumps == 0),
        "velocity jump": mean(jumps),
        "velocity jump in a chord": mean(jumps[together]),
        "velocity even in a chord": mean(jumps[together] == 0),
        "velocity jump of onsets": mean(np.abs(np.diff(level))),
        "velocity turns": turns(level),
        "velocity jump of the top": mean(np.abs(np.diff(top))),
        "velocity as before, top": mean(np.diff(top) == 0),
        "top over the rest": mean(top[counts > 1] - rest),
        "velocity drift": together_move(sheet.at, level),
        "velocity and pitch": together_move(sheet.music.pitch, bins),
        "velocity on beats": mean(level[sheet.at % STEPS_PER_BEAT == 0]) - mean(level),
    }


def _rhythm(sheet: Sheet) -> dict[str, float]:
    place, gaps = sheet.at % sheet.music.steps, np.diff(sheet.at)
    return {
        "onsets on beats": mean(place % STEPS_PER_BEAT == 0),
        "onsets on half beats": mean(place % STEPS_PER_BEAT == 4),
        "onsets on quarter beats": mean(place % 4 == 2),
        "onsets between": mean(place % 2 == 1),
        "measures begun": len(np.unique(sheet.at[place == 0])) / sheet.music.measures,
        "gap, log2": mean(np.log2(gaps)),
        "gap, log2, spread": spread(np.log2(gaps)),
        "gap as before": mean(gaps[1:] == gaps[:-1]),
        "gap as two before": mean(gaps[2:] == gaps[:-2]),
        "gap, longest": float(gaps.max()) if len(gaps) else math.nan,
        "gap, entropy": entropy(np.bincount(gaps)),
        **shares("gap", gaps, GAPS),
    }


def _lengths(sheet: Sheet) -> dict[str, float]:
    length, chord = sheet.music.duration, sheet.chord
    until = np.append(np.diff(sheet.at), 0)[chord]
    known = until > 0
    together = chord[1:] == chord[:-1]
    return {
        "length, log2": mean(np.log2(length)),
        "length, log2, spread": spread(np.log2(length)),
        "length as before": mean(length[1:] == length[:-1]),
        "length even in a chord": mean((length[1:] == length[:-1])[together]),
        "length, entropy": entropy(np.bincount(length)),
        "until the next onset": mean((length == until)[known]),
        "beyond the next onset": mean((length > until)[known]),
        "ends on a beat": mean((sheet.music.onset + length) % STEPS_PER_BEAT == 0),
        **shares("length", length, LENGTHS),
    }


def _line(name: str, line: Ints) -> dict[str, float]:
    """Melodic intervals of the highest or the lowest notes."""
    moves = np.diff(line)
    turned = np.sign(moves[1:]) * np.sign(moves[:-1]) < 0
    return {
        **shares(f"{name} moves", np.abs(moves), LEAPS),
        f"{name} move": mean(np.abs(moves)),
        f"{name} turns": mean(turned),
        f"{name} moves up": mean(moves > 0),
        f"{name} as two before": mean(line[2:] == line[:-2]),
        f"{name} repeats": longest_share(line),
        f"{name} moves, entropy": entropy(np.bincount(np.abs(moves))),
    }


def intervals(sheet: Sheet) -> tuple[Ints, Ints]:
    """Pairs of notes by semitones apart, 0..24: begun; a new note over or under any
    that sounds. Each (25,)."""
    begun, sounding = np.zeros(WIDEST + 1, np.int64), np.zeros(WIDEST + 1, np.int64)
    rows_begin, rows_sound = sheet.begins[sheet.at], sheet.sounds[sheet.at]
    for apart in range(1, WIDEST + 1):
        low, high = slice(None, -apart), slice(apart, None)
        both = int((rows_begin[:, low] & rows_begin[:, high]).sum())
        over = int((rows_sound[:, low] & rows_begin[:, high]).sum())
        under = int((rows_begin[:, low] & rows_sound[:, high]).sum())
        begun[apart], sounding[apart] = both, over + under - both
    return begun, sounding


def _vertical(sheet: Sheet) -> dict[str, float]:
    made: dict[str, float] = {}
    for name, counts in zip(("begun", "sounding"), intervals(sheet), strict=True):
        total = counts.sum()
        share = counts / total if total else np.full(WIDEST + 1, math.nan)
        by_class = np.bincount(np.arange(WIDEST + 1) % 12, share, 12)
        made |= {f"{name}, {n}": float(value) for n, value in enumerate(by_class)}
        made[f"{name}, sharp"] = float(share[list(SHARP)].sum())
        made[f"{name}, minor ninth"] = float(share[13])
        made[f"{name}, octave"] = float(share[12] + share[24])
    return made


def _harmony(sheet: Sheet) -> dict[str, float]:
    classes, music = sheet.classes, sheet.music
    counts = np.bincount(classes, minlength=12)
    measure = music.onset // music.steps
    table = np.bincount(measure * 12 + classes, minlength=music.measures * 12).reshape(-1, 12)
    filled = table[table.sum(axis=1) > 0]
    fit = (filled @ DIATONIC).max(axis=1) / filled.sum(axis=1)
    return {
        "classes, entropy": entropy(counts),
        "pitch classes a measure": mean((filled > 0).sum(axis=1)),
        "entropy a measure": mean(np.array([entropy(row) for row in filled])),
        "rare pitch classes": mean(counts[classes] == 1),
        "scale fit": float((counts @ DIATONIC).max() / counts.sum()) if len(classes) else math.nan,
        "scale fit a measure": mean(fit),
        "scale fit, worst measure": float(fit.min()) if len(fit) else math.nan,
        "own key": share_in_key(music, estimate_key(music)),
        **_nearness(sheet),
    }


def _nearness(sheet: Sheet) -> dict[str, float]:
    """How each note sits among the others that begin near it, itself left out."""
    begun = by_class(sheet.begins)
    classes, onset = sheet.classes, sheet.music.onset
    rows = np.arange(len(classes))
    made: dict[str, float] = {}
    for reach in NEAR:
        near = _around(begun, reach)[onset]
        near[rows, classes] -= 1
        own = near[rows, classes]
        beside = near[rows, (classes + 1) % 12] + near[rows, (classes - 1) % 12]
        chance = np.log((own + 0.25) / (near.sum(axis=1) + 3))
        fit = ((near @ DIATONIC).max(axis=1) - _fit_with(near, classes)) / (near.sum(axis=1) + 1)
        made |= {
            f"fit within {reach}": mean(chance),
            f"fit within {reach}, spread": spread(chance),
            f"alone, beside within {reach}": mean((own == 0) & (beside > 0)),
            f"more beside within {reach}": mean(beside > own),
            f"off the scale within {reach}": mean(fit),
            f"bends scale within {reach}": mean(fit > 0),
        }
    sounding = by_class(sheet.sounds)[onset]
    clash = sounding[rows, (classes + 1) % 12] + sounding[rows, (classes - 1) % 12]
    return {**made, "clash with what sounds": mean(clash > 0)}


def _fit_with(near: Ints, classes: Ints) -> Ints:
    """The most notes near that a diatonic scale holds which also holds the note."""
    allowed = DIATONIC[classes]  # (notes, tonics)
    return np.asarray(np.where(allowed, near @ DIATONIC, 0).max(axis=1), np.int64)


def _around(counts: Ints, reach: int) -> Ints:
    """Sums over `reach` steps either side, (length, 12)."""
    total = np.concatenate([np.zeros((1, counts.shape[1]), np.int64), counts.cumsum(axis=0)])
    at = np.arange(len(counts))
    high = np.minimum(at + reach + 1, len(counts))
    return np.asarray(total[high] - total[np.maximum(at - reach, 0)], np.int64)


# --- small sums, shared with `pianogen.likeness` --------------------------------------------------


def by_class(roll: Bools) -> Ints:
    """Keys of a (length, 88) roll counted by pitch class, (length, 12)."""
    padded = np.zeros((len(roll), 96 + 12), np.int64)
    padded[:, LOWEST_KEY % 12 : LOWEST_KEY % 12 + KEYS] = roll
    return np.asarray(padded.reshape(len(roll), 9, 12).sum(axis=1), np.int64)


def mean(values: NDArray[Any]) -> float:
    """The mean; nan of nothing."""
    return float(values.mean()) if len(values) else math.nan


def spread(values: NDArray[Any]) -> float:
    """The standard deviation; nan of nothing."""
    return float(values.std()) if len(values) else math.nan


def entropy(counts: NDArray[Any]) -> float:
    """Of counts, in nats; nan of nothing."""
    if not counts.sum():
        return math.nan
    share = counts[counts > 0] / counts.sum()
    return float(-(share * np.log(share)).sum())


def turns(values: NDArray[Any]) -> float:
    """Share of the moves that go the other way than the move before."""
    moves = np.sign(np.diff(values))
    return mean(moves[1:] * moves[:-1] < 0)


def longest_share(values: Ints) -> float:
    """The longest run of equal values as a share of all."""
    if not len(values):
        return math.nan
    edges = np.flatnonzero(np.concatenate([[True], values[1:] != values[:-1], [True]]))
    return float(np.diff(edges).max() / len(values))


def together_move(a: NDArray[Any], b: NDArray[Any]) -> float:
    """Correlation, -1..1; 0 where either stands still, nan for fewer than three values."""
    if len(a) < 3:
        return math.nan
    if not a.std() or not b.std():
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])


def shares(name: str, values: Ints, beginnings: Sequence[int]) -> Mapping[str, float]:
    """Share of the values in each bin, named by where the bin begins."""
    where = np.searchsorted(beginnings, values, side="right") - 1
    counts = np.bincount(where, minlength=len(beginnings))
    return {
        f"{name} from {start}": count / len(values) if len(values) else math.nan
        for start, count in zip(beginnings, counts.tolist(), strict=True)
    }
