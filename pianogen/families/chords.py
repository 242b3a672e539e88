"""The chords network: which chord sounds in the next frame, and which of its keys are struck.

An encoder, two stacked recurrent layers of 512 and a decoder over a vocabulary of chords, after
the published chord generators (sequences of 100, batches of 256, learning rate 0.002, weight decay
0.0005). What departs from them, and why:

* A frame is a sixteenth of a whole note in training and in playing, where theirs is half a second
  in training and an eighth of a second in playing: the network is asked about what it was trained
  on. Sequences are windows of whole measures; how many and what decays is said by the recipe.
* The encoder reads keys rather than the number of a chord, so what is heard need not be known to
  the vocabulary; and, as much of music comes again, what was struck a measure or two ago.
* A chord's logit is the sum of its keys' scores, a product of a few learnt numbers with the state
  (rank 64), and one learnt number of what it is to the chord before: the same, part of it, or
  with new keys. So a chord that was met ten times shares what was learnt of its keys, and the
  vocabulary may be large. Keys are scored by the state and by a convolution along the keyboard.
* Which keys that sound on are struck again is told by a second, small head.

Trained on the chords of its vocabulary alone: where the music has others, the nearest is the
answer, which lacks keys that are held rather than such as are struck. Training sums over the
chords of the batch and 2048 others, which stand for all the rest (Jean et al. 2015,
arXiv:1412.2007); held-out figures are over the whole vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from pianogen.families.chord_features import INPUTS, ROLLS, features
from pianogen.families.chord_frames import ChordsConfig, Frames, frame_of, frames_in
from pianogen.families.chord_vocabulary import BYTES, Vocabulary, build
from pianogen.families.flat_notes import Notes
from pianogen.families.sizes import POSITION
from pianogen.families.trained import Trained
from pianogen.grid import KEYS, MAX_STEPS
from pianogen.losses import Losses, Term
from pianogen.shards import Shard

OTHERS = 2048  # chords that stand for all that are not in a batch
STRIKE = 128  # units of the second head
LIKELY = (6.0, 3.0)  # what the chord before, and part of it, are taken to be likelier by
RARER = 0.7  # how fast chords are taken to get rarer along the vocabulary, before training


@dataclass(frozen=True)
class Heard:
    """Windows as the network sees them, N = B * T frames.

    inputs (B, T, 440), rolls (N, 13, 88), place (B, T): the step of its measure a frame begins
    at. before, now, struck: keys that sound the frame before and in it, and are struck, (N, 88)
    of 0 and 1. target: the row of the chord; known: whether it is the very one, (N,).
    """

    inputs: Tensor
    rolls: Tensor
    place: Tensor
    steps: int
    before: Tensor
    now: Tensor
    struck: Tensor
    target: Tensor
    known: Tensor


class Chords(Trained):
    """See the module."""

    WEIGHTS: ClassVar[Mapping[str, float]] = {"chord": 1.0, "strike": 1.0}
    FIGURES: ClassVar[tuple[str, ...]] = ("chord", "strike", "accuracy", "same_chord", "unknown")
    SIZES = ChordsConfig

    def __init__(self, config: ChordsConfig) -> None:
        super().__init__()
        self.config = config
        H, C, V = config.feature, config.channels, config.vocabulary
        self.register_buffer("vocabulary", torch.zeros(V, BYTES, dtype=torch.uint8))
        self.vocabulary: Tensor
        self.place = nn.Embedding(MAX_STEPS, POSITION)
        self.meter = nn.Embedding(MAX_STEPS + 1, POSITION)
        nn.init.zeros_(self.meter.weight)
        self.encoder = nn.Linear(INPUTS + POSITION, H)
        made = nn.LSTM if config.cell == "lstm" else nn.GRU
        self.layers = made(H, H, 2, batch_first=True, dropout=config.dropout)
        self.sizes = [KEYS, config.rank, 2, ROLLS, ROLLS, 3 * C]
        self.read = nn.Linear(H, sum(self.sizes))
        with torch.no_grad():
            self.read.bias[KEYS + config.rank : KEYS + config.rank + 2] = torch.tensor(LIKELY)
        self.along = nn.Conv1d(ROLLS, C, config.width, padding=config.width // 2)
        self.chord = nn.Parameter(torch.randn(V, config.rank) * 0.05)
        self.chord_bias = nn.Parameter(-RARER * torch.log(torch.arange(V) + 10.0))
        self.strike = nn.Linear(H + 2 * KEYS, STRIKE)
        self.strike_out = nn.Linear(STRIKE, KEYS)
        self.dropout = nn.Dropout(config.dropout)

    @classmethod
    def for_training(cls, config: ChordsConfig, training: Shard) -> Self:
        """A new network that knows the chords of the training music."""
        network = cls(config)
        known = build(training, config.frame, config.vocabulary)
        network.vocabulary.copy_(torch.from_numpy(known.packed))
        return network

    @classmethod
    def derived(cls, figures: Mapping[str, float]) -> dict[str, float]:
        """The perplexity: as many chords, equally likely, would be as hard to tell."""
        return {"perplexity": math.exp(figures["chord"])}

    def losses(self, notes: Notes, velocity_weight: Tensor) -> Losses:
        """A frame: nats of its chord and of what is struck again, and shares of frames: whose
        likeliest chord is the right one, where that is the chord before, that are not in the
        vocabulary. In training the likeliest is that of the chords summed over."""
        heard = self.heard(notes)
        state = self.states(heard.inputs, heard.place, heard.steps).flatten(0, 1)
        rows, more = self._summed_over(heard.target)
        logits, again = self.scores(state, heard.rolls, heard.before, heard.now, rows)
        logits = logits + more
        target = torch.searchsorted(rows, heard.target)
        common = heard.before * heard.now
        coins = F.binary_cross_entropy_with_logits(again.float(), heard.struck, reduction="none")
        same = (heard.before == heard.now).all(dim=1)
        return {
            "chord": Term.over(F.cross_entropy(logits, target, reduction="none")),
            "strike": Term.over((coins * common).sum(dim=1)),
            "accuracy": Term.over((logits.argmax(dim=1) == target).float()),
            "same_chord": Term.over(same.float()),
            "unknown": Term.over(1 - heard.known),
        }

    def heard(self, notes: Notes) -> Heard:
        """Windows of notes in frames."""
        frame, steps = self.config.frame, notes.steps
        window, time, key, duration = (
            column.cpu().numpy() for column in (notes.window, notes.time, notes.key, notes.duration)
        )
        first, end = (frame_of(t, steps, frame) for t in (time, time + duration))
        shape = (notes.windows, notes.measures * frames_in(steps, frame))
        return self.seen(Frames.of(window, first, end, key, shape), steps)

    def seen(self, frames: Frames, steps: int) -> Heard:
        """Frames of measures of `steps` steps as the network sees them."""
        frame, device = self.config.frame, self.vocabulary.device
        a_measure, shape = frames_in(steps, frame), frames.struck.shape[:2]
        inputs, rolls = (torch.from_numpy(x).to(device) for x in features(frames, a_measure, frame))
        chords = frames.sounding.reshape(-1, KEYS)
        known = Vocabulary(self.vocabulary.cpu().numpy())
        target, is_known = known.find(chords, frames.struck.reshape(-1, KEYS))

        def brought(array: NDArray[Any]) -> Tensor:
            return torch.from_numpy(array).to(device)

        place = torch.arange(shape[1], device=device) % a_measure * frame
        struck = brought(frames.struck).float().flatten(0, 1)
        return Heard(
            inputs, rolls.flatten(0, 1), place.expand(shape), steps,
            inputs[..., :KEYS].flatten(0, 1), brought(chords).float(), struck,
            brought(target), brought(is_known).float(),
        )  # fmt: skip

    def believed(self, frames: Frames, steps: int) -> tuple[Tensor, Tensor]:
        """Of each frame the logits of all chords, (N, V), and of each key's being struck again,
        (N, 88)."""
        heard = self.seen(frames, steps)
        state = self.states(heard.inputs, heard.place, steps).flatten(0, 1)
        rows = torch.arange(len(self.vocabulary), device=state.device)
        return self.scores(state, heard.rolls, heard.before, heard.now, rows)

    def states(self, inputs: Tensor, place: Tensor, steps: int) -> Tensor:
        """What is known at each frame of what came before it: (B, T, 440) -> (B, T, H)."""
        told = self.place(place) + self.meter.weight[steps]
        encoded = F.relu(self.encoder(torch.cat([inputs, told], dim=-1)))
        states: Tensor = self.dropout(self.layers(self.dropout(encoded))[0])
        return states

    def scores(
        self, state: Tensor, rolls: Tensor, before: Tensor, now: Tensor, rows: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Logits of the chords in those rows of the vocabulary, (N, R), and of each key's being
        struck again if the chord is `now`, (N, 88)."""
        dense, query, kind, gate, held, film = self.read(state).split(self.sizes, dim=1)
        keys = self._keys()[rows]
        scale, shift, out = film.unflatten(1, (3, -1)).unsqueeze(-1).unbind(1)
        along = F.relu(self.along(rolls) * (1 + scale) + shift)
        score = dense + (along * out).sum(dim=1) + (gate.unsqueeze(-1) * rolls).sum(dim=1)
        logits = torch.cat([score, query], 1) @ torch.cat([keys, self.chord[rows]], 1).T
        logits = self._likened(logits.float() + self.chord_bias[rows], kind, before, keys)
        strike = F.relu(self.strike(torch.cat([state, before, now], dim=1)))
        again = self.strike_out(strike) + (held.unsqueeze(-1) * rolls).sum(dim=1)
        return logits, again

    def _likened(self, logits: Tensor, kind: Tensor, before: Tensor, keys: Tensor) -> Tensor:
        """Logits (N, R), and what a chord's likeness to the chord before adds: to the same chord
        the first of kind (N, 2), to one that only lacks keys the second. Few are such."""
        with torch.no_grad():
            frame, row = (((1 - before) @ keys.T) < 0.5).nonzero(as_tuple=True)
            lacks = (before.sum(dim=1)[frame] > keys.sum(dim=1)[row]).long()
        return logits.index_put((frame, row), kind.float()[frame, lacks], accumulate=True)

    def _keys(self) -> Tensor:
        """Which keys each chord has, (V, 88)."""
        bit = torch.arange(7, -1, -1, device=self.vocabulary.device, dtype=torch.uint8)
        return ((self.vocabulary.unsqueeze(-1) >> bit) & 1).flatten(1).float()

    def _is_chord(self) -> Tensor:
        some = (self.vocabulary > 0).any(dim=1)
        return some | (torch.arange(len(some), device=some.device) == 0)

    def _summed_over(self, target: Tensor) -> tuple[Tensor, Tensor]:
        """Rows of the vocabulary that logits are made of, in order, chords all of them, and what
        is added to each."""
        chords = self._is_chord().nonzero()[:, 0]
        if not self.training:
            return chords, torch.zeros(len(chords), device=target.device)
        is_here = torch.zeros(len(self.vocabulary), dtype=torch.bool, device=target.device)
        is_here[target] = True
        rest = chords[~is_here[chords]]
        some = rest[torch.randperm(len(rest), device=target.device)[:OTHERS]]
        more = torch.zeros(len(self.vocabulary), device=target.device)
        more[some] = math.log(len(rest) / max(len(some), 1)) if len(rest) else 0.0
        is_here[some] = True
        rows = is_here.nonzero()[:, 0]
        return rows, more[rows]
