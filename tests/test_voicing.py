"""Presets offline: what one says of drawing, and that what it says wrongly is one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from pianogen import cli
from pianogen.commands.voicing import voicing_of
from pianogen.errors import ConfigError
from pianogen.keys import ALL_CLASSES, parse_scale
from pianogen.presets import UNHURRIED_CANDIDATES, Voicing, read_voicing


def preset(folder: Path, text: str) -> str:
    path = folder / "mine.yaml"
    path.write_text(f"name: mine\nnumber: 1\n{text}\n")
    return str(path)


@pytest.mark.parametrize(
    ("text", "candidates"),
    [
        ("", UNHURRIED_CANDIDATES),
        ("candidates: auto", UNHURRIED_CANDIDATES),
        ("candidates: 1", 1),
        ("candidates: 256", 256),
    ],
)
def test_auto_is_a_fixed_number_where_nobody_waits(
    tmp_path: Path, text: str, candidates: int
) -> None:
    assert read_voicing(preset(tmp_path, text)).sampling.candidates == candidates


def test_without_a_preset_it_is_the_same_number() -> None:
    assert Voicing().sampling.candidates == UNHURRIED_CANDIDATES


def test_density_and_scale_are_read(tmp_path: Path) -> None:
    voicing = read_voicing(preset(tmp_path, "density: 0.5\nscale: d dorian"))
    assert voicing.sampling.density == 0.5
    assert voicing.sampling.pitch_classes == parse_scale("c major")
    assert not voicing.is_in_scale_heard


def test_the_scale_heard_is_known_once_it_is_heard(tmp_path: Path) -> None:
    voicing = read_voicing(preset(tmp_path, "scale: heard"))
    assert voicing.is_in_scale_heard
    assert voicing.sampling.pitch_classes == ALL_CLASSES
    assert not voicing.in_scale("c major").is_in_scale_heard


def test_a_checkpoint_in_the_home_folder_of_nobody_is_looked_for_beside(tmp_path: Path) -> None:
    found = read_voicing(preset(tmp_path, "checkpoint: ~nobody-is-called-so/x.safetensors"))
    assert found.checkpoint == str(tmp_path / "~nobody-is-called-so" / "x.safetensors")


def test_a_wrong_scale_is_one_line_with_the_file(tmp_path: Path) -> None:
    path = preset(tmp_path, "scale: c majorish")
    with pytest.raises(ConfigError, match="scale 'c majorish'") as caught:
        read_voicing(path)
    assert path in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", ["many", "0", "257", "1.5", "yes", "[1]"])
def test_a_wrong_number_is_one_line_with_the_file(tmp_path: Path, value: str) -> None:
    path = preset(tmp_path, f"candidates: {value}")
    with pytest.raises(ConfigError, match="candidates must be") as caught:
        read_voicing(path)
    assert path in str(caught.value)
    assert "\n" not in str(caught.value)


def test_how_it_is_decoded_is_read(tmp_path: Path) -> None:
    sampling = read_voicing(preset(tmp_path, "decoding: max\nrepetition_penalty: 1.3")).sampling
    assert (sampling.decoding, sampling.repetition_penalty) == ("max", 1.3)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("decoding: best", "decoding must be one of sample, max, beam, is 'best'"),
        ("decoding: 1", "decoding must be one of sample, max, beam, is 1"),
        ("repetition_penalty: much", "repetition_penalty must be a number, is 'much'"),
        ("repetition_penalty: 9", "repetition_penalty must be 1 to 4, is 9"),
    ],
)
def test_a_wrong_way_to_decode_is_one_line_with_the_file(
    tmp_path: Path, text: str, says: str
) -> None:
    path = preset(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        read_voicing(path)
    assert str(caught.value) == f"preset {path}: {says}"


# The command line.


def voicing(*words: str) -> Voicing:
    return voicing_of(cli._parser().parse_args(["generate", "out.mid", *words]))


@pytest.mark.parametrize(
    ("words", "name", "value"),
    [
        ([], "candidates", 8),
        (["--candidates", "3"], "candidates", 3),
        (["--decoding", "beam"], "decoding", "beam"),
        (["--repetition-penalty", "1.5"], "repetition_penalty", 1.5),
        (["--temperature", "0.3", "--preset", "bold"], "temperature", 0.3),
    ],
)
def test_the_command_line_outdoes_the_preset(words: list[str], name: str, value: object) -> None:
    assert getattr(voicing(*words).sampling, name) == value


def test_a_wrong_number_on_the_command_line_is_one_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.main(["generate", "out.mid", "--candidates", "0"]) == cli.EXIT_ERROR
    err = capsys.readouterr().err
    assert err == "pianogen generate: error: candidates must be 1 to 256, is 0\n"
