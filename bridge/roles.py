"""Who plays from a measure line on: by the mode, by the phrase, by what the player asks for.

mode        the machine begins                          and ends
answer      at the line after a rest or a full phrase   after as many measures as it answers
            or a hand-over
continue    at the line after a hand-over               when released or interrupted
duet        at the line after the first note            when nothing was played for as many
                                                        measures (16, where it is not said)
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
from pianogen.grid import Measure, Meter

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
    """What the machine played last, and the (start, context) it was made from, where known."""

    plans: list[Plan] = field(default_factory=list)
    is_endless: bool = False
    made_from: tuple[int, tuple[Measure, ...]] | None = None

    @property
    def loop(self) -> tuple[Plan, ...]:
        """What of it is repeated."""
        return tuple(self.plans[-LOOP_MEASURES:] if self.is_endless else self.plans)

    @property
    def measures(self) -> tuple[Measure, ...]:
        """Its measures."""
        return tuple(plan.measure for plan in self.plans)

    def add(self, plan: Plan) -> None:
        """One more measure of it."""
        self.plans.append(plan)
        if len(self.plans) > LONGEST:
            del self.plans[0]
            self.made_from = None


class Roles:
    """What the player has asked for by controls, and what follows from it at a line."""

    def __init__(self, meter: Meter) -> None:
        self.last = LastAnswer()
        self.is_handed = False  # the machine is asked to play
        self.is_frozen = False  # the last answer is asked for, round and round
        self.once: Literal["mutate", "repeat"] | None = None
        self._meter = meter

    @property
    def is_pending(self) -> bool:
        """Whether something was asked for that the next line may bring."""
        return self.is_handed or self.is_frozen or self.once is not None

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
                return self.is_handed
            case "duet":
                return not self._is_alone(preset, rest)
            case _:
                return True

    def beginning(
        self, line: int, preset: Preset, phrase: Phrase | None, rest: Rest
    ) -> Turn | None:
        """The turn that begins at the line of measure `line`; None where none does."""
        if preset.mode == "off":
            return None
        if self.last.plans and self.is_frozen:
            return Turn(line, None, "freeze", preset.mode, script=self.last.loop)
        if self.last.plans and self.once is not None:
            again = self.last.loop
            script = again if self.once == "repeat" else ()
            return Turn(line, line + len(again), self.once, preset.mode, script=script)
        match preset.mode:
            case "answer":
                return self._answer(line, preset, phrase, rest)
            case "continue" if self.is_handed:
                return Turn(line, None, "hand-over", "continue")
            case "duet" if self.is_handed or (phrase and not self._is_alone(preset, rest)):
                return Turn(line, None, "duet", "duet")
            case _:
                return None

    def begin(self, turn: Turn) -> None:
        """The turn is settled: what was asked for once is done."""
        if turn.because in ("mutate", "repeat"):
            self.once = None
        elif turn.mode != "continue":
            self.is_handed = False

    def forget(self) -> None:
        """Nothing is asked for any more; the last answer stays."""
        self.is_handed = self.is_frozen = False
        self.once = None

    @property
    def _is_asked_for_more(self) -> bool:
        return bool(self.last.plans) and (self.is_frozen or self.once is not None)

    def _answer(self, line: int, preset: Preset, phrase: Phrase | None, rest: Rest) -> Turn | None:
        if self.is_handed:
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

    def _is_alone(self, preset: Preset, rest: Rest) -> bool:
        """Whether the performer has left a duet."""
        most = preset.answer_measures or ALONE_MEASURES
        return rest.at - rest.since >= most * self._meter.ticks
