"""Sums of negative log-likelihood over windows of music, and the figures they come to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from pianogen.windowed import Floats, Windowed

Sums = Mapping[str, Floats]  # what is summed, one entry a window (or a piece, or a draw of them)


def note_sums(
    windows: Windowed, *, note: Floats, onset: Floats, velocity: Floats, duration: Floats
) -> Sums:
    """Sums of nats over each window of music, and what they are to be divided by: (B,) each.

    note, onset: (B,) summed already. velocity, duration: (N,), of each note.
    """
    weight = windows.weight[windows.window]
    played, printed = weight == 1, (weight > 0) & (weight < 1)
    of_notes = {
        "velocity": velocity * weight,
        "velocity_weight": weight,
        "velocity_played": velocity * played,
        "played": played,
        "velocity_printed": velocity * printed,
        "printed": printed,
        "duration": duration,
        "notes": np.ones_like(weight),
    }
    steps = np.full(windows.windows, float(windows.shape[1]))
    summed = {name: windows.per_window(values) for name, values in of_notes.items()}
    return {"note": note, "onset": onset, **summed, "steps": steps}


def total(parts: Iterable[Sums]) -> Sums:
    """The sum over all windows of all parts: one number each, as arrays of no dimension."""
    whole: dict[str, Floats] = {}
    for part in parts:
        for name, values in part.items():
            whole[name] = np.asarray(whole.get(name, 0.0) + values.sum())
    return whole


def nats_a_note(sums: Sums) -> dict[str, Floats]:
    """Figures in nats a note, one for each entry of the sums; nan where there is nothing.

    Velocity is weighted as in training, then where it was played (recorded, or edited by hand),
    then where it follows printed dynamics. All parts: pitch and timing, velocity as weighted,
    and duration together.
    """
    notes = sums["notes"]
    pitch, timing = ratio(sums["note"], notes), ratio(sums["onset"], notes)
    velocity = ratio(sums["velocity"], sums["velocity_weight"])
    duration = ratio(sums["duration"], notes)
    return {
        "all parts": pitch + timing + velocity + duration,
        "pitch and timing": pitch + timing,
        "  pitch": pitch,
        "  timing": timing,
        "velocity, weighted": velocity,
        "velocity, where played": ratio(sums["velocity_played"], sums["played"]),
        "velocity, where printed": ratio(sums["velocity_printed"], sums["printed"]),
        "duration": duration,
    }


def ratio(a: Floats, b: Floats) -> Floats:
    """a / b, entry by entry; nan where b is 0."""
    nothing = np.full(np.broadcast_shapes(np.shape(a), np.shape(b)), np.nan)
    return np.asarray(np.divide(a, b, out=nothing, where=np.asarray(b) != 0))
