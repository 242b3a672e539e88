"""Which symbol comes next in a melody: the model's logits, and what a player asks for.

First whether the note or rest before is held, a rest begins or a note does (rhythm_temperature);
then which note (temperature, min_p). A repetition penalty holds back pitches that would carry on,
note for note, what stood before. `/` is never drawn. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import log

import numpy as np
from numpy.typing import NDArray

from pianogen.families.arithmetic import Floats, chosen
from pianogen.families.steering import Push, free_keys
from pianogen.families.symbols import END, HOLD, REST, STEPS, Ints
from pianogen.grid import KEYS, Meter
from pianogen.sampling import Sampling, decided

Logs = NDArray[np.float64]

KINDS = (HOLD, REST)  # and, third, a note
FREE = 1  # notes in a row that may come again at no cost
LONGEST = 8  # notes before it by which a repetition is told


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """A melody up to the next symbol.

    before: symbols up to the measure line. cells: symbols a measure. over: how many of the measure
    the last note before may ring into. drawn: those since. standing: what the last one stands for:
    a key, REST, or END where nothing was heard.
    """

    before: Ints
    cells: int
    over: int
    standing: int
    drawn: tuple[int, ...] = ()

    def then(self, symbol: int) -> Line:
        """One symbol further."""
        standing = self.standing if symbol == HOLD else symbol
        return replace(self, drawn=(*self.drawn, symbol), standing=standing)

    @property
    def is_carried(self) -> bool:
        """Whether what sounds is the last note before the measure line."""
        return self.standing < KEYS and all(symbol == HOLD for symbol in self.drawn)

    @property
    def may_hold(self) -> bool:
        """Whether a note or rest is there to be held."""
        return self.standing != END and not (self.is_carried and len(self.drawn) >= self.over)

    @property
    def rings(self) -> bool:
        """Whether a note of before the measure line rings on, by no more than half a measure."""
        return self.is_carried and len(self.drawn) < self.over <= self.cells // 2

    def given(self) -> Ints:
        """What a network is given for the next symbol, as `symbols.inputs_of` has it, (6,)."""
        ago = [self._at(-1), self.standing, self._at(-self.cells), self._at(-2 * self.cells)]
        return np.array([*ago, len(self.drawn) % self.cells, self.cells], np.int64)

    def _at(self, place: int) -> int:
        place += len(self.drawn)
        if place >= 0:
            return self.drawn[place]
        return int(self.before[place]) if -place <= len(self.before) else END

    def known(self) -> NDArray[np.int64]:
        """For each key how many notes before it, in a row, would come again just as they once
        came before that key, pitches and times: 0..8, (88,)."""
        symbols = np.concatenate([self.before, np.array(self.drawn, np.int64)])
        place = np.flatnonzero(symbols < KEYS)
        key = symbols[place]
        place = np.append(place, len(symbols))  # of the note to come
        wait = np.diff(place, prepend=-1)  # from the note before
        last = len(key)
        counts = np.zeros(last, np.int64)
        is_same = np.ones(last, bool)
        for back in range(1, min(LONGEST, last) + 1):
            is_same[:back] = False
            now = np.arange(back, last)
            is_same[now] &= (wait[now - back + 1] == wait[last - back + 1]) & (
                key[now - back] == key[last - back]
            )
            counts += is_same
        most = np.zeros(KEYS, np.int64)
        np.maximum.at(most, key, counts)
        return most


@dataclass(frozen=True, slots=True, eq=False)
class Drawing:
    """How symbols are drawn for one measure. allowed: keys that may be, (88,)."""

    sampling: Sampling
    push: Push
    steps: int
    allowed: NDArray[np.bool_]

    @classmethod
    def of(cls, sampling: Sampling, push: Push, meter: Meter) -> Drawing:
        """As a player asks, in a meter."""
        allowed = np.array(free_keys(sampling))
        return cls(decided(sampling), push, meter.steps, allowed)

    def symbol(self, logits: Floats, line: Line, chances: Floats) -> int:
        """The next symbol; chances: two numbers in 0..1 that decide."""
        if line.rings:
            return HOLD
        kind = chosen(self.kinds(logits, line) / self.sampling.rhythm_temperature, chances[0])
        if kind < len(KINDS):
            return KINDS[kind]
        keys = self.keys(logits, line) / self.sampling.temperature
        if self.sampling.min_p:
            keys[keys < keys.max() + log(self.sampling.min_p)] = -np.inf
        return chosen(keys, chances[1])

    def kinds(self, logits: Floats, line: Line) -> Logs:
        """Log chances, but for a constant, of a hold, a rest and a note, (3,); -inf of what cannot
        be."""
        begun = sum(symbol < KEYS for symbol in line.drawn)
        at = len(line.drawn) % line.cells * STEPS
        note = np.logaddexp.reduce(logits[:KEYS].astype(np.float64))
        note += self.push.nats(begun, at, self.steps)
        may = (line.may_hold, line.standing != REST, bool(self.allowed.any()))
        told = (float(logits[HOLD]), float(logits[REST]), float(note))
        return np.array(
            [log_chance if m else -np.inf for log_chance, m in zip(told, may, strict=True)]
        )

    def keys(self, logits: Floats, line: Line) -> Logs:
        """Log chances, but for a constant, of each key if a note begins, (88,); -inf of those that
        cannot be."""
        keys = logits[:KEYS].astype(np.float64)
        if self.sampling.repetition_penalty > 1:
            beyond = np.maximum(line.known() - FREE, 0)
            keys -= log(self.sampling.repetition_penalty) * beyond
        keys[~self.allowed] = -np.inf
        return keys
