"""A voice with a watch beside it: how long each measure takes to plan."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from pianogen.continuation import Continuation
from pianogen.grid import Measure, Meter
from pianogen.sampling import Sampling


class Clocked:
    """A voice whose plans are timed: hearing one measure and answering, as before each line.

    After an answer the measure heard is the one just played, which a voice may put off hearing
    until it is asked again. planning_ms: of every answer so far. clock: a time in seconds, by
    default this process's own on the processor, so that what else runs beside it does not count.
    """

    def __init__(self, voice: Continuation, clock: Callable[[], float] = time.process_time) -> None:
        self.planning_ms: list[float] = []
        self._voice, self._clock, self._heard_s = voice, clock, 0.0

    def another(self) -> Clocked:
        """Another on the same weights, with times of its own."""
        return Clocked(self._voice.another(), self._clock)

    def reset(self, meter: Meter) -> None:
        """Forget everything but the times."""
        self._heard_s = 0.0
        self._voice.reset(meter)

    def listen(self, measure: Measure) -> None:
        """Hear a measure; of several before an answer the last one's time counts."""
        began = self._clock()
        self._voice.listen(measure)
        self._heard_s = self._clock() - began

    def answer(self, sampling: Sampling, seed: int) -> Measure:
        """Make the next measure."""
        return self.answer_all([(self, sampling, seed)])[0]

    def answer_all(self, wishes: Sequence[tuple[Clocked, Sampling, int]]) -> list[Measure]:
        """As `answer` of each, at once; this one notes what all take together."""
        began = self._clock()
        made = self._voice.answer_all([(w._voice, sampling, seed) for w, sampling, seed in wishes])
        self.planning_ms.append(1000 * (self._heard_s + self._clock() - began))
        self._heard_s = 0.0
        return made

    def mark(self) -> Any:
        """The present context."""
        return self._voice.mark()

    def rewind(self, mark: Any) -> None:
        """Back to a context that `mark` gave."""
        self._voice.rewind(mark)
