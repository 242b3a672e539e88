"""Checkpoints of the package by their names, wherever one is asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.errors import PresetError
from bridge.presets import load_presets
from pianogen import shipped
from pianogen.checkpoint import Checkpoint, family_of, load, resolve, save
from pianogen.errors import CheckpointError
from pianogen.presets import read_voicing
from tests.music import TINY, tiny_hybrid, weights_of


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A package with two checkpoints, and somewhere else to stand."""
    package, here = tmp_path / "package", tmp_path / "here"
    for path in (package, here):
        path.mkdir()
    for name in ("default", "chords"):
        save(package / f"{name}.safetensors", Checkpoint("hybrid", {}, {}))
    monkeypatch.setattr(shipped, "FOLDER", package)
    monkeypatch.chdir(here)
    return package


def test_those_there_are_the_default_first(folder: Path) -> None:
    assert list(shipped.shipped()) == ["default", "chords"]
    assert shipped.names() == "default, chords"


def test_a_name_is_the_file_in_the_package(folder: Path) -> None:
    assert resolve("default") == resolve("hybrid") == folder / "default.safetensors"
    assert resolve("chords") == folder / "chords.safetensors"


def test_a_name_wins_over_what_lies_here_and_a_path_reaches_it(folder: Path) -> None:
    run = Path("chords")
    run.mkdir()
    save(run / "best.safetensors", Checkpoint("hybrid", {}, {}))
    assert resolve("chords") == folder / "chords.safetensors"
    for path in ("./chords", "chords/", str(run.absolute()), run):
        assert resolve(path).absolute() == run.absolute() / "best.safetensors"


def test_a_folder_that_has_no_name_of_the_package_needs_no_more(folder: Path) -> None:
    save(Path("mine") / "best.safetensors", Checkpoint("hybrid", {}, {}))
    assert resolve("mine") == Path("mine") / "best.safetensors"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("chord", "checkpoint chord is none of default, chords, and no file; "),
        ("./chord", "checkpoint chord does not exist; "),
        ("chord.safetensors", "checkpoint chord.safetensors does not exist; "),
    ],
)
def test_what_is_neither_is_one_line(folder: Path, text: str, says: str) -> None:
    with pytest.raises(CheckpointError) as caught:
        resolve(text)
    assert str(caught.value) == says + "train one with `pianogen train`"


def test_the_family_is_told_without_the_weights(folder: Path) -> None:
    assert family_of("chords") == "hybrid"
    (folder / "broken.safetensors").write_bytes(b"no")
    with pytest.raises(CheckpointError, match="cannot be read as safetensors"):
        family_of("broken")


def test_what_is_saved_is_loaded(folder: Path) -> None:
    weights = weights_of(tiny_hybrid())
    save(Path("tiny.safetensors"), Checkpoint("hybrid", vars(TINY), weights, {"licence": "CC0"}))
    checkpoint = load("tiny.safetensors")
    assert checkpoint.extra == {"licence": "CC0"}
    assert checkpoint.config == vars(TINY)
    assert all((checkpoint.weights[name] == weight).all() for name, weight in weights.items())


def of_preset(checkpoint: str) -> tuple[str, str]:
    """What a preset's checkpoint is, live and offline; the file lies in presets/."""
    Path("presets").mkdir(exist_ok=True)
    file = Path("presets") / "mine.yaml"
    file.write_text(f"name: mine\nnumber: 1\ncheckpoint: {checkpoint}\n")
    return load_presets(Path("presets"))[0].checkpoint, read_voicing(str(file)).checkpoint


@pytest.mark.parametrize(
    ("text", "name"), [("default", "default"), ("hybrid", "default"), ("chords", "chords")]
)
def test_a_preset_names_it_live_and_offline(folder: Path, text: str, name: str) -> None:
    assert of_preset(text) == (name, name)


def test_a_path_in_a_preset_is_relative_to_its_file_live_and_offline(folder: Path) -> None:
    save(Path("presets") / "own.safetensors", Checkpoint("hybrid", {}, {}))
    live, offline = of_preset("own.safetensors")
    assert live == str(resolve(offline).absolute())


def test_a_name_in_a_preset_that_is_none_is_told_with_those_there_are(folder: Path) -> None:
    with pytest.raises(PresetError) as caught:
        of_preset("chord")
    assert str(caught.value).endswith(
        "there is no checkpoint presets/chord; in the package there are: default, chords "
        "(presets/mine.yaml, line 3)"
    )
