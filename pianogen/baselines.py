"""What knows nothing and what only repeats: probability models to hold a network against.

All are fitted on the training split and give every step its own probability, so that their
nats a note are of the same notes and add up as the network's do:

    Unigram   an onset by its place in the measure; how many notes; which keys; how loud; how long
    Repeat    each of these as the same place a measure ago with a fitted chance, else as above
    Hold      as loud and as long as the note before with a fitted chance, else as the unigram

Silence has no nats to give: it holds every note to be impossible.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pianogen.families.sizes import DURATIONS
from pianogen.grid import KEYS, LOWEST_KEY, VELOCITY_BINS, Measure, Meter, Note
from pianogen.nats import Sums, note_sums
from pianogen.windowed import Bools, Floats, Ints, Windowed, any_key

SURE = 0.999  # no repetition is certain


@dataclass(frozen=True, slots=True, eq=False)
class Unigram:
    """Every note for itself.

    onset: by steps in a measure, the chance of an onset at each place. anywhere: the same for
    meters never seen. counts: (89,) chance of 0..88 notes at an onset (0 of none). odds: (88,)
    of each key there. velocity (32,) and duration (32,): chances of each bin and length.
    """

    onset: Mapping[int, Floats]
    anywhere: float
    counts: Floats
    odds: Floats
    velocity: Floats
    duration: Floats

    @classmethod
    def fit(cls, music: Iterable[Windowed]) -> Unigram:
        """Shares in the music, each with a little added so that nothing is impossible."""
        onset: dict[int, Floats] = {}
        measures: dict[int, int] = {}
        counts, keys = np.full(KEYS + 1, 0.01), np.zeros(KEYS)
        velocity, duration = np.ones(VELOCITY_BINS), np.ones(len(DURATIONS))
        for windows in music:
            S = windows.steps
            roll = windows.onsets().reshape(-1, S, KEYS)
            onset[S] = onset.get(S, np.zeros(S)) + roll.any(axis=2).sum(axis=0)
            measures[S] = measures.get(S, 0) + len(roll)
            counts += np.bincount(roll.sum(axis=2).ravel(), minlength=KEYS + 1)
            keys += roll.sum(axis=(0, 1))
            weight = windows.weight[windows.window]
            velocity += np.bincount(windows.velocity, weight, VELOCITY_BINS)
            duration += np.bincount(windows.duration_class, minlength=len(DURATIONS))
        counts[0] = 0
        struck = (keys + 0.5) / (counts.sum() + 1)
        begun, places = (
            sum(c.sum() for c in onset.values()),
            sum(S * n for S, n in measures.items()),
        )
        return cls(
            {S: (onset[S] + 0.5) / (measures[S] + 1) for S in onset},
            float((begun + 0.5) / (places + 1)),
            counts / counts.sum(),
            struck / (1 - struck),
            velocity / velocity.sum(),
            duration / duration.sum(),
        )

    def chances(self, steps: int) -> Floats:
        """The chance of an onset at each place of a measure of `steps`."""
        return self.onset.get(steps, np.full(steps, self.anywhere))

    def of_steps(self, windows: Windowed) -> Floats:
        """The same for every step of some windows: (B, T)."""
        whole = np.tile(self.chances(windows.steps), windows.measures)
        return np.broadcast_to(whole, windows.shape[:2])

    def nats(self, windows: Windowed) -> Sums:
        """Sums of negative log-likelihood over each window of music."""
        roll = windows.onsets()
        begins = any_key(roll)
        chance = self.of_steps(windows)
        sets = roll[begins]
        pitch = np.log(self.counts[sets.sum(axis=1)]) + log_sets(self.odds[None], sets)
        return note_sums(
            windows,
            note=-windows.per_window(pitch, begins.nonzero()[0]),
            onset=-np.log(np.where(begins, chance, 1 - chance)).sum(axis=1),
            velocity=-np.log(self.velocity[windows.velocity]),
            duration=-np.log(self.duration[windows.duration_class]),
        )

    def sample(self, meter: Meter, measures: int, rng: np.random.Generator) -> tuple[Measure, ...]:
        """Measures drawn at random."""
        tails = _tails(self.odds)
        return tuple(self._measure(meter, tails, rng) for _ in range(measures))

    def _measure(self, meter: Meter, tails: Floats, rng: np.random.Generator) -> Measure:
        notes = []
        for step in np.flatnonzero(rng.random(meter.steps) < self.chances(meter.steps)):
            count = min(int(rng.choice(KEYS + 1, p=self.counts)), tails.shape[1] - 1)
            for key in _draw_set(self.odds, tails, count, rng):
                bin_ = int(rng.choice(VELOCITY_BINS, p=self.velocity))
                length = DURATIONS[rng.choice(len(DURATIONS), p=self.duration)]
                notes.append(Note(int(step), key + LOWEST_KEY, bin_, length))
        return Measure(meter, tuple(notes))


def log_sets(odds: Floats, sets: Bools) -> Floats:
    """Log chance of each set of keys among all sets of its size, (M,).

    Keys fall independently, given how many there are: the product of a set's odds over the sum
    of such products (the elementary symmetric polynomial). odds (1 or M, 88), sets (M, 88).
    """
    size = sets.sum(axis=1)
    most = int(size.max(initial=0))
    total = np.zeros((len(odds), most + 1))
    total[:, 0] = 1
    for key in range(odds.shape[1]):
        total[:, 1:] += odds[:, key, None] * total[:, :-1]
    rows = np.arange(len(sets)) if len(odds) > 1 else np.zeros(len(sets), np.int64)
    mine = np.where(sets, np.log(odds), 0.0).sum(axis=1)
    return np.asarray(mine - np.log(total[rows, size]))


def _tails(odds: Floats, most: int = 16) -> Floats:
    """(89, most + 1): summed products of odds of 0, 1, 2 ... keys from each key up."""
    tails = np.zeros((KEYS + 1, most + 1))
    tails[:, 0] = 1
    for key in reversed(range(KEYS)):
        tails[key, 1:] = tails[key + 1, 1:] + odds[key] * tails[key + 1, :-1]
    return tails


def _draw_set(odds: Floats, tails: Floats, count: int, rng: np.random.Generator) -> list[int]:
    drawn: list[int] = []
    for key, uniform in enumerate(rng.random(KEYS)):
        left = count - len(drawn)
        if left and uniform * tails[key, left] < odds[key] * tails[key + 1, left - 1]:
            drawn.append(key)
    return drawn


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """Outcomes, one an entry: the chance a unigram gives each, whether the same place a measure
    ago had anything to say of it, and whether it said this. weight: how much each counts when
    the chance of coming again is fitted."""

    chance: Floats
    told: Bools
    same: Bools
    weight: Floats

    def nats(self, again: float) -> Floats:
        """Negative log-likelihood if what was told comes again with chance `again`."""
        mixed = np.where(self.told, again * self.same + (1 - again) * self.chance, self.chance)
        return np.asarray(-np.log(mixed))


def joined(parts: Sequence[Evidence]) -> Evidence:
    """One after another."""
    columns = ([getattr(part, name) for part in parts] for name in Evidence.__slots__)
    return Evidence(*(np.concatenate(column) for column in columns))


def fit_again(evidence: Evidence) -> float:
    """The chance of coming again that makes the outcomes likeliest, 0..0.999; by EM."""
    came = evidence.told & evidence.same
    chance, weight = evidence.chance[came], evidence.weight[came]
    told = float(evidence.weight[evidence.told].sum())
    if not told:
        return 0.0
    again = 0.5
    for _ in range(100):
        again = float((weight * again / (again + (1 - again) * chance)).sum()) / told
    return min(again, SURE)


@dataclass(frozen=True, slots=True, eq=False)
class Repeat:
    """The last measure's same place comes again, else the unigram.

    again: chance that an onset, a rest, a number of notes, a velocity, a duration is the one
    of a measure ago. odds: that a key struck there then is struck now, given an onset.
    """

    unigram: Unigram
    again: Mapping[str, float]
    odds: float

    @classmethod
    def fit(cls, unigram: Unigram, music: Sequence[Windowed]) -> Repeat:
        """The chances under which the music is likeliest."""
        parts = [_evidence(unigram, windows) for windows in music]
        names = parts[0] if parts else {}
        again = {name: fit_again(joined([part[name] for part in parts])) for name in names}
        returned, struck = 1.0, 2.0
        for windows in music:
            now, before = _sets(windows)
            returned += float((now & before).sum())
            struck += float(before.sum())
        share = min(returned / struck, SURE)
        return cls(unigram, again, share / (1 - share))

    def nats(self, windows: Windowed) -> Sums:
        """Sums of negative log-likelihood over each window of music."""
        parts = _evidence(self.unigram, windows)
        nats = {name: part.nats(self.again[name]) for name, part in parts.items()}
        now, before = _sets(windows)
        odds = np.where(before, self.odds, self.unigram.odds)
        roll = windows.onsets()
        did = any_key(windows.a_measure_ago(roll))
        return note_sums(
            windows,
            note=windows.per_window(
                nats["count"] - log_sets(odds, now), any_key(roll).nonzero()[0]
            ),
            onset=windows.per_window(nats["onset"], did.nonzero()[0])
            + windows.per_window(nats["rest"], (~did).nonzero()[0]),
            velocity=nats["velocity"],
            duration=nats["duration"],
        )


def _sets(windows: Windowed) -> tuple[Bools, Bools]:
    """The keys of each step with onsets, now and a measure ago: (M, 88) twice."""
    roll = windows.onsets()
    begins = any_key(roll)
    return roll[begins], windows.a_measure_ago(roll)[begins]


def _evidence(unigram: Unigram, windows: Windowed) -> dict[str, Evidence]:
    roll = windows.onsets()
    begins, chance = any_key(roll), unigram.of_steps(windows)
    did = any_key(windows.a_measure_ago(roll))
    is_known = np.broadcast_to(np.arange(windows.shape[1]) >= windows.steps, begins.shape)
    outcome = np.where(begins, chance, 1 - chance)
    now, before = (sets.sum(axis=1) for sets in _sets(windows))
    weight = windows.weight[windows.window]
    one = np.ones(begins.shape)
    return {
        "onset": Evidence(outcome[did], is_known[did], begins[did], one[did]),
        "rest": Evidence(outcome[~did], is_known[~did], ~begins[~did], one[~did]),
        "count": Evidence(unigram.counts[now], before > 0, now == before, one[begins]),
        "velocity": _of_notes(windows, windows.velocity, unigram.velocity, weight),
        "duration": _of_notes(
            windows, windows.duration_class, unigram.duration, np.ones_like(weight)
        ),
    }


def _of_notes(windows: Windowed, values: Ints, chances: Floats, weight: Floats) -> Evidence:
    before = windows.a_measure_ago(windows.roll(values, -1), -1)[windows.where]
    return Evidence(chances[values], before >= 0, before == values, weight)


@dataclass(frozen=True, slots=True, eq=False)
class Hold:
    """Every note as loud and as long as the one before it, else the unigram; pitch and timing
    are nan. again: the chance of the velocity, and of the duration, of the note before."""

    unigram: Unigram
    again: Mapping[str, float]

    @classmethod
    def fit(cls, unigram: Unigram, music: Sequence[Windowed]) -> Hold:
        """The chances under which the music is likeliest."""
        parts = [_as_before(unigram, windows) for windows in music]
        names = parts[0] if parts else {}
        return cls(unigram, {n: fit_again(joined([part[n] for part in parts])) for n in names})

    def nats(self, windows: Windowed) -> Sums:
        """Sums of negative log-likelihood over each window of music."""
        parts = _as_before(self.unigram, windows)
        nats = {name: part.nats(self.again[name]) for name, part in parts.items()}
        unknown = np.full(windows.windows, math.nan)
        return note_sums(
            windows, note=unknown, onset=unknown,
            velocity=nats["velocity"], duration=nats["duration"],
        )  # fmt: skip


def _as_before(unigram: Unigram, windows: Windowed) -> dict[str, Evidence]:
    weight = windows.weight[windows.window]
    return {
        "velocity": _held(windows, windows.velocity, unigram.velocity, weight),
        "duration": _held(windows, windows.duration_class, unigram.duration, np.ones_like(weight)),
    }


def _held(windows: Windowed, values: Ints, chances: Floats, weight: Floats) -> Evidence:
    before = windows.note_before(values, -1)
    return Evidence(chances[values], before >= 0, before == values, weight)
