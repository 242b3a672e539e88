"""The hybrid on a CPU, in numpy alone: small steps, for which a tensor library is too heavy.

Loads in a fraction of a second, and takes a third of the time that torch takes there to draw a
measure; the notes are the same. Knows neither torch nor the weights' file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pianogen.families.cpu_drafts import Drafts
from pianogen.families.cpu_hearing import hear
from pianogen.families.cpu_past import Past, Places
from pianogen.families.cpu_weights import Weights
from pianogen.families.drawn import Drawn, Theme, joined
from pianogen.families.sizes import HybridConfig
from pianogen.grid import Measure, Meter

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

    def drawn(self, themes: Sequence[Theme]) -> list[Drawn]:
        """Drafts of the measure after each past, those of several pasts in the same steps."""
        places = self._at(themes[0].noise.shape[1])
        drawn: list[list[Drawn]] = [[] for _ in themes]
        for shares in _shared_out([len(theme.noise) for theme in themes]):
            some = [replace(themes[n], noise=themes[n].noise[rows]) for n, rows in shares]
            for (n, _), part in zip(shares, Drafts(self.weights, places, some).draw(), strict=True):
                drawn[n].append(part)
        return [joined(parts) for parts in drawn]

    def _at(self, steps: int) -> Places:
        if steps not in self._places:
            self._places[steps] = Places(self.weights, steps)
        return self._places[steps]


def _shared_out(sizes: Sequence[int]) -> Iterator[list[tuple[int, slice]]]:
    """Which theme's drafts are drawn together: as few times as can be, about as many each time."""
    ends = np.cumsum(sizes).tolist()
    total = ends[-1]
    times = -(-total // TOGETHER)
    for some in np.array_split(np.arange(total), times):
        first, last = int(some[0]), int(some[-1]) + 1
        shares = []
        for n, (size, end) in enumerate(zip(sizes, ends, strict=True)):
            begin = end - size
            if begin < last and first < end:
                shares.append((n, slice(max(first - begin, 0), min(last - begin, size))))
        yield shares
