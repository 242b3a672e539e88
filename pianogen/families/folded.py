"""The decoder's step with what is constant folded in: fewer and larger multiplications.

Several layers that read the same are one; the place in the measure is a row of a table. The
numbers are those of `hybrid` and `head` but for rounding; a test holds what is drawn with them to
be as likely as the network itself says.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pianogen.families.flat_notes import loudness
from pianogen.families.hybrid import Hybrid, hazard
from pianogen.families.layers import LSTMState
from pianogen.families.sizes import RECENT
from pianogen.grid import VELOCITY_BINS


class Folded:
    """A network whose weights no longer change, for one step of many drafts at a time."""

    def __init__(self, network: Hybrid) -> None:
        self.network = network
        rest, first = network.rest_in.weight, VELOCITY_BINS
        last = first + network.places(1, 0, 1).shape[1]
        self._given = torch.cat([network.note_in.weight, rest[:, :first], rest[:, last:]], dim=1)
        self._place = rest[:, first:last]
        self._place_bias = network.note_in.bias + network.rest_in.bias
        of_input, of_state, bias, other_bias = network.decoder.all_weights[0]
        self._gates = torch.cat([of_input, of_state], dim=1)
        self._gates_bias = bias + other_bias
        self._timing = torch.cat([network.rhythm.weight, network.onset.weight])
        self._timing_bias = torch.cat([network.rhythm.bias, network.onset.bias])
        touch = network.touch
        velocity, duration, trust = _first(touch.velocity), _first(touch.duration), touch.trust
        self._touch = torch.cat([velocity.weight, duration.weight[:, :-1], trust.weight])
        self._touch_bias = torch.cat([velocity.bias, duration.bias, trust.bias])
        self._touch_sizes = [len(velocity.bias), len(duration.bias), RECENT, RECENT]
        self._played = duration.weight[:, -1]
        self.influence = network.pitch.influence()

    def places(self, steps: int) -> Tensor:
        """What each step of a measure adds to what is given there, (S, H)."""
        return F.linear(self.network.places(steps, 0, steps), self._place, self._place_bias)

    def given(self, before: Tensor, place: Tensor) -> Tensor:
        """Onsets, held keys, velocities, rhythm and harmony side by side (N, 252), and the row
        of `places` -> what the step is given, (N, H)."""
        given: Tensor = self.network.norm_in(F.linear(before, self._given) + place)
        return given

    def step(self, z: Tensor, carry: LSTMState) -> tuple[Tensor, LSTMState]:
        """Given and attended together (N, H), the carry -> the state (N, H), and the carry."""
        h, c = carry
        gates = F.linear(torch.cat([z, h], dim=1), self._gates, self._gates_bias)
        enter, forget, cell, leave = gates.chunk(4, dim=-1)
        c = torch.sigmoid(forget) * c + torch.sigmoid(enter) * torch.tanh(cell)
        h = torch.sigmoid(leave) * torch.tanh(c)
        return self.network.out(h, z), (h, c)

    def onset(self, state: Tensor) -> Tensor:
        """The onset logits, (N,), steered by the rhythm."""
        both = F.linear(state, self._timing, self._timing_bias)
        return both[:, -1] + self.network.steering * hazard(both[:, :-1])

    def touch(self, inputs: Tensor, remembered: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """One row a note, as `TouchHead` has them -> logits of the velocity bin (N, 32), and what
        `length` needs."""
        both = F.linear(inputs, self._touch, self._touch_bias)
        velocity, duration, loud, long = torch.split(both, self._touch_sizes, dim=1)
        shares, lengths = remembered[..., :VELOCITY_BINS], remembered[..., VELOCITY_BINS:]
        logits: Tensor = self.network.touch.velocity[2](F.gelu(velocity))
        kept = (loud.unsqueeze(1) @ shares).squeeze(1)
        return logits + kept, (duration, (long.unsqueeze(1) @ lengths).squeeze(1))

    def length(self, half: tuple[Tensor, ...], bins: Tensor) -> Tensor:
        """Logits of the index into DURATIONS, (N, 32), given the velocity bin (N,)."""
        duration, kept = half
        played = loudness(bins).unsqueeze(1) * self._played
        logits: Tensor = self.network.touch.duration[2](F.gelu(duration + played))
        return logits + kept


def _first(layers: nn.Sequential) -> nn.Linear:
    layer = layers[0]
    assert isinstance(layer, nn.Linear)
    return layer
