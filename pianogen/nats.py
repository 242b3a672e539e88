"""Sums of negative log-likelihood over windows of music, and the figures they come to."""

from __future__ import annotations

from collections.abc import Iterable

from pianogen.windowed import Floats, Windowed

Sums = dict[str, float]


def note_sums(
    windows: Windowed, *, note: float, onset: float, velocity: Floats, duration: float
) -> Sums:
    """Sums of nats over windows of music, and what they are to be divided by."""
    weight = windows.weight[windows.window]
    played, printed = weight == 1, (weight > 0) & (weight < 1)
    return {
        "note": note,
        "onset": onset,
        "velocity": float((velocity * weight).sum()),
        "velocity_weight": float(weight.sum()),
        "velocity_played": float(velocity[played].sum()),
        "played": float(played.sum()),
        "velocity_printed": float(velocity[printed].sum()),
        "printed": float(printed.sum()),
        "duration": duration,
        "notes": float(len(windows.key)),
        "steps": float(windows.shape[0] * windows.shape[1]),
    }


def total(parts: Iterable[Sums]) -> Sums:
    """Sums of sums."""
    whole: Sums = {}
    for part in parts:
        for name, value in part.items():
            whole[name] = whole.get(name, 0.0) + value
    return whole


def nats_a_note(sums: Sums) -> dict[str, float]:
    """Figures in nats a note; velocity weighted as in training, then where it was played
    (recorded, or edited by hand), then where it follows printed dynamics."""
    notes = max(sums["notes"], 1.0)
    return {
        "pitch and timing": (sums["note"] + sums["onset"]) / notes,
        "  pitch": sums["note"] / notes,
        "  timing": sums["onset"] / notes,
        "velocity, weighted": _ratio(sums["velocity"], sums["velocity_weight"]),
        "velocity, where played": _ratio(sums["velocity_played"], sums["played"]),
        "velocity, where printed": _ratio(sums["velocity_printed"], sums["printed"]),
        "duration": sums["duration"] / notes,
    }


def _ratio(a: float, b: float) -> float:
    return a / b if b else float("nan")
