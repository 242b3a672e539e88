"""The continuation contract over something smaller: a past that grows measure by measure.

What was played is heard only when the next measure is asked for, so that a plan that is dropped
costs nothing more. Knows no network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from pianogen.errors import ConfigError
from pianogen.grid import Measure, Meter
from pianogen.sampling import Sampling

REACH = 16  # measures that are kept as they were


class Engine(Protocol):
    """What computes. A past is the engine's own, and never changed."""

    def empty(self, meter: Meter) -> Any:
        """The past before anything was heard; raises ConfigError for a meter it cannot play."""

    def heard(self, past: Any, measure: Measure) -> Any:
        """The past once a measure is over, too."""


class Player(Engine, Protocol):
    """An engine that makes one measure at a time, for one who asks."""

    def played(
        self, past: Any, heard: tuple[Measure, ...], sampling: Sampling, rng: np.random.Generator
    ) -> Measure:
        """The measure after a past, whose last measures were heard (up to 16, oldest first)."""


@dataclass(frozen=True, slots=True)
class Context:
    """A past and its last measures; and a measure that was played after them, not yet heard: a
    plan that is dropped need never be."""

    meter: Meter
    past: Any
    heard: tuple[Measure, ...]
    unheard: Measure | None = None


class Listening:
    """What every voice does with what it hears; how it answers is its own."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.reset(Meter())

    def reset(self, meter: Meter) -> None:
        """Forget everything; raises ConfigError for a meter that the engine cannot play."""
        self.context = Context(meter, self._engine.empty(meter), ())

    def mark(self) -> Context:
        """The present context."""
        return self.context

    def rewind(self, mark: Context) -> None:
        """Back to a context that `mark` gave."""
        self.context = mark

    def listen(self, measure: Measure) -> None:
        """Append a completed measure; raises ConfigError for one in another meter."""
        self.catch_up()
        self._listen(measure)

    def catch_up(self) -> None:
        """Hear what was played last, where that was put off."""
        now = self.context
        if now.unheard is not None:
            self.context = replace(now, unheard=None)
            self._listen(now.unheard)

    def _listen(self, measure: Measure) -> None:
        now = self.context
        if measure.meter != now.meter:
            raise ConfigError(f"a measure in {measure.meter} after {now.meter}: reset first")
        past = self._engine.heard(now.past, measure)
        self.context = Context(now.meter, past, (*now.heard, measure)[-REACH:])


class Voice(Listening):
    """A player behind the contract of `pianogen.continuation.Continuation`."""

    def __init__(self, player: Player) -> None:
        self.player = player
        super().__init__(player)

    def another(self) -> Voice:
        """Another voice of the same player, which keeps nothing of what it computes."""
        return Voice(self.player)

    def answer(self, sampling: Sampling, seed: int) -> Measure:
        """Make the next measure; it becomes context."""
        self.catch_up()
        now, rng = self.context, np.random.default_rng(seed)
        measure = self.player.played(now.past, now.heard, sampling, rng)
        self.context = replace(now, unheard=measure)
        return measure

    def answer_all(self, wishes: Sequence[tuple[Voice, Sampling, int]]) -> list[Measure]:
        """As `answer` of each voice, one after the other."""
        return [voice.answer(sampling, seed) for voice, sampling, seed in wishes]
