"""The hybrid as a voice: hears measures, drafts the next one several times, plays the best.

What is drawn comes from uniform numbers, from the seed; so the same checkpoint, context, sampling
and seed give the same measure. Computing is an engine's: `cpu_hybrid` in numpy, or `torch_hybrid`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pianogen.choosing import Draft, choose
from pianogen.errors import ConfigError
from pianogen.families import voice
from pianogen.families.drawn import Drawn, Theme, written
from pianogen.families.sizes import NOISE, SHORTEST
from pianogen.families.steering import push_of
from pianogen.grid import Measure, Meter
from pianogen.sampling import Sampling, decided


class Engine(voice.Engine, Protocol):
    """What computes. choice: the weights by which drafts are chosen, (42,)."""

    choice: NDArray[np.float64]

    def drawn(self, themes: Sequence[Theme]) -> list[Drawn]:
        """Drafts of the measure after each past, all of one meter; what is drawn for each is what
        would be drawn for it alone."""


class HybridVoice(voice.Listening):
    """The hybrid behind the contract of `pianogen.continuation.Continuation`."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        super().__init__(engine)

    def another(self) -> HybridVoice:
        """Another voice on the same engine, which keeps nothing of what it computes."""
        return HybridVoice(self.engine)

    def reset(self, meter: Meter) -> None:
        """Forget everything; raises ConfigError for a meter too short to hear."""
        if meter.steps < SHORTEST:
            raise ConfigError(f"meter {meter}: the hybrid needs measures of {SHORTEST} steps")
        super().reset(meter)

    def answer(self, sampling: Sampling, seed: int) -> Measure:
        """Draw the next measure `sampling.candidates` times and play the best of them."""
        return self.answer_all([(self, sampling, seed)])[0]

    def answer_all(self, wishes: Sequence[tuple[HybridVoice, Sampling, int]]) -> list[Measure]:
        """As `answer`, of several voices at once: what is drawn for all is drawn together."""
        lots, themes = [], []
        for one, sampling, seed in wishes:
            rng, steps = np.random.default_rng(seed), one.context.meter.steps
            lots.append(rng.random(sampling.candidates))
            noise = rng.random((sampling.candidates, steps, NOISE), dtype=np.float32)
            themes.append(one.theme(sampling, noise))
        together = zip(wishes, self.engine.drawn(themes), lots, strict=True)
        return [one._play(sampling, drawn, lot) for (one, sampling, _), drawn, lot in together]

    def _play(self, sampling: Sampling, drawn: Drawn, lots: NDArray[np.float64]) -> Measure:
        """The best of the drafts; it becomes context."""
        drafts = self._written(drawn)
        best = choose(self.context.heard, drafts, self.engine.choice, lots, sampling)
        measure = drafts[best].measure
        self.context = replace(self.context, unheard=measure)
        return measure

    def drafts(self, sampling: Sampling, noise: NDArray[np.float32]) -> list[Draft]:
        """Drafts of the next measure, one a row of noise (N, S, 31), numbers in 0..1."""
        return self._written(self.draw(sampling, noise))

    def draw(self, sampling: Sampling, noise: NDArray[np.float32]) -> Drawn:
        """As `drafts`, as arrays."""
        return self.engine.drawn([self.theme(sampling, noise)])[0]

    def theme(self, sampling: Sampling, noise: NDArray[np.float32]) -> Theme:
        """What the next measure is drawn from."""
        self.catch_up()
        push = push_of(sampling, self.context.heard, self.context.meter.steps)
        return Theme(self.context.past, decided(sampling), push, noise)

    def _written(self, drawn: Drawn) -> list[Draft]:
        nats, meter = drawn.nats.tolist(), self.context.meter
        return [Draft(written(meter, drawn, row), tuple(nats[row])) for row in range(len(nats))]


def load(
    config: Mapping[str, Any], weights: Mapping[str, NDArray[Any]], device: str
) -> HybridVoice:
    """A checkpoint's configuration and weights as a voice: in numpy on `cpu`, else by torch."""
    if device == "cpu":
        from pianogen.families.cpu_hybrid import CpuHybrid

        return HybridVoice(CpuHybrid(config, weights))
    from pianogen.families.hybrid import Hybrid
    from pianogen.families.torch_hybrid import TorchHybrid

    return HybridVoice(TorchHybrid(Hybrid.of(config, weights, device)))
