"""The stages in which a measure line is reached, and when each comes. Pure.

    |------------------- measure -----------------|-- the answer --
     ^ask      ^draft     ^plan      ^freeze       ^line
     |         |          |          |             the newest plan that is ready begins here
     |         |          |          half a step before: who plays next is settled, the plan renewed
     |         |          before the freeze by a lead (see lead.py): renewed
     |         as long before as drafting may take: a first plan, where an answer may begin and
     |         no key is down
     inside a turn, when what is due on the line has gone out: a first plan

Where notes are sent early by a latency, all come earlier by as much. Whatever is asked is wanted by
the stage that comes next, when the model may be asked again: the model draws as many drafts as are
done by then, so that the next request finds it free.
"""

from __future__ import annotations

from typing import Literal, TypeAlias, assert_never

from bridge.candidates import LONGEST_S
from bridge.controls import Controls
from bridge.lead import Lead
from bridge.presets import Preset
from bridge.status import Settings
from bridge.transport import HALF_STEP, Transport

DRAFTS = 8  # the lead is long enough for so many, where the preset wants as many
AFTER_LINE_S = 0.002  # the next request is made when what is due on the line has gone out

Stage: TypeAlias = Literal["ask", "draft", "plan", "freeze", "line"]


class Stages:
    """Where between two measure lines the session is; `line` is the measure whose line is next."""

    def __init__(
        self, settings: Settings, controls: Controls, transport: Transport, lead: Lead
    ) -> None:
        self.line = 0
        self.stage: Stage = "draft"
        self.output_delay_s = 0.0  # of the port, after it is given a message
        self._settings = settings
        self._controls = controls
        self._transport = transport
        self._lead = lead
        self._asks_at = 0.0

    def aim(self, now: float) -> None:
        """Find the line that comes next, of which nothing has been sent yet."""
        early_s = max(0.0, self.latency_s(self._controls.coming))
        run = self._transport.run_at(now + early_s)
        self.line = int(run // self._settings.meter.ticks) + 1
        self.stage = "draft"

    def cross(self) -> None:
        """The line is crossed."""
        self.line += 1
        self.stage = "draft"

    def ask_soon(self, now: float) -> None:
        """The next measure is the machine's, too."""
        self.stage, self._asks_at = "ask", now + AFTER_LINE_S

    @property
    def next(self) -> float:
        """When the stage that is next comes, in seconds."""
        match self.stage:
            case "ask":
                return self._asks_at
            case "draft":
                return self.plan - LONGEST_S
            case "plan":
                return self.plan
            case "freeze":
                return self.freeze
            case "line":
                return self.crossing
            case _:
                assert_never(self.stage)

    @property
    def crossing(self) -> float:
        """When the next line's notes must be booked: on the line, or early by the latency."""
        line = self._transport.time_of(self.line * self._settings.meter.ticks)
        return line - max(0.0, self.latency_s(self._controls.coming))

    @property
    def freeze(self) -> float:
        """Half a step before: what is played later is rounded to the line."""
        return self.crossing - HALF_STEP * self._transport.period

    @property
    def frozen(self) -> float:
        """Where on the run the freeze is."""
        return self._transport.run_at(self.freeze)

    @property
    def plan(self) -> float:
        """When the plan is made that should be ready by the freeze."""
        return self.freeze - self.lead_s

    @property
    def lead_s(self) -> float:
        """How long before the freeze that is."""
        return self._lead.seconds(self.drafts)

    @property
    def drafts(self) -> int:
        """How many drafts the lead leaves time for."""
        candidates = self._controls.coming.candidates
        return DRAFTS if candidates == "auto" else min(DRAFTS, candidates)

    def wanted_by(self, now: float) -> float:
        """When the model may be asked again, before the line or on it."""
        for stage in (self.plan, self.freeze):
            if now < stage:
                return stage
        return self.crossing

    def latency_s(self, preset: Preset) -> float:
        """How much earlier than it is to be heard a note is sent."""
        own = self._settings.latency_ms
        return (preset.latency_ms if own is None else own) / 1000 + self.output_delay_s

    def news_of_lead(self) -> str | None:
        """The lead in figures, where it has changed since it was last told."""
        left_s = self.crossing - self.freeze
        return self._lead.news(self.drafts, left_s, self._transport.tempo)
