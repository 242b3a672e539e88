"""The contract every model family meets, so that the bridge does not know which one plays.

Knows nothing of torch: families that need it import it themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, Self

from pianogen.grid import Measure, Meter
from pianogen.sampling import Sampling


class Continuation(Protocol):
    """One voice that hears measures and carries them on.

    Calls are deterministic: the same checkpoint, context, sampling and seed give the same
    measure. Listening costs one measure's work however long the history is.
    """

    def another(self) -> Self:
        """Another voice with the same weights, which are shared; it has heard nothing."""

    def reset(self, meter: Meter) -> None:
        """Forget everything; the measures to come are in this meter."""

    def listen(self, measure: Measure) -> None:
        """Append a completed measure, both voices, to the context."""

    def answer(self, sampling: Sampling, seed: int) -> Measure:
        """Make the next measure; it becomes context too."""

    def answer_all(self, wishes: Sequence[tuple[Self, Sampling, int]]) -> list[Measure]:
        """As `answer` of each voice with a sampling and a seed, at once.

        The voices share these weights and are in one meter. Each measure is what the voice would
        have answered by itself, to rounding.
        """

    def mark(self) -> Any:
        """Remember the present context; an opaque, immutable value for `rewind`."""

    def rewind(self, mark: Any) -> None:
        """Go back to the context that `mark` remembered."""
