"""A running daemon's figures as text to read. Pure; what is not known is a dash."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Figures = Mapping[str, Any]


def status_text(figures: Figures) -> str:
    """Some lines, of what reporter.py publishes."""
    session = figures["session"]
    rows = {
        "daemon": f"ports '{figures['name']} in' and '{figures['name']} out', "
        f"process {figures['pid']}, up {_duration(figures['uptime_s'])}",
        "music": _music(session),
        "clock": _clock(figures),
        "notes": f"{session['notes_heard']} heard, {session['notes_sent']} sent, "
        f"{session['notes_dropped']} dropped ({session['late']} of them late), "
        f"{len(session['sounding'])} sounding",
        "lateness": _spread(figures["lateness_ms"], 2)
        + (", real-time priority" if figures["is_real_time"] else ""),
        "answers": f"{session['measures_answered']} measures, {session['measures_missed']} missed, "
        f"{session['measures_stale']} stale; input satisfaction "
        f"{_number(figures['satisfaction'], 3)}, staleness {_number(figures['staleness'], 4)}",
        "plans": f"{session['plans_asked']} asked, {session['plans_late']} late, "
        f"{session['plans_failed']} failed; response {_spread(figures['response_ms'], 1)}; "
        f"lead {_number(session['plan_lead_ms'], 0)} ms; {session['candidates']} drafts",
        "costs": f"daemon {_cost(figures['daemon'])}; "
        f"model{_on(figures['device'])} {_cost(figures['model'])}",
    }
    return "\n".join(f"{name:<10}{text}" for name, text in rows.items())


def _music(session: Figures) -> str:
    where = "transport stopped"
    if session["measure"] is not None:
        where = f"measure {session['measure']}, step {session['step']}"
    model = "" if session["is_model_ready"] else ", the model is not ready"
    return (
        f"{session['mode']}, {where}, meter {session['meter']}, preset {session['preset']}{model}"
    )


def _clock(figures: Figures) -> str:
    session, jitter = figures["session"], figures["clock_ms"]
    return (
        f"{session['clock']}, {session['tempo']:.2f} bpm, {session['ticks_lost']} ticks lost; "
        f"jitter {_number(jitter['before'], 3)} ms, after the loop {_number(jitter['after'], 3)} ms"
    )


def _spread(values: Figures, digits: int) -> str:
    told = ", ".join(f"{name} {_number(value, digits)}" for name, value in values.items())
    return f"{told} ms"


def _cost(cost: Figures) -> str:
    share = None if cost["cpu"] is None else 100 * cost["cpu"]
    shared = f" (and {cost['shared_mb']:.0f} MB shared)" if cost["shared_mb"] else ""
    return f"{_number(share, 1)} % of a core, {_number(cost['memory_mb'], 0)} MB{shared}"


def _on(device: str) -> str:
    return f" on {device}" if device else ""


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
