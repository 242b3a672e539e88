"""A check's verdict in words: what is wrong, and what to change. Pure; each follows from a row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from bridge.check_figures import Figures
from bridge.check_table import (
    DAEMON_MB,
    IDLE_PERCENT,
    PORTS_S,
    Report,
    Setting,
    failed,
)

SOURCE_MS = 2.0  # a source this late says that the machine is too busy to be judged by
HALF_STEP_BEATS = 1 / 16


def verdict(report: Report) -> list[str]:
    """One line that says it all, then a line for each thing to change."""
    columns = list(report.columns)
    if not any(figures["answered"] for _, figures in columns):
        return ["There is nothing to judge: no measure was answered."]
    bad = {setting.bpm for _, setting, _ in failed(report)}
    good = [figures for setting, figures in columns if setting.bpm not in bad]
    lines = [f"Not on time here at {_list(bad)} bpm:"] if bad else []
    for setting, figures in columns:
        lines += [f"- {setting.bpm:g} bpm: {text}" for text in _advice(report, setting, figures)]
    if good:
        tempi = _list(setting.bpm for setting, _ in columns if setting.bpm not in bad)
        worst_ms = max(figures["late_p99_ms"] or 0.0 for figures in good)
        answered = sum(figures["answered"] or 0.0 for figures in good)
        lines.append(
            f"On time here at {tempi} bpm: all {answered:.0f} measures were answered, "
            f"99 of 100 notes went out within {worst_ms:.2f} ms of their time."
        )
    return [*lines, *(f"- {text}" for text in _costs(report))]


def _list(tempi: Iterable[float]) -> str:
    return ", ".join(f"{bpm:g}" for bpm in sorted(tempi))


def _advice(report: Report, setting: Setting, figures: Figures) -> Iterator[str]:
    """What to change at one tempo, the cause before what follows from it."""
    missed = {row.key for row, of, _ in failed(report) if of is setting}
    if missed and (figures["source_p99_ms"] or 0.0) > SOURCE_MS:
        yield (
            f"the machine is too busy: the check's own clock went out up to "
            f"{figures['source_p99_ms']:.1f} ms late (p99). Close what competes and check again."
        )
    if missed & {"ticks_lost", "ticks_doubled", "loop_slips"}:
        xruns = f" ({figures['xruns']:.0f} xruns)" if figures["xruns"] else ""
        yield (
            f"{figures['ticks_lost']:.0f} clocks were lost on the way and "
            f"{figures['ticks_doubled']:.0f} came twice{xruns}, the count is off by "
            f"{figures['loop_slips']:.0f}: give the MIDI or JACK server real-time priority, or a "
            "larger buffer if it has dropouts."
        )
    if "loop_sd_ms" in missed:
        yield (
            f"the clock comes in with {figures['clock_sd_ms']:.2f} ms of jitter and the loop "
            f"leaves {figures['loop_sd_ms']:.2f}: use a buffer of 256 frames or fewer"
            f"{_jack(report)}."
        )
    yield from _advice_on_notes(report, setting, figures, missed)
    yield from _advice_on_answers(setting, figures, missed)


def _advice_on_notes(
    report: Report, setting: Setting, figures: Figures, missed: set[str]
) -> Iterator[str]:
    if "late_p99_ms" in missed:
        change = (
            "close what keeps the processors busy"
            if setting.is_real_time
            else "allow real-time priority (`@audio - rtprio 95` in /etc/security/limits.d on "
            "Linux), or close what keeps the processors busy"
        )
        yield f"notes go out late (p99 {figures['late_p99_ms']:.2f} ms): {change}."
    if "first_p99_ms" in missed and not {"late_p99_ms", "loop_sd_ms"} & missed:
        yield (
            f"answers begin up to {figures['first_p99_ms']:.2f} ms from the line: the clock's "
            f"error reaches the notes; use a smaller buffer{_jack(report)}."
        )
    if "unheard" in missed:
        yield (
            f"{figures['unheard']:.0f} notes were sent and never arrived: the MIDI system drops "
            "messages; give it a larger buffer, or start it anew."
        )
    if "left_sounding" in missed:
        yield (
            f"{figures['left_sounding']:.0f} notes were left sounding: this must not be; please "
            "report it, with the table."
        )


def _advice_on_answers(setting: Setting, figures: Figures, missed: set[str]) -> Iterator[str]:
    response = figures["response_p95_ms"] or 0.0
    faster = "`candidates: 1` in the preset, `--device cuda`, or a slower tempo"
    if missed & {"satisfaction", "missed"}:
        yield (
            f"{figures['answered']:.0f} of {figures['answers_wanted']:.0f} measures were "
            f"answered; the model needs {response:.0f} ms (p95): {faster}."
        )
    if "staleness" in missed:
        half_step = 1000 * HALF_STEP_BEATS * 60 / setting.bpm
        yield (
            f"{100 * (figures['staleness'] or 0):.1f} % of the answers did not know what was "
            f"played last: a plan has {half_step:.0f} ms after the freeze, "
            f"and the model needs {response:.0f} ms (p95): {faster}."
        )
    if "dropped" in missed and not missed & {"satisfaction", "missed"}:
        yield (
            f"{figures['dropped']:.0f} notes were dropped, {figures['late']:.0f} of them for "
            "being too late: close what keeps the processors busy."
        )


def _costs(report: Report) -> Iterator[str]:
    """What is above its bar and disturbs nobody."""
    if report.ports_after_s is not None and report.ports_after_s > PORTS_S:
        yield (
            f"the ports were there after {report.ports_after_s:.2f} s, later than the "
            f"{PORTS_S:g} s aimed at: harmless, where the bridge is started before the DAW."
        )
    for row, setting, figures in failed(report, weighs=False):
        value = figures[row.key]
        bar = DAEMON_MB if row.key == "daemon_mb" else IDLE_PERCENT
        yield (
            f"{row.text}: {value:.1f} at {setting.bpm:g} bpm, above the {bar:g} aimed at; "
            "it is on time all the same."
        )


def _jack(report: Report) -> str:
    is_jack = report.way == "rtmidi" and "JACK" in report.label.upper()
    return ", or the extra `jack` (pip install 'pianogen[jack]')" if is_jack else ""
