"""What a performance is told as when it is over."""

from __future__ import annotations

from collections.abc import Iterable

from bridge.ledger import percentile
from bridge.staged import Outcome


def summary(outcome: Outcome, *, is_live: bool) -> list[str]:
    """A few lines: the notes of each, how late, how long plans took, what was left sounding."""
    status, sent, figures = outcome.status, outcome.sent, outcome.figures
    lines = [
        f"performer: {outcome.performer_notes} notes",
        f"pianogen:  {sent.notes} notes in {status.measures_answered} measures "
        f"({status.measures_missed} without a plan, {status.notes_dropped} notes dropped)",
    ]
    if is_live:
        lines.append("lateness of its notes: " + _spread(sent.lateness_ms, 0.5, 0.99))
    lines += [
        f"plans: {status.plans_asked} asked, {status.plans_late} late, "
        f"{status.plans_failed} failed; response " + _spread(figures.response_ms, 0.5, 0.95),
        f"model on {outcome.device}: a measure heard in "
        f"{percentile(figures.listen_ms, 0.5):.1f} ms, "
        f"answered in {percentile(figures.answer_ms, 0.5):.1f} ms (p50)",
        f"drafts of a measure: {_drafts(figures.candidates)}"
        + (f", fewer after being late or nearly so: {figures.tight} times" if is_live else ""),
        f"notes left sounding: {len(sent.sounding)}",
    ]
    return lines


def _drafts(candidates: Iterable[int]) -> str:
    counts = list(candidates)
    return (
        f"p50 {percentile(counts, 0.5):.0f}, {min(counts, default=0)} to {max(counts, default=0)}"
    )


def _spread(values_ms: Iterable[float], *shares: float) -> str:
    values = list(values_ms)
    parts = [f"p{round(share * 100)} {percentile(values, share):.1f}" for share in shares]
    return ", ".join([*parts, f"max {max(values, default=0.0):.1f} ms"])
