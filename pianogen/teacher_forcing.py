"""What the hybrid makes of true music, one step ahead: nats a note, and its likeliest notes."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from pianogen.dataset import Batch
from pianogen.elements import Prediction, median_velocity
from pianogen.families.flat_notes import Notes, marked
from pianogen.families.hybrid import Hybrid, Predictions, chord_above
from pianogen.families.sizes import MARKS, MEMORIES, MEMORY_KEYS, NO_KEY, STOP
from pianogen.families.touches import as_shares, memory_at, reminded, touch
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
    """The sums that training counts, window by window."""
    begins = believed.begins.float()
    onset = F.binary_cross_entropy_with_logits(believed.onset, begins, reduction="none")
    stops = believed.choices == STOP  # one for each step with onsets, after its notes
    step = stops.cumsum(0) - stops.long()
    of_choice = believed.begins.nonzero(as_tuple=True)[0][step]
    pitch = _surprise(believed.pitch, believed.choices)
    return note_sums(
        windows,
        note=windows.per_window(pitch, of_choice.cpu().numpy()),
        onset=onset.double().sum(dim=1).cpu().numpy(),
        velocity=_surprise(believed.velocity, notes.velocity),
        duration=_surprise(believed.duration, believed.lengths),
    )


def _surprise(logits: Tensor, truth: Tensor) -> Floats:
    nats = F.cross_entropy(logits, truth, reduction="none")
    return np.asarray(nats.double().cpu().numpy(), np.float64)


def _median(logits: Tensor) -> Floats:
    return median_velocity(logits.double().softmax(dim=-1).cpu().numpy())


def _likeliest(network: Hybrid, notes: Notes, believed: Predictions) -> tuple[Tensor, Floats]:
    """What begins where an onset is likelier than not: (B, T, 88), and how loud, 0..1.

    The likeliest key from the top down, again and again until the likeliest is to stop.
    """
    features, asked = believed.features, believed.onset > 0
    window, time = asked.nonzero(as_tuple=True)
    recalled = network.echo(believed.state, features.onset, features.latest, asked, notes.steps)
    rank = recalled.asking.rank[window, time]
    state = believed.state[window, time] + recalled.added[window, rank]
    level = features.level[window, time]
    ground = network.pitch.ground(
        features.planes_at(window, time), recalled.rows[window, rank], state
    )
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
            ground[going], chosen[going], torch.full_like(going, count), lowest[going], influence,
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
        where = (window[going], time[going], key)
        recent = memory_at(notes, *where) + _of_mates(mates, going, key, M)
        recent = as_shares(torch.cat([recent, reminded(notes, recalled, *where)], dim=1))
        loudness = network.touch.loudness(inputs, recent)
        bins = loudness.argmax(dim=1)
        length = network.touch.length(inputs, bins, recent).argmax(dim=1)
        above[going] = chord_above(bins, length, torch.ones_like(is_note[is_note]))
        mates.append((going, key, marked(bins, length)))
        onset[window[going], time[going], key] = True
        velocity[tuple(index.cpu().numpy() for index in where)] = _median(loudness)
        chosen[going, key] = 1.0
        lowest[going] = key
    return onset, velocity


def _of_mates(
    mates: list[tuple[Tensor, Tensor, Tensor]], going: Tensor, key: Tensor, rows: int
) -> Tensor:
    """What the notes chosen before in the same step add to each memory: (Q, 2, 64)."""
    total = torch.zeros(len(going), len(MEMORIES), MARKS, device=key.device)
    for chosen_rows, chosen_keys, marks in mates:
        place = torch.zeros(rows, dtype=torch.long, device=key.device)
        place[chosen_rows] = torch.arange(len(chosen_rows), device=key.device)
        at = place[going]  # whoever still goes was chosen each time before
        near = torch.exp(-(chosen_keys[at] - key).abs() / MEMORY_KEYS)
        total += (near[:, None] * marks[at]).unsqueeze(1)
    return total
