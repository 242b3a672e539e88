"""Recipes: every setting can be written down, and what is wrong in one is named."""

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from pianogen.cli import main
from pianogen.dataset import NO_AUGMENTATION, VELOCITY_WEIGHT, Augmentation, Windows
from pianogen.errors import ConfigError
from pianogen.measure_rows import joined
from pianogen.recipe import FOLDER, TrainConfig, read_recipe
from pianogen.shards import Piece, Shard
from pianogen.train import licence_warning
from tests.music import TINY, random_measures
from tests.prepared import a_piece, as_rows


def written(folder: Path, text: str) -> str:
    path = folder / "mine.yaml"
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize("name", [path.stem for path in FOLDER.glob("*.yaml")])
def test_each_recipe_says_what_for_and_which_command_prepares_its_music(name: str) -> None:
    recipe = read_recipe(name)
    assert recipe.about
    assert recipe.prepare.startswith("pianogen prepare ")
    assert ("--clean-only" in recipe.prepare) == (name != "all")


def test_the_defaults_are_those_of_the_clean_recipe() -> None:
    assert read_recipe("clean").train == TrainConfig()


def test_every_setting_can_be_written_and_is_read_back(tmp_path: Path) -> None:
    how = Augmentation(1, 2, 0.3, 0.4, 0.5, 0.6, 0.7)
    config = TrainConfig(
        steps=7, batch_steps=8, measures=4, learning_rate=0.1, weight_decay=0.2, warmup=3,
        decay=0.4, clip=0.5, average=0.6, seed=9, validate_every=10, log_every=11, device="cpu",
        precision="float32", threads=2, model=TINY, augmentation=how,
    )  # fmt: skip
    assert [k for k, v in asdict(TrainConfig()).items() if asdict(config)[k] == v] == ["family"]
    path = written(tmp_path, yaml.safe_dump({"train": asdict(config)}))
    assert read_recipe(path).train == config


def test_what_is_left_out_is_the_default(tmp_path: Path) -> None:
    path = written(tmp_path, "train: {model: {hidden: 64}, augmentation: {transpose: 0}}")
    config = read_recipe(path).train
    assert config.model == replace(TrainConfig().model, hidden=64)
    assert config.augmentation == replace(TrainConfig().augmentation, transpose=0)
    assert config.steps == TrainConfig().steps


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("train: {stpes: 3}", "unknown key train.stpes; there are family, steps, batch_steps"),
        ("train: {model: {hiden: 3}}", "unknown key train.model.hiden"),
        ("trian: {}", "unknown key trian; there are about, prepare, train"),
        ("train: {steps: many}", "train.steps must be a whole number, is 'many'"),
        ("train: {steps: 1.5}", "train.steps must be a whole number, is 1.5"),
        ("train: {steps: true}", "train.steps must be a whole number, is True"),
        ("train: {learning_rate: fast}", "train.learning_rate must be a number such as 1.5e-3"),
        ("train: {precision: float16}", "train.precision must be one of auto, bfloat16, float32"),
        ("train: {steps: 0}", "must be at least 1"),
        ("train: {augmentation: {double: 2}}", "chances must be 0 to 1"),
        ("train: 3", "train must be keys and values"),
        ("- 3", "the whole must be keys and values"),
        ("train: {", "cannot be read"),
    ],
)
def test_what_is_wrong_is_named_with_its_file(tmp_path: Path, text: str, says: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ConfigError) as error:
        read_recipe(path)
    assert says in str(error.value)
    assert path in str(error.value)


def test_an_unknown_name_is_told_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"neither one of all, .*clean.* nor a file"):
        read_recipe("cleen")


def test_a_run_that_goes_on_takes_no_recipe(capsys: pytest.CaptureFixture[str]) -> None:
    how = ["--resume", "--recipe", "all"]
    assert main(["train", "--data", "none", "--out", "none", *how]) == 2
    assert "leave out --recipe" in capsys.readouterr().err


def shard(*changes: dict[str, object]) -> Shard:
    """One piece for each, of eight measures and five keys no other piece has."""
    pieces: list[Piece] = []
    rows = []
    for number, change in enumerate(changes):
        measures = as_rows(random_measures(8, number))
        measures.notes[:, 1] = 30 + 5 * number + measures.notes[:, 1] % 5
        piece = replace(a_piece("train", number, measures), first_measure=8 * number)
        pieces.append(replace(piece, **change))  # type: ignore[arg-type]
        rows.append(measures)
    whole = joined(rows)
    return Shard(whole.notes, whole.measures, tuple(pieces))


def test_a_piece_of_half_the_weight_is_drawn_half_as_often() -> None:
    """A song stands twice in the corpora, with the voice and without: each counts half."""
    windows = Windows(shard({"weight": 1.0}, {"weight": 0.5}, {"weight": 0.5}), steps=4096)
    firsts = np.concatenate([windows.batch(0, n).first_measure.numpy() for n in range(120)])
    shares = np.bincount(firsts // 8, minlength=3) / len(firsts)
    assert shares == pytest.approx([0.5, 0.25, 0.25], abs=0.04)


@pytest.mark.parametrize(
    ("kind", "weight"), [("recorded", 1.0), ("edited", 1.0), ("score", 0.25), ("flat", 0.0)]
)
def test_velocities_count_by_where_they_come_from(kind: str, weight: float) -> None:
    batch = Windows(shard({"velocity": kind}), steps=512, measures=8).batch(0, 0)
    assert set(batch.velocity_weight.tolist()) == {weight}
    assert VELOCITY_WEIGHT[kind] == weight


def test_all_twelve_keys_are_reached_within_the_piano() -> None:
    how = replace(NO_AUGMENTATION, transpose=TrainConfig().augmentation.transpose)
    plain, varied = (Windows(shard({}), steps=256, measures=8, augmentation=h)
                     for h in (NO_AUGMENTATION, how))  # fmt: skip
    lowest = int(plain.batch(0, 0).notes.key.min())
    moved = {int(varied.batch(0, n).notes.key.min()) - lowest for n in range(120)}
    assert moved == set(range(-6, 7))


def test_training_says_where_weights_may_not_be_shared() -> None:
    free = {"corpus": "scores", "licence": "CC BY-SA 4.0"}
    bound = {"corpus": "asap", "licence": "CC BY-NC-SA 4.0"}
    assert licence_warning(shard(free)) == ""
    warning = licence_warning(shard(free, bound))
    assert warning.endswith("may not be shared: asap (CC BY-NC-SA 4.0)")
    assert "\n" not in warning
