"""What the network of chords is given at a frame: what sounded, and what it is likely to echo.

Everything told of a frame lies before it:

    inputs (5 * 88)   the frame before: sounding, struck; a measure ago at this place: struck,
                      sounding; two measures ago: struck
    rolls (13, 88)    a row of each, read along the keyboard: the frame before: sounding, struck;
                      what was struck, decayed over a beat, a 4/4 measure and four; the share of
                      each key's pitch class in those three; a measure ago at this place, and two:
                      sounding, struck; four measures ago: struck

Pure numpy; the same for training on whole windows and for playing a frame at a time.
"""

from __future__ import annotations

import numpy as np

from pianogen.families.arithmetic import Floats
from pianogen.families.chord_frames import Bools, Frames
from pianogen.families.sizes import DECAYS
from pianogen.grid import KEYS
from pianogen.keys import PITCH_CLASSES

ROLLS = 13
INPUTS = 5 * KEYS
LONGEST_AGO = 4  # measures
SHARES = np.float32(3)  # brings shares of pitch classes near 1
CLASS = (np.arange(KEYS)[:, None] % PITCH_CLASSES == np.arange(PITCH_CLASSES)).astype(np.float32)


def kept(frame: int) -> Floats:
    """What is left of each decaying memory a frame later, (3, 1)."""
    return np.exp(-frame / np.array(DECAYS, np.float32))[:, None]


def decayed(struck: Bools, frame: int) -> Floats:
    """Memories of what was struck before each frame: (rows, frames, 88) -> (rows, frames, 3, 88).

    A row's first is empty."""
    rows, length, _ = struck.shape
    memory = np.zeros((rows, length, len(DECAYS), KEYS), np.float32)
    keep = kept(frame)
    for now in range(1, length):
        np.multiply(memory[:, now - 1], keep, out=memory[:, now])
        memory[:, now] += struck[:, now - 1, None]
    return memory


def shares(memory: Floats) -> Floats:
    """Of memories (..., 3, 88), at each key, what share its pitch class has."""
    classes = memory @ CLASS
    total = np.maximum(classes.sum(axis=-1, keepdims=True), np.float32(1e-3))
    spread: Floats = (classes * (SHARES / total)) @ CLASS.T
    return spread


def ago(table: Bools, frames: int) -> Bools:
    """(rows, frames, 88) so many frames later; what was not told is False."""
    late = np.zeros_like(table)
    late[:, frames:] = table[:, : max(table.shape[1] - frames, 0)]
    return late


def features(frames: Frames, a_measure: int, frame: int) -> tuple[Floats, Floats]:
    """Inputs (rows, frames, 440) and rolls (rows, frames, 13, 88) at every frame, of music that
    begins with the first; a_measure: frames in a measure."""
    sounding, struck = frames.sounding, frames.struck
    memory = decayed(struck, frame)
    echoes = [(ago(sounding, n * a_measure), ago(struck, n * a_measure)) for n in (1, 2)]
    four = ago(struck, LONGEST_AGO * a_measure)
    return joined(ago(sounding, 1), ago(struck, 1), memory, echoes[0], echoes[1], four)


def joined(
    sounding: Bools, struck: Bools, memory: Floats,
    one: tuple[Bools, Bools], two: tuple[Bools, Bools], four: Bools,
) -> tuple[Floats, Floats]:  # fmt: skip
    """Inputs and rolls of what is told: the frame before, memories, and one, two (sounding,
    struck each) and four (struck) measures ago; any number of axes before the last."""
    inputs = np.concatenate([sounding, struck, one[1], one[0], two[1]], axis=-1)
    lately = np.stack([sounding, struck], axis=-2).astype(np.float32)
    long_ago = np.stack([*one, *two, four], axis=-2).astype(np.float32)
    return inputs.astype(np.float32), np.concatenate(
        [lately, memory, shares(memory), long_ago], axis=-2
    )
