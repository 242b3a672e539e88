"""A measure drawn N times at once, a step at a time, from one past or several; without torch.

    theme 0: past 0, how    rows 0 1 2 3     one matrix product a step for all of them; only what
    theme 1: past 1, how    rows 4 5         is attended to and echoed is each past's own

As `drafts`, for a CPU: drafts in which nothing begins are passed over, and what only fades is
kept as it was at the measure line, with how much is left of it. What is drawn with the same noise
is the same, but for rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pianogen.families.arithmetic import (
    Bools,
    Floats,
    Ints,
    log_sum,
    lstm_cell,
    normed_centred,
    product,
    softplus,
)
from pianogen.families.cpu_chords import Chords, Decision, Memory, Wishes, planes_of
from pianogen.families.cpu_echo import Chosen, Pools
from pianogen.families.cpu_hearing import (
    OF_CLASS,
    decoded,
    noted,
    outer_lines,
    profile,
)
from pianogen.families.cpu_past import History, Past, Places, Surroundings
from pianogen.families.cpu_weights import Weights
from pianogen.families.drawn import Drawn, Theme, parted
from pianogen.families.sizes import ALMOST, DURATIONS, FINGERS, RHYTHM
from pianogen.families.steering import EASE
from pianogen.grid import KEYS, VELOCITY_BINS

ONSETS, HELD = slice(0, KEYS), slice(KEYS, 2 * KEYS)  # where in what a step is given
BINS = slice(2 * KEYS, 2 * KEYS + VELOCITY_BINS)
EARLIER = slice(BINS.stop, BINS.stop + RHYTHM - 4)
SINCE = EARLIER.stop
HARMONY = slice(SINCE + 4, SINCE + 28)
DURATION = np.array(DURATIONS)
SURE = np.float32(80)  # nats against: chances are no smaller, and exponentials still finite


class Drafts:
    """N drafts, those of a theme in rows that follow each other."""

    def __init__(self, weights: Weights, places: Places, themes: Sequence[Theme]) -> None:
        self.weights, self.places = weights, places
        self.noise = np.concatenate([theme.noise for theme in themes])
        (N, S, _), self.sizes = self.noise.shape, [len(theme.noise) for theme in themes]
        self.of = of = np.repeat(np.arange(len(themes)), self.sizes)  # which theme a row is of
        self.wishes = Wishes(themes, of)
        self.chords = Chords(weights, self.wishes)
        pasts: list[Past] = [theme.past for theme in themes]
        self.around = [Surroundings.of(weights, places, past) for past in pasts]
        self.pools = Pools(weights, places, [past.left for past in pasts], self.sizes)
        self.h, self.c = (
            np.stack(x)[of] for x in zip(*((p.h[0], p.c[0]) for p in pasts), strict=True)
        )
        self._begin_with([past.history for past in pasts])
        self.own = np.zeros((N, S, KEYS), np.float32)
        self.drawn = Drawn(
            keys=np.full((N, S, FINGERS), -1),
            bins=np.zeros((N, S, FINGERS), np.int64),
            lengths=np.ones((N, S, FINGERS), np.int64),
            cuts=np.zeros((N, S, KEYS), bool),
            nats=np.zeros((N, 4), np.float32),
        )
        self.onset_logits, self.fired = np.empty((S, N), np.float32), np.empty((S, N), bool)
        self.decisions: list[tuple[Ints, Decision]] = []

    def _begin_with(self, histories: Sequence[History]) -> None:
        """What each row is told of before, as it is at the measure line."""
        of, S = self.of, self.places.steps

        def told(name: str) -> Any:
            return np.stack([getattr(history, name) for history in histories])[of]

        self.level, self.memory, self.latest = told("level"), told("memory"), told("latest")
        self.until, self.struck, self.newest = told("remaining"), -told("age"), -told("since")
        self.classes = self.level[:, :2, 0] @ OF_CLASS
        self.lines = np.stack(outer_lines(self.latest), axis=1)
        self.earlier = np.stack([np.concatenate(history.rolls) for history in histories])
        counts = np.pad(self.earlier.sum(axis=2), ((0, 0), (0, S + 1)))
        self.counts = counts[of]
        self.given = np.zeros((len(of), HARMONY.stop), np.float32)
        self.given[:, ONSETS] = self.earlier[of, -1]
        self.given[:, BINS] = np.minimum(told("velocity"), 4) / 2

    def draw(self) -> list[Drawn]:
        """Every step, one after the other; returns each theme's drafts."""
        for step in range(self.places.steps):
            self._play(step)
        self._count_nats()
        return parted(self.drawn, self.sizes)

    def _play(self, step: int) -> None:
        held = self.until > step
        state = self._state(step, held)
        logits = self._onset(state)
        pushed = logits + self._push(step) if self.wishes.is_pushing else logits
        chance = 1 / (1 + np.exp(np.minimum(-pushed / self.wishes.rhythm, SURE)))
        fires = (self.noise[:, step, 0] < chance) & self.wishes.anything
        self.onset_logits[step], self.fired[step] = logits, fires
        self.given[:, ONSETS], self.given[:, BINS] = 0, 0
        rows = np.flatnonzero(fires)
        if len(rows):
            self._begin(step, rows, self._choose(step, rows, state[rows], held[rows]))

    # --- whether something begins ---------------------------------------------------------------

    def _state(self, step: int, held: Bools) -> Floats:
        """The decoder's state at a step, (N, H)."""
        weights, x = self.weights, self.given
        since = step - self.newest
        x[:, HELD] = held
        np.multiply(self.counts[:, self.places.earlier[step]], 0.25, out=x[:, EARLIER])
        x[:, SINCE] = np.log2(np.minimum(since, 64)) / 6
        x[:, SINCE + 1] = since == 1
        x[:, SINCE + 2] = since > 32
        x[:, SINCE + 3] = held.sum(axis=1) / 8
        shares = profile(self.classes * self.places.gone[step, :2, None])
        x[:, HARMONY] = 4 * shares.reshape(len(x), -1)
        given = product(x, weights.given)
        given += self.places.given[step]
        given = normed_centred(given, *weights.norm_in)
        query = product(given, weights.query) + weights.query_bias
        z = product(self._attended(step, query), weights.attended)
        z += weights.attended_bias
        z += given
        gates = product(np.concatenate([z, self.h], axis=1), weights.gates)
        gates += weights.gates_bias
        self.h, self.c = lstm_cell(gates, self.c)
        return decoded(weights, self.h, z)

    def _attended(self, step: int, query: Floats) -> Floats:
        """What each row finds in the measures before it, (N, H)."""
        found, first = [], 0
        for around, size in zip(self.around, self.sizes, strict=True):
            some = query[first : first + size]
            found.append(around.attend(some, around.bias[step : step + 1]))
            first += size
        return found[0] if len(found) == 1 else np.concatenate(found)

    def _onset(self, state: Floats) -> Floats:
        """The onset logits (N,), steered by the rhythm."""
        both = state @ self.weights.timing + self.weights.timing_bias
        rhythm = both[:, :-1]
        now = rhythm[:, 0] - log_sum(rhythm)
        hazard = now - np.log1p(-np.exp(now) * np.float32(ALMOST))
        onset: Floats = both[:, -1] + np.float32(self.weights.steering) * hazard
        return onset

    def _push(self, step: int) -> Floats:
        """How much the drafts are pushed towards more notes, (N,)."""
        wishes, steps = self.wishes, self.places.steps
        played = self.counts[:, 4 * steps :].sum(axis=1)
        wanted = (wishes.goal * step / steps + EASE).astype(np.float32)
        short = np.log(wanted / (played + np.float32(EASE)))
        pushed: Floats = wishes.always + wishes.wanting * short
        return pushed

    # --- what begins ----------------------------------------------------------------------------

    def _choose(self, step: int, rows: Ints, state: Floats, held: Bools) -> Chosen:
        """Draw the notes of some drafts, and leave them to be reminded of."""
        lines = self.lines[rows]
        recalled = self.pools.recall(step, rows, state, lines)
        key_of, marks = self.pools.notes()
        gone = self.places.gone[step]
        level = self.level[rows] * gone[:, None, None]
        before = [self._roll(step - back, rows) for back in self.places.back]
        planes = planes_of(held, level[:, :, 0], before, self.latest[rows], lines)
        ground = self.chords.ground(planes, recalled, state + recalled.added)
        memory = Memory(
            level=level.reshape(len(rows), -1, KEYS),
            decayed=[self.memory[row] for row in rows.tolist()],
            faded=self.places.gone_of[step],
            thought=recalled.thought,
            key_of=key_of,
            marks=marks,
        )
        chosen, decisions = self.chords.draw(rows, ground, memory, self.noise[rows, step, 1:])
        self.decisions += [(rows, decision) for decision in decisions]
        for finger, note in enumerate(chosen):
            at = (rows[note.rank], step, finger)
            self.drawn.keys[at], self.drawn.bins[at] = note.key, note.bins
            self.drawn.lengths[at] = DURATION[note.lengths]
        notes = _together(chosen)
        roll = np.zeros((len(rows), KEYS), np.float32)
        roll[notes.rank, notes.key] = 1
        self.pools.add(step, rows, recalled, roll, lines, notes)
        self.latest[rows] = roll
        return notes

    def _roll(self, step: int, rows: Ints) -> Floats:
        """What began on a step of this measure or, less than 0, before it."""
        roll: Floats = self.own[rows, step] if step >= 0 else self.earlier[self.of[rows], step]
        return roll

    def _begin(self, step: int, rows: Ints, notes: Chosen) -> None:
        """What was drawn begins."""
        roll = self.latest[rows]
        self._make_room(step, rows, roll > 0)
        row, key, lengths = rows[notes.rank], notes.key, DURATION[notes.lengths]
        self.until[row, key] = np.maximum(self.until[row, key], step + lengths)
        self.struck[row, key] = step
        weight = 1 / self.places.gone[step + 1]
        self.level[row, :, :, key] += weight[:, None] * noted(notes.bins, lengths).T[:, None]
        self.classes[rows] += (roll @ OF_CLASS)[:, None] * weight[:2, None]
        self.given[row, key] = 1
        np.add.at(self.given, (row, BINS.start + notes.bins), 0.5)
        self.given[rows, BINS] = np.minimum(self.given[rows, BINS], 2)
        self.own[rows, step] = roll
        self.counts[rows, 4 * self.places.steps + step] = roll.sum(axis=1)
        self.newest[rows] = step
        self.lines[rows, 0] = KEYS - 1 - roll[:, ::-1].argmax(axis=1)
        self.lines[rows, 1] = roll.argmax(axis=1)

    def _make_room(self, step: int, rows: Ints, new: Bools) -> None:
        """Keys struck again end now, and the oldest of the others until all fit the limit."""
        held = self.until[rows] > step
        cut, others = held & new, held & ~new
        room = self.wishes.polyphony[rows] - new.sum(axis=1)
        for rank in np.flatnonzero(others.sum(axis=1) > room).tolist():
            keys = np.flatnonzero(others[rank])
            oldest_last = np.argsort(-self.struck[rows[rank], keys], kind="stable")
            cut[rank, keys[oldest_last[max(room[rank], 0) :]]] = True
        self.drawn.cuts[rows, step] = cut
        until = self.until[rows]
        until[cut] = 0
        self.until[rows] = until

    # --- how likely it was ----------------------------------------------------------------------

    def _count_nats(self) -> None:
        nats = self.drawn.nats
        signed = np.where(self.fired, -self.onset_logits, self.onset_logits)
        nats[:, 0] = softplus(signed).sum(axis=0)
        for kind in (1, 2, 3):
            made = [(rows, d) for rows, d in self.decisions if d.kind == kind]
            if made:
                row = np.concatenate([rows[d.rank] for rows, d in made])
                logits = np.concatenate([d.logits for _, d in made])
                index = np.concatenate([d.index for _, d in made])
                lost = log_sum(logits) - logits[np.arange(len(row)), index]
                np.add.at(nats[:, kind], row, lost)


def _together(notes: list[Chosen]) -> Chosen:
    rank, key, bins, lengths = (
        np.concatenate([getattr(note, name) for note in notes])
        for name in ("rank", "key", "bins", "lengths")
    )
    return Chosen(rank, key, bins, lengths)
