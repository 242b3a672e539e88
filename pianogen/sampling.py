"""How a continuation is drawn: temperatures, polyphony and range. Pure; knows no model."""

from __future__ import annotations

from dataclasses import dataclass

from pianogen.errors import ConfigError
from pianogen.grid import PITCHES


@dataclass(frozen=True, slots=True)
class Sampling:
    """What a player may turn while the machine plays.

    Temperatures are greater than 0 (1 draws as the model believes, lower is safer).
    max_polyphony: notes sounding at once, 1..32; the oldest gives way.
    low_pitch..high_pitch: the range notes are drawn from, both included, 0..127.
    """

    temperature: float = 0.8  # which pitches
    velocity_temperature: float = 0.3
    rhythm_temperature: float = 0.5  # when the next onset comes
    duration_temperature: float = 0.6
    max_polyphony: int = 6
    low_pitch: int = 21
    high_pitch: int = 108

    def __post_init__(self) -> None:
        for name in (
            "temperature",
            "velocity_temperature",
            "rhythm_temperature",
            "duration_temperature",
        ):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name} must be greater than 0, is {getattr(self, name):g}")
        if not 1 <= self.max_polyphony <= 32:
            raise ConfigError(f"max_polyphony must be 1 to 32, is {self.max_polyphony}")
        if not 0 <= self.low_pitch <= self.high_pitch < PITCHES:
            raise ConfigError(
                f"the range must lie in 0..127, low before high: "
                f"is {self.low_pitch}..{self.high_pitch}"
            )
