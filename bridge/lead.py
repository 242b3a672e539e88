"""How long before a measure line its plan is asked for, by how long answers took so far. Pure.

     as long as the drafts wanted take         half a step
|--------------------------------------------|------------|
plan                                       freeze        line
                                             renewed here, where one draft is done by the line
"""

from __future__ import annotations

from collections import deque

REMEMBERED = 20  # answers, of which the slowest counts: their 95th percentile
SAFETY = 1.25  # how much longer than that is waited for
UNKNOWN_S = 0.25  # before any answer, and the most that is kept free for drafts beyond the first
CHANGE = 1.25  # a lead or a tempo different by such a factor is told


class Lead:
    """Response times as the session sees them: from asked to received, in seconds."""

    def __init__(self) -> None:
        self._one: deque[float] = deque(maxlen=REMEMBERED)  # answers of one draft
        self._more: deque[float] = deque(maxlen=REMEMBERED)  # what each further draft took
        self._told: tuple[bool, float, float] | None = None

    def learn(self, response_s: float, candidates: int = 1, spare_s: float = 0.0) -> None:
        """An answer chosen from so many drafts; without those beyond the first it would have come
        `spare_s` sooner."""
        self._one.append(max(0.0, response_s - spare_s))
        if candidates > 1:
            self._more.append(spare_s / (candidates - 1))

    @property
    def one_s(self) -> float:
        """What an answer of one draft may take; 0 before any."""
        return SAFETY * max(self._one, default=0.0)

    def seconds(self, drafts: int) -> float:
        """How long before the freeze a plan of so many drafts is asked for."""
        if not self._one:
            return UNKNOWN_S
        more = SAFETY * (drafts - 1) * max(self._more, default=UNKNOWN_S)
        return max(self.one_s, min(self.one_s + more, UNKNOWN_S))

    def fits(self, left_s: float) -> bool:
        """Whether an answer of one draft is expected within `left_s`."""
        return self.one_s <= left_s

    def news(self, drafts: int, left_s: float, tempo: float) -> str | None:
        """The rule in figures, where it has changed since it was last told.

        left_s: from the freeze to the line. tempo: quarter notes a minute.
        """
        lead_s, is_renewed = self.seconds(drafts), self.fits(left_s)
        if self._told is not None:
            was_renewed, lead_before, tempo_before = self._told
            is_alike = _alike(lead_s, lead_before) and _alike(tempo, tempo_before)
            if is_alike and is_renewed is was_renewed:
                return None
        self._told = is_renewed, lead_s, tempo
        renewed = "renewed there" if is_renewed else "too late for another plan"
        return (
            f"plans are asked {lead_s * 1000:.0f} ms before the freeze for up to {drafts} drafts "
            f"(one is answered within {self.one_s * 1000:.0f} ms); at {tempo:.0f} bpm the freeze "
            f"is {left_s * 1000:.0f} ms before the line: {renewed}"
        )


def _alike(one: float, other: float) -> bool:
    return one <= CHANGE * other and other <= CHANGE * one
