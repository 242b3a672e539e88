"""Weights as one .safetensors file that says of itself all that is needed to use it.

Metadata: family, config (JSON), grid_version, licence, attribution, corpora, figures (JSON).
Nothing is ever unpickled. Weights are numpy arrays here; knows no torch, and no family: one is
imported when a checkpoint of it is loaded.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pianogen.continuation import Continuation
from pianogen.errors import CheckpointError, ConfigError
from pianogen.family import family, part
from pianogen.files import write_whole
from pianogen.grid import GRID_VERSION
from pianogen.shipped import is_word, names, shipped, shipped_name


@dataclass(frozen=True)
class Checkpoint:
    """Weights and what they are; `extra` is whatever else the metadata says."""

    family: str
    config: Mapping[str, Any]
    weights: Mapping[str, NDArray[Any]]
    extra: Mapping[str, str] = field(default_factory=dict)


def save(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint whole: beside its place, then renamed into it."""
    from safetensors.numpy import save as to_bytes

    metadata = {
        "family": checkpoint.family,
        "config": json.dumps(dict(checkpoint.config), sort_keys=True),
        "grid_version": str(GRID_VERSION),
        **checkpoint.extra,
    }
    weights = {name: np.array(weight, order="C") for name, weight in checkpoint.weights.items()}
    write_whole(path, to_bytes(weights, metadata=metadata))


def load(path: str | Path, *, sha256: str | None = None) -> Checkpoint:
    """Read a checkpoint: one in the package by its name, as `resolve` has it, or a file.

    Raises CheckpointError where the file is missing, damaged, of another grid, or its sha256
    is not the one asked for.
    """
    file = resolve(path)
    if sha256 is not None:
        found = hashlib.sha256(file.read_bytes()).hexdigest()
        if found != sha256.lower():
            raise CheckpointError(f"{file}: its sha256 is {found}, but {sha256} was asked for")
    with _opened(file) as opened:
        metadata = _metadata(file, opened)
        weights = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    extra = {k: v for k, v in metadata.items() if k not in ("family", "config", "grid_version")}
    return Checkpoint(metadata["family"], json.loads(metadata["config"]), weights, extra)


def family_of(path: str | Path) -> str:
    """Which family a checkpoint is of, without reading its weights; raises CheckpointError."""
    file = resolve(path)
    with _opened(file) as opened:
        return _metadata(file, opened)["family"]


@contextmanager
def _opened(file: Path) -> Iterator[Any]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="np") as opened:
            yield opened
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{file}: cannot be read as safetensors ({error})") from error


def _metadata(file: Path, opened: Any) -> dict[str, str]:
    """What it says of itself; raises CheckpointError where it is of another grid."""
    metadata: dict[str, str] = opened.metadata() or {}
    if metadata.get("grid_version") != str(GRID_VERSION) or "family" not in metadata:
        raise CheckpointError(
            f"{file}: made for grid version {metadata.get('grid_version', 'unknown')}, "
            f"this is {GRID_VERSION}; train it anew with `pianogen train`"
        )
    return metadata


def export(path: str | Path, out: Path, *, licence: str, attribution: str) -> None:
    """Write a checkpoint to be passed on: at half precision, with its licence and credits."""
    checkpoint = load(path)
    halved = {
        name: weight.astype(np.float16) if weight.dtype.kind == "f" else weight
        for name, weight in checkpoint.weights.items()
    }
    extra = {**checkpoint.extra, "licence": licence, "attribution": attribution}
    save(out, Checkpoint(checkpoint.family, checkpoint.config, halved, extra))


def resolve(path: str | Path) -> Path:
    """The file that a preset or command line means; raises CheckpointError where there is none.

    Text may be the name of one in the package (`default`, `chords`); all else, and every Path, is
    a file or the folder of a run.
    """
    name = shipped_name(path) if isinstance(path, str) else None
    file = Path(path) if name is None else shipped()[name]
    if file.is_dir():
        file = file / "best.safetensors"
    if not file.is_file():
        known = f"is none of {names()}, and no file" if is_word(str(path)) else "does not exist"
        raise CheckpointError(f"checkpoint {file} {known}; train one with `pianogen train`")
    return file


def load_continuation(
    path: str | Path = "default", *, device: str = "cpu", sha256: str | None = None
) -> Continuation:
    """A checkpoint as the voice that plays it, without torch on `cpu`; raises CheckpointError."""
    checkpoint = load(path, sha256=sha256)
    try:
        make = part(family(checkpoint.family).voice)
    except ConfigError as error:
        raise CheckpointError(f"{resolve(path)}: {error}") from error
    try:
        voice: Continuation = make(checkpoint.config, checkpoint.weights, device)
    except (RuntimeError, TypeError, KeyError, ValueError) as error:
        raise CheckpointError(
            f"{resolve(path)}: its weights do not fit its configuration ({error})"
        ) from error
    return voice
