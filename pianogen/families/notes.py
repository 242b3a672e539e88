"""Notes: an LSTM over the last 50 notes with three linear heads, as torch trains it.

    the note before ─ embedded ─ LSTM ─┬─ pitch: 88 keys, cross-entropy
                                       ├─ step: the time to the note, squared error
                                       └─ duration: how long it is, squared error

After a published generator: notes as pitch, step and duration, in sequences of 50; an LSTM; a
linear head each; cross-entropy for pitch, squared errors for step and duration; Adam (here with
decoupled weight decay).

Its authors tell of a pitch accuracy of up to 90 %. `accuracy` here is in the same definition: how
often the likeliest pitch is the one that comes, where all notes before it are known. Theirs was
reached on the music that was trained on, little of it and read many times over, as any network
can that learns it by heart (a test here does); on pieces never seen, and on much music that is
seen a few times and in all keys, both figures lie far below it and near each other.

It departs where a pianist would hear it:
- The pitch is looked up in a table, which is what a one-hot times a matrix comes to, and the same
  for wait, length and the step in the measure, without which it could not play in time.
- 88 keys rather than 128 pitches; music outside the piano is folded into it.
- Times and lengths are regressed on as log2(1 + steps) and log2(steps): the error of a long rest
  does not drown all others.
- The notes are played by a fourth set of weights that know the time drawn
  (`note_stream.InTime`); the published heads stay side by side.
- What the two say is played as chances of what came where it was said (`note_stream.Outcomes`).
- Loudness is not said: it is that heard (`manner`).
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from pianogen.families.flat_notes import Notes, constant
from pianogen.families.heard_notes import HORIZON
from pianogen.families.note_by_note import FARTHEST, LONGEST, SAID_BINS, NotesConfig
from pianogen.families.note_stream import (
    PITCH_FIGURES,
    TIME_FIGURES,
    InTime,
    Outcomes,
    Reading,
    Rows,
    doublings,
    pitch_terms,
    time_terms,
)
from pianogen.families.sizes import DURATIONS
from pianogen.families.trained import Trained
from pianogen.grid import KEYS
from pianogen.losses import Losses, Term, Weights

BETAS = (0.9, 0.98)


class NoteSequences(Trained):
    """The network; see `note_by_note` for how it is played."""

    WEIGHTS: ClassVar[Weights] = {"pitch": 1.0, "pitch in time": 1.0, "step": 1.0, "duration": 1.0}
    FIGURES: ClassVar[tuple[str, ...]] = (
        *PITCH_FIGURES, "step", *TIME_FIGURES, "duration", "length off", "length off as before",
    )  # fmt: skip
    SIZES = NotesConfig

    config: NotesConfig

    def __init__(self, config: NotesConfig) -> None:
        super().__init__()
        self.config = config
        self.reading = Reading(config.embedding, ("key", "wait", "length", "place"))
        self.lstm = nn.LSTM(config.embedding, config.hidden, batch_first=True)
        self.dropout = nn.Dropout(config.dropout)
        self.pitch = nn.Linear(config.hidden, KEYS)
        self.in_time = InTime(config.hidden)
        self.step = nn.Linear(config.hidden, 1)
        self.duration = nn.Linear(config.hidden, 1)
        self.times = Outcomes(SAID_BINS, HORIZON + 1, FARTHEST)
        self.durations = Outcomes(SAID_BINS, len(DURATIONS), LONGEST)

    def said(self, rows: Rows) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Of each note to come: logits (R, L, 88), the same once its time is known, log2(1 + steps)
        until then (R, L), and log2(steps) of its length (R, L)."""
        state, _ = self.lstm(self.reading(rows.given))
        state = self.dropout(state)
        logits, in_time = self.pitch(state).float(), self.in_time(state, rows)
        step, duration = self.step(state), self.duration(state)
        return logits, in_time, step[..., 0].float(), duration[..., 0].float()

    def losses(self, notes: Notes, velocity_weight: Tensor) -> Losses:
        """Pitch in nats, step and duration in squares of doublings; and told: hits of the
        likeliest pitch and steps off, beside what trivial rules come to."""
        rows = Rows.of(notes, self.config.notes)
        logits, in_time, step, duration = self.said(rows)
        if self.training:
            self.times.learn(step[rows.is_note], rows.wait[rows.is_note])
            self.durations.learn(duration[rows.is_note], rows.length[rows.is_note])
        was, lengths = rows.duration, constant(DURATIONS, rows.duration.device)
        parts = {
            "step": (step - doublings(rows.wait)) ** 2,
            "duration": (duration - torch.log2(was.float())) ** 2,
            "length off": ((2.0 ** duration.detach()).round() - was).abs(),
            "length off as before": (lengths[rows.given.length] - was).abs(),
        }
        told = {name: Term.among(part, rows.is_note) for name, part in parts.items()}
        return {**pitch_terms(logits, in_time, rows), **time_terms(step, rows, self.times), **told}

    def optimisers(self, weight_decay: float) -> tuple[torch.optim.Optimizer, ...]:
        """Adam."""
        parameters = self.parameters()
        return (torch.optim.AdamW(parameters, weight_decay=weight_decay, betas=BETAS),)
