"""Note after note: how the families `events` and `notes` are played, whatever network speaks.

    said                      drawn
    a number: time            how long is waited, 0 for a note of the same step
    a chance for each pitch   which key; of a step from the top down
    a number: touch           how loud (events) or how long (notes)

A number that a regression says is turned into chances by what came where it was said in training
(`Said`), leant towards what was heard lately (`heard_notes`). A wait goes on over the measure
line: what would begin after it is not played, and the next measure draws again, knowing how long
has been waited. Pure; knows neither torch nor how the networks compute.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log2
from typing import Any, NamedTuple, Protocol

import numpy as np

from pianogen.errors import ConfigError
from pianogen.families.arithmetic import Floats, chosen
from pianogen.families.cpu_layers import Named, single
from pianogen.families.heard_notes import CLASSES, HORIZON, Floats64, HeardNotes
from pianogen.families.manner import Manner
from pianogen.families.sizes import DURATIONS, FINGERS, key_of
from pianogen.families.steering import Push, free_keys, push_of
from pianogen.grid import KEYS, LOWEST_KEY, MAX_STEPS, Measure, Meter, Note
from pianogen.sampling import Sampling, decided

BEGIN = KEYS  # the key of the note before the first
LATELY = 4  # notes whose waits and loudness the events' heads read as they are
PLACES = MAX_STEPS
SAID_BINS = 64  # that a regression's numbers are told apart by
FARTHEST = log2(1 + HORIZON)  # the largest number that a time is regressed on
LONGEST = 8.0  # and a length: log2(256 steps)
FORGOTTEN = 32  # steps: of longer waits it is forgotten how long they were
RARE = 0.01  # notes of 1000: as many are taken to have come as usual, where a number was said


@dataclass(frozen=True)
class EventsConfig:
    """Sizes of the network of `events`; embedding: of a note. head: of the two layers of each
    head. notes: in a row, in training. Raises ConfigError for what cannot be."""

    embedding: int = 192
    hidden: int = 384
    head: int = 256
    notes: int = 128
    dropout: float = 0.2

    def __post_init__(self) -> None:
        _check("events", (self.embedding, self.hidden, self.head, self.notes), self.dropout)


@dataclass(frozen=True)
class NotesConfig:
    """Sizes of the network of `notes`; notes: in a sequence, in training and as it is played.
    Raises ConfigError for what cannot be."""

    embedding: int = 128
    hidden: int = 256
    notes: int = 50
    dropout: float = 0.1

    def __post_init__(self) -> None:
        _check("notes", (self.embedding, self.hidden, self.notes), self.dropout)


def _check(name: str, sizes: tuple[int, ...], dropout: float) -> None:
    if min(sizes) < 1 or not 0 <= dropout < 1:
        raise ConfigError(f"{name}: sizes must be at least 1, and dropout a share, 0 to 1")


class Before(NamedTuple):
    """A note as the network is given it: key (88: none yet), steps waited for it (0..64), velocity
    bin, index of its length, step in its measure."""

    key: int = BEGIN
    wait: int = 0
    velocity: int = 0
    length: int = 0
    place: int = 0


class Network(Protocol):
    """What speaks. What it carries is its own, and never changed."""

    waits: Said
    touches: Said

    def start(self, steps: int) -> Any:
        """What is carried before the first note of music in measures of so many steps."""

    def read(self, carried: Any, note: Before) -> Any:
        """What is carried after one more note."""

    def awake(self, carried: Any) -> Any:
        """The same, ready to be asked; once for each measure that is played."""

    def wait(self, carried: Any) -> float:
        """The time to the next note, as log2(1 + steps)."""

    def pitch(self, carried: Any, place: int, *, is_within: bool) -> Floats:
        """Logits of the next note's 88 keys, when it begins at a step of the measure, with the
        note before or after it."""

    def touch(self, carried: Any) -> float:
        """How loud or how long it is."""


class Said:
    """What a regression's number means: chances of the values that came where it was said."""

    def __init__(self, weights: Named, name: str, highest: float) -> None:
        shares = single(weights, f"{name}.shares").astype(np.float64)
        total = shares.sum(axis=0) + RARE
        self.usual: Floats64 = total / total.sum()
        counts = shares + RARE * self.usual
        self._nats = np.log(counts / counts.sum(axis=1, keepdims=True))
        self._bins = (len(shares) - 1) / highest

    def nats(self, said: float) -> Floats64:
        """Logarithms of the chances of each value, where a number is said."""
        place = int(min(max(round(said * self._bins), 0), len(self._nats) - 1))
        nats: Floats64 = self._nats[place]
        return nats


@dataclass(frozen=True, slots=True, eq=False)
class Past:
    """What the network carries; the steps since the last note (or the beginning) until now; that
    note's key, and how many notes began above it in its step."""

    meter: Meter
    carried: Any
    waited: int = 0
    key: int = BEGIN
    rank: int = 0


class NoteByNote:
    """Plays what a network says, a note at a time; a `families.voice.Player`."""

    def __init__(self, network: Network, *, says_length: bool) -> None:
        self.network, self.says_length = network, says_length

    def empty(self, meter: Meter) -> Past:
        """Nothing was heard: the network is given the note before the first."""
        return Past(meter, self.network.start(meter.steps))

    def heard(self, past: Past, measure: Measure) -> Past:
        """Each note read, those of a step from the top down."""
        carried, last, key, rank = past.carried, -past.waited, past.key, past.rank
        for note in as_read(measure):
            wait = note.place - last
            carried = self.network.read(carried, note._replace(wait=min(wait, HORIZON)))
            last, key, rank = note.place, note.key, rank + 1 if wait == 0 else 0
        return Past(past.meter, carried, past.meter.steps - last, key, rank)

    def played(
        self, past: Past, heard: tuple[Measure, ...], sampling: Sampling, rng: np.random.Generator
    ) -> Measure:
        """Notes drawn one after another until one would begin after the measure."""
        line = _Line(self, past, heard, decided(sampling))
        while line.is_within:
            line.go_on(rng.random(4))
        return Measure(past.meter, tuple(line.notes))


class _Line:
    """A measure being drawn."""

    def __init__(
        self, player: NoteByNote, past: Past, heard: tuple[Measure, ...], sampling: Sampling
    ) -> None:
        self.network, self.says_length = player.network, player.says_length
        self.sampling, self.steps = sampling, past.meter.steps
        self.carried = self.network.awake(past.carried)
        self.step = -min(past.waited, FORGOTTEN)
        self.forgotten = past.waited + self.step
        self.place = -past.waited % self.steps
        self.rank, self.key = past.rank, past.key
        self.notes: list[Note] = []
        self.heard, self.manner = HeardNotes.of(heard), Manner.of(heard)
        self.push = push_of(sampling, heard, self.steps)
        self.free = np.array(free_keys(sampling))
        self.most = min(sampling.max_polyphony, FINGERS)
        self.is_within = bool(self.free.any())

    def go_on(self, uniforms: Floats64) -> None:
        """Draw one note more, or find that none begins in the measure any more."""
        wait = self._wait(float(uniforms[0]))
        step = self.step + wait
        if step >= self.steps:
            self.is_within = False
            return
        is_chord = wait == 0 and bool(self.notes)
        self.rank = self.rank + 1 if is_chord else 0
        self.step, self.place = step, step
        self.key = self._key(is_chord, float(uniforms[1]))
        velocity, duration = self._touch(float(uniforms[2]), float(uniforms[3]))
        self.notes.append(Note(step, LOWEST_KEY + self.key, velocity, duration))
        length = int(CLASSES[duration])
        waited, self.forgotten = min(wait + self.forgotten, HORIZON), 0
        read = Before(self.key, waited, velocity, length, step)
        self.carried = self.network.read(self.carried, read)

    def _wait(self, uniform: float) -> int:
        waits = self.network.waits
        nats = waits.nats(self.network.wait(self.carried))
        nats = nats + self.heard.waits(self.place, self.rank, self.key, waits.usual)
        nats = nats / self.sampling.rhythm_temperature
        fewest = max(0, -self.step)
        if self.notes and (self.rank + 1 >= self.most or not self.free[: self.key].any()):
            fewest = 1
        return fewest + chosen(self._pushed(nats[fewest:], fewest), uniform)

    def _pushed(self, nats: Floats64, fewest: int) -> Floats64:
        """Chances of waits from `fewest` on, with the odds that a note begins at each step pushed
        to the density asked for."""
        if self.push == Push():
            return nats
        chances = np.exp(nats - nats.max())
        later = chances[::-1].cumsum()[::-1] - chances
        odds = np.log(np.maximum(chances, 1e-300)) - np.log(np.maximum(later, 1e-300))
        for index in range(len(nats)):
            wait, step = fewest + index, self.step + fewest + index
            if step >= self.steps:
                break
            is_chord = wait == 0 and bool(self.notes)
            odds[index] += self.push.thicker if is_chord else self._behind(step)
        begins = 1 / (1 + np.exp(-np.clip(odds, -500, 500)))
        begins[-1] = 1.0
        until = np.concatenate([[1.0], np.cumprod(1 - begins[:-1])])
        pushed: Floats64 = np.log(np.maximum(begins * until, 1e-300))
        return pushed

    def _behind(self, step: int) -> float:
        return self.push.nats(len(self.notes), step, self.steps)

    def _key(self, is_chord: bool, uniform: float) -> int:
        """One of the keys free; in a step below those that were chosen before."""
        free = self.free.copy()
        if is_chord:
            free[self.key :] = False
        nats = self.network.pitch(self.carried, self.place, is_within=is_chord).astype(np.float64)
        chances = np.exp(np.where(free, nats - nats[free].max(), -np.inf))
        chances = self.heard.keys(self.place, chances / chances.sum(), is_within=is_chord)
        with np.errstate(divide="ignore"):
            warm = np.log(chances) / self.sampling.temperature
            least = warm.max() + np.log(self.sampling.min_p)
        return chosen(np.where(warm < least, -np.inf, warm), uniform)

    def _touch(self, uniform: float, other: float) -> tuple[int, int]:
        """Velocity bin and duration: one as the network says, one by the manner of the music."""
        sampling, touches = self.sampling, self.network.touches
        pitch = LOWEST_KEY + self.key
        nats = touches.nats(self.network.touch(self.carried))
        if self.says_length:
            nats = nats + self.heard.lengths(self.place, self.key, touches.usual)
            duration = DURATIONS[chosen(nats / sampling.duration_temperature, uniform)]
            warmth = sampling.velocity_temperature
            return self.manner.velocity_bin(self.step, pitch, warmth, other), duration
        nats = nats + self.heard.loudness(self.place, self.key, touches.usual)
        velocity = chosen(nats / sampling.velocity_temperature, uniform)
        warmth = sampling.duration_temperature
        return velocity, self.manner.duration(self.step, pitch, warmth, other)


def as_read(measure: Measure) -> list[Before]:
    """A measure's notes by time and from the top down, folded onto the piano, one a key and step;
    the waits are left out."""
    keys = {
        (note.onset, -key_of(note.pitch)): Before(
            key_of(note.pitch), 0, note.velocity_bin, int(CLASSES[note.duration]), note.onset
        )
        for note in measure.notes
    }
    return [keys[place] for place in sorted(keys)]
