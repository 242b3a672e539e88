"""The command line of `pianogen`: who plays by what is said, and what commands are called with."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pianogen import cli, family, presets
from pianogen.checkpoint import Checkpoint, save
from pianogen.commands.training import recipe_of
from pianogen.commands.voicing import voicing_of
from pianogen.errors import PianogenError
from pianogen.family import FAMILIES, Family
from pianogen.grid import Meter
from pianogen.presets import Voicing
from tests.fakes import FakeContinuation

FAKE = Family("tests.test_cli:Sizes", "tests.test_cli:Network", "tests.test_cli:load")


def load(config: Mapping[str, Any], weights: object, device: str) -> FakeContinuation:
    return FakeContinuation()


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Two families, one of them a fake called melody, with presets and checkpoints of their own."""
    monkeypatch.setitem(cast(dict[str, Family], FAMILIES), "melody", FAKE)
    monkeypatch.setattr(presets, "find_presets", lambda: tmp_path)
    monkeypatch.chdir(tmp_path)
    for name, text in {
        "default": "temperature: 0.5",
        "warm": "temperature: 2",
        "melody": "temperature: 0.25\ncheckpoint: sung.safetensors\n",
        "hummed": "temperature: 0.75\ncheckpoint: hummed.safetensors\n",
    }.items():
        (tmp_path / f"{name}.yaml").write_text(text)
    for name in ("sung", "hummed"):
        save(tmp_path / f"{name}.safetensors", Checkpoint("melody", {}, {}))
    save(tmp_path / "mine.safetensors", Checkpoint("hybrid", {}, {}))
    return tmp_path


def parsed(*words: str) -> argparse.Namespace:
    return cli._parser().parse_args(words)


@pytest.mark.parametrize("command", [
    ("continue", "in.mid", "out.mid"), ("generate", "out.mid"), ("evaluate", "--data", "."),
    ("steer", "--data", "."),
])  # fmt: skip
@pytest.mark.parametrize(
    ("words", "temperature", "checkpoint"),
    [
        ([], 0.5, "default"),
        (["--family", "hybrid"], 0.5, "default"),
        (["--family", "melody"], 0.25, "sung.safetensors"),
        (["--preset", "warm"], 2, "default"),
        (["--preset", "hummed"], 0.75, "hummed.safetensors"),
        (["--checkpoint", "mine.safetensors"], 0.5, "mine.safetensors"),
        (["--checkpoint", "hummed.safetensors"], 0.25, "hummed.safetensors"),
        (["--family", "melody", "--preset", "warm"], 2, "sung.safetensors"),
        (["--family", "melody", "--preset", "hummed"], 0.75, "hummed.safetensors"),
        (["--family", "melody", "--checkpoint", "hummed.safetensors"], 0.25, "hummed.safetensors"),
        (["--preset", "warm", "--checkpoint", "sung.safetensors"], 2, "sung.safetensors"),
    ],
)
def test_who_plays_and_how(
    command: tuple[str, ...], words: list[str], temperature: float, checkpoint: str
) -> None:
    voicing = voicing_of(parsed(*command, *words))
    assert voicing.sampling.temperature == temperature
    assert Path(voicing.checkpoint).name == checkpoint


def test_a_checkpoint_of_another_family_is_refused() -> None:
    arguments = parsed(
        "generate", "o.mid", "--family", "melody", "--checkpoint", "mine.safetensors"
    )
    with pytest.raises(PianogenError) as caught:
        voicing_of(arguments)
    assert str(caught.value) == (
        "the family melody is to play, but checkpoint mine.safetensors is of the family hybrid"
    )


@pytest.mark.parametrize(
    ("words", "recipe"),
    [
        ([], "clean"),
        (["--family", "hybrid"], "clean"),
        (["--family", "melody"], "melody-gru"),
        (["--recipe", "all"], "all"),
    ],
)
def test_a_family_is_trained_by_its_recipe(words: list[str], recipe: str) -> None:
    assert recipe_of(parsed("train", "--data", ".", "--out", "run", *words)) == recipe


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--family", "melody", "--recipe", "all"], "--family and --recipe: choose one"),
        (["--family", "melody", "--resume"], "leave out --family"),
        (["--recipe", "all", "--resume"], "leave out --recipe"),
    ],
)
def test_a_recipe_is_said_once(
    words: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["train", "--data", ".", "--out", "run", *words]) == cli.EXIT_ERROR
    (line,) = capsys.readouterr().err.splitlines()
    assert says in line


def test_only_the_hybrid_weighs_drafts(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["weigh", "--data", ".", "--checkpoint", "sung.safetensors"]
    assert cli.main(words) == cli.EXIT_ERROR
    assert "is of the family melody" in capsys.readouterr().err


class Calls:
    """Stands for a function of another module: remembers what it was called with."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, place: str, result: object) -> None:
        module, name = place.split(":")
        monkeypatch.setitem(sys.modules, module, cast(Any, SimpleNamespace(**{name: self})))
        self.result = result

    def __call__(self, *args: Any, **named: Any) -> object:
        self.args, self.named = args, named
        return self.result


class Told:
    """A report."""

    def __str__(self) -> str:
        return "the table"

    def write_json(self, path: Path) -> None:
        path.write_text("{}")


@pytest.mark.parametrize(
    ("words", "who"),
    [
        ([], [*FAMILIES, "ground"]),
        (["--family", "melody"], ["melody"]),
        (["--family", "hybrid", "melody"], ["hybrid", "melody"]),
        (["--preset", "warm", "hummed"], ["warm", "hummed"]),
        (["--family", "hybrid", "--preset", "warm"], ["hybrid", "warm"]),
    ],
)
def test_compare_is_told_who_plays(
    words: list[str], who: list[str], monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    for name in {*FAMILIES, "ground"} - {"hybrid", "melody"}:
        (folder / f"{name}.yaml").write_text("{}")
    compare = Calls(monkeypatch, "pianogen.compare:compare", Told())
    assert cli.main(["compare", "--data", "data", *words]) == 0
    voicings = compare.named["voicings"]
    assert set(voicings) == set(who)
    assert all(isinstance(voicing, Voicing) for voicing in voicings.values())


def test_compare_tells_and_writes(
    monkeypatch: pytest.MonkeyPatch, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    compare = Calls(monkeypatch, "pianogen.compare:compare", Told())
    words = "compare --data data --split test --family melody --contexts 9 --seed 3"
    where = ["--json", "table.json", "--picture", "table.png"]
    assert cli.main([*words.split(), *where]) == 0
    assert compare.args == (Path("data"), "test")
    del compare.named["voicings"]
    assert compare.named == {
        "contexts": 9, "seed": 3, "device": "cpu", "picture": Path("table.png"),
    }  # fmt: skip
    assert capsys.readouterr().out == "the table\n"
    assert (folder / "table.json").exists()


SEED = "60 _ 62 _ 64 _ 65 _ 67 _ _ 69 71 _ 72 _ _"


def test_a_melody_is_typed_carried_on_and_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write = Calls(monkeypatch, "pianogen.melodies:write_melody", "60 _ 62 _")
    options = "--measures 2 --meter 3/4 --bpm 90 --seed 5 --decoding beam"
    assert cli.main(["melody", SEED, *options.split(), "OUT.mid"]) == 0
    voice, typed, out = write.args
    assert isinstance(voice, FakeContinuation)
    assert (typed, out) == (SEED, Path("OUT.mid"))
    sampling = write.named.pop("sampling")
    assert (sampling.decoding, sampling.temperature) == ("beam", 0.25)
    assert write.named == {
        "measures": 2, "meter": Meter(3, 4), "tempo_bpm": 90.0, "seed": 5,
        "is_in_scale_heard": False,
    }  # fmt: skip
    assert capsys.readouterr().out == "60 _ 62 _\n"


def test_a_model_of_the_melody_is_a_checkpoint_of_the_package(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("pianogen.shipped.FOLDER", Path.cwd())
    save(Path("melody-vae.safetensors"), Checkpoint("melody", {}, {}))
    write = Calls(monkeypatch, "pianogen.melodies:write_melody", "r")
    assert cli.main(["melody", "60", "--model", "vae", "OUT.mid"]) == 0
    assert write.args[1:] == ("60", Path("OUT.mid"))
    assert cli.main(["melody", "60", "OUT.mid", "--model", "gru"]) == cli.EXIT_ERROR
    assert "checkpoint melody-gru is none of " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--measures", "0"], "--measures must be at least 1"),
        (["--model", "gru", "--checkpoint", "sung.safetensors"], "choose one"),
        (["--checkpoint", "mine.safetensors"], "is of the family hybrid"),
        (["--meter", "4"], "cannot be read"),
    ],
)
def test_what_makes_no_melody_is_one_line(
    words: list[str], says: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Calls(monkeypatch, "pianogen.melodies:write_melody", "")
    assert cli.main(["melody", "60 _", "OUT.mid", *words]) == cli.EXIT_ERROR
    (line,) = capsys.readouterr().err.splitlines()
    assert says in line


def test_every_family_says_where_its_parts_are() -> None:
    for name, parts in FAMILIES.items():
        if parts is not FAKE:
            assert all(family.part(place) for place in (parts.sizes, parts.network, parts.voice)), (
                name
            )
