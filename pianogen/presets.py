"""Where presets lie, and the part of one that shapes a continuation.

The bridge reads presets whole; offline only how to sample, and which checkpoint, matters.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

from pianogen.errors import ConfigError
from pianogen.grid import Measure
from pianogen.keys import ALL_CLASSES, heard_scale, parse_scale
from pianogen.sampling import Sampling, plain
from pianogen.shipped import DEFAULT, shipped_name

CONTROLS_FILE = "controls.yaml"  # beside presets: what moves which control; no preset itself
AUTO: Literal["auto"] = "auto"  # drafts of a measure: as many as there is time for
UNHURRIED_CANDIDATES = 8  # what that is where nobody waits
MOST_CANDIDATES = 256
OTHERWISE = ("candidates", "pitch_classes", "usual_notes", "decoding")  # not told by a number
HEARD = "heard"  # in the place of a scale's name
PLAYED_BY = {"hybrid": "default"}  # a family's own preset, where it has another name


@dataclass(frozen=True, slots=True)
class Voicing:
    """Which checkpoint plays, how it is drawn from, and whether only from the scale it heard."""

    checkpoint: str = DEFAULT
    sampling: Sampling = field(default_factory=lambda: Sampling(candidates=UNHURRIED_CANDIDATES))
    is_in_scale_heard: bool = False

    def in_scale(self, scale: str) -> Voicing:
        """The same in a scale by name, or in the one that will be heard; raises ConfigError."""
        classes = ALL_CLASSES if scale == HEARD else parse_scale(scale)
        sampling = replace(self.sampling, pitch_classes=classes)
        return replace(self, sampling=sampling, is_in_scale_heard=scale == HEARD)

    def after(self, heard: Sequence[Measure]) -> Sampling:
        """How it is drawn after these measures: in their scale, where it is to be the one heard."""
        if not self.is_in_scale_heard:
            return self.sampling
        return replace(self.sampling, pitch_classes=heard_scale(heard))

    def unusual(self) -> dict[str, Any]:
        """All settings that are not as they are by default, by name."""
        usual = plain(Sampling())
        return {name: value for name, value in self.settings().items() if value != usual.get(name)}

    def settings(self) -> dict[str, Any]:
        """All settings by name, as JSON has them; a scale where it is the one heard."""
        return plain(self.sampling) | ({"scale": HEARD} if self.is_in_scale_heard else {})


def preset_of(family: str) -> str:
    """The preset that plays a family as it is meant to be played: its checkpoint, its sampling."""
    return PLAYED_BY.get(family, family)


def find_presets() -> Path:
    """The folder of the presets that come with the package: installed, or in the checkout."""
    here = Path(__file__).resolve().parent
    packaged = here / "_presets"
    return packaged if packaged.is_dir() else here.parent / "presets"


def is_preset_file(name: str) -> bool:
    """Whether a file of a presets folder is one, by its name; what is hidden is an editor's."""
    return name.endswith((".yaml", ".yml")) and not name.startswith(".") and name != CONTROLS_FILE


def read_voicing(preset: str, folder: Path | None = None) -> Voicing:
    """What preset `preset`, a name or a YAML file, says of sampling; raises ConfigError."""
    import yaml

    path = Path(preset)
    if path.suffix not in (".yaml", ".yml"):
        path = (folder or find_presets()) / f"{preset}.yaml"
    try:
        content: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        beside = (p for p in path.parent.glob("*.yaml") if is_preset_file(p.name))
        known = ", ".join(sorted(p.stem for p in beside)) or "none"
        raise ConfigError(f"there is no preset {path}; there are: {known}") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"preset {path} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise ConfigError(f"preset {path} is not a list of settings")
    voicing = Voicing(_checkpoint(content, path), _sampling(content, path))
    scale = content.get("scale")
    try:
        return voicing if scale is None else voicing.in_scale(str(scale))
    except ConfigError as error:
        raise ConfigError(f"preset {path}: {error}") from error


def _checkpoint(content: dict[str, Any], path: Path) -> str:
    """One in the package by its name, or a file, whose path is relative to the preset's."""
    text = str(content.get("checkpoint", DEFAULT))
    return shipped_name(text) or str(beside(path, text))


def beside(preset: Path, text: str) -> Path:
    """The file that a preset's file names: relative to it, or from a home folder there is."""
    with suppress(RuntimeError):  # nobody is called so
        return preset.parent / Path(text).expanduser()
    return preset.parent / text


def _sampling(content: dict[str, Any], path: Path) -> Sampling:
    names = [f.name for f in fields(Sampling) if f.name not in OTHERWISE]
    wanted = {name: content[name] for name in names if name in content}
    for name, value in wanted.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ConfigError(f"preset {path}: {name} must be a number, is {value!r}")
    wanted["candidates"] = _candidates(content.get("candidates", AUTO), path)
    if "decoding" in content:
        wanted["decoding"] = content["decoding"]
    try:
        return Sampling(**wanted)
    except ConfigError as error:
        raise ConfigError(f"preset {path}: {error}") from error


def _candidates(value: object, path: Path) -> int:
    if value == AUTO:
        return UNHURRIED_CANDIDATES
    if isinstance(value, bool) or not isinstance(value, int):
        raise ConfigError(
            f"preset {path}: candidates must be {AUTO} or 1 to {MOST_CANDIDATES}, is {value!r}"
        )
    return value
