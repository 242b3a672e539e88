"""Lines of chords in the making: what each next chord is drawn from, and what it leads to.

A scene is one measure to be played after a past; its lines are ways to play it, N side by side,
a frame at a time. It brings what `beams` asks for.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log

import numpy as np

from pianogen.families.arithmetic import Floats, log_sum
from pianogen.families.chord_beliefs import Belief, Beliefs
from pianogen.families.chord_features import LONGEST_AGO, joined, kept
from pianogen.families.chord_frames import Bools, Frames, Ints, frames_in
from pianogen.families.cpu_layers import State
from pianogen.families.sizes import FINGERS, NOWHERE
from pianogen.families.steering import Push, free_keys
from pianogen.grid import KEYS, Meter
from pianogen.sampling import Sampling

LEAST = np.float32(2.0**-25)  # a lot of 0 counts as: it must not draw what cannot be
LATELY = 2  # measures whose chords are the less likely by the repetition penalty


@dataclass(frozen=True, slots=True, eq=False)
class Past:
    """What was heard, up to a measure line.

    state: what the layers carry. sounding, struck: the last four measures' frames, (4 * F, 88),
    the newest last. memory (3, 88): what was struck, decayed. ringing (88,): how many frames
    longer each key sounds.
    """

    meter: Meter
    state: State
    sounding: Bools
    struck: Bools
    memory: Floats
    ringing: Ints


@dataclass(frozen=True, slots=True, eq=False)
class Lines:
    """N lines after t frames, and what is thought of the next.

    sounding, struck (N, t, 88): what was played. own, old (N, 88): keys that sound on from a note
    of this measure, or of one before. memory (N, 3, 88). state: what the layers carry. before
    (N, 88): what sounded last; rolls, belief: see `chord_features` and `Belief`.
    """

    sounding: Bools
    struck: Bools
    own: Bools
    old: Bools
    memory: Floats
    state: State
    before: Bools
    rolls: Floats
    belief: Belief

    @property
    def frames(self) -> int:
        """Frames so far, t."""
        return int(self.struck.shape[1])


class Scene:
    """One measure to be played after a past, as a sampling and a push ask for it."""

    def __init__(self, beliefs: Beliefs, past: Past, sampling: Sampling, push: Push) -> None:
        self.beliefs, self.past, self.sampling, self.push = beliefs, past, sampling, push
        self.frame, self.steps = beliefs.config.frame, past.meter.steps
        self.a_measure = frames_in(self.steps, self.frame)
        self.keys = beliefs.vocabulary.keys > 0
        self.lean, self.told = self._lean(), self._told()

    def _lean(self) -> Floats:
        """What is added to every chord's logit: those out of range or scale, or too thick, are
        not to be had."""
        outside = ~np.array(free_keys(self.sampling))
        most = min(FINGERS, self.sampling.max_polyphony)
        keys = self.beliefs.vocabulary.keys
        barred = (keys @ outside.astype(np.float32) > 0) | (keys.sum(axis=1) > most)
        return np.where(barred, NOWHERE, 0).astype(np.float32)

    def _told(self) -> Floats:
        """What comes off the chance of every chord that begins anew, in nats: the penalty as
        often as it began lately."""
        off = np.zeros(len(self.keys), np.float32)
        if self.sampling.repetition_penalty > 1:
            lately = slice(-LATELY * self.a_measure, None)
            begun = self.past.struck[lately].any(axis=1)
            rows, known = self.beliefs.vocabulary.find(self.past.sounding[lately][begun])
            np.add.at(off, rows[known], log(self.sampling.repetition_penalty))
        return off

    def start(self, rows: int) -> Lines:
        """So many lines with nothing played."""
        past = self.past
        none = np.zeros((rows, 0, KEYS), np.bool_)
        old = np.repeat(past.ringing[None] > 0, rows, axis=0)
        state = tuple(np.repeat(part, rows, axis=0) for part in past.state)
        memory = np.repeat(past.memory[None], rows, axis=0)
        return self._after(none, none, np.zeros_like(old), old, memory, state)

    def _after(
        self, sounding: Bools, struck: Bools, own: Bools, old: Bools, memory: Floats, state: State
    ) -> Lines:
        """Lines that have come so far, and what is thought of their next frame."""
        time = struck.shape[1]
        before, lately = (
            self._ago(sounding, self.past.sounding, 1),
            self._ago(struck, self.past.struck, 1),
        )
        ago = [
            (self._ago(sounding, self.past.sounding, n * self.a_measure),
             self._ago(struck, self.past.struck, n * self.a_measure))
            for n in (1, 2, LONGEST_AGO)
        ]  # fmt: skip
        inputs, rolls = joined(before, lately, memory, ago[0], ago[1], ago[2][1])
        place = time % self.a_measure * self.frame
        known, state = self.beliefs.step(inputs, place, self.steps, state)
        belief = self.beliefs.believe(known, rolls, before)
        return Lines(sounding, struck, own, old, memory, state, before, rolls, belief)

    def _ago(self, own: Bools, past: Bools, frames: int) -> Bools:
        """What was, that many frames before the next, (N, 88)."""
        place = own.shape[1] - frames
        return own[:, place] if place >= 0 else np.repeat(past[None, place], len(own), axis=0)

    # --- which chord ---

    def odds(self, lines: Lines) -> tuple[Floats, Bools, Floats]:
        """Log odds that keys are added, (N,); which chords add some, (N, V); and logits."""
        adds = lines.belief.added > 0
        thicker = np.float32(self.push.thicker) * np.maximum(lines.belief.added - 1, 0)
        logits = lines.belief.logits + self.lean + thicker - self.told * adds
        begins = log_sum(np.where(adds, logits, NOWHERE).astype(np.float32))
        stays = log_sum(np.where(adds, NOWHERE, logits).astype(np.float32))
        cold = np.float32(self.sampling.rhythm_temperature)
        return (begins - stays) / cold + self._pushed(lines), adds, logits

    def _pushed(self, lines: Lines) -> Floats:
        """What the push adds in the next frame, (N,); past the measure's end it begins anew."""
        done, step = divmod(lines.frames, self.a_measure)
        played = lines.struck[:, done * self.a_measure :].sum(axis=(1, 2))
        nats = [self.push.nats(int(n), step * self.frame, self.steps) for n in played]
        return np.array(nats, np.float32)

    def drawn(self, lines: Lines, lots: Floats) -> Ints:
        """A chord for each line by two numbers in 0..1 each, (N, 2): whether keys are added, and
        which chord."""
        odds, adds, logits = self.odds(lines)
        yes = odds > _log_odds(lots[:, 0])
        cold = np.where(yes, self.sampling.temperature, self.sampling.duration_temperature)
        logits = np.where(adds == yes[:, None], logits, NOWHERE)
        chance = (logits - logits.max(axis=1, keepdims=True)) / cold[:, None]
        chance = np.exp(np.where(chance < log(self.sampling.min_p or 1e-30), -np.inf, chance))
        total = chance.cumsum(axis=1)
        least = np.maximum(lots[:, 1:], LEAST) * total[:, -1:]
        return np.asarray((total < least).sum(axis=1), np.int64)

    def scores(self, lines: Lines) -> Floats:
        """Of each chord the log of the chance of its kind, and how much less likely it is than
        the likeliest of that kind, (N, V)."""
        odds, adds, logits = self.odds(lines)
        best = [np.where(kind, logits, NOWHERE).max(axis=1) for kind in (adds, ~adds)]
        begins, stays = -np.logaddexp(0, -odds) - best[0], -np.logaddexp(0, odds) - best[1]
        scores: Floats = logits + np.where(adds, begins[:, None], stays[:, None])
        return scores

    # --- what it leads to ---

    def said(self, lines: Lines, rows: Ints, chords: Ints, lots: Floats | None = None) -> Lines:
        """The lines `rows` a frame on, each with its chord; lots (M,), numbers in 0..1, decide
        which keys that sounded are struck again: by default the likely ones."""
        now, before = self.keys[chords], lines.before[rows]
        odds = self._again(lines, rows, chords)
        is_again = odds > (0 if lots is None else _log_odds(lots)[:, None])
        struck = now & (~before | is_again)
        own = struck | (lines.own[rows] & now)
        old = lines.old[rows] & (self.past.ringing > lines.frames) & ~struck
        memory = lines.memory[rows] * kept(self.frame)
        memory += struck[:, None]
        return self._after(
            np.concatenate([lines.sounding[rows], (own | old)[:, None]], axis=1),
            np.concatenate([lines.struck[rows], struck[:, None]], axis=1),
            own, old, memory, tuple(part[rows] for part in lines.state),
        )  # fmt: skip

    def first(self, lines: Lines) -> Lines:
        """The first line alone."""
        one, belief = slice(0, 1), lines.belief
        return Lines(
            lines.sounding[one], lines.struck[one], lines.own[one], lines.old[one],
            lines.memory[one], tuple(part[one] for part in lines.state), lines.before[one],
            lines.rolls[one],
            Belief(belief.logits[one], belief.added[one], belief.state[one], belief.gates[one]),
        )  # fmt: skip

    def _again(self, lines: Lines, rows: Ints, chords: Ints) -> Floats:
        """Log odds that keys of those chords that sounded are struck again, (M, 88)."""
        whole, now = lines.belief, self.beliefs.vocabulary.keys[chords]
        belief = Belief(whole.logits, whole.added, whole.state[rows], whole.gates[rows])
        odds = self.beliefs.again(belief, lines.rolls[rows], lines.before[rows], now)
        odds -= self.told[chords, None]
        odds /= np.float32(self.sampling.rhythm_temperature)
        odds += self._pushed(lines)[rows, None]
        return odds


def frames_of(lines: Lines, row: int) -> Frames:
    """What one of the lines played."""
    return Frames(lines.sounding[row : row + 1], lines.struck[row : row + 1])


def _log_odds(chance: Floats) -> Floats:
    chance = np.maximum(chance, LEAST)
    odds: Floats = np.log(chance) - np.log1p(-chance)
    return odds
