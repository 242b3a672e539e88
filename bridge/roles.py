"""Who plays from a measure line on: by the mode, by the phrase, by what the player asks for.

mode        the machine begins                          and ends
answer      at the line after a rest or a full phrase   after as many measures as it answers
            or a hand-over
continue    at the line after a hand-over               when released or interrupted
duet        at the line after the first note            when the player has rested for as many
            or a hand-over                              measures (16, where it is not said)
off         never

In every mode but off the last answer may be asked for once more, note by note or drawn anew, or
round and round.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from bridge.phrase import Phrase, Turn, has_rested
from bridge.plans import Plan
from bridge.presets import Preset
from pianogen.grid import PPQN, Measure, Meter

LOOP_MEASURES = 4  # of what has no end, the newest are what is repeated
ALONE_MEASURES = 16  # of a duet, before it is over, where the preset does not say
LONGEST = 64  # measures of an answer that are kept


@dataclass(frozen=True, slots=True)
class Rest:
    """The performer has been silent since `since`, as known at `at` (both ticks of the run)."""

    since: float
    at: float


@dataclass(slots=True)
class LastAnswer:
    """What the machine played last, measure by measure."""

    plans: list[Plan] = field(default_factory=list)
    is_endless: bool = False

    @property
    def loop(self) -> tuple[Plan, ...]:
        """What of it is repeated."""
        return tuple(self.plans[-LOOP_MEASURES:] if self.is_endless else self.plans)

    @property
    def measures(self) -> tuple[Measure, ...]:
        """Its measures."""
        return tuple(plan.measure for plan in self.plans)

    @property
    def made_from(self) -> tuple[int, tuple[Measure, ...]] | None:
        """The (start, context) that what is repeated was made from, where known."""
        return (self.plans and self.loop[0].made_from) or None

    def add(self, plan: Plan) -> None:
        """One more measure of it."""
        self.plans.append(plan)
        del self.plans[:-LONGEST]


class Roles:
    """What the player has asked for by controls, and what follows from it at a line.

    is_held: the hand-over is down; is_spent: it was, when the player took over, and counts again
    when it goes down anew. is_called: the machine is asked to begin. is_frozen: the last answer is
    asked for, round and round. once: so is it, once more.
    """

    def __init__(self, meter: Meter) -> None:
        self.last = LastAnswer()
        self.is_held = self.is_spent = self.is_called = self.is_frozen = False
        self.once: Literal["mutate", "repeat"] | None = None
        self._meter = meter

    def is_pending(self, preset: Preset) -> bool:
        """Whether something was asked for that the next line may bring."""
        return self.is_called or self._is_asked_for_more or self._is_to_continue(preset)

    def ask_again(self, how: Literal["mutate", "repeat"], preset: Preset) -> None:
        """Once more, where there is something to repeat and the machine may play."""
        if self.last.plans and preset.mode != "off":
            self.once = how

    def hand_over(self, is_on: bool | None, preset: Preset) -> None:
        """The hand-over goes down or comes up; None for the other, where it lasts, or once more."""
        if is_on is None:
            is_on = preset.mode != "continue" or not self._is_to_continue(preset)
        self.is_held, self.is_spent = is_on, False
        if is_on or preset.mode in ("continue", "off"):
            self.is_called = is_on and preset.mode != "off"

    def goes_on(self, turn: Turn, preset: Preset, rest: Rest) -> bool:
        """Whether a turn that is not at its end stays the machine's."""
        if preset.mode == "off" or turn.because == "freeze":
            return preset.mode != "off" and self.is_frozen
        if turn.because in ("mutate", "repeat"):
            return True
        if turn.mode != preset.mode or (turn.end is None and self._is_asked_for_more):
            return False
        match turn.mode:
            case "continue":
                return self.is_held
            case "duet":
                began = turn.first * self._meter.ticks if turn.phrase is None else 0  # by a call
                return not self._is_alone(preset, Rest(max(rest.since, began), rest.at))
            case _:
                return True

    def beginning(
        self,
        line: int,
        preset: Preset,
        phrase: Phrase | None,
        rest: Rest,
        before: Turn | None = None,
    ) -> Turn | None:
        """The turn that begins at the line of measure `line`, where another ends there or none."""
        if preset.mode == "off":
            return None
        if self.last.plans and self.is_frozen:
            return Turn(line, None, "freeze", preset.mode, phrase, self.last.loop)
        if self.last.plans and self.once is not None:
            again = self.last.loop
            script = again if self.once == "repeat" else ()
            return Turn(line, line + len(again), self.once, preset.mode, phrase, script)
        match preset.mode:
            case "answer":
                return self._answer(line, preset, phrase, rest)
            case "continue" if self._is_to_continue(preset):
                return Turn(line, None, "hand-over", "continue", phrase)
            case "duet" if self._may_duet(line, preset, phrase, rest, before):
                return Turn(line, None, "duet", "duet", phrase)
            case _:
                return None

    def begin(self, turn: Turn) -> None:
        """The turn is settled: what was asked for is done."""
        if turn.because in ("mutate", "repeat"):
            self.once = None
        elif turn.because != "freeze":
            self.is_called = False

    def interrupted(self) -> None:
        """The player plays: the machine waits to be asked again."""
        self.is_called, self.is_spent = False, self.is_held

    def silenced(self) -> None:
        """What was asked for once is forgotten; what is held down is asked for still."""
        self.is_called, self.once = False, None

    def forget(self) -> None:
        """Nothing is asked for any more; the last answer stays."""
        self.is_held = self.is_spent = self.is_called = self.is_frozen = False
        self.once = None

    def _is_to_continue(self, preset: Preset) -> bool:
        return preset.mode == "continue" and self.is_held and not self.is_spent

    @property
    def _is_asked_for_more(self) -> bool:
        return bool(self.last.plans) and (self.is_frozen or self.once is not None)

    def _answer(self, line: int, preset: Preset, phrase: Phrase | None, rest: Rest) -> Turn | None:
        if self.is_called:
            phrase = phrase or Phrase(line - 1, line - 1)
            end = line + phrase.answer_length(preset)
            return Turn(line, end, "hand-over", "answer", phrase)
        if phrase is None:
            return None
        is_rest = has_rested(rest.since, rest.at, preset)
        if not is_rest and not phrase.is_full(line, preset):
            return None
        end = line + phrase.answer_length(preset)
        return Turn(line, end, "rest" if is_rest else "full", "answer", phrase)

    def _may_duet(
        self, line: int, preset: Preset, phrase: Phrase | None, rest: Rest, before: Turn | None
    ) -> bool:
        if self.is_called:
            return True
        has_played = phrase is not None and phrase.first < line
        was_repeating = before is not None and before.because in ("freeze", "mutate", "repeat")
        return (has_played or was_repeating) and not self._is_alone(preset, rest)

    def _is_alone(self, preset: Preset, rest: Rest) -> bool:
        """Whether the performer has left a duet."""
        most = preset.answer_measures or ALONE_MEASURES
        return rest.at - rest.since + PPQN / 16 >= most * self._meter.ticks  # known at the freeze
