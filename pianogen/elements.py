"""The figures this design was published with, in their own definition: element by element.

Everything is one step ahead: what a step is predicted from is the true music before it. The
elements are those of a (steps x 128) roll of what sounds. What was struck before sounds on for
its true length, so a prediction can only be wrong in what it lets begin; silence alone predicts
that nothing sounds. Most elements are silent, so that the first and third figure are high, or
low, for anyone; the others are there to tell who knows something.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pianogen.baselines import Unigram
from pianogen.grid import KEYS, PITCHES, VELOCITY_BINS
from pianogen.nats import Sums, ratio
from pianogen.windowed import (
    RHYTHMS,
    Bools,
    Floats,
    Ints,
    Windowed,
    any_key,
    bin_loudness,
    until_next,
)


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """What is expected of some windows, each step from what came before it.

    onset: (B, T, 88) what begins. velocity: (B, T, 88) how loud that is, 0..1, elsewhere
    ignored. rhythm: (B, T) steps to the next onset, 0..31. touch: (N,) the velocity expected of
    each true note, 0..1. holds: whether what was struck before sounds on.
    """

    onset: Bools
    velocity: Floats
    rhythm: Ints
    touch: Floats
    holds: bool = True


def element_sums(windows: Windowed, prediction: Prediction) -> Sums:
    """Sums over each window, (B,), for `published`."""
    onset, held = windows.onsets(), windows.held()
    velocity = np.where(onset, windows.roll(windows.loudness), held)
    kept = held if prediction.holds else np.zeros_like(held)
    expected = np.where(prediction.onset, prediction.velocity, kept)
    sounds, guessed = onset | (held > 0), prediction.onset | (kept > 0)
    rhythm, known = until_next(any_key(onset))
    wrong_touch = np.abs(prediction.touch - windows.loudness)
    played = windows.weight[windows.window] == 1
    beyond = onset.shape[1] * (PITCHES - KEYS)  # off the piano: always silent
    of_roll = {
        "right": sounds == guessed,
        "velocity": np.abs(expected - velocity),
        "hits": onset & prediction.onset,
        "onsets": onset,
        "guesses": prediction.onset,
    }
    sums = {name: roll.sum(axis=(1, 2), dtype=np.float64) for name, roll in of_roll.items()}
    return sums | {
        "right": sums["right"] + beyond,
        "elements": np.full(windows.windows, float(onset.shape[1] * PITCHES)),
        "steps": known.sum(axis=1, dtype=np.float64),
        "aligned": ((prediction.rhythm == rhythm) & known).sum(axis=1, dtype=np.float64),
        "touch": windows.per_window(wrong_touch),
        "played": windows.per_window(played),
        "touch_played": windows.per_window(wrong_touch * played),
    }


def published(sums: Sums) -> dict[str, Floats]:
    """The figures, one for each entry of the sums: shares and F1 0..1, velocities 0..1 of full;
    nan where there is nothing."""
    return {
        "note accuracy": ratio(sums["right"], sums["elements"]),
        "rhythm alignment": ratio(sums["aligned"], sums["steps"]),
        "velocity MAE, elements": ratio(sums["velocity"], sums["elements"]),
        "velocity MAE, notes": ratio(sums["touch"], sums["onsets"]),
        "velocity MAE, played notes": ratio(sums["touch_played"], sums["played"]),
        "onset F1": ratio(2 * sums["hits"], sums["onsets"] + sums["guesses"]),
    }


def silent(windows: Windowed, *, holds: bool) -> Prediction:
    """Nothing begins any more; what was struck before sounds on, or not. Who holds expects a
    note that begins after all to be as loud as the one before it, silence at 0."""
    nothing = np.zeros(windows.shape, np.bool_)
    return Prediction(
        nothing,
        np.zeros(windows.shape),
        np.full(windows.shape[:2], RHYTHMS - 1),
        windows.note_before(windows.loudness) * holds,
        holds,
    )


def by_unigram(windows: Windowed, unigram: Unigram) -> Prediction:
    """The likeliest by place in the measure: an onset where its chance is over half, then the
    likeliest number of the likeliest keys, at the median velocity."""
    chance = unigram.of_steps(windows)
    keys = np.argsort(-unigram.odds, kind="stable")[: int(unigram.counts.argmax())]
    onset = np.zeros(windows.shape, np.bool_)
    onset[..., keys] = (chance > 0.5)[..., None]
    velocity = float(median_velocity(unigram.velocity))
    rhythm = _likeliest_rhythm(unigram.chances(windows.steps))
    return Prediction(
        onset,
        np.full(windows.shape, velocity),
        np.broadcast_to(np.tile(rhythm, windows.measures), windows.shape[:2]),
        np.full(len(windows.key), velocity),
    )


def by_repeat(windows: Windowed, unigram: Unigram) -> Prediction:
    """What began at the same place a measure ago begins again, as loud; in a window's first
    measure, and where a note was not there a measure ago, as the unigram has it."""
    fallback = by_unigram(windows, unigram)
    onset = windows.onsets()
    before = windows.a_measure_ago(onset)
    velocity = windows.a_measure_ago(windows.roll(windows.loudness))
    first = np.arange(windows.shape[1]) < windows.steps
    coming, known = until_next(any_key(onset))
    here = np.minimum(windows.steps, RHYTHMS)  # the same measure over and over
    again = windows.a_measure_ago(np.where(known & (coming < here), coming, RHYTHMS - 1))
    return Prediction(
        np.where(first[:, None], fallback.onset, before),
        np.where(before, velocity, fallback.velocity),
        np.where(first, fallback.rhythm, again),
        np.where(before, velocity, fallback.velocity)[windows.where],
    )


def median_velocity(chances: Floats) -> Floats:
    """The median (0..1) of chances of velocity bins, (..., 32)."""
    bins = (chances.cumsum(axis=-1) < 0.5).sum(axis=-1).clip(max=VELOCITY_BINS - 1)
    return bin_loudness(bins)


def _likeliest_rhythm(chances: Floats) -> Ints:
    """(S,) the likeliest steps to the next onset, 0..31, from each place in the measure."""
    S = len(chances)
    ahead = chances[(np.arange(S)[:, None] + np.arange(RHYTHMS)) % S]
    ahead[:, -1] = 1  # 31 and more: all that is left
    none_yet = np.cumprod(np.concatenate([np.ones((S, 1)), 1 - ahead[:, :-1]], axis=1), axis=1)
    return np.asarray((ahead * none_yet).argmax(axis=1))
