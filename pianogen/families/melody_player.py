"""The melody family as a voice: hears the top line, and goes on with one.

Of what it hears it takes the top line as symbols, `symbols.symbols_of`. It draws symbol after
symbol, and plays them as one line of single notes: how loud is as heard, by `manner`. A note that
is still held at the measure's end is followed on to half a measure past it, and the next measure
lets it ring. `/` is never drawn: a melody that goes on has no end. With a max_polyphony of 1 the
melody is alone; with more the lower notes heard go on below it, see `under`.

Knows no torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pianogen.families.cpu_layers import State
from pianogen.families.manner import Manner
from pianogen.families.melody_beams import Follower, best_line
from pianogen.families.melody_drawing import Drawing, Line
from pianogen.families.melody_models import MODELS, Model
from pianogen.families.sizes import key_of
from pianogen.families.steering import Push, push_of
from pianogen.families.symbols import (
    END,
    HOLD,
    STEPS,
    Ints,
    MelodyConfig,
    cells_of,
    inputs_of,
    measures_of,
    sounding_at,
    symbols_of,
)
from pianogen.families.under import with_lower_notes
from pianogen.families.voice import Voice
from pianogen.grid import KEYS, Measure, Meter
from pianogen.sampling import Sampling, decided

REACH = 16  # measures of symbols that are kept
RINGING = 8  # measures in which a note that still sounds may have begun
OF_LINE = 1 / 3  # share of the notes that a line has where nothing was heard


@dataclass(frozen=True, slots=True, eq=False)
class Past:
    """What was heard. line: the last measures' symbols. over: how many sixteenths of the next
    measure its last note rings into. state: what the model carries."""

    meter: Meter
    line: Ints
    over: int
    recent: tuple[Measure, ...]
    state: State


class MelodyPlayer:
    """A melody model as `voice.Voice` drives it."""

    def __init__(self, model: Model, noises: int) -> None:
        self.model, self.noises = model, noises

    def empty(self, meter: Meter) -> Past:
        """Nothing heard; any meter will do."""
        return Past(meter, np.zeros(0, np.int64), 0, (), self.model.start())

    def heard(self, past: Past, measure: Measure) -> Past:
        """Its top line's symbols taken in."""
        recent = (*past.recent, measure)[-RINGING:]
        symbols = symbols_of(recent)[-cells_of(past.meter.steps) :]
        after = self.told(past, symbols)
        return replace(after, recent=recent, over=_over(after.line, recent))

    def told(self, past: Past, symbols: Ints) -> Past:
        """As `heard`, of a measure's symbols; their last note may ring on for a measure."""
        cells = cells_of(past.meter.steps)
        line = np.concatenate([past.line, symbols])
        inputs = inputs_of(line[None], cells)[0, len(past.line) : -1]
        state = self.model.heard(past.state, inputs)
        return replace(past, line=line[-REACH * cells :], over=cells, state=state)

    def played(
        self, past: Past, heard: tuple[Measure, ...], sampling: Sampling, rng: np.random.Generator
    ) -> Measure:
        """The next measure of the melody, one note at a time."""
        cells, asked = cells_of(past.meter.steps), decided(sampling)
        push = push_of_line(asked, heard, past)
        symbols = self.carried_on(past, asked, rng, push=push, more=cells // 2)
        whole, *_ = measures_of(symbols, past.meter)  # its last note may ring past it
        melody = _loud(whole, heard, asked, rng)
        return with_lower_notes(melody, heard, sampling)

    def carried_on(
        self, past: Past, sampling: Sampling, rng: np.random.Generator, *,
        begun: Sequence[int] = (), push: Push | None = None, more: int = 0,
    ) -> tuple[int, ...]:  # fmt: skip
        """The symbols of the next measure, which begin with those of `begun`; and up to `more`
        holds past its end, as long as its last note is held."""
        cells = cells_of(past.meter.steps)
        drawing = Drawing.of(sampling, push or Push(), past.meter)
        follower = Follower(self.model, drawing, begun)
        chances = rng.random((cells + more, 2))
        now = follower.followed(line_of(past), self._ready(past, sampling, rng))
        if sampling.decoding == "beam":
            now = best_line(follower, now, sampling.candidates)
        while (place := len(now.line.drawn)) < cells + more:
            symbol = drawing.symbol(now.logits[0], now.line, chances[place])
            if place >= cells and (symbol != HOLD or now.line.standing >= KEYS):
                break
            now = follower.then(now, begun[place] if place < len(begun) else symbol)
        return now.line.drawn

    def _ready(self, past: Past, sampling: Sampling, rng: np.random.Generator) -> State:
        noise = rng.standard_normal(self.noises, np.float32)
        noise *= sampling.temperature if sampling.decoding == "sample" else 0
        return self.model.ready(past.state, past.line, cells_of(past.meter.steps), noise)


def line_of(past: Past) -> Line:
    """The melody up to the measure line."""
    standing = int(sounding_at(past.line)[-1]) if len(past.line) else END
    return Line(past.line, cells_of(past.meter.steps), past.over, standing)


def _over(line: Ints, recent: Sequence[Measure]) -> int:
    """Sixteenths by which the last note of a line rings on past it."""
    key = int(sounding_at(line)[-1]) if len(line) else KEYS
    if key >= KEYS:
        return 0
    steps = recent[-1].meter.steps
    ends = [
        note.onset + note.duration - (len(recent) - number) * steps
        for number, measure in enumerate(recent)
        for note in measure.notes
        if key_of(note.pitch) == key
    ]
    return max(0, (max(ends, default=0) + STEPS - 1) // STEPS)


def push_of_line(sampling: Sampling, heard: Sequence[Measure], past: Past) -> Push:
    """What density asks for, of a melody: a multiple of the notes of the line in what was heard,
    the last measures of the past."""
    cells = cells_of(past.meter.steps)
    notes = sum(len(measure.notes) for measure in heard)
    of_line = int((past.line[-len(heard) * cells :] < KEYS).sum()) if heard else 0
    push = push_of(sampling, heard, past.meter.steps)
    return replace(push, goal=push.goal * (of_line / notes if of_line else OF_LINE))


def _loud(
    measure: Measure, heard: tuple[Measure, ...], sampling: Sampling, rng: np.random.Generator
) -> Measure:
    manner, temperature = Manner.of(heard), sampling.velocity_temperature
    chances = rng.random(len(measure.notes))
    notes = (
        replace(note, velocity_bin=manner.velocity_bin(note.onset, note.pitch, temperature, chance))
        for note, chance in zip(measure.notes, chances.tolist(), strict=True)
    )
    return replace(measure, notes=tuple(notes))


def load(config: Mapping[str, Any], weights: Mapping[str, NDArray[Any]], device: str) -> Voice:
    """A checkpoint's configuration and weights as a voice, in numpy whatever the device: one
    measure is too little work for another."""
    sizes = MelodyConfig(**config)
    model = MODELS[sizes.model](sizes, weights)
    return Voice(MelodyPlayer(model, model.noises))
