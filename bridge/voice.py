"""How a plan sounds with a preset: channel, octave, loudness, pedal, latency."""

from __future__ import annotations

from statistics import fmean

from bridge.pedalling import strokes
from bridge.presets import Preset
from bridge.scheduler import Booked, Booking
from pianogen.grid import PITCHES, TICKS_PER_STEP, Measure

OCTAVE = 12


def folded(pitch: int) -> int:
    """A pitch brought into 0..127 by octaves."""
    while pitch >= PITCHES:
        pitch -= OCTAVE
    while pitch < 0:
        pitch += OCTAVE
    return pitch


def voiced(
    plan: Measure, line: float, preset: Preset, latency_s: float, loudness: float | None = None
) -> list[Booked]:
    """A plan as it is to be sent, with its pedal; as `bookings` otherwise."""
    notes = bookings(plan, line, preset, latency_s, loudness)
    if preset.pedal == "none":
        return [*notes]
    return [*notes, *strokes(notes, line + plan.meter.ticks)]


def bookings(
    plan: Measure, line: float, preset: Preset, latency_s: float, loudness: float | None = None
) -> list[Booking]:
    """A plan's notes as they are to be sent.

    line: the measure line in ticks of the run. loudness: the velocity at which the performer plays
    (1..127), where that is known.
    """
    scale = preset.velocity_scale * followed(plan, preset.velocity_follow, loudness)
    booked: dict[tuple[int, int], Booking] = {}
    for note in plan.notes:
        pitch = folded(note.pitch + OCTAVE * preset.octave_shift)
        start = line + note.onset * TICKS_PER_STEP
        booking = Booking(
            start=start,
            end=start + note.duration * TICKS_PER_STEP,
            channel=preset.channel - 1,
            pitch=pitch,
            velocity=min(max(round(note.velocity * scale), 1), 127),
            latency_s=latency_s,
            limit_s=preset.late_limit_ms / 1000,
        )
        twin = booked.get((note.onset, pitch))  # two octaves folded into one: the longer stays
        if twin is None or twin.end < booking.end:
            booked[note.onset, pitch] = booking
    return list(booked.values())


def followed(plan: Measure, share: float, loudness: float | None) -> float:
    """By how much a plan is louder where its mean velocity goes `share` of the way to `loudness`.

    One factor for all its notes: louder and softer stay in proportion, so accents stay accents.
    """
    if share == 0 or loudness is None or not plan.notes:
        return 1.0
    return 1.0 + share * (loudness / fmean(note.velocity for note in plan.notes) - 1.0)
