"""What a check's recordings come to: times held against the true grid. Pure.

    true grid     |     |     |     |        origin + n * tick
    arrivals       |     |   |       |       less their constant part: the jitter that comes in
    the loop       |     |     |    |        the same arrivals through a Follower
    notes         due -> sent -> received    each against its own place on the true grid

A note's place is told by when it was due, and its arrival by its number: neither can be mistaken
for a neighbour's, however late it is. Times in seconds, figures in milliseconds unless named
otherwise; what cannot be told is None.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import TypeAlias

from bridge.check_music import LEAD_IN, Piece
from bridge.clock import Follower
from bridge.ledger import percentile
from bridge.status import Status
from bridge.vitals import Usage
from pianogen.grid import PPQN, TICKS_PER_STEP

LOCK_TICKS = PPQN  # the loop has locked within a beat

Figures: TypeAlias = dict[str, float | None]


@dataclass(frozen=True, slots=True)
class Cost:
    """The daemon and the model process at one moment."""

    time: float
    daemon: Usage
    model: Usage


@dataclass(frozen=True, slots=True)
class Taken:
    """What was recorded of one piece.

    origin: when its first tick was due. ticks: when each arrived at the daemon. due, sent: of each
    of the machine's note-ons, at its port. received: when each came to the other end.
    ahead_s: how much earlier than their place notes are due, by latency and the port's delay.
    before, after: the session. costs: at tick LOCK_TICKS, before the first call, and at the end.
    """

    piece: Piece
    origin: float
    ticks: Sequence[float]
    ticks_sent: int
    source_late_ms: Sequence[float]
    due: Sequence[float]
    sent: Sequence[float]
    received: Sequence[float]
    left_sounding: int
    ahead_s: float
    before: Status
    after: Status
    response_ms: Sequence[float]
    costs: Sequence[Cost]


def figures(taken: Taken, *, is_heard_exactly: bool) -> Figures:
    """Everything that is told of a piece.

    is_heard_exactly: notes go out by the port's own time, not when they are handed to it: what
    begins an answer is then judged where it is received, else where it is sent.
    """
    errors = tick_errors(taken.ticks, taken.origin, taken.piece.tick_s, taken.ticks_sent)
    offset = percentile(errors, 0.5)
    late_ms = [1000 * (sent - due) for due, sent in zip(taken.due, taken.sent, strict=True)]
    return {
        "source_p99_ms": _at(taken.source_late_ms, 0.99),
        **clock_figures(taken, errors, offset),
        "notes": float(len(taken.due)),
        "late_p50_ms": _at(late_ms, 0.5),
        "late_p99_ms": _at(late_ms, 0.99),
        "late_p999_ms": _at(late_ms, 0.999),
        "late_max_ms": max(late_ms, default=None),
        **place_figures(taken, offset, is_heard_exactly),
        **plan_figures(taken),
        "unheard": float(len(taken.sent) - len(taken.received)),
        "left_sounding": float(taken.left_sounding),
        **cost_figures(taken.costs),
    }


def tick_errors(ticks: Sequence[float], origin: float, tick_s: float, sent: int) -> list[float]:
    """Each arrival less its place on the grid.

    By number where all arrived; where some were lost, each later one is taken for that which it
    lies nearest to, seen from the one before.
    """
    errors: list[float] = []
    number = 0
    for time in ticks:
        error = time - origin - number * tick_s
        if len(ticks) < sent and errors:
            lost = max(0, round((error - errors[-1]) / tick_s))
            number += lost
            error -= lost * tick_s
        errors.append(error)
        number += 1
    return errors


def clock_figures(taken: Taken, errors: Sequence[float], offset: float) -> Figures:
    """The clock as it comes in, and as the loop makes of it once it has locked."""
    filtered = loop_errors(taken, errors)
    in_sd = _deviation(errors[LOCK_TICKS:])
    out_sd = _deviation(filtered)
    rests = [abs(error - offset) for error in errors]
    middle = percentile(filtered, 0.5)
    return {
        "ticks": float(len(taken.ticks)),
        "ticks_lost": float(taken.ticks_sent - len(taken.ticks)),
        "clock_offset_ms": 1000 * offset if errors else None,
        "clock_sd_ms": _ms(in_sd),
        "clock_p99_ms": _ms(percentile(rests, 0.99) if rests else None),
        "loop_sd_ms": _ms(out_sd),
        "loop_p99_ms": _ms(
            percentile([abs(e - middle) for e in filtered], 0.99) if filtered else None
        ),
        "loop_ratio": out_sd / in_sd if in_sd and out_sd is not None else None,
    }


def loop_errors(taken: Taken, errors: Sequence[float]) -> list[float]:
    """The loop's time of each tick less its place on the grid, once it has locked."""
    follower = Follower()
    found = []
    for number, (time, error) in enumerate(zip(taken.ticks, errors, strict=True)):
        follower.tick(time, is_first=number == 0)
        if number >= LOCK_TICKS:
            found.append(follower.time_of(follower.count) - (time - error))
    return found


def place_figures(taken: Taken, offset: float, is_heard_exactly: bool) -> Figures:
    """Notes against their places: as received, and those that begin an answer against the line.

    The constant time that the clock takes to arrive is taken out: a setting makes up for it.
    """
    step_s = taken.piece.tick_s * TICKS_PER_STEP
    zero = taken.origin + offset
    steps = [round((due + taken.ahead_s - zero) / step_s) for due in taken.due]
    is_paired = len(taken.received) == len(taken.sent)
    received = (
        [time - zero - step * step_s for time, step in zip(taken.received, steps, strict=True)]
        if is_paired
        else []
    )
    at_port = [
        time + taken.ahead_s - zero - step * step_s
        for time, step in zip(taken.sent, steps, strict=True)
    ]
    judged = received if is_heard_exactly else at_port
    firsts = [judged[n] for n in first_notes(taken.piece, steps)] if judged else []
    middle = percentile(received, 0.5)
    return {
        "received_p50_ms": _ms(middle if received else None),
        "received_p99_ms": _ms(
            percentile([abs(e - middle) for e in received], 0.99) if received else None
        ),
        "firsts": float(len(firsts)),
        "first_p50_ms": _ms(percentile(firsts, 0.5) if firsts else None),
        "first_min_ms": _ms(min(firsts, default=None)),
        "first_max_ms": _ms(max(firsts, default=None)),
        "first_p99_ms": _ms(percentile(map(abs, firsts), 0.99) if firsts else None),
    }


def first_notes(piece: Piece, steps: Sequence[int]) -> list[int]:
    """Which notes begin an answer: the index of the first of each round's."""
    first: dict[int, int] = {}
    for index, step in enumerate(steps):
        number = piece.round_at(step)
        if number is not None:
            first.setdefault(number, index)
    return list(first.values())


def plan_figures(taken: Taken) -> Figures:
    """What became of the answers that were due.

    Input satisfaction: of the steps of all answers that were called for, those for which a plan
    was ready and no note of which was too late. Staleness: of the measures answered, those whose
    plan was made of less than was known at the freeze.
    """
    before, after, piece = taken.before, taken.after, taken.piece
    answered = after.measures_answered - before.measures_answered
    late = after.late - before.late
    rounds = rounds_over(taken)
    wanted = rounds * piece.answer_measures
    stale = after.measures_stale - before.measures_stale
    steps = piece.meter.steps
    had = max(0, min(answered, wanted) * steps - late)
    return {
        "response_p50_ms": _at(taken.response_ms, 0.5),
        "response_p95_ms": _at(taken.response_ms, 0.95),
        "response_max_ms": max(taken.response_ms, default=None),
        "lead_ms": after.plan_lead_ms,
        "drafts": float(after.candidates),
        "answers_wanted": float(wanted),
        "answered": float(answered),
        "missed": float(after.measures_missed - before.measures_missed),
        "satisfaction": had / (wanted * steps) if wanted else None,
        "staleness": stale / answered if answered else None,
        "dropped": float(after.notes_dropped - before.notes_dropped),
        "late": float(late),
    }


def rounds_over(taken: Taken) -> int:
    """How many rounds were played to their end; all, unless the check was cut short."""
    measures = taken.ticks_sent // taken.piece.meter.ticks - LEAD_IN
    return max(0, min(taken.piece.rounds, measures // taken.piece.round_measures))


def cost_figures(costs: Sequence[Cost]) -> Figures:
    """Shares of a core while only the clock runs and while both play, memory in MiB."""
    idle = _shares(costs[0], costs[1]) if len(costs) > 1 else (None, None)
    playing = _shares(costs[1], costs[-1]) if len(costs) > 2 else (None, None)
    last = costs[-1] if costs else Cost(0.0, Usage(), Usage())
    return {
        "daemon_idle_percent": idle[0],
        "daemon_percent": playing[0],
        "model_percent": playing[1],
        "daemon_mb": last.daemon.memory_mb,
        "daemon_shared_mb": last.daemon.shared_mb,
        "model_mb": last.model.memory_mb,
    }


def _shares(begin: Cost, end: Cost) -> tuple[float | None, float | None]:
    passed = end.time - begin.time
    return (
        _share(begin.daemon.cpu_s, end.daemon.cpu_s, passed),
        _share(begin.model.cpu_s, end.model.cpu_s, passed),
    )


def _share(begin: float | None, end: float | None, passed: float) -> float | None:
    if begin is None or end is None or end < begin or passed <= 0:
        return None
    return 100 * (end - begin) / passed


def _at(values: Sequence[float], share: float) -> float | None:
    return percentile(values, share) if values else None


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else 1000 * seconds


def _deviation(values: Sequence[float]) -> float | None:
    if len(values) < 2:
        return None
    mean = sum(values) / len(values)
    return sqrt(sum((value - mean) ** 2 for value in values) / len(values))
