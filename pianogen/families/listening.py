"""A measure heard: what it leaves for the measures to come.

Shapes never change, as a graph on CUDA asks: every step of a measure has a place among what
echoes are made of, whether anything began there or not, and the table of its notes is filled up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from pianogen.families.drafts import Start
from pianogen.families.echo import Slots, outer_lines
from pianogen.families.features import Features, History, delayed
from pianogen.families.flat_notes import COLUMNS, Notes, filled_up, mark_places
from pianogen.families.hybrid import Hybrid
from pianogen.families.layers import EncoderState, LSTMState, Surroundings
from pianogen.families.sizes import key_of
from pianogen.grid import Measure, Meter

NEVER = 1 << 20  # a time that never comes: nothing is reminded of it
MOST_NOTES = 512  # of a measure; of more the newest are heard


@dataclass(frozen=True)
class Left:
    """What a measure leaves for echoes: its onsets, of each note which of them it belongs to,
    (n,), and where it counts in a memory, (2, n)."""

    slots: Slots
    slot_of: Tensor
    places: Tensor


@dataclass(frozen=True)
class Past:
    """All that was heard, as the network holds it. Never changed, only replaced.

    memory (W, S, 2H) keys and values of the measures before, the oldest first, and present (W,)
    bool which of them there were; decoder the carry, (1, 1, H) each.
    """

    history: History
    encoder: EncoderState
    decoder: LSTMState
    memory: Tensor
    present: Tensor

    @classmethod
    def empty(cls, network: Hybrid, meter: Meter) -> Past:
        """Before anything was heard."""
        like, config = network.onset.weight, network.config
        nothing = like.new_zeros(1, 1, config.hidden)
        return cls(
            History.empty(meter.steps, like.device),
            network.encoder.start(1, like),
            (nothing, nothing),
            like.new_zeros(config.window, meter.steps, 2 * config.hidden),
            torch.zeros(config.window, dtype=torch.bool, device=like.device),
        )


def table(measure: Measure, device: torch.device, fill_to: int = 0) -> Notes:
    """A measure's notes as a window of one, those beyond the piano an octave or more in; filled
    up to so many notes, where any are asked for."""
    kept = {(note.onset, -key_of(note.pitch)): note for note in measure.notes}
    rows = [
        (time, -key, kept[time, key].velocity_bin, kept[time, key].duration)
        for time, key in sorted(kept)
    ]
    columns = torch.tensor(rows, dtype=torch.long).reshape(-1, 4).T
    notes = Notes(1, 1, measure.meter.steps, torch.zeros_like(columns[0]), *columns)
    notes = filled_up(notes, fill_to) if fill_to else notes
    moved = {name: getattr(notes, name).to(device) for name in COLUMNS}
    return replace(notes, **moved)


def hear(network: Hybrid, past: Past, notes: Notes) -> tuple[Past, Left]:
    """The past once a measure is over, too; one pass of decoder and encoder over its steps."""
    features = Features.of(notes, past.history)
    S = notes.steps
    given = network.given(
        delayed(features.onset, past.history.onsets[-1]),
        features.held,
        delayed(features.velocity, past.history.velocity),
        features.rhythm,
        features.harmony,
        network.places(S, 0, S).unsqueeze(0),
    )
    attended = network.attention(given, around(network, past))
    state, decoder = network.decode(given, attended, past.decoder)
    memory, encoder = network.encode(
        features.onset[None], features.sounding[None], features.velocity[None], past.encoder
    )
    newer = Past(
        history=past.history.after(notes, features),
        encoder=encoder,
        decoder=decoder,
        memory=torch.cat([past.memory, memory[0]])[1:],
        present=torch.cat([past.present, torch.ones_like(past.present[:1])])[1:],
    )
    return newer, _left(network, notes, features, state[0])


def around(network: Hybrid, past: Past) -> Surroundings:
    """The measures before, for the attention."""
    return network.attention.prepare(past.memory.unsqueeze(0), past.present.unsqueeze(0))


def _left(network: Hybrid, notes: Notes, features: Features, state: Tensor) -> Left:
    onset = features.onset[0]
    begins = onset.any(dim=1)
    time = torch.arange(len(onset), device=onset.device)
    lines = outer_lines(features.latest[0])
    slots = network.echo.slots(time.masked_fill(~begins, NEVER), state, onset, lines)
    return Left(slots, notes.time, torch.stack(mark_places(notes)))


def nothing_left(network: Hybrid, meter: Meter) -> Left:
    """What a measure leaves that never was."""
    device, S = network.onset.weight.device, meter.steps
    past = Past.empty(network, meter)
    notes = table(Measure(meter), device, MOST_NOTES)
    features = Features.of(notes, past.history)
    state = torch.zeros(S, network.config.hidden, device=device)
    return _left(network, notes, features, state)


def start_of(network: Hybrid, past: Past, left: Sequence[Left], steps: int) -> Start:
    """What a measure is drawn from: the past, and what the measures before left, in order."""
    rest = {
        f.name: torch.cat([getattr(part.slots, f.name) for part in left]) for f in fields(Slots)[1:]
    }
    counts = [len(part.slots.time) for part in left]
    time = [part.slots.time - steps * (len(left) - i) for i, part in enumerate(left)]
    later = torch.cat(time)
    return Start(
        history=past.history,
        decoder=torch.cat([past.decoder[0][0], past.decoder[1][0]]),
        around=around(network, past),
        slots=Slots(later.masked_fill(later >= 0, NEVER), **rest),
        slot_of=torch.cat([part.slot_of + sum(counts[:i]) for i, part in enumerate(left)]),
        places=torch.cat([part.places for part in left], dim=1),
    )
