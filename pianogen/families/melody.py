"""The melody family in training: windows of notes to symbols, and what each model learns of them.

After published generators of melodies in the notation of `symbols`, with three models; see
`melody_networks` for those and where they depart. Here the top lines of piano music stand in for a
corpus of single lines.

lstm_attention learns some of the symbols of a batch, each from its own window. The vae carries
music on, too: its encoder reads all of every other window; of the others it stops early, at a
measure line, and the decoder goes on past it, as in playing. Part of what the decoder is given is
left out, and the latent's price rises over the first updates, so that the latent is used (Bowman et
al. 2016).

Training music is in all twelve major and all twelve minor keys by its transposition. Windows are
cut out of pieces, so `/` is what stands before a window and is never learnt as a symbol to come.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from pianogen.families.flat_notes import Notes
from pianogen.families.melody_networks import GruModel, LstmAttention, Vae
from pianogen.families.symbols import END, MelodyConfig, inputs_of, top_lines
from pianogen.families.trained import Trained
from pianogen.losses import Losses, Term

SOME_LASTS = 512  # symbols a batch that lstm_attention learns
WARM_UP = 400.0  # updates over which the latent's price rises

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
        every = max(1, rows * length // SOME_LASTS) | 1  # odd, to come to every place of a measure
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
