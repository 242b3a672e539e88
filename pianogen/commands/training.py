"""The commands that make checkpoints: prepare, train, benchmark, weigh, export."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pianogen.commands.voicing import add_voicing, voicing_of
from pianogen.errors import ConfigError
from pianogen.family import FAMILIES

if TYPE_CHECKING:
    from pianogen.commands.voicing import Commands

CHANGES = ("steps", "batch_steps", "learning_rate", "validate_every", "seed", "device",
           "precision", "threads")  # fmt: skip
RECIPES = {"hybrid": "clean", "melody": "melody-gru"}  # of others: the family's name


def add_training(commands: Commands) -> None:
    """Add these commands to the parser."""
    for add in (_add_prepare, _add_train, _add_benchmark, _add_weigh, _add_export):
        add(commands)


def _add_prepare(commands: Commands) -> None:
    parser = commands.add_parser("prepare", help="MIDI files to measures to train on")
    parser.add_argument("sources", nargs="+", type=Path, metavar="SOURCE",
                        help="a folder of MIDI files, a MIDI file, or a manifest.csv")  # fmt: skip
    parser.add_argument("--out", required=True, type=Path, metavar="DIR")
    parser.add_argument("--clean-only", action="store_true",
                        help="only files whose manifest has weights_clean = 1")  # fmt: skip
    parser.add_argument("--corpora", nargs="+", metavar="NAME", help="only these corpora")
    parser.add_argument("--workers", type=int, help="processes (default: one a core)")
    parser.set_defaults(run=_prepare)


def _prepare(arguments: argparse.Namespace) -> int:
    from pianogen.corpus import prepare

    report = prepare(
        arguments.sources,
        arguments.out,
        workers=arguments.workers,
        clean_only=arguments.clean_only,
        corpora=arguments.corpora,
    )
    print(report)
    return 0


def _add_train(commands: Commands) -> None:
    parser = commands.add_parser("train", help="train a checkpoint")
    parser.add_argument("--data", required=True, type=Path, metavar="DIR")
    parser.add_argument("--out", required=True, type=Path, metavar="RUN")
    parser.add_argument("--family", choices=tuple(FAMILIES), help="by its own recipe")
    parser.add_argument("--recipe", metavar="NAME", help="such as clean, or a YAML file")
    parser.add_argument("--resume", action="store_true", help="go on where RUN was stopped")
    parser.add_argument("--steps", type=int, help="updates in all")
    parser.add_argument("--batch-steps", type=int, help="grid steps in an update")
    parser.add_argument("--learning-rate", type=float)
    parser.add_argument("--validate-every", type=int, metavar="UPDATES")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"))
    parser.add_argument("--precision", choices=("auto", "bfloat16", "float32"))
    parser.add_argument("--threads", type=int, help="of the processor (default 1)")
    parser.set_defaults(run=_train)


def _train(arguments: argparse.Namespace) -> int:
    recipe = recipe_of(arguments)
    from pianogen.recipe import read_config, read_recipe
    from pianogen.train import train

    changes = {n: getattr(arguments, n) for n in CHANGES if getattr(arguments, n) is not None}
    start = read_config(arguments.out) if arguments.resume else read_recipe(recipe).train
    train(arguments.data, arguments.out, replace(start, **changes), resume=arguments.resume)
    return 0


def recipe_of(arguments: argparse.Namespace) -> str:
    """The recipe that `train` is to follow; raises ConfigError where two things are said."""
    given = [f"--{name}" for name in ("family", "recipe") if getattr(arguments, name) is not None]
    if arguments.resume and given:
        raise ConfigError(f"--resume goes on with the run's own config.json: leave out {given[0]}")
    if len(given) == 2:
        raise ConfigError("--family and --recipe: choose one, a recipe says its family")
    family: str = arguments.family or "hybrid"
    return arguments.recipe or RECIPES.get(family, family)


def _add_benchmark(commands: Commands) -> None:
    parser = commands.add_parser("benchmark", help="how fast training goes here")
    parser.add_argument("--data", required=True, type=Path, metavar="DIR")
    parser.add_argument("--recipe", default="clean", metavar="NAME")
    parser.add_argument("--updates", type=int, default=10, help="of each setting (default 10)")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.set_defaults(run=_benchmark)


def _benchmark(arguments: argparse.Namespace) -> int:
    from pianogen.benchmark import HEADING, benchmark
    from pianogen.recipe import read_recipe

    if arguments.updates < 1:
        raise ConfigError("--updates must be at least 1")
    config = replace(read_recipe(arguments.recipe).train, device=arguments.device)
    print(HEADING)
    for speed in benchmark(arguments.data, config, arguments.updates):
        print(speed, flush=True)
    return 0


def _add_weigh(commands: Commands) -> None:
    parser = commands.add_parser(
        "weigh", help="fit what the hybrid's drafts are chosen by, and write it into the checkpoint"
    )
    parser.add_argument("--data", required=True, type=Path, metavar="DIR")
    parser.add_argument("--contexts", type=int, default=300,
                        help="places of the training split (default 300)")  # fmt: skip
    add_voicing(parser)
    parser.set_defaults(run=_weigh)


def _weigh(arguments: argparse.Namespace) -> int:
    from pianogen.device import device_name, use_one_thread

    use_one_thread()  # before numpy and torch are imported
    from pianogen.checkpoint import family_of

    checkpoint = arguments.checkpoint
    if checkpoint is None:
        raise ConfigError("give --checkpoint RUN: its file is written anew with the weights found")
    if (family := family_of(checkpoint)) != "hybrid":
        raise ConfigError(f"{checkpoint} is of the family {family}: only the hybrid weighs drafts")
    from pianogen.weighing import weigh

    before, after = weigh(
        checkpoint, arguments.data, voicing_of(arguments).sampling,
        contexts=arguments.contexts, seed=arguments.seed,
        device=device_name(arguments.device),
    )  # fmt: skip
    print(f"{checkpoint}: finds the true one of nine in {after:.0%} of the places left out "
          f"(before: {before:.0%}, by chance: 11%)")  # fmt: skip
    return 0


def _add_export(commands: Commands) -> None:
    parser = commands.add_parser("export", help="a trained checkpoint, to be passed on")
    parser.add_argument("checkpoint", metavar="RUN")
    parser.add_argument("out", type=Path, metavar="OUT.safetensors")
    parser.add_argument("--licence", required=True, help="of the weights, such as CC-BY-SA-4.0")
    parser.add_argument("--attribution", required=True, type=Path, metavar="FILE",
                        help="a text with the credits the training data asks for")  # fmt: skip
    parser.set_defaults(run=_export)


def _export(arguments: argparse.Namespace) -> int:
    from pianogen.checkpoint import export

    credits_ = arguments.attribution.read_text(encoding="utf-8")
    export(arguments.checkpoint, arguments.out, licence=arguments.licence, attribution=credits_)
    print(f"{arguments.out}: {arguments.out.stat().st_size / 1e6:.1f} MB, {arguments.licence}")
    return 0
