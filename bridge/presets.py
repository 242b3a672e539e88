"""Presets: what a player switches while playing, read from YAML and checked as a whole."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from pianogen.sampling import Sampling


class Preset(BaseModel):
    """One way of answering. Frozen; every field has a range, unknown fields are errors.

    checkpoint is `default` (the one in the package) or a path to a .safetensors file.
    number is what the preset CC's value or the program change must be to choose it.
    Lengths in measures and beats (quarter notes); channel 1..16 as players count.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1)
    description: str = ""
    number: int = Field(ge=0, le=127)
    checkpoint: str = "default"
    sha256: str | None = None

    temperature: float = Field(0.8, gt=0, le=4)
    velocity_temperature: float = Field(0.3, gt=0, le=4)
    rhythm_temperature: float = Field(0.5, gt=0, le=4)
    duration_temperature: float = Field(0.6, gt=0, le=4)
    max_polyphony: int = Field(6, ge=1, le=32)
    low_pitch: int = Field(21, ge=0, le=127)
    high_pitch: int = Field(108, ge=0, le=127)

    listen_measures: int = Field(4, ge=1, le=32)
    rest_beats: float = Field(1.5, gt=0, le=64)
    answer_measures: int | None = Field(None, ge=1, le=64)

    channel: int = Field(1, ge=1, le=16)
    octave_shift: int = Field(0, ge=-4, le=4)
    velocity_scale: float = Field(1.0, gt=0, le=4)
    latency_ms: float = Field(0.0, ge=-200, le=500)
    late_limit_ms: float = Field(30.0, ge=1, le=1000)

    @property
    def sampling(self) -> Sampling:
        """The part of the preset that the model is asked with."""
        return Sampling(
            temperature=self.temperature,
            velocity_temperature=self.velocity_temperature,
            rhythm_temperature=self.rhythm_temperature,
            duration_temperature=self.duration_temperature,
            max_polyphony=self.max_polyphony,
            low_pitch=self.low_pitch,
            high_pitch=self.high_pitch,
        )
