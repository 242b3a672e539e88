"""When a phrase is over, and what a turn of the machine's is. Measures: by place in the run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from bridge.plans import Plan
from bridge.presets import PlayMode, Preset
from pianogen.grid import PPQN

CLOSE_ENOUGH = 1e-6  # ticks; what floating point may cost

Because: TypeAlias = Literal["rest", "full", "hand-over", "duet", "mutate", "repeat", "freeze"]


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
    """The machine's turn: its first measure and the one at whose line it is over.

    end: None where something else will end it. mode: the preset's when it began. phrase: what it
    answers. script: the plans it plays, round and round; empty where the model is asked.
    """

    first: int
    end: int | None
    because: Because
    mode: PlayMode = "answer"
    phrase: Phrase | None = None
    script: tuple[Plan, ...] = ()

    @property
    def is_held(self) -> bool:
        """Whether it lasts as long as the hand-over is down."""
        return self.because == "hand-over" and self.mode == "continue"

    def has(self, measure: int) -> bool:
        """Whether `measure` is one of its own."""
        return self.first <= measure and (self.end is None or measure < self.end)

    def answering(self, preset: Preset) -> Turn:
        """The same, as long as another preset has answers; what is no answer stays as it is."""
        if self.mode != "answer" or self.script or self.phrase is None or self.because == "mutate":
            return self
        return replace(self, end=self.first + self.phrase.answer_length(preset))

    def ending(self, line: int) -> Turn:
        """The same, over at `line` at the latest."""
        return replace(self, end=line if self.end is None else min(self.end, line))


def has_rested(quiet_since: float, at: float, preset: Preset) -> bool:
    """Whether a rest that began at `quiet_since` (ticks of the run) is complete at `at`."""
    return at - quiet_since + CLOSE_ENOUGH >= preset.rest_beats * PPQN
