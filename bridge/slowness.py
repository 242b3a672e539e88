"""What it means to play with a checkpoint that plans slowly, in a line. Pure.

asked                         freeze   line
  |---- heard and answered -----|--------|
  what is played from here on is only heard for the measure after
"""

from __future__ import annotations

from bridge.lead import SAFETY
from pianogen.grid import STEPS_PER_BEAT, Meter

SLOW_MS = 100.0  # what hearing and answering a measure, once warm, may take without a word
HALF_STEP = 0.5


def slowness(
    name: str, measure_ms: float, bpm: float, meter: Meter, device: str = "cpu"
) -> str | None:
    """A line for people where a checkpoint is slow on a device; None where it is quick enough."""
    if measure_ms <= SLOW_MS:
        return None
    takes = (
        f"checkpoint {name} is slow here: a measure takes {measure_ms:.0f} ms to be heard and "
        f"answered, more than {SLOW_MS:.0f}"
    )
    step_ms = 60_000 / (bpm * STEPS_PER_BEAT)
    steps = SAFETY * measure_ms / step_ms + HALF_STEP
    if steps >= meter.steps:
        means = f"at {bpm:.0f} bpm that is longer than a measure, and answers will be missing"
    else:
        means = (
            f"at {bpm:.0f} bpm an answer knows nothing of your last {steps:.1f} steps of "
            f"{meter.steps} before it"
        )
    other = "`--device cuda` or another checkpoint" if device == "cpu" else "another checkpoint"
    return f"{takes}; {means}: play slower, or with {other}"
