"""The hybrid: conv + BiLSTM + local attention + LSTM on the 32-step grid. The network alone.

    completed measures ─ conv 3 ─ conv 7 ─┐
                       └ onset branch ────┴ BiLSTM ─ keys, values of the last measures
                                                           │ local attention
    the step before ─ notes, velocity, position, ──────────┴─ LSTM ─ state
                      rhythm, harmony                 │               ├ rhythm: when the next comes
                                                       │               ├ onset: does one come now
                     what came when it stood like this ┴─ echo ────────┴ notes, velocity, duration

Nothing at step t depends on anything from t on. Teacher forcing is parallel over time: the
attention's query comes from what the step is given. Playing is in `hybrid_player`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pianogen.choosing import TRAITS
from pianogen.families.echo import Echo, Recalled
from pianogen.families.features import Features, delayed
from pianogen.families.flat_notes import Notes, length_classes, loudness
from pianogen.families.head import Decisions, PitchHead, TouchHead
from pianogen.families.layers import Encoder, EncoderState, LocalAttention, LSTMState
from pianogen.families.sizes import ALMOST, HARMONY, POSITION, RHYTHM, RHYTHMS, HybridConfig
from pianogen.families.touches import as_shares, memory_at, reminded, touch
from pianogen.families.trained import Trained
from pianogen.grid import KEYS, MAX_STEPS, STEPS_PER_BEAT, VELOCITY_BINS
from pianogen.losses import Losses, Term


class Hybrid(Trained):
    """The network. `losses` is teacher forcing; the player calls the parts."""

    # As published, duration as velocity; pitch and timing together are nats a note.
    WEIGHTS: ClassVar = {
        "pitch": 1.0, "timing": 0.8, "velocity": 0.5, "duration": 0.5, "rhythm": 0.3,
    }  # fmt: skip
    FIGURES = ("pitch", "timing", "pitch_and_timing", "velocity", "duration", "rhythm")
    SIZES = HybridConfig

    def __init__(self, config: HybridConfig) -> None:
        super().__init__()
        self.config = config
        size = config.hidden
        self.position = nn.Embedding(MAX_STEPS, POSITION)
        self.beat = nn.Embedding(STEPS_PER_BEAT, 8)
        self.meter = nn.Embedding(MAX_STEPS + 1, 8)
        place = POSITION + 16
        self.encoder = Encoder(
            2 * KEYS + VELOCITY_BINS + place,
            config.conv,
            config.onset_branch,
            size,
            config.dropout,
        )
        self.note_in = nn.Linear(2 * KEYS, size)
        self.rest_in = nn.Linear(VELOCITY_BINS + place + RHYTHM + HARMONY, size)
        self.norm_in = nn.LayerNorm(size)
        self.attention = LocalAttention(
            size, config.heads, config.window, MAX_STEPS, config.attention_dropout
        )
        self.decoder = nn.LSTM(size, size, batch_first=True)
        self.norm_state = nn.LayerNorm(size)
        self.widen = nn.Sequential(
            nn.Linear(size, 2 * size), nn.GELU(), nn.Dropout(config.dropout),
            nn.Linear(2 * size, size),
        )  # fmt: skip
        self.norm_out = nn.LayerNorm(size)
        self.rhythm = nn.Linear(size, RHYTHMS)
        self.onset = nn.Linear(size, 1)
        self.steering = nn.Parameter(torch.tensor(0.3))
        self.register_buffer("choice", torch.zeros(len(TRAITS)))  # weights, see `choosing`
        self.choice: Tensor
        self.pitch = PitchHead(size, config.channels, config.width)
        self.echo = Echo(size, config.echo)
        self.touch = TouchHead(size, config.channels, config.touch)

    def places(self, steps: int, start: int, count: int) -> Tensor:
        """Where steps start .. start + count - 1 lie in a measure of `steps`: (count, 48)."""
        device = self.position.weight.device
        at = torch.arange(start, start + count, device=device) % steps
        meter = torch.full_like(at, steps)
        parts = [self.position(at), self.beat(at % STEPS_PER_BEAT), self.meter(meter)]
        return torch.cat(parts, dim=-1)

    def encode(
        self, onset: Tensor, sounding: Tensor, velocity: Tensor, state: EncoderState | None = None
    ) -> tuple[Tensor, EncoderState]:
        """Rolls of completed measures, (B, K, S, ...) -> memory (B, K, S, 2H) and the carry."""
        B, K, S, _ = onset.shape
        place = self.places(S, 0, S).expand(B, K, S, -1)
        x = torch.cat([onset, sounding, velocity.clamp(max=4) / 2, place], dim=-1)
        encoded, state = self.encoder(x, state or self.encoder.start(B, x))
        return self.attention.remember(encoded), state

    def given(
        self, onset: Tensor, held: Tensor, velocity: Tensor, rhythm: Tensor, harmony: Tensor,
        place: Tensor,
    ) -> Tensor:  # fmt: skip
        """What a step is given, (..., H): the notes and velocities of the step before and more."""
        x = self.note_in(torch.cat([onset, held], dim=-1))
        rest = torch.cat([velocity.clamp(max=4) / 2, place, rhythm, harmony], dim=-1)
        given: Tensor = self.norm_in(x + self.rest_in(rest))
        return given

    def decode(
        self, given: Tensor, attended: Tensor, state: LSTMState | None
    ) -> tuple[Tensor, LSTMState]:
        """(B, T, H) twice -> the decoder's state at each step (B, T, H), and the carry."""
        z = given + attended
        h, carry = self.decoder(z, state)
        return self.out(h, z), carry

    def out(self, h: Tensor, z: Tensor) -> Tensor:
        """The LSTM's output and input, (..., H) each -> the decoder's state."""
        s = self.norm_state(h + z)
        state: Tensor = self.norm_out(s + self.widen(s))
        return state

    def timing(self, state: Tensor) -> tuple[Tensor, Tensor]:
        """Rhythm logits (..., 32) and the onset logit (...), which the rhythm steers."""
        rhythm = self.rhythm(state).float()
        return rhythm, self.onset(state).squeeze(-1).float() + self.steering * hazard(rhythm)

    def states(self, features: Features, notes: Notes) -> Tensor:
        """The decoder's state at every step of every window, (B, T, H); parallel over time."""
        B, K, S = notes.windows, notes.measures, notes.steps
        W, H = self.config.window, self.config.hidden

        def measures(x: Tensor) -> Tensor:
            return x.reshape(B, K, S, -1)

        memory, _ = self.encode(
            measures(features.onset), measures(features.sounding), measures(features.velocity)
        )
        given = self.given(
            delayed(features.onset),
            features.held,
            delayed(features.velocity),
            features.rhythm,
            features.harmony,
            self.places(S, 0, K * S).expand(B, K * S, -1),
        )
        before = torch.cat([memory.new_zeros(B, W, S, 2 * H), memory[:, :-1]], dim=1)
        windows = before.unfold(1, W, 1).movedim(-1, 2)  # (B, K, W, S, 2H)
        number = torch.arange(K, device=given.device)[:, None]
        present = (number + torch.arange(W, device=given.device) >= W).repeat(B, 1)
        query = given.reshape(B * K, S, H)
        around = self.attention.prepare(windows.reshape(B * K, W, S, 2 * H), present)
        attended = self.attention(query, around)
        state, _ = self.decode(given, attended.view(B, K * S, H), None)
        return state

    def predict(self, notes: Notes) -> Predictions:
        """What is believed of each step and note of the windows, given what came before it."""
        features = Features.of(notes)
        state = self.states(features, notes)
        rhythm, onset = self.timing(state)
        begins = features.onset.any(dim=-1)
        window, time = begins.nonzero(as_tuple=True)
        number = begins.flatten().cumsum(0) - 1
        step = number[notes.window * notes.length + notes.time]
        choices = Decisions.of(step, notes.key, len(window))
        recalled = self.echo(state, features.onset, features.latest, begins, notes.steps)
        rank = recalled.asking.rank[window, time]
        at_step = state[window, time] + recalled.added[window, rank]
        ground = self.pitch.ground(
            features.planes_at(window, time), recalled.rows[window, rank], at_step
        )
        pitch, mixed = self.pitch(
            ground[choices.step], choices.chosen, choices.count, choices.lowest,
            self.pitch.influence(),
        )  # fmt: skip
        lengths = length_classes(notes.duration)
        follows = torch.zeros_like(step, dtype=torch.bool)
        follows[1:] = step[1:] == step[:-1]
        inputs = self.touch.inputs(
            at_step[step],
            mixed[choices.of_note, notes.key],
            notes.key,
            touch(features.level[notes.window, notes.time], notes.key),
            chord_above(notes.velocity.roll(1), lengths.roll(1), follows),
        )
        recent = remembered(notes, recalled)
        return Predictions(
            features=features,
            state=state,
            begins=begins,
            rhythm=rhythm,
            onset=onset,
            pitch=pitch,
            choices=choices.target,
            velocity=self.touch.loudness(inputs, recent),
            duration=self.touch.length(inputs, notes.velocity, recent),
            lengths=lengths,
        )

    def losses(self, notes: Notes, velocity_weight: Tensor) -> Losses:
        """Everything the network is trained on; velocity_weight (B,) how much each window's
        velocities count, 0..1."""
        believed = self.predict(notes)
        weight = velocity_weight[notes.window]
        velocity = F.cross_entropy(believed.velocity, notes.velocity, reduction="none")
        begins = believed.begins
        target, known = rhythm_targets(begins)
        pitch = F.cross_entropy(believed.pitch, believed.choices, reduction="sum")
        timing = F.binary_cross_entropy_with_logits(believed.onset, begins.float(), reduction="sum")
        duration = F.cross_entropy(believed.duration, believed.lengths, reduction="sum")
        rhythm = F.cross_entropy(believed.rhythm[known], target[known], reduction="sum")
        count = pitch.new_tensor(float(len(notes.key)))
        return {
            "pitch": Term(pitch, count),
            "timing": Term(timing, count),
            "pitch_and_timing": Term(pitch + timing, count),
            "velocity": Term((velocity * weight).sum(), weight.sum()),
            "duration": Term(duration, count),
            "rhythm": Term(rhythm, known.sum()),
        }


@dataclass(frozen=True)
class Predictions:
    """Logits of teacher forcing and what they are to hit; B windows, T steps, N notes.

    state (B, T, H), begins (B, T), rhythm (B, T, 32), onset (B, T); pitch (D, 89) for the
    choices (D,), notes and stops in order; velocity and duration (N, 32), lengths (N,) the true
    indices into DURATIONS.
    """

    features: Features
    state: Tensor
    begins: Tensor
    rhythm: Tensor
    onset: Tensor
    pitch: Tensor
    choices: Tensor
    velocity: Tensor
    duration: Tensor
    lengths: Tensor


def hazard(rhythm: Tensor) -> Tensor:
    """The log odds (...) that the next onset comes now, by rhythm logits (..., 32)."""
    now = F.log_softmax(rhythm, dim=-1)[..., 0]
    return now - torch.log1p(-now.exp() * ALMOST)


def remembered(notes: Notes, recalled: Recalled) -> Tensor:
    """What is remembered of loudness and lengths near each note, (N, 4, 64) logarithms of shares:
    in two memories of the notes before it and those above it, and by two echoes."""
    where = (notes.window, notes.time, notes.key)
    recent = memory_at(notes, *where, chord=True)
    return as_shares(torch.cat([recent, reminded(notes, recalled, *where)], dim=1))


def chord_above(velocity: Tensor, length: Tensor, follows: Tensor) -> Tensor:
    """What a note is told of the one chosen before it in its step: (N, 3), 0 where none."""
    there = follows.float()
    return torch.stack([there, there * loudness(velocity), there * length.float() / 32], dim=1)


def rhythm_targets(begins: Tensor) -> tuple[Tensor, Tensor]:
    """Steps to the next onset, (B, T) 0..31, and where the window is long enough to know it."""
    T = begins.shape[1]
    time = torch.arange(T, device=begins.device)
    coming = torch.where(begins, time, 2 * T + RHYTHMS)
    soonest = coming.flip(1).cummin(dim=1).values.flip(1)
    distance = (soonest - time).clamp(max=RHYTHMS - 1)
    known = (soonest < T) | (time + RHYTHMS - 1 < T)
    return distance, known
