"""The melody networks: which symbol comes next, by three models behind one class.

gru: an embedding, two GRU layers, a dense layer.

lstm_attention: from the last `window` symbols alone, a bidirectional LSTM, a convolution of width
3, layer norm with a residual, attention of 8 heads, and a dense layer on the last position. It was
published with 8 layers and a dropout of 0.5; both are settings. Departures: scores are divided by
the root of a head's size; of the attention only the last position is computed, since only it is
read. The symbol told is outside the window, so that both directions may see all of it.

vae: an encoder GRU reads music into a latent of a mean and a variance (Kingma and Welling 2014);
a decoder GRU is given it with each symbol. So that music can be carried on, the encoder stops
early in every other window, at a measure line, and the decoder goes on past it. Part of what the
decoder is given is left out, and the latent's price rises over the first updates, so that the
latent is used (Bowman et al. 2016).

All are given more than the symbol before, see `symbols.inputs_of`. Training music is in all keys by
its transposition; windows are cut out of pieces, so `/` is what stands before a window and is never
learnt as a symbol to come.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pianogen.families.flat_notes import Notes
from pianogen.families.symbols import CELLS, END, SYMBOLS, MelodyConfig, inputs_of, top_lines
from pianogen.families.trained import Trained
from pianogen.losses import Losses, Term

CONV = 3  # width of the convolution
SOME_LASTS = 512  # windows a batch of which lstm_attention tells the next symbol in training
WARM_UP = 400.0  # updates over which the latent's price rises


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


MODELS = {"gru": GruModel, "lstm_attention": LstmAttention, "vae": Vae}


class Melody(Trained):
    """A melody network as training sees it.

    symbol: nats a symbol. latent: what the vae's latent costs, nats a symbol. Told: continued,
    nats a symbol of those that no latent had read, which compares the models; accuracy, the share
    of symbols that were the likeliest; again, that of "the symbol before again"; divergence, the
    latent's, in nats a window.
    """

    WEIGHTS: ClassVar[Mapping[str, float]] = {"symbol": 1.0, "latent": 1.0}
    FIGURES: ClassVar[tuple[str, ...]] = (
        "symbol", "latent", "continued", "accuracy", "again", "divergence",
    )  # fmt: skip
    SIZES: ClassVar[type[MelodyConfig]] = MelodyConfig

    def __init__(self, config: MelodyConfig) -> None:
        super().__init__()
        self.config = config
        self.model = MODELS[config.model](config)

    @classmethod
    def derived(cls, figures: Mapping[str, float]) -> dict[str, float]:
        """The perplexity of a symbol."""
        return {"perplexity": math.exp(figures["symbol"])}

    def losses(self, notes: Notes, velocity_weight: Tensor) -> Losses:
        """Over every symbol of the windows' top lines; lstm_attention over some, in training."""
        symbols, inputs = lines_of(notes)
        cells = symbols.shape[1] // notes.measures
        match self.model:
            case GruModel():
                return _losses(self.model(inputs[:, :-1]), symbols, inputs[:, :-1])
            case LstmAttention():
                return self._of_windows(self.model, symbols, inputs)
            case Vae():
                return self._of_latent(self.model, symbols, inputs, cells)
        raise AssertionError(self.model)

    def _of_windows(self, model: LstmAttention, symbols: Tensor, inputs: Tensor) -> Losses:
        rows, length = symbols.shape
        every = max(1, rows * length // SOME_LASTS)
        place = torch.arange(every // 2, rows * length, every, device=symbols.device)
        if self.training and every > 1:
            place = torch.randint(rows * length, (SOME_LASTS,), device=symbols.device)
        row, last = place // length, place % length
        windows = windows_of(inputs, row, last, model.window)
        return _losses(model(windows), symbols[row, last], inputs[row, last])

    def _of_latent(self, model: Vae, symbols: Tensor, inputs: Tensor, cells: int) -> Losses:
        rows, length = symbols.shape
        read = read_by_encoder(rows, length // cells, self.training, symbols.device) * cells
        mean, spread = model.encoded(inputs[:, 1:], read)
        noise = torch.randn_like(mean) * (spread / 2).exp() if self.training else 0.0
        logits = model.decoded(inputs[:, :-1], mean + noise)
        price = ((model.updates + 1) / WARM_UP).clamp(max=1) * self.config.latent_weight
        if self.training:
            model.updates += 1
        far = (mean.float() ** 2 + spread.float().exp() - 1 - spread.float()).sum(dim=1) / 2
        unread = torch.arange(length, device=symbols.device) >= read[:, None]
        paid = Term(price * far.sum(), far.new_tensor(float(symbols.numel())))
        told = _losses(logits, symbols, inputs[:, :-1], unread)
        return {**told, "latent": paid, "divergence": Term.over(far.detach())}


def lines_of(notes: Notes) -> tuple[Tensor, Tensor]:
    """The windows' top lines as symbols (B, L), and what is given with them, (B, L + 1, 6)."""
    shape = (notes.windows, notes.measures, notes.steps)
    columns = (notes.window, notes.time, notes.key, notes.duration)
    window, time, key, duration = (column.cpu().numpy() for column in columns)
    symbols = top_lines(window, time, key, duration, shape)
    inputs = inputs_of(symbols, symbols.shape[1] // notes.measures)
    device = notes.key.device
    return torch.from_numpy(symbols).to(device), torch.from_numpy(inputs).to(device)


def windows_of(inputs: Tensor, row: Tensor, last: Tensor, window: int) -> Tensor:
    """What was given up to place `last` of each row, (N, window, 6); END before the beginning."""
    place = last[:, None] - torch.arange(window - 1, -1, -1, device=last.device)
    taken = inputs[row[:, None], place.clamp(min=0)]
    before = torch.full_like(taken, END)
    before[..., 4:] = 0
    return torch.where(place[..., None] < 0, before, taken)


def read_by_encoder(rows: int, measures: int, training: bool, device: torch.device) -> Tensor:
    """How many measures of each row the encoder reads, (rows,): all of every other row, of the
    others some."""
    whole = torch.full((rows,), measures, device=device)
    some = torch.full_like(whole, max(measures // 2, 1))
    if training:
        some = torch.randint(1, measures + 1, (rows,), device=device)
    return torch.where(torch.arange(rows, device=device) % 2 == 0, whole, some)


def _losses(
    logits: Tensor, symbols: Tensor, inputs: Tensor, unread: Tensor | None = None
) -> dict[str, Term]:
    nats = F.cross_entropy(logits.float().flatten(0, -2), symbols.flatten(), reduction="none")
    is_right = (logits.argmax(dim=-1) == symbols).float()
    is_again = (inputs[..., 0] == symbols).float()
    which = torch.ones_like(is_right) if unread is None else unread.float()
    nothing = Term(nats.new_zeros(()), nats.new_ones(()))
    return {
        "symbol": Term.over(nats),
        "latent": nothing,
        "continued": Term.among(nats.detach().view_as(symbols), which),
        "accuracy": Term.over(is_right),
        "again": Term.over(is_again),
        "divergence": nothing,
    }
