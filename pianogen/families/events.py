"""Events: an LSTM over notes with a head each for pitch, time and loudness, as torch trains it.

    the note before ─ embedded ─ LSTM ─┬──────────────── pitch: 88 keys, cross-entropy
                                       └ held fast ┬ 4 waits, loudnesses ─ velocity: squared error
                                                   └ the same, place ───── time: absolute error

After a published generator: a note embedding, one LSTM, three parallel heads of (fully connected,
dropout, ReLU) twice and an output; three optimisers, of which the first trains embedding, LSTM and
the pitch head, the other two only their own heads, which therefore read the state as it is;
music varied while it is drawn (see `dataset.Augmentation`: transposition is `transpose`,
stretching time is `double`, since steps stay whole, and `articulation` for lengths, stretching
loudness `velocity_scale` and `velocity`).

It departs where a pianist would hear it:
- A note is embedded with its wait, loudness and step in the measure, so that it plays in time.
- 88 keys rather than 128 pitches; music outside the piano is folded into it.
- Time is regressed on as log2(1 + steps), and a state trained for pitch alone forgets waits and
  loudness: the two heads also read the last four of them, and time the step in the measure.
- The notes are played by a fourth set of weights that read what the pitch head has made of the
  state, and know the time drawn (`note_stream.InTime`); the published heads stay side by side.
- What the two say is played as chances of what came where it was said (`note_stream.Outcomes`).
- Lengths are not said: they are those heard (`manner`).
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from pianogen.families.flat_notes import Notes, loudness
from pianogen.families.heard_notes import HORIZON
from pianogen.families.note_by_note import (
    FARTHEST,
    LATELY,
    PLACES,
    SAID_BINS,
    EventsConfig,
)
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
from pianogen.families.trained import Trained
from pianogen.grid import KEYS, VELOCITY_BINS
from pianogen.losses import Losses, Term, Weights

PLACE = 32  # size of what the time head knows of the step in the measure
BETAS = (0.9, 0.98)


class Events(Trained):
    """The network; see `note_by_note` for how it is played."""

    WEIGHTS: ClassVar[Weights] = {"pitch": 1.0, "pitch in time": 1.0, "time": 1.0, "velocity": 1.0}
    FIGURES: ClassVar[tuple[str, ...]] = (
        *PITCH_FIGURES, "time", *TIME_FIGURES, "velocity", "bins off", "bins off as before",
    )  # fmt: skip
    SIZES = EventsConfig

    config: EventsConfig

    def __init__(self, config: EventsConfig) -> None:
        super().__init__()
        self.config = config
        size, dropout = config.hidden, config.dropout
        self.reading = Reading(config.embedding, ("key", "wait", "velocity", "place"))
        self.lstm = nn.LSTM(config.embedding, size, batch_first=True)
        self.pitch = _head(size, config.head, KEYS, dropout)
        self.in_time = InTime(config.head)
        self.time = _head(size + 2 * LATELY + PLACE, config.head, 1, dropout)
        self.velocity = _head(size + 2 * LATELY, config.head, 1, dropout)
        self.time_place = nn.Embedding(PLACES, PLACE)
        self.times = Outcomes(SAID_BINS, HORIZON + 1, FARTHEST)
        self.velocities = Outcomes(SAID_BINS, VELOCITY_BINS, 1.0)

    def said(self, rows: Rows) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Of each note to come: logits (R, L, 88), the same once its time is known, log2(1 + steps)
        until then (R, L), and its loudness (R, L)."""
        given = rows.given
        state, _ = self.lstm(self.reading(given))
        beside = torch.cat([state.detach(), given.lately], dim=-1)
        placed = torch.cat([beside, self.time_place(given.place)], dim=-1)
        features = self.pitch[:-1](state)
        logits, in_time = self.pitch[-1](features).float(), self.in_time(features, rows)
        time, velocity = self.time(placed), self.velocity(beside)
        return logits, in_time, time[..., 0].float(), velocity[..., 0].float()

    def losses(self, notes: Notes, velocity_weight: Tensor) -> Losses:
        """Pitch in nats, time in doublings, velocity in squares of the whole range; and told: hits
        of the likeliest pitch, steps and bins off, beside what trivial rules come to."""
        rows = Rows.of(notes, self.config.notes)
        logits, in_time, time, velocity = self.said(rows)
        weight = velocity_weight[rows.window] * rows.is_note
        bins_off = (velocity.detach() * (VELOCITY_BINS - 1) - rows.velocity).abs()
        counting = weight > 0
        if self.training:
            self.times.learn(time[rows.is_note], rows.wait[rows.is_note])
            self.velocities.learn(velocity[counting], rows.velocity[counting])
        return {
            **pitch_terms(logits, in_time, rows),
            "time": Term.among((time - doublings(rows.wait)).abs(), rows.is_note),
            **time_terms(time, rows, self.times),
            "velocity": Term.among((velocity - loudness(rows.velocity)) ** 2, weight),
            "bins off": Term.among(bins_off, weight),
            "bins off as before": Term.among(
                (rows.given.velocity - rows.velocity).abs().float(), weight
            ),
        }

    def optimisers(self, weight_decay: float) -> tuple[torch.optim.Optimizer, ...]:
        """Three, none of which touches what another one owns."""
        time = [*self.time.parameters(), *self.time_place.parameters()]
        velocity = list(self.velocity.parameters())
        taken = {id(parameter) for parameter in time + velocity}
        first = [parameter for parameter in self.parameters() if id(parameter) not in taken]
        return tuple(
            torch.optim.AdamW(own, weight_decay=weight_decay, betas=BETAS)
            for own in (first, time, velocity)
        )


def _head(given: int, size: int, out: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(given, size), nn.Dropout(dropout), nn.ReLU(),
        nn.Linear(size, size), nn.Dropout(dropout), nn.ReLU(),
        nn.Linear(size, out),
    )  # fmt: skip
