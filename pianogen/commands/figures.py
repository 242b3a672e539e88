"""The commands that measure: evaluate, compare, steer."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from pianogen.commands.voicing import add_chance, add_family, add_voicing, voicing_of
from pianogen.errors import ConfigError
from pianogen.family import FAMILIES
from pianogen.presets import Voicing, preset_of, read_voicing

if TYPE_CHECKING:
    from pianogen.commands.voicing import Commands

ACCOMPANIED = ("ground",)  # presets compared beside those of the families: a melody is not alone


def add_figures(commands: Commands) -> None:
    """Add these commands to the parser."""
    for add in (_add_evaluate, _add_compare, _add_steer):
        add(commands)


def _add_evaluate(commands: Commands) -> None:
    parser = commands.add_parser("evaluate", help="figures on held-out music, with baselines")
    parser.add_argument("--data", required=True, type=Path, metavar="DIR")
    parser.add_argument("--split", choices=("validation", "test"), default="validation")
    parser.add_argument("--contexts", type=int, default=400,
                        help="places from which continuations are drawn (default 400)")  # fmt: skip
    parser.add_argument("--batches", type=int, metavar="N",
                        help="read so many, spread evenly (default: the whole split)")  # fmt: skip
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures here")
    parser.add_argument("--pictures", type=Path, metavar="DIR",
                        help="draw a few continuations, and the losses of the run")  # fmt: skip
    parser.add_argument("--run", type=Path, dest="training_run", metavar="RUN",
                        help="whose losses (default: the checkpoint's folder)")  # fmt: skip
    add_family(parser)
    add_voicing(parser)
    parser.set_defaults(run=_evaluate)


def _evaluate(arguments: argparse.Namespace) -> int:
    from pianogen.device import device_name, use_one_thread

    use_one_thread()  # before numpy and torch are imported
    from pianogen.evaluate import evaluate

    voicing = voicing_of(arguments)
    if arguments.training_run is not None and arguments.pictures is None:
        raise ConfigError("--run is for pictures of its losses: say where with --pictures DIR")
    if arguments.pictures is not None:
        _draw_losses(arguments.pictures, arguments.training_run, voicing.checkpoint)
    report = evaluate(
        arguments.data,
        arguments.split,
        checkpoint=voicing.checkpoint,
        sampling=voicing.sampling,
        is_in_scale_heard=voicing.is_in_scale_heard,
        contexts=arguments.contexts,
        batches=arguments.batches,
        seed=arguments.seed,
        device=device_name(arguments.device),
        pictures_to=arguments.pictures,
    )
    print(report)
    if arguments.json is not None:
        report.write_json(arguments.json)
    return 0


def _draw_losses(folder: Path, run: Path | None, checkpoint: str) -> None:
    """Those of a run that was named, or of the checkpoint where it is a run's."""
    from pianogen.checkpoint import resolve
    from pianogen.pictures import METRICS, draw_losses

    own = resolve(checkpoint).parent
    if run is not None or (own / METRICS).is_file():
        draw_losses(folder, run or own)


def _add_compare(commands: Commands) -> None:
    parser = commands.add_parser(
        "compare", help="all families and the baselines at the same places, in one table"
    )
    parser.add_argument("--data", required=True, type=Path, metavar="DIR")
    parser.add_argument("--split", choices=("validation", "test"), default="validation")
    parser.add_argument("--family", nargs="+", choices=tuple(FAMILIES), default=(),
                        help="only these, each by its own preset (default: all, "
                        "and a melody over the notes heard)")  # fmt: skip
    parser.add_argument("--preset", nargs="+", default=(), metavar="NAME",
                        help="these presets, beside the families named")  # fmt: skip
    parser.add_argument("--contexts", type=int, default=200,
                        help="places to play on from (default 200)")  # fmt: skip
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures here")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="draw the table here, as PNG")
    add_chance(parser)
    parser.set_defaults(run=_compare)


def _compare(arguments: argparse.Namespace) -> int:
    from pianogen.device import device_name, use_one_thread

    use_one_thread()  # before numpy is imported
    from pianogen.compare import compare

    report = compare(
        arguments.data, arguments.split,
        voicings=_voicings(arguments), contexts=arguments.contexts, seed=arguments.seed,
        device=device_name(arguments.device), picture=arguments.picture,
    )  # fmt: skip
    print(report)
    if arguments.json is not None:
        report.write_json(arguments.json)
    return 0


def _voicings(arguments: argparse.Namespace) -> dict[str, Voicing]:
    """Who is compared, by the name it was given."""
    is_named = bool(arguments.family or arguments.preset)
    families = arguments.family if is_named else FAMILIES
    presets = arguments.preset if is_named else ACCOMPANIED
    by_family = {family: read_voicing(preset_of(family)) for family in families}
    return by_family | {preset: read_voicing(preset) for preset in presets}


def _add_steer(commands: Commands) -> None:
    parser = commands.add_parser(
        "steer", help="figures of density, scale and register: asked for, and played"
    )
    parser.add_argument("--data", required=True, type=Path, metavar="DIR")
    parser.add_argument("--split", default="validation", choices=("train", "validation", "test"))
    parser.add_argument("--contexts", type=int, default=100,
                        help="places to play on from, ten ways each (default 100)")  # fmt: skip
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")
    add_family(parser)
    add_voicing(parser)
    parser.set_defaults(run=_steer)


def _steer(arguments: argparse.Namespace) -> int:
    from pianogen.device import device_name, use_one_thread

    use_one_thread()  # before numpy and torch are imported
    from pianogen.steer import steer

    voicing = voicing_of(arguments)
    report = steer(
        arguments.data, arguments.split,
        checkpoint=voicing.checkpoint, sampling=voicing.sampling,
        is_in_scale_heard=voicing.is_in_scale_heard,
        contexts=arguments.contexts, seed=arguments.seed,
        device=device_name(arguments.device),
    )  # fmt: skip
    print(report)
    if arguments.json is not None:
        report.write_json(arguments.json)
    return 0
