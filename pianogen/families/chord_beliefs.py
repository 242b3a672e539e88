"""The chords network in numpy, a frame at a time for several lines at once; see `chords`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pianogen.families.arithmetic import Floats, panels, parts
from pianogen.families.chord_features import ROLLS
from pianogen.families.chord_frames import Bools, ChordsConfig
from pianogen.families.chord_vocabulary import Vocabulary
from pianogen.families.cpu_layers import Gru, Linear, Lstm, Recurrent, State, single, wide
from pianogen.families.sizes import NOWHERE
from pianogen.grid import KEYS

SAME, PART = 0, 1  # which of `kind`


@dataclass(frozen=True, slots=True, eq=False)
class Belief:
    """What is thought of the next chord of N lines.

    logits (N, V), those of rows that are no chord far below all others. added (N, V): keys each
    chord has that did not sound before. state, gates: for `Beliefs.again`.
    """

    logits: Floats
    added: Floats
    state: Floats
    gates: Floats


class Beliefs:
    """The weights of a checkpoint, made ready."""

    def __init__(self, config: ChordsConfig, weights: Mapping[str, NDArray[Any]]) -> None:
        self.config = config
        self.vocabulary = Vocabulary(np.ascontiguousarray(weights["vocabulary"], np.uint8))
        self._place, self._meter = single(weights, "place.weight"), single(weights, "meter.weight")
        self._encoder = Linear(weights, "encoder")
        made = Lstm if config.cell == "lstm" else Gru
        self.layers: Recurrent = made(weights, "layers", layers=2)
        self._read = Linear(weights, "read")
        C = config.channels
        self._sizes = [KEYS, config.rank, 2, ROLLS, ROLLS, C, C, C]
        self._along = single(weights, "along.weight").transpose(2, 1, 0).reshape(-1, C)
        self._along_bias = single(weights, "along.bias")
        keys = self.vocabulary.keys
        self._chords = panels(np.concatenate([keys, single(weights, "chord")], axis=1).T)
        self._bias = single(weights, "chord_bias") + np.where(self.vocabulary.is_chord, 0, NOWHERE)
        self._bias = self._bias.astype(np.float32)
        self._strike, self._strike_out = Linear(weights, "strike"), Linear(weights, "strike_out")
        self._keys, self._size = keys.T.copy(), keys.sum(axis=1)

    def told(self, inputs: Floats, place: NDArray[np.int64], steps: int) -> Floats:
        """What the layers are given: inputs (..., 440) at steps `place` of a measure of `steps`."""
        where = np.broadcast_to(self._place[place] + self._meter[steps], (*inputs.shape[:-1], 32))
        both = np.concatenate([inputs, where], axis=-1)
        out: Floats = np.maximum(self._encoder(both), 0)
        return out

    def step(self, inputs: Floats, place: int, steps: int, state: State) -> tuple[Floats, State]:
        """A frame of N lines: inputs (N, 440) -> what is known (N, H), and what is carried on."""
        return self.layers.step(self.told(inputs, np.array(place), steps), state)

    def believe(self, state: Floats, rolls: Floats, before: Bools) -> Belief:
        """Of what is known (N, H), rolls (N, 13, 88) and the keys that sounded before (N, 88)."""
        dense, query, kind, gate, held, scale, shift, out = parts(self._read(state), self._sizes)
        along = np.maximum(self._convolved(rolls) * (1 + scale[:, None]) + shift[:, None], 0)
        score = dense + np.einsum("nkc,nc->nk", along, out) + (gate[:, None] @ rolls)[:, 0]
        logits = wide(np.concatenate([score, query], axis=1), self._chords)
        logits += self._bias
        added = self._size - np.stack([self._keys[sounds].sum(axis=0) for sounds in before])
        line, row = np.nonzero(added == 0)
        which = np.where(self._size[row] < before.sum(axis=1)[line], PART, SAME)
        logits[line, row] += kind[line, which]
        return Belief(logits, added, state, held)

    def again(self, belief: Belief, rolls: Floats, before: Bools, now: Floats) -> Floats:
        """Log odds that each key is struck again, if the chord is `now`; (N, 88)."""
        told = np.concatenate([belief.state, before.astype(np.float32), now], axis=1)
        odds = self._strike_out(np.maximum(self._strike(told), 0))
        odds += (belief.gates[:, None] @ rolls)[:, 0]
        return odds

    def _convolved(self, rolls: Floats) -> Floats:
        """The convolution along the keyboard, (N, 13, 88) -> (N, 88, C)."""
        half = self.config.width // 2
        padded = np.pad(rolls.transpose(0, 2, 1), ((0, 0), (half, half), (0, 0)))
        window = np.lib.stride_tricks.sliding_window_view(padded, self.config.width, axis=1)
        rows = window.transpose(0, 1, 3, 2).reshape(len(rolls), KEYS, -1)
        convolved: Floats = rows @ self._along
        convolved += self._along_bias
        return convolved
