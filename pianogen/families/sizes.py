"""The numbers that every way to play the hybrid shares. Knows neither torch nor numpy.

Keys are pitches counted from A0: 0..87. Steps are those of the grid.
"""

from __future__ import annotations

from dataclasses import dataclass

from pianogen.errors import ConfigError
from pianogen.grid import HIGHEST_KEY, KEYS, LOWEST_KEY

# --- what is known of music ---
DECAYS = (8.0, 32.0, 128.0)  # steps: a beat, a 4/4 measure, four
PLANES = 14  # rows a key that the note head reads, see `features.planes`
RHYTHM = 20  # numbers a step on when notes came before, see `features.rhythm`
HARMONY = 24  # pitch-class profiles over a beat and a measure
MEMORIES = (6.0, 64.0)  # steps over which a note's loudness and length are remembered
MEMORY_KEYS = 5.0  # semitones over which they are
AHEAD = 4  # places of an earlier measure looked at, from the present one on
LOUDNESS = 7  # numbers a note that velocity and duration read, see `touches.touch`
NEAR = 7  # semitones either side that count as near a key

# --- notes ---
MARKS = 64  # a note's velocity bin and length class, one of 32 each
# The lengths the model chooses from, in steps: all up to a half note, then the usual ones.
DURATIONS = (*range(1, 17), 18, 20, 22, 24, 28, 32, 36, 40, 44, 48, 56, 64, 80, 96, 128, 192)
STOP = KEYS  # the choice that ends a step
NO_KEY = KEYS  # "none chosen yet" in place of the lowest key
FINGERS = 10  # notes that may begin on one step
NOISE = 1 + 3 * FINGERS  # uniform numbers a step: whether, then which, how loud, how long

# --- the echo of earlier onsets ---
SAME, MOVED, TOUCHING = 4, 4, 2  # heads; of those moved half go by the top line, half by the bass
ROWS = SAME + MOVED  # rows a key that the heads bring back
HEADS = ROWS + TOUCHING
REACH = 16  # measures
PLACES = 33  # distances within the measure, either way, that the bias tells apart
NOWHERE = -1e9  # the logit of what is not to be seen
MIDDLE_C = 39  # key

# --- the heads ---
POSITION = 32  # size of the measure encoding
RHYTHMS = 32  # steps to the next onset: 0..30, and 31 for more
ALMOST = 0.999  # of a chance: keeps the hazard of a certain onset finite
INTERVALS = 24  # semitones over which a chosen note's interval is told from its class
WAVES = 12  # the register's shape along the keyboard: that many cosines
MOST = 8  # notes a step that the stop tells apart
FLOOR = 0.02  # of a chance brought back, before its logarithm
RECENT = len(MEMORIES) + TOUCHING  # histograms a note that loudness and length are held against

SHORTEST = 3  # steps in a measure: what the convolutions carry over a line


@dataclass(frozen=True)
class HybridConfig:
    """Sizes of the network; what a checkpoint's metadata must hold to rebuild it."""

    conv: int = 192
    onset_branch: int = 64
    hidden: int = 256  # BiLSTM a direction, decoder LSTM
    heads: int = 4
    window: int = 4  # measures the attention reaches back
    channels: int = 24  # of the within-step head
    width: int = 25  # of its convolutions, keys
    touch: int = 192
    echo: int = 32  # a head of the attention to earlier onsets
    dropout: float = 0.1
    attention_dropout: float = 0.1

    def __post_init__(self) -> None:
        if self.hidden % self.heads or self.width % 2 == 0 or min(self.conv, self.window) < 1:
            raise ConfigError("hybrid: hidden must divide by heads, and width be odd")


def lookbacks(steps: int) -> tuple[int, int, int, int]:
    """How far back the same place lies half a measure, one, two and four measures ago."""
    return (max(steps // 2, 1), steps, 2 * steps, 4 * steps)


def key_of(pitch: int) -> int:
    """The key (0..87) of a pitch (0..127), brought into the piano's range by octaves."""
    while pitch < LOWEST_KEY:
        pitch += 12
    while pitch > HIGHEST_KEY:
        pitch -= 12
    return pitch - LOWEST_KEY
