"""The hybrid on a CPU, in numpy alone: small steps, for which a tensor library is too heavy.

Loads in a fraction of a second, and takes a third of the time that torch takes there to draw a
measure; the notes are the same. Knows neither torch nor the weights' file.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pianogen.families.cpu_chords import Wishes
from pianogen.families.cpu_drafts import Drafts
from pianogen.families.cpu_hearing import hear
from pianogen.families.cpu_past import Past, Places
from pianogen.families.cpu_weights import Weights
from pianogen.families.drawn import Drawn, joined
from pianogen.families.sizes import HybridConfig
from pianogen.families.steering import Push
from pianogen.grid import Measure, Meter
from pianogen.sampling import Sampling

TOGETHER = 16  # drafts: of more the processor's caches would be too small


class CpuHybrid:
    """Hears measures and draws drafts; meets `hybrid_player.Engine`."""

    def __init__(self, config: Mapping[str, Any], weights: Mapping[str, NDArray[Any]]) -> None:
        self.weights = Weights(HybridConfig(**config), weights)
        self.choice = self.weights.choice
        self._places: dict[int, Places] = {}

    def empty(self, meter: Meter) -> Past:
        """The past before anything was heard."""
        return Past.empty(self.weights, meter)

    def heard(self, past: Past, measure: Measure) -> Past:
        """The past once a measure is over, too."""
        return hear(self.weights, self._at(measure.meter.steps), past, measure)

    def drawn(
        self, past: Past, sampling: Sampling, push: Push, noise: NDArray[np.float32]
    ) -> Drawn:
        """Drafts of the measure after it, one a row of noise (N, S, 31)."""
        places = self._at(noise.shape[1])
        parts = np.array_split(noise, -(-len(noise) // TOGETHER))
        wishes = Wishes(sampling, push)
        return joined([Drafts(self.weights, places, past, wishes, part).draw() for part in parts])

    def _at(self, steps: int) -> Places:
        if steps not in self._places:
            self._places[steps] = Places(self.weights, steps)
        return self._places[steps]
