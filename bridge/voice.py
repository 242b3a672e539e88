"""How a plan sounds with a preset: channel, octave, loudness, latency."""

from __future__ import annotations

from bridge.presets import Preset
from bridge.scheduler import Booking
from pianogen.grid import PITCHES, TICKS_PER_STEP, Measure

OCTAVE = 12


def folded(pitch: int) -> int:
    """A pitch brought into 0..127 by octaves."""
    while pitch >= PITCHES:
        pitch -= OCTAVE
    while pitch < 0:
        pitch += OCTAVE
    return pitch


def bookings(plan: Measure, line: float, preset: Preset, latency_s: float) -> list[Booking]:
    """A plan's notes as they are to be sent; `line` is the measure line in ticks of the run."""
    booked: dict[tuple[int, int], Booking] = {}
    for note in plan.notes:
        pitch = folded(note.pitch + OCTAVE * preset.octave_shift)
        start = line + note.onset * TICKS_PER_STEP
        booking = Booking(
            start=start,
            end=start + note.duration * TICKS_PER_STEP,
            channel=preset.channel - 1,
            pitch=pitch,
            velocity=min(max(round(note.velocity * preset.velocity_scale), 1), 127),
            latency_s=latency_s,
            limit_s=preset.late_limit_ms / 1000,
        )
        twin = booked.get((note.onset, pitch))  # two octaves folded into one: the longer stays
        if twin is None or twin.end < booking.end:
            booked[note.onset, pitch] = booking
    return list(booked.values())
