"""The hybrid as a voice: hears measures, drafts the next one several times, plays the best.

What is drawn comes from uniform numbers, from the seed; so the same checkpoint, context, sampling
and seed give the same measure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pianogen.choosing import Draft, choose
from pianogen.errors import ConfigError
from pianogen.families.drafts import NOISE, Drawn, Start, Wishes, draw, packed, unpacked
from pianogen.families.echo import REACH
from pianogen.families.folded import Folded
from pianogen.families.head import STOP
from pianogen.families.hybrid import Hybrid, HybridConfig
from pianogen.families.listening import Left, Past, hear, nothing_left, reach, start_of, table
from pianogen.families.notes import Notes
from pianogen.families.resident import Resident, cloned
from pianogen.grid import KEYS, LOWEST_KEY, Measure, Meter, Note
from pianogen.sampling import Sampling

SHORTEST = 3  # steps in a measure: what the convolutions carry over a line
BATCHES = (1, 4, 16, 64, 256)  # drafts at once that are captured, on CUDA


@dataclass(frozen=True)
class Context:
    """A past, what its last measures left for echoes, and those measures; and a measure that was
    played after them, not yet heard: a plan that is dropped need never be."""

    meter: Meter
    past: Past
    left: tuple[Left, ...]
    heard: tuple[Measure, ...]
    unheard: Measure | None = None


class HybridVoice:
    """The hybrid behind the contract of `pianogen.continuation.Continuation`.

    dense: shapes never change and the device is asked nothing inside a measure, as on CUDA, where
    hearing and drafting are captured as graphs; by default only there.
    """

    def __init__(self, network: Hybrid, *, dense: bool | None = None) -> None:
        self.network = network.eval()
        self.device = network.onset.weight.device
        self.dense = self.device.type == "cuda" if dense is None else dense
        if self.device.type == "cuda":  # no rounding to TF32: the notes are to be those of a CPU
            torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
        with torch.inference_mode():
            self.folded = Folded(network)
        self.choice = network.choice.double().cpu().numpy()
        self._hearing: dict[int, Resident[tuple[Past, Left]]] = {}
        self._drawing: dict[tuple[int, int], Resident[Tensor]] = {}
        self.reset(Meter())

    @torch.inference_mode()
    def reset(self, meter: Meter) -> None:
        """Forget everything; raises ConfigError for a meter too short to hear."""
        if meter.steps < SHORTEST:
            raise ConfigError(f"meter {meter}: the hybrid needs measures of {SHORTEST} steps")
        self.nothing = nothing_left(self.network, meter, dense=self.dense)
        left = reach((), self.nothing, dense=self.dense, nothing=self.nothing)
        self.context = Context(meter, Past.empty(self.network, meter), left, ())

    def mark(self) -> Context:
        """The present context."""
        return self.context

    def rewind(self, mark: Context) -> None:
        """Back to a context that `mark` gave."""
        self.context = mark

    def listen(self, measure: Measure) -> None:
        """Append a completed measure; one pass of decoder and encoder over its steps."""
        self.catch_up()
        self._listen(measure)

    def catch_up(self) -> None:
        """Hear what was played last, where that was put off."""
        now = self.context
        if now.unheard is not None:
            self.context = replace(now, unheard=None)
            self._listen(now.unheard)

    @torch.inference_mode()
    def _listen(self, measure: Measure) -> None:
        now = self.context
        if measure.meter != now.meter:
            raise ConfigError(f"a measure in {measure.meter} after {now.meter}: reset first")
        past, newest = self._hear(table(measure, self.device, dense=self.dense))
        left = reach(now.left, newest, dense=self.dense, nothing=self.nothing)
        self.context = Context(now.meter, past, left, (*now.heard, measure)[-REACH:])

    def answer(self, sampling: Sampling, seed: int) -> Measure:
        """Draw the next measure `sampling.candidates` times and play the best of them."""
        self.catch_up()
        meter, rng = self.context.meter, np.random.default_rng(seed)
        lots = rng.random(sampling.candidates)
        noise = rng.random((sampling.candidates, meter.steps, NOISE), dtype=np.float32)
        drawn = self.draw(sampling, torch.from_numpy(noise))
        drafts = [
            Draft(written(meter, drawn, row), tuple(drawn.nats[row].tolist()))
            for row in range(sampling.candidates)
        ]
        measure = drafts[choose(self.context.heard, drafts, self.choice, lots)].measure
        self.context = replace(self.context, unheard=measure)
        return measure

    @torch.inference_mode()
    def draw(self, sampling: Sampling, noise: Tensor) -> Drawn:
        """Drafts of the next measure, one a row of noise (N, S, 31) in 0..1; on the CPU."""
        self.catch_up()
        now, wishes = self.context, self._wishes(sampling)
        N, steps, _ = noise.shape
        start = start_of(self.network, now.past, now.left, steps)
        if not self.dense:
            return draw(self.folded, start, wishes, noise, dense=False)
        size = next(size for size in BATCHES if size >= N)
        room = torch.zeros(size, steps, NOISE)
        room[:N] = noise
        room = room.to(self.device)
        if (steps, size) not in self._drawing:
            self._drawing[steps, size] = Resident(self._draw_packed, start, wishes, room)
        return unpacked(self._drawing[steps, size](start, wishes, room).cpu()[:N], steps)

    def _draw_packed(self, start: Start, wishes: Wishes, noise: Tensor) -> Tensor:
        return packed(draw(self.folded, start, wishes, noise, dense=True))

    def _hear(self, notes: Notes) -> tuple[Past, Left]:
        past = self.context.past
        if not self.dense:
            return hear(self.network, past, notes, dense=False)
        if notes.steps not in self._hearing:
            hearing = partial(hear, self.network, dense=True)
            self._hearing[notes.steps] = Resident(hearing, past, notes)
        heard: tuple[Past, Left] = cloned(self._hearing[notes.steps](past, notes))
        return heard

    def _wishes(self, sampling: Sampling) -> Wishes:
        """How to draw, as tensors."""
        keys = torch.arange(KEYS + 1, device=self.device)
        low, high = sampling.low_pitch - LOWEST_KEY, sampling.high_pitch - LOWEST_KEY
        outside = (keys != STOP) & ((keys < low) | (keys > high))
        temperatures = (
            sampling.temperature, sampling.velocity_temperature,
            sampling.rhythm_temperature, sampling.duration_temperature,
        )  # fmt: skip
        return Wishes(
            torch.tensor(temperatures, device=self.device),
            torch.tensor(sampling.min_p, device=self.device),
            torch.tensor(sampling.max_polyphony, device=self.device),
            outside,
            ~outside[:STOP].all(),
        )


def written(meter: Meter, drawn: Drawn, row: int) -> Measure:
    """One draft as a measure; `drawn` on the CPU."""
    keys, bins, lengths = (x[row].tolist() for x in (drawn.keys, drawn.bins, drawn.lengths))
    cuts = drawn.cuts[row]
    notes: list[Note] = []
    newest: dict[int, int] = {}  # key -> where its newest note stands in `notes`
    for step in range(meter.steps):
        for key in cuts[step].nonzero().flatten().tolist():
            if key in newest:
                note = notes[newest[key]]
                ended = min(note.duration, step - note.onset)
                notes[newest[key]] = replace(note, duration=ended)
        for key, bin_, duration in zip(keys[step], bins[step], lengths[step], strict=True):
            if key >= 0:
                newest[key] = len(notes)
                notes.append(Note(step, key + LOWEST_KEY, bin_, duration))
    return Measure(meter, tuple(notes))


def load(config: Mapping[str, Any], weights: Mapping[str, Tensor], device: str) -> HybridVoice:
    """A checkpoint's configuration and weights as a voice on a device."""
    network = Hybrid(HybridConfig(**config))
    network.load_state_dict(
        {name: weight.float() for name, weight in weights.items() if weight.is_floating_point()}
        | {n: w for n, w in weights.items() if not w.is_floating_point()}
    )
    return HybridVoice(network.to(device))
