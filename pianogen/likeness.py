"""How a continuation relates to what was heard, in numbers: what a listener could tell it by.

Pure: measures in, numbers out; nan where there is too little to say. Each number of
`pianogen.character` stands by itself and against what was heard; those here need both.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pianogen.character import Sheet, by_class, character, intervals, mean
from pianogen.grid import STEPS_PER_BEAT, VELOCITY_BINS, Measure
from pianogen.metrics import Floats, Ints, Stretch, estimate_key, overlap, share_in_key

HALF = 4  # measures: of what was heard, the last ones count most


@dataclass(frozen=True, slots=True, eq=False)
class Heard:
    """What was heard, looked at once for all who answer.

    whole: all of it; late: its last half. typical: its character, the mean of both halves, each
    about as long as an answer.
    """

    measures: tuple[Measure, ...]
    whole: Sheet
    late: Sheet
    typical: Mapping[str, float]

    @classmethod
    def of(cls, measures: Sequence[Measure]) -> Heard:
        """From at least two measures of one meter."""
        half = min(HALF, len(measures) // 2)
        early, late = Sheet.of(measures[-2 * half : -half]), Sheet.of(measures[-half:])
        a, b = character(early), character(late)
        typical = {name: _mean_known(a[name], b[name]) for name in a}
        return cls(tuple(measures), Sheet.of(measures), late, typical)


def _mean_known(a: float, b: float) -> float:
    if math.isnan(a):
        return b
    return a if math.isnan(b) else (a + b) / 2


def likeness(heard: Heard, answer: Sequence[Measure]) -> dict[str, float]:
    """Every number of an answer to what was heard, in the same meter, by name."""
    sheet = Sheet.of(answer)
    own = character(sheet)
    against = {f"{name} *": own[name] - heard.typical[name] for name in own}
    return {
        **own,
        **against,
        **_pitches(heard, sheet),
        **_time(heard.whole, sheet),
        **_lines(heard.whole, sheet),
        **_seam(heard.whole, sheet),
        **_returns(heard.measures, answer),
    }


# --- which notes --------------------------------------------------------------------------------


def _pitches(heard: Heard, sheet: Sheet) -> dict[str, float]:
    whole, late, pitch, classes = heard.whole, heard.late, sheet.music.pitch, sheet.classes
    profile = np.bincount(whole.classes, minlength=12)
    recent = np.bincount(late.classes, minlength=12)
    own = np.bincount(classes, minlength=12)
    by_beat = whole.music.onset % whole.music.steps // STEPS_PER_BEAT
    place = sheet.music.onset % sheet.music.steps // STEPS_PER_BEAT
    on_beats = np.bincount(by_beat * 12 + whole.classes, minlength=9 * 12).reshape(-1, 12)
    chance = _log_chance(profile)[classes]
    measure = sheet.music.onset // sheet.music.steps
    worst = [mean(chance[measure == n]) for n in range(sheet.music.measures)]
    beside = profile[(classes + 1) % 12] + profile[(classes - 1) % 12]
    return {
        "pitch classes shared": overlap(profile.astype(float), own.astype(float)),
        "pitch classes shared, late": overlap(recent.astype(float), own.astype(float)),
        "sounding classes shared": overlap(_lasting(whole), _lasting(sheet)),
        "in the key heard": share_in_key(sheet.music, estimate_key(whole.music)),
        "in the key heard late": share_in_key(sheet.music, estimate_key(late.music)),
        "chance under the profile": mean(chance),
        "chance, worst measure": min(
            (value for value in worst if not math.isnan(value)), default=math.nan
        ),
        "chance under the late profile": mean(_log_chance(recent)[classes]),
        "chance by beat": mean(
            _log_chance(on_beats + profile / max(profile.sum(), 1) * 4)[place, classes]
        ),
        "pitch classes new": mean(profile[classes] == 0),
        "pitch classes rare before": mean(profile[classes] <= 0.02 * profile.sum()),
        "pitch classes new late": mean(recent[classes] == 0),
        "beside what was heard": mean(beside > 4 * profile[classes]),
        "pitches heard": mean(np.isin(pitch, whole.music.pitch)),
        "pitches heard late": mean(np.isin(pitch, late.music.pitch)),
        "top pitches heard": mean(np.isin(sheet.top, whole.top)),
        "bass pitches heard": mean(np.isin(sheet.bottom, whole.bottom)),
        "register shared": overlap(_histogram(whole.music.pitch, 128), _histogram(pitch, 128)),
        **_chords(whole, sheet),
    }


def _lasting(sheet: Sheet) -> Floats:
    return np.asarray(by_class(sheet.sounds).sum(axis=0), np.float64)


def _log_chance(counts: NDArray[np.float64] | Ints) -> Floats:
    """Log of the share of each column, every count raised by a half."""
    raised = counts + 0.5
    return np.asarray(np.log(raised / raised.sum(axis=-1, keepdims=True)), np.float64)


def _chords(heard: Sheet, sheet: Sheet) -> dict[str, float]:
    """What begins or sounds at each step with onsets, as a whole."""
    begun, was_begun = _sets(sheet, sheet.begins), _sets(heard, heard.begins)
    sounding, was_sounding = _sets(sheet, sheet.sounds), _sets(heard, heard.sounds)
    chords = [frozenset(row.nonzero()[0].tolist()) for row in sheet.begins[sheet.at]]
    known = {frozenset(row.nonzero()[0].tolist()) for row in heard.begins[heard.at]}
    together, before = intervals(sheet), intervals(heard)
    return {
        "chords heard": mean(np.isin(begun, was_begun)),
        "chords heard, to the pitch": mean(np.array([chord in known for chord in chords])),
        "harmonies heard": mean(np.isin(sounding, was_sounding)),
        "intervals begun, shared": overlap(before[0].astype(float), together[0].astype(float)),
        "intervals sounding, shared": overlap(before[1].astype(float), together[1].astype(float)),
    }


def _sets(sheet: Sheet, roll: NDArray[np.bool_]) -> Ints:
    """The pitch classes at each step with onsets as one number, a bit each."""
    return (by_class(roll[sheet.at]) > 0) @ (1 << np.arange(12))


# --- when, how long, how loud -------------------------------------------------------------------


def _time(heard: Sheet, sheet: Sheet) -> dict[str, float]:
    steps = heard.music.steps
    was, now = heard.at % steps, sheet.at % steps
    place = np.bincount(was, minlength=steps)
    chance = np.log((place + 0.5) / (heard.music.measures + 1))
    gaps, old_gaps = np.diff(sheet.at), np.diff(heard.at)
    lengths, old_lengths = sheet.music.duration, heard.music.duration
    bins, old_bins = sheet.music.velocity_bin, heard.music.velocity_bin
    return {
        "places heard": mean(place[now] > 0),
        "places shared": overlap(_histogram(was, steps), _histogram(now, steps)),
        "chance of the places": mean(chance[now]),
        "gaps shared": overlap(_histogram(old_gaps, 99), _histogram(gaps, 99)),
        "gaps heard": mean(np.isin(gaps, old_gaps)),
        "pairs of gaps heard": mean(np.isin(_pairs(gaps), _pairs(old_gaps))),
        "lengths shared": overlap(_histogram(old_lengths, 99), _histogram(lengths, 99)),
        "lengths heard": mean(np.isin(lengths, old_lengths)),
        "velocities shared": overlap(
            _histogram(old_bins, VELOCITY_BINS), _histogram(bins, VELOCITY_BINS)
        ),
        "velocities heard": mean(np.isin(bins, old_bins)),
        "louder than any heard": mean(bins > old_bins.max(initial=-1)),
        "softer than any heard": mean(bins < old_bins.min(initial=99)),
    }


def _histogram(values: Ints, bins: int) -> Floats:
    return np.bincount(values.clip(max=bins - 1), minlength=bins).astype(np.float64)


def _pairs(values: Ints, sign: int = 1000) -> Ints:
    """Each value and the next as one number."""
    return values[:-1] * sign + values[1:]


# --- the outer lines ----------------------------------------------------------------------------


def _lines(heard: Sheet, sheet: Sheet) -> dict[str, float]:
    made: dict[str, float] = {}
    scale = _scale(heard.music)
    lines = {"top": (heard.top, sheet.top), "bass": (heard.bottom, sheet.bottom)}
    for name, (was, now) in lines.items():
        moves, old_moves = np.diff(now), np.diff(was)
        moved = np.flatnonzero(moves)
        stepping = moved[np.abs(moves[moved]) <= 2]
        made |= {
            f"{name} moves shared": overlap(
                _histogram(np.abs(old_moves), 25), _histogram(np.abs(moves), 25)
            ),
            f"{name} moves heard": mean(np.isin(moves, old_moves)),
            f"{name} pairs of notes heard": mean(np.isin(_pairs(now), _pairs(was))),
            f"{name} three notes heard": mean(np.isin(_pairs(_pairs(now)), _pairs(_pairs(was)))),
            f"{name} pairs of moves heard": mean(np.isin(_pairs(moves), _pairs(old_moves))),
            f"{name} off the scale": mean(~np.isin(now % 12, scale)),
            f"{name} moves off the scale": mean(~np.isin(now[moved + 1] % 12, scale)),
            f"{name} steps off the scale": mean(~np.isin(now[stepping + 1] % 12, scale)),
        }
    return made


def _scale(music: Stretch) -> Sequence[int]:
    key = estimate_key(music)
    return key.scale if key else range(12)


# --- the seam -----------------------------------------------------------------------------------


def _seam(heard: Sheet, sheet: Sheet) -> dict[str, float]:
    """The first notes against the last heard."""
    if not len(sheet.at) or not len(heard.at):
        return {}
    first, last = sheet.music.onset == sheet.at[0], heard.music.onset == heard.at[-1]
    before = heard.music.onset >= heard.music.length - STEPS_PER_BEAT * 2
    after = sheet.music.onset < STEPS_PER_BEAT * 2
    last_classes, recent = np.unique(heard.classes[last]), np.unique(heard.classes[before])
    louder = mean(sheet.music.velocity_bin[first]) - mean(heard.music.velocity_bin[last])
    onward, inward = sheet.music.pitch[after], heard.music.pitch[before]
    return {
        "seam: top moves": float(abs(sheet.top[0] - heard.top[-1])),
        "seam: bass moves": float(abs(sheet.bottom[0] - heard.bottom[-1])),
        "seam: first step": float(sheet.at[0]),
        "seam: gap": float(sheet.at[0] + heard.music.length - heard.at[-1]),
        "seam: louder": louder,
        "seam: louder or softer": abs(louder),
        "seam: notes at first": float(first.sum()),
        "seam: thicker": float(first.sum()) - float(last.sum()),
        "seam: classes kept": mean(np.isin(sheet.classes[first], last_classes)),
        "seam: half measure's classes": mean(np.isin(sheet.classes[after], recent)),
        "seam: half measure's pitches": mean(np.isin(onward, inward)),
        "seam: busier": float(after.sum()) - float(before.sum()),
        "seam: higher": mean(onward) - mean(inward),
    }


# --- measures that return -----------------------------------------------------------------------


def _returns(heard: Sequence[Measure], answer: Sequence[Measure]) -> dict[str, float]:
    """How like its measures are to those before them, and how like those heard were."""
    made: dict[str, float] = {}
    measures, start = [*heard, *answer], len(heard)
    for name, rows in _fingerprints(measures).items():
        alike = _shared(rows)
        now, was = range(start, len(measures)), range(start // 2, start)
        old = alike[start:, :start]
        made |= {
            f"{name}: like the last heard": mean(alike[start:, start - 1]),
            f"{name}: first like the last": float(alike[start, start - 1]),
            f"{name}: like the best heard": mean(old.max(axis=1)),
            f"{name}: least like the best": float(old.max(axis=1).min()),
            f"{name}: like all heard": mean(old.ravel()),
            f"{name}: exact repeats": mean(np.array([alike[n, :n].max() > 0.999 for n in now])),
            **_among(name, alike, now),
        }
        before = _among(name, alike, was)
        made |= {f"{what} *": made[what] - value for what, value in before.items()}
    return made


def _among(name: str, alike: Floats, rows: range) -> dict[str, float]:
    best = [alike[n, :n].max() for n in rows]
    made = {f"{name}: like any before": mean(np.array(best))}
    for back in (1, 2, 4):
        values = [alike[n, n - back] for n in rows if n >= back]
        made[f"{name}: like {back} before"] = mean(np.array(values))
    return made


def _fingerprints(measures: Sequence[Measure]) -> dict[str, Floats]:
    """What each measure is made of, (measures, things): where onsets fall; moves of the top line
    within it, by where; pitch classes, then pitches, that begin, by where; what sounds."""
    sheet = Sheet.of(measures)
    steps, count = sheet.music.steps, len(measures)
    moves = np.zeros((sheet.music.length, 25))
    within = np.diff(sheet.at // steps) == 0
    moves[sheet.at[1:][within], np.diff(sheet.top).clip(-12, 12)[within] + 12] = 1
    rolls = {
        "rhythm": sheet.begins.any(axis=1),
        "moves": moves,
        "classes": by_class(sheet.begins) > 0,
        "pitches": sheet.begins,
    }
    return {name: roll.reshape(count, -1).astype(np.float64) for name, roll in rolls.items()} | {
        "harmony": by_class(sheet.sounds).reshape(count, steps, 12).sum(axis=1).astype(np.float64)
    }


def _shared(rows: Floats) -> Floats:
    """Cosine of every two rows, (rows, rows); two empty ones are alike."""
    size = np.sqrt((rows**2).sum(axis=1))
    empty = size == 0
    scaled = rows / np.where(empty, 1, size)[:, None]
    return np.asarray(scaled @ scaled.T + np.outer(empty, empty), np.float64)
