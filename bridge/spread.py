"""How values spread: percentiles of the newest, the largest of all, in little and bounded memory.

Kept in order as they come, so that asking in the midst of playing costs next to nothing.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque

REMEMBERED = 4096


class Spread:
    """The newest `remembered` values. `count` and `most` are of all there ever were."""

    def __init__(self, remembered: int = REMEMBERED) -> None:
        self.count = 0
        self.most: float | None = None
        self._newest: deque[float] = deque()
        self._ordered: list[float] = []
        self._remembered = remembered

    def add(self, value: float) -> None:
        """Take one more; the oldest is forgotten where there are too many."""
        self.count += 1
        self.most = value if self.most is None else max(self.most, value)
        if len(self._newest) == self._remembered:
            del self._ordered[bisect_left(self._ordered, self._newest.popleft())]
        self._newest.append(value)
        insort(self._ordered, value)

    def percentile(self, share: float) -> float | None:
        """The value below which `share` (0..1) of them lie; None where there are none."""
        if not self._ordered:
            return None
        return self._ordered[round(share * (len(self._ordered) - 1))]

    def figures(self, *shares: float) -> dict[str, float | None]:
        """The percentiles asked for by name (0.999 is p99.9), and `max`."""
        named = {f"p{100 * share:g}": self.percentile(share) for share in shares}
        return {**named, "max": self.most}
