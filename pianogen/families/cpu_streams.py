"""The networks of `events` and `notes` in numpy, a note at a time; and the voices they play as."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import log2
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pianogen.families.arithmetic import Floats
from pianogen.families.cpu_layers import Linear, Lstm, Named, State, single
from pianogen.families.note_by_note import (
    BEGIN,
    FARTHEST,
    LATELY,
    LONGEST,
    Before,
    EventsConfig,
    NoteByNote,
    NotesConfig,
    Said,
)
from pianogen.families.voice import Voice
from pianogen.grid import VELOCITY_BINS

START = Before(BEGIN)


class Tables:
    """A note as the sum of a row for each thing known of it; see `note_stream.Reading`."""

    def __init__(self, weights: Named, names: tuple[str, ...]) -> None:
        self._tables = {name: single(weights, f"reading.{name}.weight") for name in names}
        self._meter = single(weights, "reading.meter.weight")

    def row(self, note: Before, steps: int) -> Floats:
        """(1, embedding)."""
        x: Floats = self._meter[steps].copy()
        for name, table in self._tables.items():
            x += table[getattr(note, name)]
        row: Floats = x[None]
        return row


@dataclass(frozen=True, slots=True, eq=False)
class Carried:
    """What an LSTM carries and gives out (1, H) after the notes read, the last of them, the waits
    and loudness of the last four, and the steps of a measure."""

    state: State
    out: Floats
    last: Before
    lately: tuple[float, ...]
    steps: int


class InTime:
    """`note_stream.InTime`, of one note."""

    def __init__(self, weights: Named) -> None:
        self._within, self._after = (
            Linear(weights, f"in_time.{name}") for name in ("within", "after")
        )
        self._place = single(weights, "in_time.place.weight")

    def logits(self, features: Floats, place: int, *, is_within: bool) -> Floats:
        """Features (1, size) -> (88,)."""
        logits: Floats = (self._within if is_within else self._after)(features)[0]
        logits += self._place[place]
        return logits


class EventsNetwork:
    """`events.Events`, one note at a time."""

    def __init__(self, weights: Named) -> None:
        self._tables = Tables(weights, ("key", "wait", "velocity", "place"))
        self._lstm = Lstm(weights, "lstm")
        self._pitch, self._time, self._loudness = (
            [Linear(weights, f"{name}.{layer}") for layer in (0, 3, 6)]
            for name in ("pitch", "time", "velocity")
        )
        self._in_time = InTime(weights)
        self._place = single(weights, "time_place.weight")
        self.waits = Said(weights, "times", FARTHEST)
        self.touches = Said(weights, "velocities", 1.0)

    def start(self, steps: int) -> Carried:
        """After the note before the first."""
        out, state = self._lstm.step(self._tables.row(START, steps), self._lstm.start())
        return Carried(state, out, START, (0.0,) * (2 * LATELY), steps)

    def read(self, carried: Carried, note: Before) -> Carried:
        """One step of the LSTM."""
        out, state = self._lstm.step(self._tables.row(note, carried.steps), carried.state)
        newest = (log2(1 + note.wait) / FARTHEST, note.velocity / (VELOCITY_BINS - 1))
        return Carried(state, out, note, (*newest, *carried.lately[:-2]), carried.steps)

    def awake(self, carried: Carried) -> Carried:
        """The same."""
        return carried

    def wait(self, carried: Carried) -> float:
        """log2(1 + steps) to the next note."""
        own = self._place[carried.last.place]
        return _headed(self._time, _beside(carried, own))

    def pitch(self, carried: Carried, place: int, *, is_within: bool) -> Floats:
        """Logits (88,) of a note at a step of the measure, begun with the one before or not."""
        features = _hidden(self._pitch[:-1], carried.out)
        return self._in_time.logits(features, place, is_within=is_within)

    def touch(self, carried: Carried) -> float:
        """How loud, 0..1."""
        return _headed(self._loudness, _beside(carried))


def _beside(carried: Carried, *more: Floats) -> Floats:
    lately = np.array(carried.lately, np.float32)
    return np.concatenate([carried.out[0], lately, *more])[None]


def _hidden(layers: list[Linear], x: Floats) -> Floats:
    for layer in layers:
        x = np.maximum(layer(x), 0)
    return x


def _headed(layers: list[Linear], x: Floats) -> float:
    """Two layers with ReLU and the output, of one row."""
    return float(layers[-1](_hidden(layers[:-1], x))[0, 0])


@dataclass(frozen=True, slots=True, eq=False)
class Recent:
    """The last notes, oldest first, in measures of so many steps; and what the LSTM carries and
    gives out (1, H) after them, once it was asked."""

    notes: tuple[Before, ...]
    steps: int
    state: State = ()
    out: Floats | None = None


class NotesNetwork:
    """`notes.NotesAfterNotes`, one note at a time: for each measure it begins anew with the last
    notes, so many as it was trained on at once."""

    def __init__(self, weights: Named, most: int) -> None:
        self._tables = Tables(weights, ("key", "wait", "length", "place"))
        self._lstm, self._most = Lstm(weights, "lstm"), most
        self._step, self._duration = (Linear(weights, name) for name in ("step", "duration"))
        self._in_time = InTime(weights)
        self.waits = Said(weights, "times", FARTHEST)
        self.touches = Said(weights, "durations", LONGEST)

    def start(self, steps: int) -> Recent:
        """The note before the first."""
        return Recent((START,), steps)

    def read(self, carried: Recent, note: Before) -> Recent:
        """The note kept, and one step of the LSTM if it is awake."""
        notes = (*carried.notes, note)[-self._most :]
        if carried.out is None:
            return replace(carried, notes=notes)
        out, state = self._lstm.step(self._tables.row(note, carried.steps), carried.state)
        return Recent(notes, carried.steps, state, out)

    def awake(self, carried: Recent) -> Recent:
        """The LSTM run over the last notes."""
        rows = np.concatenate([self._tables.row(note, carried.steps) for note in carried.notes])
        out, state = self._lstm.over(rows[None], self._lstm.start())
        return replace(carried, state=state, out=out[:, -1])

    def wait(self, carried: Recent) -> float:
        """log2(1 + steps) to the next note."""
        return float(self._step(_asked(carried))[0, 0])

    def pitch(self, carried: Recent, place: int, *, is_within: bool) -> Floats:
        """Logits (88,) of a note at a step of the measure, begun with the one before or not."""
        return self._in_time.logits(_asked(carried), place, is_within=is_within)

    def touch(self, carried: Recent) -> float:
        """How long, as log2(steps)."""
        return float(self._duration(_asked(carried))[0, 0])


def _asked(carried: Recent) -> Floats:
    if carried.out is None:
        raise ValueError("a network that is not awake cannot be asked")
    return carried.out


def load_events(
    config: Mapping[str, Any], weights: Mapping[str, NDArray[Any]], device: str
) -> Voice:
    """A checkpoint of `events` as a voice; in numpy wherever it is to be."""
    EventsConfig(**config)
    return Voice(NoteByNote(EventsNetwork(weights), says_length=False))


def load_notes(
    config: Mapping[str, Any], weights: Mapping[str, NDArray[Any]], device: str
) -> Voice:
    """A checkpoint of `notes` as a voice; in numpy wherever it is to be."""
    sizes = NotesConfig(**config)
    return Voice(NoteByNote(NotesNetwork(weights, sizes.notes), says_length=True))
