"""The parts the hybrid is stacked from: measure convolutions, the encoder, local attention.

The right edge of a measure is a wall: nothing here lets a measure see into the next one. What
lies to the left may be carried in, and is an argument and a result, never hidden.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pianogen.distributed import BatchNorm

LSTMState = tuple[Tensor, Tensor]
ALL = slice(None)


class MeasureConv(nn.Module):
    """A convolution along time that reads leftwards across the measure line, never rightwards.

    measure m-1           measure m
    . . . . . . l l | x x x x x x x x 0 0     l: the last k//2 frames, 0: beyond the wall
    """

    def __init__(self, inputs: int, outputs: int, width: int) -> None:
        super().__init__()
        self.reach = width // 2
        self.conv = nn.Conv1d(inputs, outputs, width)

    def forward(self, x: Tensor, left: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, K, S, C), left (B, reach, C) -> (B, K, S, C'), the frames the next call needs."""
        B, K, S, C = x.shape
        if self.reach == 0:
            y = self.conv(x.reshape(B * K, S, C).transpose(1, 2))
            return y.transpose(1, 2).reshape(B, K, S, -1), left
        joined = torch.cat([left.to(x.dtype), x.reshape(B, K * S, C)], dim=1)
        walls = x.new_zeros(B, K, self.reach, C)
        # The frames that end measure k - 1 begin S * k into `joined`; S is at least the reach.
        carried = joined[:, : K * S].reshape(B, K, S, C)[:, :, : self.reach]
        padded = torch.cat([carried, x, walls], dim=2).reshape(B * K, S + 2 * self.reach, C)
        y = self.conv(padded.transpose(1, 2)).transpose(1, 2).reshape(B, K, S, -1)
        return y, joined[:, -self.reach :]


class ConvBlock(nn.Module):
    """MeasureConv, batch norm, ReLU, dropout."""

    def __init__(self, inputs: int, outputs: int, width: int, dropout: float) -> None:
        super().__init__()
        self.conv = MeasureConv(inputs, outputs, width)
        self.norm = BatchNorm(outputs, momentum=0.02)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, left: Tensor) -> tuple[Tensor, Tensor]:
        """As MeasureConv."""
        y, left = self.conv(x, left)
        normed = self.norm(y.flatten(end_dim=-2)).view(y.shape)
        return self.dropout(F.relu(normed)), left


@dataclass(frozen=True)
class EncoderState:
    """What the encoder carries over a measure line; every tensor has batch B first."""

    first: Tensor  # left frames of the convolution 3
    second: Tensor  # of the convolution 7
    onset: Tensor  # of the onset branch
    lstm: LSTMState  # of the forward LSTM, (1, B, H) each


class Encoder(nn.Module):
    """Convolutions 3 and 7, the onset branch beside them, and a bidirectional LSTM.

    The backward direction begins anew at each measure's right edge; the forward one goes on
    from the measure before. So one more measure costs one measure, however long the past is.
    """

    def __init__(self, inputs: int, width: int, onset_width: int, hidden: int, dropout: float):
        super().__init__()
        self.first = ConvBlock(inputs, width, 3, dropout)
        self.second = ConvBlock(width, width, 7, dropout)
        self.onset_in = MeasureConv(inputs, onset_width, 3)
        self.onset_out = MeasureConv(onset_width, onset_width, 1)
        self.forwards = nn.LSTM(width + onset_width, hidden, batch_first=True)
        self.backwards = nn.LSTM(width + onset_width, hidden, batch_first=True)
        self.out = nn.Linear(2 * hidden, hidden)
        self.norm = nn.LayerNorm(hidden)
        self.inputs, self.width, self.hidden = inputs, width, hidden

    def start(self, batch: int, like: Tensor) -> EncoderState:
        """The state before anything was heard."""

        def zeros(*shape: int) -> Tensor:
            return like.new_zeros(shape)

        return EncoderState(
            zeros(batch, 1, self.inputs),
            zeros(batch, 3, self.width),
            zeros(batch, 1, self.inputs),
            (zeros(1, batch, self.hidden), zeros(1, batch, self.hidden)),
        )

    def forward(self, x: Tensor, state: EncoderState) -> tuple[Tensor, EncoderState]:
        """Completed measures (B, K, S, C) -> encodings (B, K, S, H) and the state to carry."""
        B, K, S, _ = x.shape
        y, first = self.first(x, state.first)
        y, second = self.second(y, state.second)
        gate, onset = self.onset_in(x, state.onset)
        gate, _ = self.onset_out(F.relu(gate), gate)
        y = torch.cat([y, torch.sigmoid(gate)], dim=-1)
        ahead, lstm = self.forwards(y.reshape(B, K * S, -1), state.lstm)
        back, _ = self.backwards(y.reshape(B * K, S, -1).flip(1))
        both = torch.cat([ahead.reshape(B, K, S, -1), back.flip(1).reshape(B, K, S, -1)], -1)
        return self.norm(self.out(both)), EncoderState(first, second, onset, lstm)


class LocalAttention(nn.Module):
    """Attention of each step over the encodings of the measures just before its own.

    A bias for each head says how far away a place is: which measure back, and how many steps
    earlier or later within it; an empty place stands in where there is nothing to attend to.
    """

    def __init__(self, size: int, heads: int, window: int, longest: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.window, self.longest, self.dropout = heads, window, longest, dropout
        self.query = nn.Linear(size, size)
        self.key_value = nn.Linear(size, 2 * size)
        self.out = nn.Linear(size, size)
        self.bias = nn.Parameter(torch.zeros(heads, window, 2 * longest - 1))
        self.nothing = nn.Parameter(torch.randn(2, size) * 0.02)

    def remember(self, encoded: Tensor) -> Tensor:
        """Encodings (..., H) as keys and values (..., 2H)."""
        memory: Tensor = self.key_value(encoded)
        return memory

    def prepare(self, memory: Tensor, present: Tensor) -> Surroundings:
        """What a whole measure's steps attend to.

        memory (N, W, S, 2H), the W measures before, oldest first; present (N, W) whether a
        measure is there.
        """
        N, W, S, H2 = memory.shape
        nothing = self.nothing.flatten().to(memory.dtype).expand(N, 1, H2)
        rows = torch.cat([memory.reshape(N, W * S, H2), nothing], dim=1)
        keys, values = rows.view(N, W * S + 1, 2, self.heads, -1).permute(2, 0, 3, 1, 4)
        hidden = torch.zeros_like(present, dtype=torch.float32).masked_fill(~present, -1e4)
        hidden = F.pad(hidden.repeat_interleave(S, dim=1), (0, 1))
        bias = self._bias(W, S, memory.device) + hidden[:, None, None, :]
        return Surroundings(keys, values, bias)

    def _bias(self, W: int, S: int, device: torch.device) -> Tensor:  # noqa: N803
        place = torch.arange(S, device=device)
        offset = place[:, None] - place + self.longest - 1
        places = self.bias[:, self.window - W :, offset]  # (heads, W, S, S)
        return F.pad(places.transpose(1, 2).flatten(start_dim=2), (0, 1))

    def forward(self, query: Tensor, around: Surroundings, at: slice = ALL) -> Tensor:
        """query (N, Q, H), of the steps `at` of a measure (or all of one step) -> (N, Q, H)."""
        N, Q, H = query.shape
        queries = self.query(query).view(N, Q, self.heads, -1).transpose(1, 2)
        attended = F.scaled_dot_product_attention(
            queries,
            around.keys,
            around.values,
            attn_mask=around.bias[:, :, at].to(queries.dtype),
            dropout_p=self.dropout if self.training else 0.0,
        )
        result: Tensor = self.out(attended.transpose(1, 2).reshape(N, Q, H))
        return result


@dataclass(frozen=True)
class Surroundings:
    """Keys and values (N, heads, W * S + 1, H / heads) and biases (N, heads, S, W * S + 1)."""

    keys: Tensor
    values: Tensor
    bias: Tensor
