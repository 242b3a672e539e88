"""A melody as symbols, one a sixteenth: written, read, and made of measures and back.

    60 _ 62 _ r _ _ 64     pitches 21..108 begin a note; `_` lengthens what stands before it,
                           note or rest; `r` begins a rest; `/` ends the melody

The notation is that of Velardo's "Generating Melodies with RNN-LSTM" (2020). A measure has half as
many symbols as steps, one more where they are odd; what begins on an odd step is told with the
sixteenth it lies in.

Also the sizes of the networks that read such symbols, and what they are given beside them. Knows
no torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from pianogen.errors import ConfigError
from pianogen.families.sizes import key_of
from pianogen.grid import HIGHEST_KEY, KEYS, LOWEST_KEY, MAX_STEPS, Measure, Meter, Note

Ints = NDArray[np.int64]
Model = Literal["gru", "lstm_attention", "vae"]

STEPS = 2  # a sixteenth
HOLD, REST, END = KEYS, KEYS + 1, KEYS + 2  # the symbols after the keys, 0..87
SYMBOLS = KEYS + 3
CELLS = MAX_STEPS // STEPS  # sixteenths in the longest measure
SIGNS = {HOLD: "_", REST: "r", END: "/"}
ALLOWED = f"a pitch {LOWEST_KEY} to {HIGHEST_KEY}, _ (hold), r (rest) or / (end)"
USUAL_VELOCITY = 18  # bin
LATENT_MEASURES = 7  # measures heard that a latent is found of; the next is the eighth of training


@dataclass(frozen=True)
class MelodyConfig:
    """Sizes of a network; what a checkpoint's metadata must hold to rebuild it.

    gru: layers of hidden. lstm_attention: a bidirectional LSTM of hidden a direction and so many
    layers over the last `window` symbols. vae: an encoder and a decoder of hidden, one layer each;
    latent numbers; word_dropout: share of the symbols given that training leaves out;
    latent_weight: what a nat of the latent costs.
    """

    model: Model = "gru"
    embedding: int = 96
    hidden: int = 256
    layers: int = 2
    window: int = 32
    heads: int = 8
    latent: int = 32
    dropout: float = 0.1
    word_dropout: float = 0.25
    latent_weight: float = 0.2

    def __post_init__(self) -> None:
        if self.model not in get_args(Model):
            raise ConfigError(f"melody: model must be one of {', '.join(get_args(Model))}")
        sizes = (self.embedding, self.hidden, self.layers, self.window, self.heads, self.latent)
        if min(sizes) < 1 or 2 * self.hidden % self.heads:
            raise ConfigError("melody: sizes must be at least 1, and 2 * hidden divide by heads")
        if not (0 <= self.dropout < 1 and 0 <= self.word_dropout < 1):
            raise ConfigError("melody: dropout and word_dropout must be shares, 0 to 1")


# --- the notation -------------------------------------------------------------------------------


def read(text: str) -> tuple[int, ...]:
    """The symbols of a melody that is written out, `/` left off.

    Raises ConfigError, which says which word is wrong and what it may be.
    """
    words = text.split()
    if words and words[-1] == SIGNS[END]:
        words.pop()
    if not words:
        raise ConfigError(f"the melody has no notes: each word is {ALLOWED}")
    if words[0] == SIGNS[HOLD]:
        raise ConfigError("the melody's word 1 is '_', which has nothing to hold: begin with 60")
    return tuple(_symbol(word, number) for number, word in enumerate(words, 1))


def is_ended(text: str) -> bool:
    """Whether a melody that is written out ends with `/`."""
    return text.split()[-1:] == [SIGNS[END]]


def written(symbols: Sequence[int]) -> str:
    """Symbols as text, a word each."""
    return " ".join(SIGNS.get(symbol, str(symbol + LOWEST_KEY)) for symbol in symbols)


def _symbol(word: str, number: int) -> int:
    if word == SIGNS[END]:
        raise ConfigError(f"the melody's word {number} is '/', which ends it: nothing may follow")
    for symbol, sign in SIGNS.items():
        if word == sign:
            return symbol
    if word.isascii() and word.isdecimal() and LOWEST_KEY <= int(word) <= HIGHEST_KEY:
        return int(word) - LOWEST_KEY
    raise ConfigError(f"the melody's word {number} is {word!r}: each is {ALLOWED}")


# --- to measures and back -----------------------------------------------------------------------


def cells_of(steps: int) -> int:
    """Symbols in a measure of so many steps."""
    return (steps + STEPS - 1) // STEPS


def measures_of(symbols: Sequence[int], meter: Meter) -> tuple[Measure, ...]:
    """The measures that symbols fill, from a measure line on; a last one that is not full is
    silent at its end. Holds before the first note are silent. All at one loudness."""
    cells, steps = cells_of(meter.steps), meter.steps
    count = -(-len(symbols) // cells)
    notes: list[list[Note]] = [[] for _ in range(count)]
    times = [i // cells * steps + i % cells * STEPS for i in range(len(symbols))]
    ends = [*times[1:], min(times[-1] + STEPS, count * steps)] if times else []
    for place, symbol in enumerate(symbols):
        if symbol < KEYS:
            last = place
            while last + 1 < len(symbols) and symbols[last + 1] == HOLD:
                last += 1
            onset, pitch = times[place] % steps, symbol + LOWEST_KEY
            length = ends[last] - times[place]
            notes[place // cells].append(Note(onset, pitch, USUAL_VELOCITY, length))
    return tuple(Measure(meter, tuple(row)) for row in notes)


def symbols_of(measures: Sequence[Measure]) -> Ints:
    """The top line of measures of one meter as symbols, (measures * cells,)."""
    if not measures:
        return np.zeros(0, np.int64)
    steps = measures[0].meter.steps
    rows = [
        (number * steps + note.onset, key_of(note.pitch), note.duration)
        for number, measure in enumerate(measures)
        for note in measure.notes
    ]
    time, key, duration = np.array(rows, np.int64).reshape(-1, 3).T
    shape = (1, len(measures), steps)
    line: Ints = top_lines(np.zeros_like(time), time, key, duration, shape)[0]
    return line


def top_lines(
    window: Ints, time: Ints, key: Ints, duration: Ints, shape: tuple[int, int, int]
) -> Ints:
    """The top line of each window of notes as symbols, (windows, measures * cells).

    window, time (steps), key, duration (steps): (N,), a note each. shape: windows, measures, steps.

        highest sounding    C C C E E C C . .      a note is of the line where it begins as the
        begins there        C     E                highest that sounds; when it is over the line
        symbols             C _ _ E _ r _ _ _      rests, though a longer lower note may go on
    """
    windows, measures, steps = shape
    cells = cells_of(steps)
    length = measures * cells
    first = time // steps * cells + time % steps // STEPS
    over = time + duration
    end = over // steps * cells + (over % steps + STEPS - 1) // STEPS
    end = np.clip(end, first + 1, length)
    change = np.zeros((windows, length + 1, KEYS), np.int32)
    np.add.at(change, (window, first, key), 1)
    np.add.at(change, (window, end, key), -1)
    sounding = change.cumsum(axis=1)[:, :length] > 0
    begins = np.zeros((windows, length, KEYS), bool)
    begins[window, first, key] = True
    top = np.where(sounding.any(2), KEYS - 1 - sounding[:, :, ::-1].argmax(2), -1)
    is_new = np.take_along_axis(begins, np.maximum(top, 0)[..., None], 2)[..., 0] & (top >= 0)
    return _told(top, is_new)


def _told(top: Ints, is_new: NDArray[np.bool_]) -> Ints:
    """Symbols of the highest key that sounds at each place (-1: none), and whether it begins."""
    before = np.concatenate([np.full((len(top), 1), -2), top[:, :-1]], axis=1)
    changes = is_new | (top != before)
    places = np.where(changes, np.arange(top.shape[1]), 0)
    is_note = np.take_along_axis(is_new, np.maximum.accumulate(places, axis=1), 1)
    was_note = np.concatenate([np.ones((len(top), 1), bool), is_note[:, :-1]], axis=1)
    ends = changes & ~is_new & was_note
    return np.asarray(np.where(is_new, top, np.where(ends, REST, HOLD)), np.int64)


# --- what a network is given --------------------------------------------------------------------


def sounding_at(symbols: Ints) -> Ints:
    """What each symbol (..., L) stands for: the key, REST, or END where holds hold nothing."""
    places = np.where(symbols != HOLD, np.arange(symbols.shape[-1]), 0)
    filled = np.take_along_axis(symbols, np.maximum.accumulate(places, axis=-1), -1)
    return np.asarray(np.where(filled == HOLD, END, filled), np.int64)


def inputs_of(symbols: Ints, cells: int) -> Ints:
    """What a network is given before each symbol of (B, L) that begin on a measure line, and before
    the one that would follow them: (B, L + 1, 6).

    The symbol before; what it stands for; the symbols a measure and two measures ago (END where
    the music had not begun); the place in the measure, 0..31, and the measure's length, 1..32.
    The symbols measures ago follow the lookback of Waite's "Generating Long-Term Structure in
    Songs and Stories" (2016).
    """
    rows, length = symbols.shape[0], symbols.shape[1] + 1
    columns = (
        _late(symbols, 1),
        _late(sounding_at(symbols), 1),
        _late(symbols, cells),
        _late(symbols, 2 * cells),
        np.broadcast_to(np.arange(length) % cells, (rows, length)),
        np.full((rows, length), cells),
    )
    return np.stack(columns, axis=-1).astype(np.int64)


def _late(symbols: Ints, by: int) -> Ints:
    """Symbols (B, L) moved on by so many places, END before them, (B, L + 1)."""
    padded = np.concatenate([np.full((len(symbols), by), END), symbols], axis=1)
    return padded[:, : symbols.shape[1] + 1]
