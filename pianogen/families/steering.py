"""How a measure is brought to as many notes as are asked for: a push on what is drawn.

    notes |        goal .·'     Behind the pace that leads to the goal, notes are pushed
    so    |        .·' ,──      for, ahead of it, held back: gently, so that the rhythm
    far   |    .·' ,──'         stays the model's own, but for what is likely and what not.
          |.·'──'played
          +──────────────> step

Chords are made thicker or thinner alike throughout. Pure; knows neither torch nor numpy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log, log2

from pianogen.families.sizes import NOWHERE
from pianogen.grid import KEYS, LOWEST_KEY, Measure
from pianogen.keys import PITCH_CLASSES
from pianogen.sampling import Sampling

MORE, FEWER = 2.0, 1.0  # nats at once where twice as many notes or more, or half, are asked for
WANTING = 8.0  # nats more where there are e times too few so far; less, the less is asked for
THICKER = 0.9  # nats a doubling that the chord's stop is held back by
EASE = 1.0  # notes more or less that do not matter
USUAL = 0.5  # notes a step, where nothing was heard
AWAY = 0.15  # of the measures heard, how far from the middle one the usual one is


@dataclass(frozen=True, slots=True)
class Push:
    """What a measure is pushed by, in nats; by nothing by default.

    always, and wanting times the logarithm of the notes wanted so far, of goal in the measure,
    against those played, go to the logit of "something begins"; thicker comes off the stop's.
    """

    always: float = 0.0
    wanting: float = 0.0
    goal: float = 0.0
    thicker: float = 0.0

    def nats(self, played: int, step: int, steps: int) -> float:
        """What is added to the log odds that something begins at a step of a measure of `steps`,
        after so many notes in it."""
        wanted = self.goal * step / steps
        return self.always + self.wanting * log((wanted + EASE) / (played + EASE))


def push_of(sampling: Sampling, heard: Sequence[Measure], steps: int) -> Push:
    """The push that a density asks for after the measures heard, in a measure of `steps` steps."""
    doublings = log2(sampling.density)
    if not doublings:
        return Push()
    asked = max(-1.0, min(doublings, 1.0))
    usual = sampling.usual_notes or _usual_notes(heard, asked) or USUAL * steps
    always = asked * (MORE if asked > 0 else FEWER)
    return Push(always, WANTING * abs(asked), sampling.density * usual, THICKER * doublings)


def _usual_notes(heard: Sequence[Measure], asked: float) -> float:
    """Notes a measure that would be played by itself; 0 where nothing was heard.

    Some of the measures may be steered ones of its own: so where more is asked for it is as the
    emptier ones, where less, as the fuller ones, not to run away with itself at once.
    """
    counts = sorted(len(measure.notes) for measure in heard if measure.notes)
    return _quantile(counts, 0.5 - AWAY * asked) if counts else 0.0


def free_keys(sampling: Sampling) -> tuple[bool, ...]:
    """Which of the 88 keys may be played: those within the range and of the scale."""
    pitches = range(LOWEST_KEY, LOWEST_KEY + KEYS)
    inside = range(sampling.low_pitch, sampling.high_pitch + 1)
    return tuple(p in inside and p % PITCH_CLASSES in sampling.pitch_classes for p in pitches)


def lean_of(sampling: Sampling, push: Push) -> tuple[float, ...]:
    """What is added to the logits of the 88 keys and of the stop, to draw from: keys out of the
    scale are not to be had, and chords are made thicker or thinner."""
    keys = range(LOWEST_KEY, LOWEST_KEY + KEYS)
    is_in = [key % PITCH_CLASSES in sampling.pitch_classes for key in keys]
    return (*(0.0 if yes else NOWHERE for yes in is_in), -push.thicker)


def _quantile(values: Sequence[int], share: float) -> float:
    place = share * (len(values) - 1)
    low = int(place)
    high = min(low + 1, len(values) - 1)
    return values[low] + (place - low) * (values[high] - values[low])
