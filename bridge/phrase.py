"""When a phrase is over and how long its answer is. Measures are numbered by place in the run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bridge.presets import Preset
from pianogen.grid import PPQN

CLOSE_ENOUGH = 1e-6  # ticks; what floating point may cost


@dataclass(frozen=True, slots=True)
class Phrase:
    """What the performer has played since the last answer: its first and last measure."""

    first: int
    last: int

    def reaching(self, measure: int) -> Phrase:
        """The phrase with one more note, in `measure`."""
        return Phrase(min(self.first, measure), max(self.last, measure))

    def is_full(self, line: int, preset: Preset) -> bool:
        """Whether it has lasted `listen_measures` at the line that begins measure `line`."""
        return line - self.first >= preset.listen_measures

    def answer_length(self, preset: Preset) -> int:
        """Measures to answer with: as many as were heard, where the preset does not say."""
        if preset.answer_measures is not None:
            return preset.answer_measures
        return min(self.last - self.first + 1, preset.listen_measures)


@dataclass(frozen=True, slots=True)
class Turn:
    """The machine's turn: the measures it answers with, and the phrase they answer."""

    first: int
    length: int
    phrase: Phrase
    because: Literal["rest", "full"]

    @property
    def end(self) -> int:
        """The measure at whose line the performer is listened to again."""
        return self.first + self.length


def has_rested(quiet_since: float, at: float, preset: Preset) -> bool:
    """Whether a rest that began at `quiet_since` (ticks of the run) is complete at `at`."""
    return at - quiet_since + CLOSE_ENOUGH >= preset.rest_beats * PPQN
