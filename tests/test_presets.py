"""Preset files: what is right is read, what is wrong is told in one line each, all at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.errors import PresetError
from bridge.presets import choose_preset, load_presets

GOOD = "name: good\nnumber: 1\n"


def faults(folder: Path, **files: str) -> list[str]:
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)
    with pytest.raises(PresetError) as caught:
        load_presets(folder)
    return str(caught.value).replace(f"{folder}/", "presets/").splitlines()


def test_the_packaged_presets_are_many_and_described() -> None:
    presets = load_presets()
    assert len(presets) >= 12
    assert [preset.number for preset in presets] == sorted({p.number for p in presets})
    assert presets[0].name == "default"
    assert presets[0].number == 0
    assert all(preset.description for preset in presets)
    sounds = {p.model_copy(update={"name": "", "number": 0, "description": ""}) for p in presets}
    assert len(sounds) == len(presets)


def test_the_published_temperatures_are_a_preset() -> None:
    sampling = choose_preset(load_presets(), "published").sampling
    assert sampling.temperature == 0.8
    assert sampling.velocity_temperature == 0.3
    assert sampling.rhythm_temperature == 0.5


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (
            "name: nocturne\nnumber: 2\n\ntemperature: -1\n",
            "preset 'nocturne': temperature must be greater than 0, is -1 "
            "(presets/bad.yaml, line 4)",
        ),
        (
            GOOD + "number: 2\n",
            "number is given twice, first in line 2 (presets/bad.yaml, line 3)",
        ),
        (
            GOOD + "temprature: 1\n",
            "preset 'good': there is no field 'temprature', did you mean temperature? "
            "(presets/bad.yaml, line 3)",
        ),
        (
            GOOD + "low_pitch: 80\nhigh_pitch: 60\n",
            "preset 'good': low_pitch must not be above high_pitch, is 80 above 60 "
            "(presets/bad.yaml, line 3)",
        ),
        (
            GOOD + "max_polyphony: six\n",
            "preset 'good': max_polyphony must be a whole number, is 'six' "
            "(presets/bad.yaml, line 3)",
        ),
        (
            GOOD + "temperature: .nan\n",
            "preset 'good': temperature must be a number, is nan (presets/bad.yaml, line 3)",
        ),
        (
            GOOD + "octave_shift: yes\n",
            "preset 'good': octave_shift must be a number, is true (presets/bad.yaml, line 3)",
        ),
        (
            GOOD + "temperature: [0.8, 0.9]\n",
            "temperature must be a single value (presets/bad.yaml, line 3)",
        ),
        (
            GOOD + "candidates: many\n",
            "preset 'good': candidates must be auto or 1 to 256, is 'many' "
            "(presets/bad.yaml, line 3)",
        ),
        (
            GOOD + "candidates: 0\n",
            "preset 'good': candidates must be auto or 1 to 256, is 0 (presets/bad.yaml, line 3)",
        ),
        (
            GOOD + "candidates: 1.5\n",
            "preset 'good': candidates must be auto or 1 to 256, is 1.5 (presets/bad.yaml, line 3)",
        ),
        (
            GOOD + "candidates: on\n",
            "preset 'good': candidates must be a number, is true (presets/bad.yaml, line 3)",
        ),
        (
            GOOD + "decoding: best\n",
            "preset 'good': decoding must be sample, max or beam, is 'best' "
            "(presets/bad.yaml, line 3)",
        ),
        (
            GOOD + "repetition_penalty: 0.5\n",
            "preset 'good': repetition_penalty must be at least 1, is 0.5 "
            "(presets/bad.yaml, line 3)",
        ),
        (
            GOOD + "repetition_penalty: 5\n",
            "preset 'good': repetition_penalty must be at most 4, is 5 (presets/bad.yaml, line 3)",
        ),
        ("number: 3\n", "preset: name is missing (presets/bad.yaml, line 1)"),
        (
            GOOD + "channel: 17\n",
            "preset 'good': channel must be at most 16, is 17 (presets/bad.yaml, line 3)",
        ),
        (
            GOOD + "checkpoint: nowhere.safetensors\n",
            "preset 'good': there is no checkpoint presets/nowhere.safetensors "
            "(presets/bad.yaml, line 3)",
        ),
        (
            GOOD + "checkpoint: ~nobody-is-called-so/mine.safetensors\n",
            "preset 'good': there is no checkpoint presets/~nobody-is-called-so/mine.safetensors "
            "(presets/bad.yaml, line 3)",
        ),
    ],
)
def test_a_fault_says_what_where_and_which(tmp_path: Path, text: str, fault: str) -> None:
    assert faults(tmp_path, bad=text) == [fault]


@pytest.mark.parametrize(
    ("text", "most", "unhurried"),
    [("", 256, 8), ("candidates: auto\n", 256, 8), ("candidates: 3\n", 3, 3)],
)
def test_candidates_are_as_many_as_fit_or_at_most_a_number(
    tmp_path: Path, text: str, most: int, unhurried: int
) -> None:
    (tmp_path / "good.yaml").write_text(GOOD + text)
    (preset,) = load_presets(tmp_path)
    assert preset.sampling.candidates == most
    assert preset.unhurried.sampling.candidates == unhurried


def test_how_it_is_decoded_is_asked_of_the_model(tmp_path: Path) -> None:
    (tmp_path / "good.yaml").write_text(GOOD + "decoding: beam\nrepetition_penalty: 1.5\n")
    (preset,) = load_presets(tmp_path)
    assert preset.sampling.decoding == "beam"
    assert preset.sampling.repetition_penalty == 1.5


@pytest.mark.parametrize(
    "text",
    [
        "name: [",
        "{{{{",
        "- a\n- b\n",
        "",
        "name: !!python/object:os.system x\n",
        "name: !!python/object:os.system {}\nnumber: 1\n",
        "[" * 5000,
        "\x00",
    ],
)
def test_what_is_no_preset_is_one_line(tmp_path: Path, text: str) -> None:
    assert len(faults(tmp_path, bad=text)) == 1


def test_every_fault_of_every_file_is_told(tmp_path: Path) -> None:
    told = faults(
        tmp_path,
        a="name: a\nnumber: 200\ntemperature: 0\nlow_pitch: 90\nhigh_pitch: 10\n",
        b="name: b\nnumber: b\n",
    )
    assert len(told) == 4
    assert sum("presets/a.yaml" in line for line in told) == 3


def test_numbers_and_names_are_unique(tmp_path: Path) -> None:
    assert faults(tmp_path, a="name: x\nnumber: 1\n", b="name: x\nnumber: 1\n") == [
        "preset 'x': number 1 is already that of 'x' in presets/a.yaml, line 2 "
        "(presets/b.yaml, line 2)",
        "preset 'x': name 'x' is already that of 'x' in presets/a.yaml, line 1 "
        "(presets/b.yaml, line 1)",
    ]


def test_an_empty_folder_is_told(tmp_path: Path) -> None:
    assert "no presets in" in faults(tmp_path)[0]


def test_a_checkpoint_is_found_beside_its_preset(tmp_path: Path) -> None:
    (tmp_path / "mine.safetensors").touch()
    (tmp_path / "mine.yaml").write_text("name: mine\nnumber: 1\ncheckpoint: mine.safetensors\n")
    assert load_presets(tmp_path)[0].checkpoint == str((tmp_path / "mine.safetensors").resolve())


def test_a_preset_is_chosen_by_name_or_number() -> None:
    presets = load_presets()
    assert choose_preset(presets, "2") is choose_preset(presets, presets[2].name)
    with pytest.raises(PresetError, match=r"no preset 'waltz'.*0 default"):
        choose_preset(presets, "waltz")
