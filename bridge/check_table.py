"""What a check found, as a table with bars and as a verdict in words. Pure.

Every row has a figure a tempo; where it has a bar, each figure is marked. Rows that weigh decide
whether the machine is on time here; the others tell what it costs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from bridge.check_figures import Figures
from bridge.jack_frames import MARGIN_S

LABEL, CELL = 46, 13  # characters
GOOD, BAD = " ok", " !!"
PORTS_S, IDLE_PERCENT, DAEMON_MB = 0.5, 3.0, 60.0
LOOP_SHARE, LOOP_FLOOR_MS = 0.2, 0.1  # of the input's jitter; less than that is no matter
LATE_MS, LATE_FIRST_IN_LINE_MS = 1.0, 0.3  # without real-time priority, with it
EXACT_MS = 0.05  # by frame


@dataclass(frozen=True, slots=True)
class Setting:
    """Under which conditions a tempo was checked: what the bars depend on.

    is_exact: notes go out at the frame they are due at.
    """

    bpm: float
    is_real_time: bool
    is_exact: bool


Bar: TypeAlias = Callable[[Setting, Figures], float]


@dataclass(frozen=True, slots=True)
class Row:
    """One figure: its name, what it is, its digits, and its bar: at most, or at least, so much."""

    key: str
    text: str
    digits: int = 3
    bar: Bar | None = None
    at_least: bool = False
    weighs: bool = True

    def is_met(self, setting: Setting, figures: Figures) -> bool | None:
        """Whether the bar is met; None where there is none, or nothing to hold to it."""
        value = figures.get(self.key)
        if self.bar is None or value is None:
            return None
        bar = self.bar(setting, figures)
        return value >= bar if self.at_least else value <= bar


def _zero(_setting: Setting, _figures: Figures) -> float:
    return 0.0


def _late(setting: Setting, _figures: Figures) -> float:
    if setting.is_exact:
        return 1000 * MARGIN_S  # handed over sooner, it finds its frame
    return LATE_FIRST_IN_LINE_MS if setting.is_real_time else LATE_MS


def _first(setting: Setting, figures: Figures) -> float:
    if setting.is_exact:
        return EXACT_MS + _loop(setting, figures)
    return _late(setting, figures)


def _loop(_setting: Setting, figures: Figures) -> float:
    return max(LOOP_SHARE * (figures.get("clock_sd_ms") or 0.0), LOOP_FLOOR_MS)


def _idle(setting: Setting, _figures: Figures) -> float:
    return IDLE_PERCENT * max(1.0, setting.bpm / 120)


GROUPS: Mapping[str, Sequence[Row]] = {
    "clock as it comes in": (
        Row("source_p99_ms", "the source's own lateness, p99, ms"),
        Row("clock_offset_ms", "constant part (taken out below), ms"),
        Row("clock_sd_ms", "jitter, standard deviation, ms"),
        Row("clock_p99_ms", "jitter, p99, ms"),
        Row("ticks_lost", "ticks lost", 0, _zero),
        Row("ticks_doubled", "ticks that came twice", 0, _zero),
        Row("xruns", "cycles the audio server missed (xruns)", 0),
    ),
    "clock after the loop": (
        Row("loop_sd_ms", "error against the true grid, sd, ms", 3, _loop),
        Row("loop_p99_ms", "error, p99, ms"),
        Row("loop_ratio", "sd after : before"),
        Row("loop_slips", "ticks its count is off in the end", 0, _zero),
    ),
    "notes at the port: sent after they were due": (
        Row("notes", "notes", 0),
        Row("late_p50_ms", "p50, ms"),
        Row("late_p99_ms", "p99, ms", 3, _late),
        Row("late_p999_ms", "p99.9, ms"),
        Row("late_max_ms", "max, ms"),
    ),
    "notes against the true grid": (
        Row("first_p50_ms", "first of an answer, p50, ms"),
        Row("first_p99_ms", "first of an answer, p99 of the distance, ms", 3, _first),
        Row("first_min_ms", "first of an answer, earliest, ms"),
        Row("first_max_ms", "first of an answer, latest, ms"),
        Row("received_p50_ms", "as received: constant part, ms"),
        Row("received_p99_ms", "as received: p99 around it, ms"),
    ),
    "answers": (
        Row("response_p50_ms", "the model's response, p50, ms", 1),
        Row("response_p95_ms", "the model's response, p95, ms", 1),
        Row("response_max_ms", "the model's response, max, ms", 1),
        Row("lead_ms", "asked so long before the freeze, ms", 0),
        Row("drafts", "drafts of the newest answer", 0),
        Row("answers_wanted", "measures to answer", 0),
        Row("satisfaction", "input satisfaction", 3, lambda *_: 1.0, at_least=True),
        Row("staleness", "staleness", 4, _zero),
        Row("missed", "measures without a plan", 0, _zero),
        Row("dropped", "notes dropped", 0, _zero),
        Row("late", "of these, too late", 0, _zero),
        Row("unheard", "notes sent and not received", 0, _zero),
        Row("left_sounding", "notes left sounding", 0, _zero),
    ),
    "what it costs": (
        Row("daemon_idle_percent", "daemon, nothing played, % of a core", 1, _idle, weighs=False),
        Row("daemon_percent", "daemon, playing, % of a core", 1),
        Row("model_percent", "model, playing, % of a core", 1),
        Row("daemon_mb", "daemon, memory, MB", 0, lambda *_: DAEMON_MB, weighs=False),
        Row("daemon_shared_mb", "daemon, shared with a server, MB", 0),
        Row("model_mb", "model, memory, MB", 0),
    ),
}


@dataclass(frozen=True, slots=True)
class Report:
    """A whole check. columns: each tempo's setting and figures. label: of the ports.

    *_after_s: since the process was started. load: how many processes wanted a processor before
    it began, over a minute. cores: processors there are.
    """

    columns: Sequence[tuple[Setting, Figures]]
    label: str
    way: str
    preset: str
    device: str
    ports_after_s: float | None
    ready_after_s: float | None
    load: float | None
    cores: int | None

    @property
    def is_fine(self) -> bool:
        """Whether everything that weighs is met, and there is something to tell by."""
        return not failed(self) and any(figures["answered"] for _, figures in self.columns)


def failed(report: Report, *, weighs: bool = True) -> list[tuple[Row, Setting, Figures]]:
    """Every bar that is not met, of the rows that weigh or of those that do not."""
    rows = [row for group in GROUPS.values() for row in group if row.weighs is weighs]
    return [
        (row, setting, figures)
        for row in rows
        for setting, figures in report.columns
        if row.is_met(setting, figures) is False
    ]


def table(report: Report) -> str:
    """The figures to read, a column a tempo, and the bars."""
    lines = [*_about(report), "", _heading(report)]
    for title, rows in GROUPS.items():
        told = [row for row in rows if any(f.get(row.key) is not None for _, f in report.columns)]
        if told:
            lines += [title, *(_line(row, report) for row in told)]
    return "\n".join(line.rstrip() for line in lines)


def _about(report: Report) -> Iterator[str]:
    is_first = any(setting.is_real_time for setting, _ in report.columns)
    yield f"through {report.label}; preset {report.preset}, model on {report.device or '-'}"
    late = report.ports_after_s is not None and report.ports_after_s > PORTS_S
    mark = "" if report.ports_after_s is None else BAD if late else GOOD
    yield (
        f"ports after {_number(report.ports_after_s, 2)} s{mark} (at most {PORTS_S:g}), "
        f"model ready after {_number(report.ready_after_s, 1)} s"
    )
    load = _number(report.load, 1)
    priority = "real-time priority" if is_first else "no real-time priority"
    yield f"load average before {load} on {report.cores or '-'} processors; {priority}"


def _heading(report: Report) -> str:
    tempi = "".join(f"{f'{setting.bpm:g} bpm':>{CELL - 3}}   " for setting, _ in report.columns)
    return f"{'':{LABEL}}{tempi} bar"


def _line(row: Row, report: Report) -> str:
    cells = ""
    for setting, figures in report.columns:
        mark = {None: "   ", True: GOOD, False: BAD}[row.is_met(setting, figures)]
        cells += f"{_number(figures.get(row.key), row.digits):>{CELL - 3}}{mark}"
    return f"  {row.text:{LABEL - 2}}{cells} {_bar(row, report)}"


def _bar(row: Row, report: Report) -> str:
    if row.bar is None:
        return ""
    bars = dict.fromkeys(f"{row.bar(setting, figures):.3g}" for setting, figures in report.columns)
    return f"{'at least' if row.at_least else 'at most'} {', '.join(bars)}"


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
