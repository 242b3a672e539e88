"""How a measure is brought to as many notes as are asked for: a push on what is drawn.

    notes |        goal .·'     Behind the pace that leads to the goal, notes are pushed
    so    |        .·' ,──      for, ahead of it, held back: gently, so that the rhythm
    far   |    .·' ,──'         stays the model's own, but for what is likely and what not.
          |.·'──'played
          +──────────────> step

The push is added to the logit of "something begins", and in part taken from that of the chord's
stop. Pure; knows neither torch nor numpy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log2

from pianogen.families.sizes import NOWHERE
from pianogen.grid import KEYS, LOWEST_KEY, Measure
from pianogen.keys import PITCH_CLASSES
from pianogen.sampling import Sampling

ALWAYS = 1.0  # nats for each doubling asked for
WANTING = 2.0  # nats by which a pace e times too slow is made up for, from a doubling on
THICKER = 0.5  # of the push, what the stop is held back by
EASE = 1.0  # notes more or less that do not matter
USUAL = 0.5  # notes a step, where nothing was heard
AWAY = 0.15


@dataclass(frozen=True, slots=True)
class Push:
    """What a measure is pushed by: `always` nats, and `wanting` nats times the logarithm of the
    notes wanted so far, of `goal` in the measure, against those played. Nothing by default."""

    always: float = 0.0
    wanting: float = 0.0
    goal: float = 0.0
    thicker: float = 0.0


def push_of(density: float, heard: Sequence[Measure], steps: int) -> Push:
    """The push to `density` times the notes that the next measure, of `steps` steps, would have.

    That is taken from the measures heard, which may be its own: where more is asked for, from
    the emptier ones, where less, from the fuller ones, so that it does not run away with itself.
    """
    doublings = log2(density)
    if not doublings:
        return Push()
    asked = max(-1.0, min(doublings, 1.0))
    counts = sorted(len(measure.notes) for measure in heard if measure.notes)
    usual = _quantile(counts, 0.5 - AWAY * asked) if counts else USUAL * steps
    return Push(ALWAYS * asked, WANTING * abs(asked), density * usual, THICKER * doublings)


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
