"""Music as one note after another, in torch: windows of notes as rows that a network reads.

    notes     C5 . E4 . C5 ...        by time, those of a step from the top down
    wait      0    0    8             steps since the note before, 0 within a step
    given     BEGIN  C5   E4          what is known when a note is asked for: the one before
    wanted    C5     E4   C5

A row holds at most so many notes; a longer window makes several rows, which begin in its midst as
playing does. And what regressions are turned into chances by: what came where they said so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pianogen.families.flat_notes import Notes, length_classes, loudness
from pianogen.families.heard_notes import HORIZON
from pianogen.families.note_by_note import BEGIN, LATELY, PLACES, RARE
from pianogen.families.sizes import DURATIONS, NOWHERE
from pianogen.grid import KEYS, VELOCITY_BINS
from pianogen.losses import Term

PER = 1000.0  # notes: the unit of `Outcomes`
FRESH = 0.01  # of an update, in what is remembered of all
OF_NO_NOTE = -100  # the target where a row holds no note; `F.cross_entropy` passes over it

PITCH_FIGURES = (
    "pitch", "pitch in time", "accuracy", "accuracy in time", "accuracy of the key before",
    "accuracy of the commonest key",
)  # fmt: skip
TIME_FIGURES = ("steps off", "steps off as before", "time nats")


@dataclass(frozen=True)
class Given:
    """The note before each one, (R, L) int64 each: key (88: none yet), wait up to 64 steps,
    velocity bin, index of its length, step in its measure; steps of a measure; and of the last
    four notes how long was waited and how loud they were, (R, L, 8) in 0..1, the newest first."""

    key: Tensor
    wait: Tensor
    velocity: Tensor
    length: Tensor
    place: Tensor
    meter: Tensor
    lately: Tensor


@dataclass(frozen=True)
class Rows:
    """Notes as they are asked for, in R rows of at most L: what is given, and what each is.

    is_note (R, L) bool; the others (R, L) int64: wait up to 64 steps, key, velocity bin, index of
    the length, duration in steps, and of which window it is.
    """

    given: Given
    is_note: Tensor
    wait: Tensor
    key: Tensor
    velocity: Tensor
    length: Tensor
    duration: Tensor
    window: Tensor

    @classmethod
    def of(cls, notes: Notes, most: int) -> Rows:
        """Windows in rows of at most `most` notes."""
        is_first = torch.ones_like(notes.window, dtype=torch.bool)
        is_first[1:] = notes.window[1:] != notes.window[:-1]
        wait = (notes.time - notes.time.roll(1).masked_fill(is_first, 0)).clamp(max=HORIZON)
        length = length_classes(notes.duration)
        place = _Place.of(notes, is_first, most)

        def before(x: Tensor, none: int = 0) -> Tensor:
            return place.table(x.roll(1).masked_fill(is_first, none), 0)

        given = Given(
            key=before(notes.key, BEGIN),
            wait=before(wait),
            velocity=before(notes.velocity),
            length=before(length),
            place=before(notes.time % notes.steps),
            meter=torch.full(place.shape, notes.steps, device=wait.device),
            lately=place.table(_lately(wait, notes.velocity, place.number), 0.0),
        )
        return cls(
            given=given,
            is_note=place.table(torch.ones_like(is_first), False),
            wait=place.table(wait, 0),
            key=place.table(notes.key, 0),
            velocity=place.table(notes.velocity, 0),
            length=place.table(length, 0),
            duration=place.table(notes.duration, 1),
            window=place.table(notes.window, 0),
        )


@dataclass(frozen=True)
class _Place:
    """Where notes (N,) stand in rows: row and column, and their number within their window."""

    row: Tensor
    column: Tensor
    number: Tensor
    shape: tuple[int, int]

    @classmethod
    def of(cls, notes: Notes, is_first: Tensor, most: int) -> _Place:
        index = torch.arange(len(notes.key), device=notes.key.device)
        first = torch.where(is_first, index, 0).cummax(0).values
        number = index - first
        row = ((number % most) == 0).cumsum(0) - 1
        column = number % most
        shape = (int(row[-1]) + 1, int(column.max()) + 1) if len(index) else (1, 1)
        return cls(row, column, number, shape)

    def table(self, values: Tensor, none: float) -> Tensor:
        """Values of notes (N, ...) -> (R, L, ...), `none` where there is no note."""
        table = values.new_full((*self.shape, *values.shape[1:]), none)
        table[self.row, self.column] = values
        return table


def _lately(wait: Tensor, velocity: Tensor, number: Tensor) -> Tensor:
    """(N, 8): the waits and the loudness of the four notes before each, 0 where there are none."""
    parts = [doublings(wait) / doublings(wait.new_tensor(HORIZON)), loudness(velocity)]
    return torch.stack(
        [x.roll(n).masked_fill(number < n, 0.0) for n in range(1, LATELY + 1) for x in parts], dim=1
    )


def doublings(steps: Tensor) -> Tensor:
    """log2(1 + steps): steps as they are regressed on, each doubling one more."""
    return torch.log2(1.0 + steps.float())


class Outcomes(nn.Module):
    """What came where a regression said so: numbers said, 0..highest, in bins, and what was true.

    shares (bins, values): per 1000 notes, the newest updates counting most. So a number that is
    said becomes chances, with all their peaks: a mean between two likely values is neither. It is
    learnt while training, as running statistics are, and saved with the weights.
    """

    def __init__(self, bins: int, values: int, highest: float) -> None:
        super().__init__()
        self.register_buffer("shares", torch.zeros(bins, values))
        self.shares: Tensor
        self._bins = (bins - 1) / highest

    @torch.no_grad()
    def learn(self, said: Tensor, was: Tensor) -> None:
        """Remember numbers said (N,) and the values (N,) that came."""
        bins, values = self.shares.shape
        counts = torch.bincount(self._row(said) * values + was, minlength=bins * values)
        self.shares.lerp_(counts.view(bins, values) * (PER / max(len(was), 1)), FRESH)

    @torch.no_grad()
    def nats(self, said: Tensor, was: Tensor) -> Tensor:
        """How unlikely values (N,) are where numbers (N,) are said, in nats."""
        usual = self.shares.sum(dim=0) + RARE
        shares = self.shares + RARE * usual / usual.sum()
        chances = shares / shares.sum(dim=1, keepdim=True)
        return -torch.log(chances[self._row(said), was])

    def _row(self, said: Tensor) -> Tensor:
        return (said.float() * self._bins).round().clamp(0, len(self.shares) - 1).long()


class Reading(nn.Module):
    """The note before, embedded: the sum of a row of a table for each thing that is read of it,
    and for the steps of a measure."""

    SIZES: ClassVar[Mapping[str, int]] = {
        "key": KEYS + 1, "wait": HORIZON + 1, "velocity": VELOCITY_BINS,
        "length": len(DURATIONS), "place": PLACES, "meter": PLACES + 1,
    }  # fmt: skip

    def __init__(self, size: int, names: tuple[str, ...]) -> None:
        super().__init__()
        for name in (*names, "meter"):
            self.add_module(name, nn.Embedding(self.SIZES[name], size))

    def forward(self, given: Given) -> Tensor:
        """(R, L, size)."""
        rows = [table(getattr(given, name)) for name, table in self.named_children()]
        return torch.stack(rows).sum(dim=0)


class InTime(nn.Module):
    """Pitch once it is known when the note begins: other weights for one that begins with the note
    before than for one after a wait, and what is usual at its step of the measure.

    Heads side by side do not know of each other: of a chord that may go on or be followed by the
    next they say both at once, and the next would be played as low as what the chord lacks.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.within = nn.Linear(size, KEYS)
        self.after = nn.Linear(size, KEYS)
        self.place = nn.Embedding(PLACES, KEYS)
        nn.init.zeros_(self.place.weight)

    def forward(self, features: Tensor, rows: Rows) -> Tensor:
        """Features (R, L, size) of the published head -> logits (R, L, 88); of keys that cannot
        be, since a step goes from the top down, hardly any."""
        given = rows.given
        is_within = ((rows.wait == 0) & (given.key != BEGIN))[..., None]
        logits = torch.where(is_within, self.within(features), self.after(features))
        logits = logits.float() + self.place((given.place + rows.wait) % given.meter)
        keys = torch.arange(KEYS, device=logits.device)
        cannot_be = is_within & (keys >= given.key[..., None])
        free: Tensor = logits.masked_fill(cannot_be, NOWHERE)
        return free


def pitch_terms(logits: Tensor, in_time: Tensor, rows: Rows) -> dict[str, Term]:
    """Nats of the true pitch by two kinds of logits (R, L, 88), and how often the likeliest is the
    true one; beside that, how often the key before and the batch's commonest are."""
    key = rows.key
    common = torch.bincount(key[rows.is_note], minlength=KEYS).argmax()
    parts = {
        "pitch": _nats(logits, rows),
        "pitch in time": _nats(in_time, rows),
        "accuracy": (logits.argmax(dim=-1) == key).float(),
        "accuracy in time": (in_time.argmax(dim=-1) == key).float(),
        "accuracy of the key before": (rows.given.key == key).float(),
        "accuracy of the commonest key": (key == common).float(),
    }
    return {name: Term.among(part, rows.is_note) for name, part in parts.items()}


def _nats(logits: Tensor, rows: Rows) -> Tensor:
    targets = rows.key.masked_fill(~rows.is_note, OF_NO_NOTE).flatten()
    nats = F.cross_entropy(logits.flatten(0, 1), targets, reduction="none")
    return nats.view(rows.key.shape)


def time_terms(said: Tensor, rows: Rows, times: Outcomes) -> dict[str, Term]:
    """By how many steps a time said (R, L) is off, beside "as the note before", and the nats of
    the true wait by what came where this was said."""
    steps = (2.0 ** said.detach() - 1).round()
    parts = {
        "steps off": (steps - rows.wait).abs(),
        "steps off as before": (rows.given.wait - rows.wait).abs().float(),
    }
    nats = times.nats(said[rows.is_note], rows.wait[rows.is_note])
    told = {name: Term.among(part, rows.is_note) for name, part in parts.items()}
    return {**told, "time nats": Term.over(nats)}
