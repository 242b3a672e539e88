"""How to train: every setting, as a recipe (YAML) gives it and as a run records it (config.json).

    pianogen/recipes/clean.yaml     music whose licences let the weights be shared
    pianogen/recipes/all.yaml       all there is; its weights may not be shared
    pianogen/recipes/FAMILY.yaml    another model family than the hybrid

A recipe says what it is for (`about`), which command prepares its music (`prepare`), and under
`train` any fields of TrainConfig, with the sizes of its `family` under `model` and the fields of
Augmentation under `augmentation`. What it leaves out is the default.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import yaml

from pianogen.dataset import Augmentation
from pianogen.device import Precision
from pianogen.errors import ConfigError, DataError
from pianogen.family import family, part

FOLDER = Path(__file__).parent / "recipes"


@dataclass(frozen=True)
class TrainConfig:
    """How to train. steps: updates in all; batch_steps: grid steps in one; measures: longest
    window. The learning rate rises over `warmup` updates, stays, and falls to 0 over the last
    `decay` share of them. Raises ConfigError for what cannot be.
    """

    family: str = "hybrid"
    steps: int = 4000
    batch_steps: int = 4096
    measures: int = 16
    learning_rate: float = 1.5e-3
    weight_decay: float = 0.02
    warmup: int = 100
    decay: float = 0.35
    clip: float = 1.0
    average: float = 0.998  # of the weights, kept at each update
    seed: int = 0
    validate_every: int = 250
    log_every: int = 10
    device: str = "auto"
    precision: Precision = "auto"
    threads: int = 1
    model: Any = None  # the sizes of the family; None: its defaults
    augmentation: Augmentation = field(default_factory=Augmentation)

    def __post_init__(self) -> None:
        if self.model is None:
            object.__setattr__(self, "model", sizes_of(self.family)())
        counts = (self.steps, self.batch_steps, self.warmup, self.validate_every, self.log_every)
        if min(*counts, self.threads) < 1:
            raise ConfigError("train: steps, batch, threads and intervals must be at least 1")
        if self.measures < 2:
            raise ConfigError(f"train: measures must be at least 2, is {self.measures}")
        if min(self.learning_rate, self.clip) <= 0:
            raise ConfigError("train: learning_rate and clip must be above 0")
        if not (0 <= self.decay <= 1 and 0 <= self.average < 1):
            raise ConfigError("train: decay and average must be shares, 0 to 1")
        if self.precision not in get_args(Precision):
            raise ConfigError(f"train: precision must be one of {', '.join(get_args(Precision))}")

    def rate(self, step: int) -> float:
        """The learning rate of update `step` (from 0)."""
        falling = (self.steps - step) / max(1.0, self.decay * self.steps)
        return self.learning_rate * min((step + 1) / self.warmup, 1.0, max(falling, 0.0))


def sizes_of(name: str) -> type[Any]:
    """The class of a family's sizes; raises ConfigError for a family there is not."""
    sizes: type[Any] = part(family(name).sizes)
    return sizes


@dataclass(frozen=True)
class Recipe:
    """A configuration with a name: what it is for, and the command that prepares its music."""

    about: str = ""
    prepare: str = ""
    train: TrainConfig = field(default_factory=TrainConfig)


def read_recipe(name: str) -> Recipe:
    """The recipe of this name, or in this YAML file; raises ConfigError, naming file and key."""
    ours = {path.stem: path for path in sorted(FOLDER.glob("*.yaml"))}
    path = ours.get(name, Path(name))
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        known = ", ".join(ours)
        raise ConfigError(f"recipe {name!r} is neither one of {known} nor a file") from error
    except (OSError, ValueError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"recipe {path}: cannot be read ({reason})") from error
    recipe: Recipe = _built(Recipe, content, "", f"recipe {path}")
    return recipe


def read_config(out: Path) -> TrainConfig:
    """What a run was started with; raises DataError where there is no run."""
    file = out / "config.json"
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{out}: no run to resume here ({error})") from error
    config: TrainConfig = _built(TrainConfig, content, "", str(file))
    return config


def _built(kind: type[Any], content: object, within: str, where: str) -> Any:
    """A config of plain values, each checked to be known and of its type."""
    if not isinstance(content, Mapping):
        raise ConfigError(f"{where}: {within.rstrip('.') or 'the whole'} must be keys and values")
    types = _types(kind, content, where)
    values = {}
    for key, value in content.items():
        if key not in types:
            known = ", ".join(types)
            raise ConfigError(f"{where}: unknown key {within}{key}; there are {known}")
        values[key] = _checked(types[key], value, f"{within}{key}", where)
    try:
        return kind(**values)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error


def _types(kind: type[Any], content: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The type of each field; of a family's sizes by the family that is named beside them."""
    types = {f.name: get_type_hints(kind)[f.name] for f in fields(kind)}
    if kind is not TrainConfig:
        return types
    try:
        return {**types, "model": sizes_of(str(content.get("family", TrainConfig.family)))}
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error


def _checked(kind: Any, value: object, key: str, where: str) -> Any:
    if is_dataclass(kind):
        return _built(kind, value, f"{key}.", where)  # type: ignore[arg-type]
    if get_origin(kind) is Literal:
        if value in get_args(kind):
            return value
        raise ConfigError(f"{where}: {key} must be one of {', '.join(get_args(kind))}")
    if isinstance(value, bool) or not isinstance(value, (int, float) if kind is float else kind):
        what = {int: "a whole number", float: "a number such as 1.5e-3", str: "text"}[kind]
        raise ConfigError(f"{where}: {key} must be {what}, is {value!r}")
    return kind(value)
