"""What the hybrid makes of true music, one step ahead: nats a note, and its likeliest notes."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from pianogen.dataset import Batch
from pianogen.elements import Prediction, median_velocity
from pianogen.families.features import (
    MEMORY_KEYS,
    Notes,
    as_shares,
    marked,
    memory_at,
    touch,
)
from pianogen.families.head import NO_KEY, STOP
from pianogen.families.hybrid import Hybrid, Predictions, chord_above
from pianogen.grid import KEYS
from pianogen.nats import Sums, note_sums
from pianogen.windowed import Floats, Windowed

MOST_AT_ONCE = 16  # notes predicted to begin on one step


@torch.inference_mode()
def read(network: Hybrid, batch: Batch, windows: Windowed) -> tuple[Sums, Prediction]:
    """The network's nats over windows, and what it expects; both on the network's device."""
    believed = network.predict(batch.notes)
    onset, velocity = _likeliest(network, batch.notes, believed)
    rhythm = believed.rhythm.argmax(dim=-1).cpu().numpy()
    expected = _median(believed.velocity)
    sums = _nats(batch.notes, believed, windows)
    return sums, Prediction(onset.cpu().numpy(), velocity, rhythm, expected)


def _nats(notes: Notes, believed: Predictions, windows: Windowed) -> Sums:
    """The sums that training counts."""
    begins = believed.begins.float()
    velocity = F.cross_entropy(believed.velocity, notes.velocity, reduction="none")
    return note_sums(
        windows,
        note=float(F.cross_entropy(believed.pitch, believed.choices, reduction="sum")),
        onset=float(F.binary_cross_entropy_with_logits(believed.onset, begins, reduction="sum")),
        velocity=velocity.double().cpu().numpy(),
        duration=float(F.cross_entropy(believed.duration, believed.lengths, reduction="sum")),
    )


def _median(logits: Tensor) -> Floats:
    return median_velocity(logits.double().softmax(dim=-1).cpu().numpy())


def _likeliest(network: Hybrid, notes: Notes, believed: Predictions) -> tuple[Tensor, Floats]:
    """What begins where an onset is likelier than not: (B, T, 88), and how loud, 0..1.

    The likeliest key from the top down, again and again until the likeliest is to stop.
    """
    window, time = (believed.onset > 0).nonzero(as_tuple=True)
    state, level = believed.state[window, time], believed.features.level[window, time]
    field, register = network.pitch.field(believed.features.planes_at(window, time), state)
    influence = network.pitch.influence()
    onset = torch.zeros_like(believed.features.onset, dtype=torch.bool)
    velocity = np.zeros(onset.shape)
    M, device = len(window), window.device
    chosen, lowest = torch.zeros(M, KEYS, device=device), torch.full((M,), NO_KEY, device=device)
    above = torch.zeros(M, 3, device=device)
    mates: list[tuple[Tensor, Tensor, Tensor]] = []  # rows, keys and marks chosen so far
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
        recent = memory_at(notes, window[going], time[going], key)
        recent = as_shares(recent + _of_mates(mates, going, key, M))
        loudness = network.touch.loudness(inputs, recent)
        bins = loudness.argmax(dim=1)
        length = network.touch.length(inputs, bins, recent).argmax(dim=1)
        above[going] = chord_above(bins, length, torch.ones_like(is_note[is_note]))
        mates.append((going, key, marked(bins, length)))
        onset[window[going], time[going], key] = True
        where = (window[going].cpu().numpy(), time[going].cpu().numpy(), key.cpu().numpy())
        velocity[where] = _median(loudness)
        chosen[going, key] = 1.0
        lowest[going] = key
    return onset, velocity


def _of_mates(
    mates: list[tuple[Tensor, Tensor, Tensor]], going: Tensor, key: Tensor, rows: int
) -> Tensor:
    """What the notes chosen before in the same step add to the memory: (Q, 1, 64)."""
    total = torch.zeros(len(going), 1, 64, device=key.device)
    for chosen_rows, chosen_keys, marks in mates:
        place = torch.zeros(rows, dtype=torch.long, device=key.device)
        place[chosen_rows] = torch.arange(len(chosen_rows), device=key.device)
        at = place[going]  # whoever still goes was chosen each time before
        near = torch.exp(-(chosen_keys[at] - key).abs() / MEMORY_KEYS)
        total += (near[:, None] * marks[at]).unsqueeze(1)
    return total
