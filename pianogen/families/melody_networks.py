"""The three melody models in torch: which symbol comes next.

gru: an embedding, two GRU layers, a dense layer.

lstm_attention: from the last `window` symbols alone, a bidirectional LSTM, a convolution of width
3, layer norm with a residual, attention of 8 heads, and a dense layer on the last position. It was
published with 8 layers and a dropout of 0.5; both are settings, of which the recipe has 1 and 0.1.
Departures: scores are divided by
the root of a head's size; of the attention only the last position is computed, since only it is
read. The symbol told is outside the window, so that both directions may see all of it.

vae: an encoder GRU reads music into a latent of a mean and a variance (Kingma and Welling 2014);
a decoder GRU is given it with each symbol.

All are given more than the symbol before, see `symbols.inputs_of`.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pianogen.families.symbols import CELLS, END, SYMBOLS, MelodyConfig

CONV = 3  # width of the convolution


class Inputs(nn.Module):
    """What stands before a symbol, `symbols.inputs_of`, as the sum of a row of each table."""

    def __init__(self, width: int) -> None:
        super().__init__()
        sizes = (SYMBOLS, SYMBOLS, SYMBOLS, SYMBOLS, CELLS, CELLS + 1)
        self.tables = nn.ModuleList(nn.Embedding(size, width) for size in sizes)
        for table in self.tables:
            nn.init.normal_(table.weight, std=0.3)  # type: ignore[arg-type]

    def forward(self, inputs: Tensor) -> Tensor:
        """(..., 6) int64 -> (..., width)."""
        rows = [table(inputs[..., n]) for n, table in enumerate(self.tables)]
        return torch.stack(rows).sum(0)


class GruModel(nn.Module):
    """Logits of every symbol from all before it."""

    def __init__(self, config: MelodyConfig) -> None:
        super().__init__()
        self.inputs = Inputs(config.embedding)
        self.gru = nn.GRU(
            config.embedding, config.hidden, config.layers, batch_first=True,
            dropout=config.dropout if config.layers > 1 else 0.0,
        )  # fmt: skip
        self.drop = nn.Dropout(config.dropout)
        self.out = nn.Linear(config.hidden, SYMBOLS)

    def forward(self, inputs: Tensor) -> Tensor:
        """(B, L, 6) -> (B, L, SYMBOLS)."""
        states, _ = self.gru(self.inputs(inputs))
        logits: Tensor = self.out(self.drop(states))
        return logits


class LstmAttention(nn.Module):
    """Logits of the symbol after a window."""

    def __init__(self, config: MelodyConfig) -> None:
        super().__init__()
        self.heads, self.window = config.heads, config.window
        width = 2 * config.hidden
        self.inputs = Inputs(config.embedding)
        self.lstm = nn.LSTM(
            config.embedding, config.hidden, config.layers, batch_first=True, bidirectional=True,
            dropout=config.dropout if config.layers > 1 else 0.0,
        )  # fmt: skip
        self.conv = nn.Conv1d(width, width, CONV, padding=CONV // 2)
        self.norm = nn.LayerNorm(width)
        self.query = nn.Linear(width, width)
        self.keys = nn.Linear(width, 2 * width)  # and values
        self.drop = nn.Dropout(config.dropout)
        self.out = nn.Linear(2 * width, SYMBOLS)

    def forward(self, windows: Tensor) -> Tensor:
        """(N, W, 6) -> (N, SYMBOLS)."""
        states, _ = self.lstm(self.drop(self.inputs(windows)))
        shaped = self.conv(states.transpose(1, 2)).transpose(1, 2)
        states = self.norm(states + F.relu(shaped))  # (N, W, width)
        last = states[:, -1]
        found = self._attended(last, states)
        logits: Tensor = self.out(self.drop(torch.cat([last, found], dim=1)))
        return logits

    def _attended(self, last: Tensor, states: Tensor) -> Tensor:
        count, window, width = states.shape
        size = width // self.heads
        query = self.query(last).view(count, self.heads, 1, size)
        both = self.keys(states).view(count, window, 2, self.heads, size).permute(2, 0, 3, 1, 4)
        scores = query @ both[0].transpose(2, 3) / math.sqrt(size)
        found: Tensor = scores.softmax(dim=-1) @ both[1]
        return found.reshape(count, width)


class Vae(nn.Module):
    """Logits of every symbol from all before it and a latent; and the latent's mean and log
    variance."""

    updates: Tensor

    def __init__(self, config: MelodyConfig) -> None:
        super().__init__()
        self.word_dropout = config.word_dropout
        self.inputs = Inputs(config.embedding)
        self.encoder = nn.GRU(config.embedding, config.hidden, batch_first=True)
        self.to_latent = nn.Linear(config.hidden, 2 * config.latent)
        self.decoder = nn.GRU(config.embedding + config.latent, config.hidden, batch_first=True)
        self.drop = nn.Dropout(config.dropout)
        self.out = nn.Linear(config.hidden + config.latent, SYMBOLS)
        self.register_buffer("updates", torch.zeros(()))

    def encoded(self, inputs: Tensor, read: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance, (B, latent), of the first `read` (B,) of what is given after each
        symbol, (B, L, 6)."""
        states, _ = self.encoder(self.inputs(inputs))
        mean, spread = self.to_latent(states[torch.arange(len(read)), read - 1]).chunk(2, dim=-1)
        return mean, spread.clamp(-8, 8)

    def decoded(self, inputs: Tensor, latent: Tensor) -> Tensor:
        """(B, L, 6), (B, latent) -> (B, L, SYMBOLS)."""
        given = self.inputs(self._thinned(inputs))
        wide = latent[:, None].expand(-1, inputs.shape[1], -1).to(given.dtype)
        states, _ = self.decoder(torch.cat([given, wide], dim=-1))
        logits: Tensor = self.out(torch.cat([self.drop(states), wide], dim=-1))
        return logits

    def _thinned(self, inputs: Tensor) -> Tensor:
        """Some of the symbols left out while training; the place stays."""
        if not self.training:
            return inputs
        is_out = torch.rand(inputs.shape[:2], device=inputs.device) < self.word_dropout
        left_out = torch.full_like(inputs[..., :4], END)
        return torch.cat(
            [torch.where(is_out[..., None], left_out, inputs[..., :4]), inputs[..., 4:]], dim=-1
        )
