"""The echo while drafts are drawn, without torch: one pool of onsets for a past and all its drafts.

    past onsets, seen by all      of draft 1  of draft 0  of draft 2 ...   in the order they come
    [m m m m m m m m m m m m m m][1          ][0         ][2        ]

What another draft played is in the pool but not to be seen, by a penalty; so every draft is
answered by the same few multiplications.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np

from pianogen.families.arithmetic import Floats, Ints, parts, product
from pianogen.families.cpu_past import Left, Places, marked
from pianogen.families.cpu_weights import Weights
from pianogen.families.sizes import FINGERS, HEADS, MARKS, NOWHERE, ROWS, SAME
from pianogen.grid import KEYS

MOVED = 2 * KEYS - 1  # distances from a line
HALF = SAME + (ROWS - SAME) // 2  # of the heads that move notes the first go by the top line


@dataclass(frozen=True, eq=False)
class Recalled:
    """Of R drafts: what is added to the state (R, H), rows brought back (R, 8, 88), how much
    each note of the pool is thought of (R, 2, n), and what an onset of this step leaves: key and,
    but for its notes, value (R, heads * size) each."""

    added: Floats
    rows: Floats
    thought: Floats
    key: Floats
    value: Floats

    def of(self, some: slice) -> Recalled:
        """That of some of the drafts."""
        return Recalled(*(getattr(self, field.name)[some] for field in fields(Recalled)))


@dataclass(frozen=True, eq=False)
class Chosen:
    """Notes that begin in some drafts: ranks of the drafts, (n,) each."""

    rank: Ints
    key: Ints
    bins: Ints
    lengths: Ints  # indices into DURATIONS


class Pools:
    """A pool for each of several pasts, whose drafts' rows follow each other, as one.

    sizes: how many drafts each has. What a pool is asked does not depend on the others.
    """

    def __init__(
        self,
        weights: Weights,
        places: Places,
        lefts: Sequence[Sequence[Left]],
        sizes: Sequence[int],
    ) -> None:
        self._pools = [
            Pool(weights, places, left, size) for left, size in zip(lefts, sizes, strict=True)
        ]
        self._bounds = np.cumsum([0, *sizes])

    def recall(self, step: int, rows: Ints, state: Floats, lines: Ints) -> Recalled:
        """As a pool's; what a row thinks of another pool's notes is 0."""
        if len(self._pools) == 1:
            return self._pools[0].recall(step, rows, state, lines)
        parts = [
            pool.recall(step, rows[some] - first, state[some], lines[some])
            for pool, first, some in self._shares(rows)
        ]
        return self._joined(parts, rows)

    def notes(self) -> tuple[Ints, Floats]:
        """Key (n,) and marks (n, 64) of every note there is."""
        found = [(pool.key_of[: pool.notes], pool.marks[: pool.notes]) for pool in self._pools]
        if len(found) == 1:
            return found[0]
        keys, marks = zip(*found, strict=True)
        return np.concatenate(keys), np.concatenate(marks)

    def add(
        self, step: int, rows: Ints, recalled: Recalled, chosen: Floats, lines: Ints, notes: Chosen
    ) -> None:
        """An onset of each of drafts `rows`: its notes (R, 88), the lines (R, 2) before it; the
        same as single notes, by their ranks among those rows."""
        if len(self._pools) == 1:
            self._pools[0].add_notes(notes)
            self._pools[0].add_onsets(step, rows, recalled, chosen, lines)
            return
        for pool, first, some in self._shares(rows):
            mine = (some.start <= notes.rank) & (notes.rank < some.stop)
            rank, key = notes.rank[mine] - some.start, notes.key[mine]
            pool.add_notes(Chosen(rank, key, notes.bins[mine], notes.lengths[mine]))
            pool.add_onsets(step, rows[some] - first, recalled.of(some), chosen[some], lines[some])

    def _shares(self, rows: Ints) -> Iterator[tuple[Pool, int, slice]]:
        """Each pool that has some of the rows, its first row, and where those are among them."""
        ends = np.searchsorted(rows, self._bounds).tolist()
        for number, pool in enumerate(self._pools):
            if ends[number] < ends[number + 1]:
                yield pool, int(self._bounds[number]), slice(ends[number], ends[number + 1])

    def _joined(self, parts: list[Recalled], rows: Ints) -> Recalled:
        firsts = np.cumsum([0, *(pool.notes for pool in self._pools)])
        thought = np.zeros((len(rows), 2, firsts[-1]), np.float32)
        shares = self._shares(rows)
        for part, (pool, _, some) in zip(parts, shares, strict=True):
            place = firsts[self._pools.index(pool)]
            thought[some, :, place : place + pool.notes] = part.thought
        added, brought, key, value = (
            np.concatenate([getattr(part, name) for part in parts])
            for name in ("added", "rows", "key", "value")
        )
        return Recalled(added, brought, thought, key, value)


class Pool:
    """Onsets and notes that are reminded of, those of the past first. Grows, step by step."""

    def __init__(self, weights: Weights, places: Places, left: Sequence[Left], drafts: int) -> None:
        self._weights, self._places = weights, places
        size = weights.config.echo
        self.onsets = sum(len(part.time) for part in left)
        self.notes = sum(len(part.key_of) for part in left)
        most = self.onsets + drafts * places.steps
        self._time = np.empty(most, np.int64)
        self._key = np.empty((HEADS, size, most), np.float32)
        self._value = np.empty((HEADS, most, size), np.float32)
        self._roll = np.empty((most, KEYS), np.float32)
        self._by_top, self._by_bass = (np.empty((most, MOVED), np.float32) for _ in range(2))
        self._penalty = np.zeros((drafts, most), np.float32)
        most = self.notes + drafts * places.steps * FINGERS
        self._onset_of, self.key_of = (np.empty(most, np.int64) for _ in range(2))
        self.marks = np.empty((most, MARKS), np.float32)
        if left:
            self._fill(left)

    def _fill(self, left: Sequence[Left]) -> None:
        M, n, S = self.onsets, self.notes, self._places.steps
        before = [S * (len(left) - number) for number in range(len(left))]
        firsts = np.cumsum([0, *(len(part.time) for part in left)])
        times = [part.time - ago for part, ago in zip(left, before, strict=True)]
        np.concatenate(times, out=self._time[:M])
        self._key[..., :M] = np.concatenate([part.key for part in left]).transpose(1, 2, 0)
        self._value[:, :M] = np.concatenate([part.value for part in left]).swapaxes(0, 1)
        np.concatenate([part.notes for part in left], out=self._roll[:M])
        np.concatenate([part.by_top for part in left], out=self._by_top[:M])
        np.concatenate([part.by_bass for part in left], out=self._by_bass[:M])
        slots = [part.slot_of + first for part, first in zip(left, firsts[:-1], strict=True)]
        np.concatenate(slots, out=self._onset_of[:n])
        np.concatenate([part.key_of for part in left], out=self.key_of[:n])
        np.concatenate([part.marks for part in left], out=self.marks[:n])

    def recall(self, step: int, rows: Ints, state: Floats, lines: Ints) -> Recalled:
        """What drafts `rows` are reminded of in a state (R, H), their lines (R, 2) as they are."""
        M, R, weights = self.onsets, len(rows), self._weights
        asked = product(state, weights.asked) + weights.asked_bias
        query, key, value = parts(asked, [asked.shape[1] // 3] * 3)
        share = self._shares(step, rows, query.reshape(R, HEADS, -1).swapaxes(0, 1))
        said = (share @ self._value[:, :M]).swapaxes(0, 1).reshape(R, -1)
        brought = np.empty((R, ROWS, KEYS), np.float32)
        brought[:, :SAME] = (share[:SAME] @ self._roll[:M]).swapaxes(0, 1)
        for heads, moved, line in (
            (slice(SAME, HALF), self._by_top, lines[:, 0]),
            (slice(HALF, ROWS), self._by_bass, lines[:, 1]),
        ):
            far = share[heads] @ moved[:M]
            for row, first in enumerate((KEYS - 1 - line).tolist()):
                brought[row, heads] = far[:, row, first : first + KEYS]
        thought = share[ROWS:, :, self._onset_of[: self.notes]].swapaxes(0, 1)
        added = product(said, weights.echoed) + weights.echoed_bias
        return Recalled(added, brought, thought, key, value)

    def _shares(self, step: int, rows: Ints, query: Floats) -> Floats:
        """How much each onset is thought of, (heads, R, M); what is missing to 1 is for none."""
        M, none = self.onsets, self._weights.no_echo[:, None, None]
        logits = query @ self._key[..., :M]
        logits += self._places.distances[:, step - self._time[:M]][:, None]
        logits += self._penalty[rows, :M]
        most = np.maximum(logits.max(axis=2, keepdims=True, initial=NOWHERE), none)
        logits -= most
        np.exp(logits, out=logits)
        logits /= logits.sum(axis=2, keepdims=True) + np.exp(none - most)
        return logits

    def add_notes(self, notes: Chosen) -> None:
        """Notes of the onsets that `add_onsets` is to add, by their ranks among those."""
        first, last = self.notes, self.notes + len(notes.key)
        self._onset_of[first:last] = self.onsets + notes.rank
        self.key_of[first:last] = notes.key
        self.marks[first:last] = marked(notes.bins, notes.lengths)
        self.notes = last

    def add_onsets(
        self, step: int, rows: Ints, recalled: Recalled, chosen: Floats, lines: Ints
    ) -> None:
        """An onset of each of drafts `rows`: its notes (R, 88), the lines (R, 2) before it."""
        first, last = self.onsets, self.onsets + len(rows)
        value = recalled.value + chosen @ self._weights.value_of_key
        self._time[first:last] = step
        self._key[..., first:last] = recalled.key.reshape(len(rows), HEADS, -1).transpose(1, 2, 0)
        self._value[:, first:last] = value.reshape(len(rows), HEADS, -1).swapaxes(0, 1)
        self._roll[first:last] = chosen
        for moved, line in ((self._by_top, lines[:, 0]), (self._by_bass, lines[:, 1])):
            moved[first:last] = 0
            for slot, at in enumerate((KEYS - 1 - line).tolist(), first):
                moved[slot, at : at + KEYS] = chosen[slot - first]
        self._penalty[:, first:last] = NOWHERE
        self._penalty[rows, np.arange(first, last)] = 0
        self.onsets = last
