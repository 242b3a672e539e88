"""What the hybrid makes of true music, one step ahead: nats a note, and its likeliest notes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from pianogen.dataset import Batch
from pianogen.elements import Prediction, median_velocity
from pianogen.families.features import Features, touch
from pianogen.families.head import NO_KEY, STOP, Decisions
from pianogen.families.hybrid import Hybrid, chord_above
from pianogen.grid import KEYS
from pianogen.nats import Sums, note_sums
from pianogen.windowed import Floats, Windowed

MOST_AT_ONCE = 16  # notes predicted to begin on one step


@dataclass(frozen=True)
class Reading:
    """A network's states over a batch of windows, teacher forced."""

    network: Hybrid
    batch: Batch
    features: Features
    state: Tensor  # (B, T, H)
    rhythm: Tensor  # (B, T, 32) logits
    onset: Tensor  # (B, T) logits

    @classmethod
    def of(cls, network: Hybrid, batch: Batch) -> Reading:
        """One pass over the windows."""
        features = Features.of(batch.notes)
        state = network.states(features, batch.notes)
        return cls(network, batch, features, state, *network.timing(state))


@torch.inference_mode()
def read(network: Hybrid, batch: Batch, windows: Windowed) -> tuple[Sums, Prediction]:
    """The network's nats over windows, and what it expects; both on the network's device."""
    reading = Reading.of(network, batch)
    sums, expected = _nats(reading, windows)
    onset, velocity = _likeliest(reading)
    rhythm = reading.rhythm.argmax(dim=-1).cpu().numpy()
    return sums, Prediction(onset.cpu().numpy(), velocity, rhythm, expected)


def _nats(reading: Reading, windows: Windowed) -> tuple[Sums, Floats]:
    """The sums that training counts, and the median velocity of each note, 0..1."""
    network, features, notes = reading.network, reading.features, reading.batch.notes
    begins = features.onset.any(dim=-1)
    window, time = begins.nonzero(as_tuple=True)
    number = begins.flatten().cumsum(0) - 1
    step = number[notes.window * notes.length + notes.time]
    choices = Decisions.of(step, notes.key, len(window))
    state = reading.state[window, time]
    field, register = network.pitch.field(features.planes_at(window, time), state)
    logits, mixed = network.pitch(
        field[choices.step], register[choices.step], state[choices.step],
        choices.chosen, choices.count, choices.lowest, network.pitch.influence(),
    )  # fmt: skip
    lengths = network.duration_class[notes.duration]
    follows = torch.zeros_like(step, dtype=torch.bool)
    follows[1:] = step[1:] == step[:-1]
    above = chord_above(notes.velocity.roll(1), lengths.roll(1), follows)
    heard = touch(features.level[notes.window, notes.time], notes.key)
    own_field = mixed[choices.of_note, notes.key]
    inputs = network.touch.inputs(state[step], own_field, notes.key, heard, above)
    loudness = network.touch.loudness(inputs)
    length = network.touch.length(inputs, notes.velocity)
    onset = F.binary_cross_entropy_with_logits(reading.onset, begins.float(), reduction="sum")
    sums = note_sums(
        windows,
        note=float(F.cross_entropy(logits, choices.target, reduction="sum")),
        onset=float(onset),
        velocity=F.cross_entropy(loudness, notes.velocity, reduction="none").double().cpu().numpy(),
        duration=float(F.cross_entropy(length, lengths, reduction="sum")),
    )
    return sums, _median(loudness)


def _median(logits: Tensor) -> Floats:
    return median_velocity(logits.double().softmax(dim=-1).cpu().numpy())


def _likeliest(reading: Reading) -> tuple[Tensor, Floats]:
    """What begins where an onset is likelier than not: (B, T, 88), and how loud, 0..1.

    The likeliest key from the top down, again and again until the likeliest is to stop.
    """
    network = reading.network
    window, time = (reading.onset > 0).nonzero(as_tuple=True)
    state, level = reading.state[window, time], reading.features.level[window, time]
    field, register = network.pitch.field(reading.features.planes_at(window, time), state)
    influence = network.pitch.influence()
    onset = torch.zeros_like(reading.features.onset, dtype=torch.bool)
    velocity = np.zeros(onset.shape)
    M, device = len(window), window.device
    chosen, lowest = torch.zeros(M, KEYS, device=device), torch.full((M,), NO_KEY, device=device)
    above = torch.zeros(M, 3, device=device)
    going = torch.arange(M, device=device)  # rows that have not stopped
    for count in range(MOST_AT_ONCE if M else 0):
        logits, mixed = network.pitch(
            field[going], register[going], state[going], chosen[going],
            torch.full_like(going, count), lowest[going], influence,
        )  # fmt: skip
        key = logits.argmax(dim=1)
        is_note = key != STOP
        going, key, mixed = going[is_note], key[is_note], mixed[is_note]
        if not len(going):
            break
        own_field = mixed[torch.arange(len(key), device=device), key]
        inputs = network.touch.inputs(
            state[going], own_field, key, touch(level[going], key), above[going]
        )
        loudness = network.touch.loudness(inputs)
        bins = loudness.argmax(dim=1)
        length = network.touch.length(inputs, bins).argmax(dim=1)
        above[going] = chord_above(bins, length, torch.ones_like(is_note[is_note]))
        onset[window[going], time[going], key] = True
        where = (window[going].cpu().numpy(), time[going].cpu().numpy(), key.cpu().numpy())
        velocity[where] = _median(loudness)
        chosen[going, key] = 1.0
        lowest[going] = key
    return onset, velocity
