"""A made-up family: plays what it heard some measures ago, and believes in pitch classes alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from pianogen.checkpoint import Checkpoint, save
from pianogen.families.flat_notes import Notes
from pianogen.families.trained import Trained
from pianogen.families.voice import Voice
from pianogen.family import Family
from pianogen.grid import Measure, Meter
from pianogen.losses import Losses, Term
from pianogen.sampling import Sampling

PARROT = Family("tests.parrot:ParrotConfig", "tests.parrot:Parrot", "tests.parrot:load")


@dataclass(frozen=True)
class ParrotConfig:
    back: int = 1  # measures


class Parrot(Trained):
    WEIGHTS: ClassVar = {"pitch_class": 1.0}
    FIGURES = ("pitch_class", "guessed", "by_chance")
    SIZES = ParrotConfig
    WINDOW = 2

    def __init__(self, config: ParrotConfig) -> None:
        super().__init__()
        self.config = config
        self.odds = nn.Parameter(torch.zeros(12))

    def losses(self, notes: Notes, velocity_weight: Tensor) -> Losses:
        classes = (notes.key + 9) % 12
        logits = self.odds.expand(len(classes), 12)
        return {
            "pitch_class": Term.over(F.cross_entropy(logits, classes, reduction="none")),
            "guessed": Term.over((classes == self.odds.argmax()).float()),
            "by_chance": Term.over(torch.full((len(classes),), 1 / 12)),
        }

    @classmethod
    def derived(cls, figures: Mapping[str, float]) -> dict[str, float]:
        return {"perplexity": math.exp(figures["pitch_class"])}


class ParrotPlayer:
    def __init__(self, back: int) -> None:
        self.back = back

    def empty(self, meter: Meter) -> Any:
        return meter

    def heard(self, past: Any, measure: Measure) -> Any:
        return past

    def played(
        self, past: Any, heard: tuple[Measure, ...], sampling: Sampling, rng: np.random.Generator
    ) -> Measure:
        return heard[-self.back] if len(heard) >= self.back else Measure(past)


def load(config: Mapping[str, Any], weights: Mapping[str, NDArray[Any]], device: str) -> Voice:
    return Voice(ParrotPlayer(config["back"]))


def parrot_file(path: Path, *, back: int = 1, favourite: int | None = None) -> str:
    """A parrot's checkpoint; it believes a favourite pitch class twice as likely as another."""
    odds = np.zeros(12, np.float32)
    if favourite is not None:
        odds[favourite] = math.log(2)
    save(path, Checkpoint("parrot", {"back": back}, {"odds": odds}))
    return str(path)


def half_kept(measures: Sequence[Measure], frame: int) -> dict[str, float]:
    """A round trip that loses every other note, and tells how many frames there were."""
    return {"kept": 0.5, "measures in twos": len(measures) / frame}
