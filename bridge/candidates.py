"""How many drafts of a measure fit before it is wanted, by what drafts have cost so far. Pure.

    heard                          wanted by
      |------------ left ------------|
      |-- first --|each|each|each|       what N drafts are expected to take: first + each * N
      |-- the same, times the margin --| must fit

The margin follows how far off expectations were lately, and is no less than the worst of them. A
late or nearly late answer takes time away at once; every answer with room to spare gives a little
of it back.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from math import inf
from statistics import fmean, median

REMEMBERED = 16  # answers: what drafts cost
NEWEST = 5  # of them: how fast the machine is now
SHARES = 32  # answers: how far off expectations were
LEAST_MARGIN, SPREADS = 0.2, 2.0  # what is added: a share, and so many times the mean error
MOST_MARGIN = 3.0  # a factor
ENOUGH = 3  # for a median
APART = 1.5  # numbers of drafts differ by as much to tell what one more costs
GROWTH = 1.5  # never more than so many times what was tried lately
HANDING_OVER_S = 0.005  # through the pipe and the daemon's queue
LONGEST_S = 0.5  # expected: who takes over meanwhile is not kept waiting, nor the processor busy
NEAR = 0.9  # of the time there was: nearly late
AT_FIRST = 0.5  # of the time there is, until answers had room to spare
AFTER_LATE, AFTER_NEAR, AFTER_ROOM = 0.5, 0.75, 0.05  # the first two are factors


class Costs:
    """What answers of one model took, by how many drafts they were chosen from, in seconds."""

    def __init__(self) -> None:
        self._seen: deque[tuple[int, float]] = deque(maxlen=REMEMBERED)
        self._shares: deque[float] = deque(maxlen=SHARES)  # of what was expected
        self._each = self._first = 0.0
        self._trust = AT_FIRST  # what share of the time there is may be planned with

    def fitting(self, most: int, left_s: float) -> int:
        """How many of at most `most` drafts can be done in `left_s`; 1 where not even that can.

        Endless time, as on simulated time, is not measured: then it is `most`.
        """
        if left_s == inf:
            return most
        most = min(most, self._tried())
        time = min(self._trust * (left_s - HANDING_OVER_S) / self._margin(), LONGEST_S)
        if self.expected(most) <= time:
            return most
        return int(max(1.0, (time - self._first) / self._each)) if self._each > 0 else 1

    def expected(self, candidates: int) -> float:
        """What so many drafts are expected to take."""
        return self._first + self._each * candidates

    def beyond_first(self, candidates: int, took_s: float, least: int = 1) -> float:
        """How much of `took_s` the drafts beyond the first took, or beyond the first `least`."""
        expected = self.expected(candidates)
        return took_s * (1 - self.expected(least) / expected) if expected > 0 else 0.0

    def learn(self, candidates: int, took_s: float, left_s: float = inf) -> bool:
        """An answer took `took_s` where there were `left_s`.

        Returns whether it was late or nearly so, and could have been of fewer drafts.
        """
        if left_s < inf and (expected := self.expected(candidates)) > 0:
            self._shares.append(took_s / expected)
        self._seen.append((candidates, took_s))
        self._fit()
        share = took_s / left_s if left_s > 0 else inf
        if share <= NEAR:
            self._trust = min(1.0, self._trust + AFTER_ROOM)
        elif candidates > 1:
            self._trust *= AFTER_LATE if share > 1 else AFTER_NEAR
            return True
        return False

    def _tried(self) -> int:
        """As many as were tried lately, and a few more."""
        largest = max((candidates for candidates, _ in self._seen), default=0)
        return max(largest + 1, int(GROWTH * largest))

    def _fit(self) -> None:
        """A line through what was seen, by medians, so that one slow answer bends nothing.

        Its height is that of the newest answers, or of all where those were slower.
        """
        seen = list(self._seen)
        newest = seen[-NEWEST:]
        mean = median(took / candidates for candidates, took in newest)
        self._each = min(max(0.0, self._slope()), mean)
        self._first = max(0.0, *(self._height(some) for some in (seen, newest)))

    def _height(self, some: Iterable[tuple[int, float]]) -> float:
        return median(took - self._each * candidates for candidates, took in some)

    def _slope(self) -> float:
        """What one more costs: answers of few drafts against those of many, where both are.

        The worst that can be made of it while there are too few of them for a median.
        """
        seen = sorted(self._seen)
        third = max(1, len(seen) // 3)
        few, many = seen[:third], seen[-third:]
        fewer, more = (median(candidates for candidates, _ in some) for some in (few, many))
        if more < APART * fewer:
            return self._each
        short, long = ([took for _, took in some] for some in (few, many))
        if third < ENOUGH:
            return (max(long) - min(short)) / (more - fewer)
        return (median(long) - median(short)) / (more - fewer)

    def _margin(self) -> float:
        """What an expectation is multiplied by, to be kept nearly always."""
        error = fmean(abs(share - 1) for share in self._shares) if self._shares else 0.0
        usual, worst = 1 + LEAST_MARGIN + SPREADS * error, max(self._shares, default=0.0)
        return min(max(usual, worst), MOST_MARGIN)
