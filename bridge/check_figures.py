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

from collections import deque
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
USUAL_TICKS = 8  # so many arrivals tell where the next is to be expected

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
    xruns: cycles that the audio server missed meanwhile; None where there is none to tell.
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
    xruns: int | None = None


def figures(taken: Taken, *, is_heard_exactly: bool) -> Figures:
    """Everything that is told of a piece.

    is_heard_exactly: notes go out by the port's own time, not when they are handed to it: what
    begins an answer is then judged where it is received, else where it is sent.
    """
    came = arrivals(taken.ticks, taken.origin, taken.piece.tick_s, taken.ticks_sent)
    offset = percentile([arrival.error for arrival in came], 0.5)
    late_ms = [1000 * (sent - due) for due, sent in zip(taken.due, taken.sent, strict=True)]
    return {
        "source_p99_ms": _at(taken.source_late_ms, 0.99),
        **clock_figures(taken, came, offset),
        "notes": float(len(taken.due)),
        "late_p50_ms": _at(late_ms, 0.5),
        "late_p99_ms": _at(late_ms, 0.99),
        "late_p999_ms": _at(late_ms, 0.999),
        "late_max_ms": max(late_ms, default=None),
        **place_figures(taken, offset, is_heard_exactly),
        **plan_figures(taken),
        "unheard": float(len(taken.sent) - len(taken.received)),
        "left_sounding": float(taken.left_sounding),
        "xruns": None if taken.xruns is None else float(taken.xruns),
        **cost_figures(taken.costs),
    }


@dataclass(frozen=True, slots=True)
class Arrival:
    """A tick that came: which of the grid it is, and how long after its place, in seconds."""

    number: int
    error: float


def arrivals(ticks: Sequence[float], origin: float, tick_s: float, sent: int) -> list[Arrival]:
    """Each arrival with its number on the grid.

    By counting, where that leads from the first to the last without a break; else some were lost
    or came twice, and each is taken for that which lies nearest, seen from those before it.
    """
    plain = [Arrival(n, time - origin - n * tick_s) for n, time in enumerate(ticks)]
    if not plain or (len(plain) == sent and abs(_drift(plain)) < tick_s / 2):
        return plain
    found: list[Arrival] = []
    usual: deque[float] = deque([plain[0].error], maxlen=USUAL_TICKS)
    for time in ticks:
        place = time - origin
        number = max(0, round((place - sum(usual) / len(usual)) / tick_s))
        found.append(Arrival(number, place - number * tick_s))
        usual.append(found[-1].error)
    return found


def _drift(plain: Sequence[Arrival]) -> float:
    """By how much the last arrivals are later than the first, in seconds."""
    first, last = ([a.error for a in part] for part in (plain[:PPQN], plain[-PPQN:]))
    return percentile(last, 0.5) - percentile(first, 0.5)


def clock_figures(taken: Taken, came: Sequence[Arrival], offset: float) -> Figures:
    """The clock as it comes in, and as the loop makes of it once it has locked."""
    errors = [arrival.error for arrival in came]
    distinct = len({arrival.number for arrival in came})
    filtered, slipped = loop_errors(taken, came, offset)
    in_sd, out_sd = _deviation(errors[LOCK_TICKS:]), _deviation(filtered)
    return {
        "ticks": float(len(came)),
        "ticks_lost": float(taken.ticks_sent - distinct),
        "ticks_doubled": float(len(came) - distinct),
        "clock_offset_ms": _ms(offset) if errors else None,
        "clock_sd_ms": _ms(in_sd),
        "clock_p99_ms": _around(errors, 0.99),
        "loop_sd_ms": _ms(out_sd),
        "loop_p99_ms": _around(filtered, 0.99),
        "loop_ratio": out_sd / in_sd if in_sd and out_sd is not None else None,
        "loop_slips": float(slipped),
    }


def loop_errors(taken: Taken, came: Sequence[Arrival], offset: float) -> tuple[list[float], int]:
    """The loop's time of each tick less its place on the grid, once it has locked; and by how
    many ticks its count is off in the end."""
    follower, tick_s = Follower(), taken.piece.tick_s
    found: list[float] = []
    off = 0
    for place, (time, arrival) in enumerate(zip(taken.ticks, came, strict=True)):
        follower.tick(time, is_first=place == 0)
        if place >= LOCK_TICKS:
            away = follower.time_of(follower.count) - taken.origin - offset
            found.append(away - round(away / tick_s) * tick_s)
        off = follower.count - 1 - arrival.number
    return found, abs(off)


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
    return {
        "received_p50_ms": _ms(percentile(received, 0.5) if received else None),
        "received_p99_ms": _around(received, 0.99),
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


def _around(values: Sequence[float], share: float) -> float | None:
    """How far from their middle `share` of the values lie at most; seconds to milliseconds."""
    if not values:
        return None
    middle = percentile(values, 0.5)
    return 1000 * percentile([abs(value - middle) for value in values], share)


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else 1000 * seconds


def _deviation(values: Sequence[float]) -> float | None:
    if len(values) < 2:
        return None
    mean = sum(values) / len(values)
    return sqrt(sum((value - mean) ** 2 for value in values) / len(values))
