"""How requests to the model fared, in figures. Pure."""

from __future__ import annotations

from collections import deque

from bridge.wire import Reply


class PlanFigures:
    """How the requests fared: milliseconds from asked to answered, and how many had no answer.

    candidates: from how many drafts each answer was chosen. tight: how often one was late or
    nearly so, and the next had fewer.
    """

    def __init__(self) -> None:
        self.response_ms: deque[float] = deque(maxlen=100_000)
        self.listen_ms: deque[float] = deque(maxlen=100_000)  # a measure heard anew
        self.answer_ms: deque[float] = deque(maxlen=100_000)
        self.candidates: deque[int] = deque(maxlen=100_000)
        self.tight = 0
        self.late = 0
        self.failed = 0

    def count(self, reply: Reply, response_s: float) -> None:
        """Take one reply into account."""
        if reply.measure is not None:
            self.response_ms.append(response_s * 1000)
            self.answer_ms.append(reply.answer_ms)
            self.candidates.append(reply.candidates)
            self.tight += reply.is_tight
            if reply.listened:
                self.listen_ms.append(reply.listen_ms / reply.listened)
        elif reply.reason == "late":
            self.late += 1
        else:
            self.failed += 1
