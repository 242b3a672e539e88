"""What the built-in performer plays: three calls in A minor, two measures of 4/4 each.

Each call leaves a rest before the measure line and two measures for the answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from bridge.player import Stroke

BEATS_A_MEASURE = 4
CALL_MEASURES = 2
ANSWER_MEASURES = 2
DEMO_BPM = 96.0

# A line a note: beat of the call, pitch, length in beats, velocity.
_FIRST_CALL = (
    (0.0, 69, 1.0, 78), (1.0, 72, 0.5, 70), (1.5, 71, 0.5, 64), (2.0, 69, 1.0, 72),
    (3.0, 64, 0.9, 60), (4.0, 74, 0.5, 74), (4.5, 72, 0.5, 76), (5.0, 71, 0.5, 72),
    (5.5, 68, 0.5, 62), (6.0, 69, 0.35, 74),
    (0.0, 45, 1.9, 52), (0.5, 52, 1.4, 44), (1.0, 57, 0.9, 42), (2.0, 41, 1.9, 54),
    (2.5, 48, 1.4, 44), (3.0, 53, 0.9, 42), (4.0, 40, 1.9, 56), (4.5, 47, 1.4, 46),
    (5.0, 56, 0.9, 46), (6.0, 45, 0.35, 52), (6.0, 57, 0.35, 50),
)  # fmt: skip
_SECOND_CALL = (
    (0.0, 76, 1.5, 84), (1.5, 74, 0.5, 72), (2.0, 72, 0.5, 74), (2.5, 71, 0.5, 68),
    (3.0, 69, 0.9, 66), (4.0, 77, 0.75, 86), (4.75, 76, 0.25, 72), (5.0, 74, 0.5, 74),
    (5.5, 71, 0.5, 70), (6.0, 72, 0.35, 76),
    (0.0, 45, 0.9, 56), (1.0, 52, 0.9, 46), (1.0, 60, 0.9, 44), (2.0, 53, 0.9, 48),
    (2.0, 57, 0.9, 44), (3.0, 48, 0.9, 50), (4.0, 50, 0.9, 58), (5.0, 55, 0.9, 48),
    (5.0, 59, 0.9, 46), (6.0, 48, 0.35, 54), (6.0, 55, 0.35, 48),
)  # fmt: skip
_THIRD_CALL = (
    (0.0, 69, 0.5, 88), (0.5, 71, 0.5, 82), (1.0, 72, 0.5, 86), (1.5, 76, 0.5, 90),
    (2.0, 81, 1.0, 98), (3.0, 79, 0.5, 86), (3.5, 77, 0.5, 82), (4.0, 76, 1.0, 88),
    (5.0, 74, 0.5, 78), (5.5, 72, 0.5, 74), (6.0, 71, 0.35, 70), (6.0, 68, 0.35, 64),
    (0.0, 33, 1.9, 66), (0.0, 45, 1.9, 60), (1.0, 57, 0.9, 50), (1.0, 60, 0.9, 50),
    (2.0, 38, 1.9, 66), (2.0, 50, 1.9, 60), (3.0, 57, 0.9, 52), (3.0, 65, 0.9, 52),
    (4.0, 41, 1.9, 62), (4.0, 53, 1.9, 54), (5.0, 57, 0.9, 48), (6.0, 40, 0.35, 58),
    (6.0, 52, 0.35, 50),
)  # fmt: skip
CALLS = (_FIRST_CALL, _SECOND_CALL, _THIRD_CALL)

DEMO_MEASURES = len(CALLS) * (CALL_MEASURES + ANSWER_MEASURES)  # 30 s at 96 bpm


def demo_strokes(bpm: float = DEMO_BPM, seed: int = 5) -> Iterator[Stroke]:
    """The three calls with a hand's small errors: milliseconds in time, a few in velocity."""
    hand = Random(seed)
    beat_s = 60 / bpm
    for number, call in enumerate(CALLS):
        first_beat = number * (CALL_MEASURES + ANSWER_MEASURES) * BEATS_A_MEASURE
        for beat, pitch, length, velocity in sorted(call):
            start = (first_beat + beat) * beat_s + min(0.02, max(-0.008, hand.gauss(0.004, 0.006)))
            end = start + length * beat_s * 0.95
            loudness = min(127, max(1, velocity + hand.randint(-4, 4)))
            yield Stroke(max(0.0, start), end, pitch, loudness)
