"""The command `pianogen`: prepare, train, benchmark, evaluate, continue, generate, steer, export.

Parses, calls, and turns what a user can mend into one line and exit code 2. Heavy modules are
imported by the command that needs them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pianogen.errors import PianogenError

if TYPE_CHECKING:
    from pianogen.continuation import Continuation
    from pianogen.presets import Voicing

    _Commands = argparse._SubParsersAction[argparse.ArgumentParser]

EXIT_ERROR = 2
TEMPERATURES = {
    "temperature": "which pitches (default: the preset's)",
    "velocity_temperature": "how loud",
    "rhythm_temperature": "when",
    "duration_temperature": "how long",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    arguments = _parser().parse_args(argv)
    run: Callable[[argparse.Namespace], int] = arguments.run
    try:
        return run(arguments)
    except PianogenError as error:
        print(f"pianogen {arguments.command}: error: {error}", file=sys.stderr)
        return EXIT_ERROR
    except OSError as error:
        print(f"pianogen {arguments.command}: error: {error}", file=sys.stderr)
        return EXIT_ERROR
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        line = "error: needs torch, which is not installed here: pip install torch"
        print(f"pianogen {arguments.command}: {line}", file=sys.stderr)
        return EXIT_ERROR
    except KeyboardInterrupt:
        print(f"pianogen {arguments.command}: stopped", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("pianogen", description="Piano continuations, offline.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for add in (_add_prepare, _add_train, _add_benchmark, _add_evaluate, _add_continue,
                _add_generate, _add_weigh, _add_steer, _add_export):  # fmt: skip
        add(commands)
    return parser


def _add_prepare(commands: _Commands) -> None:
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


def _add_train(commands: _Commands) -> None:
    parser = commands.add_parser("train", help="train a checkpoint")
    parser.add_argument("--data", required=True, type=Path, metavar="DIR")
    parser.add_argument("--out", required=True, type=Path, metavar="RUN")
    parser.add_argument("--recipe", metavar="NAME", help="clean (default), all, or a YAML file")
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
    from pianogen.errors import ConfigError
    from pianogen.recipe import read_config, read_recipe
    from pianogen.train import train

    if arguments.resume and arguments.recipe:
        raise ConfigError("--resume goes on with the run's own config.json: leave out --recipe")
    names = ("steps", "batch_steps", "learning_rate", "validate_every", "seed", "device",
             "precision", "threads")  # fmt: skip
    changes = {n: getattr(arguments, n) for n in names if getattr(arguments, n) is not None}
    recipe = arguments.recipe or "clean"
    start = read_config(arguments.out) if arguments.resume else read_recipe(recipe).train
    train(arguments.data, arguments.out, replace(start, **changes), resume=arguments.resume)
    return 0


def _add_benchmark(commands: _Commands) -> None:
    parser = commands.add_parser("benchmark", help="how fast training goes here")
    parser.add_argument("--data", required=True, type=Path, metavar="DIR")
    parser.add_argument("--recipe", default="clean", metavar="NAME")
    parser.add_argument("--updates", type=int, default=10, help="of each setting (default 10)")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.set_defaults(run=_benchmark)


def _benchmark(arguments: argparse.Namespace) -> int:
    from pianogen.benchmark import HEADING, benchmark
    from pianogen.errors import ConfigError
    from pianogen.recipe import read_recipe

    if arguments.updates < 1:
        raise ConfigError("--updates must be at least 1")
    config = replace(read_recipe(arguments.recipe).train, device=arguments.device)
    print(HEADING)
    for speed in benchmark(arguments.data, config, arguments.updates):
        print(speed, flush=True)
    return 0


def _add_evaluate(commands: _Commands) -> None:
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
    _add_voicing(parser)
    parser.set_defaults(run=_evaluate)


def _evaluate(arguments: argparse.Namespace) -> int:
    from pianogen.device import device_name, use_one_thread
    from pianogen.errors import ConfigError

    use_one_thread()  # before numpy and torch are imported
    from pianogen.evaluate import evaluate

    voicing = _voicing(arguments)
    checkpoint = str(arguments.checkpoint or voicing.checkpoint)
    if arguments.training_run is not None and arguments.pictures is None:
        raise ConfigError("--run is for pictures of its losses: say where with --pictures DIR")
    if arguments.pictures is not None:
        _draw_losses(arguments.pictures, arguments.training_run, Path(checkpoint))
    report = evaluate(
        arguments.data,
        arguments.split,
        checkpoint=checkpoint,
        sampling=voicing.sampling,
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


def _draw_losses(folder: Path, run: Path | None, checkpoint: Path) -> None:
    """Those of a run that was named, or of the checkpoint where it is a run."""
    from pianogen.pictures import METRICS, draw_losses

    if run is not None or (checkpoint / METRICS).is_file():
        draw_losses(folder, run or checkpoint)


def _add_continue(commands: _Commands) -> None:
    parser = commands.add_parser(
        "continue", help="carry a MIDI file on",
        usage="pianogen continue IN.mid OUT.mid [options]\n"
        "       pianogen continue IN.mid FOLDER ... --out DIR [options]",
    )  # fmt: skip
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--out", type=Path, metavar="DIR", help="for several: same names, here")
    parser.add_argument("--measures", type=int, default=4, metavar="N")
    parser.add_argument("--from", type=int, dest="first", metavar="M",
                        help="hear only the first M measures (default: all)")  # fmt: skip
    _add_voicing(parser)
    parser.set_defaults(run=_continue)


def _continue(arguments: argparse.Namespace) -> int:
    from pianogen.errors import ConfigError
    from pianogen.generate import continue_file, pair_up

    files: list[Path] = arguments.files
    if arguments.measures < 1:
        raise ConfigError("--measures must be at least 1")
    if arguments.out is not None:
        pairs = list(pair_up(files, arguments.out))
    elif len(files) == 2 and not files[0].is_dir():
        pairs = [(files[0], files[1])]
    else:
        raise ConfigError("give IN.mid and OUT.mid, or any number of files and --out DIR")
    voice, voicing = _voice(arguments)
    failed = 0
    for source, out in pairs:
        try:
            answer = continue_file(
                voice, source, out, arguments.measures,
                first=arguments.first, sampling=voicing.sampling,
                is_in_scale_heard=voicing.is_in_scale_heard, seed=arguments.seed,
            )  # fmt: skip
        except PianogenError as error:
            if len(pairs) == 1:
                raise
            failed += 1
            print(f"pianogen continue: left out: {error}", file=sys.stderr)
            continue
        print(f"{out}: {arguments.measures} measures, {sum(len(m.notes) for m in answer)} notes")
    return 1 if failed else 0


def _add_generate(commands: _Commands) -> None:
    parser = commands.add_parser("generate", help="make music from nothing")
    parser.add_argument("out", type=Path, metavar="OUT.mid")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--meter", default="4/4")
    parser.add_argument("--bpm", type=float, default=120.0)
    _add_voicing(parser)
    parser.set_defaults(run=_generate)


def _generate(arguments: argparse.Namespace) -> int:
    from pianogen.generate import generate_file
    from pianogen.grid import Meter

    meter = Meter.parse(arguments.meter)
    voice, voicing = _voice(arguments)
    music = generate_file(
        voice, arguments.out, arguments.seconds,
        meter=meter, tempo_bpm=arguments.bpm, sampling=voicing.sampling, seed=arguments.seed,
    )  # fmt: skip
    notes = sum(len(m.notes) for m in music)
    print(f"{arguments.out}: {len(music)} measures of {meter}, {notes} notes")
    return 0


def _add_export(commands: _Commands) -> None:
    parser = commands.add_parser("export", help="a trained checkpoint, to be passed on")
    parser.add_argument("checkpoint", type=Path, metavar="RUN")
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


def _add_weigh(commands: _Commands) -> None:
    parser = commands.add_parser(
        "weigh", help="fit what drafts are chosen by, and write it into the checkpoint"
    )
    parser.add_argument("--data", required=True, type=Path, metavar="DIR")
    parser.add_argument("--contexts", type=int, default=300,
                        help="places of the training split (default 300)")  # fmt: skip
    _add_voicing(parser)
    parser.set_defaults(run=_weigh)


def _weigh(arguments: argparse.Namespace) -> int:
    from pianogen.device import device_name, use_one_thread
    from pianogen.errors import ConfigError

    use_one_thread()  # before numpy and torch are imported
    from pianogen.weighing import weigh

    if arguments.checkpoint is None:
        raise ConfigError("give --checkpoint RUN: its file is written anew with the weights found")
    checkpoint = arguments.checkpoint
    before, after = weigh(
        checkpoint, arguments.data, _voicing(arguments).sampling,
        contexts=arguments.contexts, seed=arguments.seed,
        device=device_name(arguments.device),
    )  # fmt: skip
    print(f"{checkpoint}: finds the true one of nine in {after:.0%} of the places left out "
          f"(before: {before:.0%}, by chance: 11%)")  # fmt: skip
    return 0


def _add_steer(commands: _Commands) -> None:
    parser = commands.add_parser(
        "steer", help="figures of density, scale and register: asked for, and played"
    )
    parser.add_argument("--data", required=True, type=Path, metavar="DIR")
    parser.add_argument("--split", default="validation", choices=("train", "validation", "test"))
    parser.add_argument("--contexts", type=int, default=100,
                        help="places to play on from, ten ways each (default 100)")  # fmt: skip
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")
    _add_voicing(parser)
    parser.set_defaults(run=_steer)


def _steer(arguments: argparse.Namespace) -> int:
    from pianogen.device import device_name, use_one_thread

    use_one_thread()  # before numpy and torch are imported
    from pianogen.steer import steer

    voicing = _voicing(arguments)
    report = steer(
        arguments.data, arguments.split,
        checkpoint=str(arguments.checkpoint or voicing.checkpoint), sampling=voicing.sampling,
        contexts=arguments.contexts, seed=arguments.seed,
        device=device_name(arguments.device),
    )  # fmt: skip
    print(report)
    if arguments.json is not None:
        report.write_json(arguments.json)
    return 0


def _add_voicing(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--preset", default="default", help="a preset's name, or a YAML file")
    parser.add_argument("--checkpoint", metavar="FILE", help="instead of the preset's")
    for name, what in TEMPERATURES.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=float, metavar="T", help=what)
    parser.add_argument("--min-p", type=float, metavar="P",
                        help="never draw pitches this much less likely than the best")  # fmt: skip
    parser.add_argument("--max-polyphony", type=int, metavar="N")
    parser.add_argument("--density", type=float, metavar="D",
                        help="how many notes: 0.25 to 4 times what it would play")  # fmt: skip
    parser.add_argument(
        "--scale", metavar="NAME", help="its notes alone: such as 'f# minor', or 'heard'"
    )
    parser.add_argument("--candidates", type=int, metavar="N",
                        help="drafts of a measure, 1 to 256; the best is taken")  # fmt: skip
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="cpu")


def _voicing(arguments: argparse.Namespace) -> Voicing:
    from pianogen.presets import read_voicing

    voicing = read_voicing(arguments.preset)
    names = (*TEMPERATURES, "min_p", "max_polyphony", "density", "candidates")
    changes = {n: getattr(arguments, n) for n in names if getattr(arguments, n) is not None}
    voicing = replace(voicing, sampling=replace(voicing.sampling, **changes))
    return voicing if arguments.scale is None else voicing.in_scale(arguments.scale)


def _voice(arguments: argparse.Namespace) -> tuple[Continuation, Voicing]:
    from pianogen.device import device_name, use_one_thread

    use_one_thread()  # before numpy is imported
    from pianogen.checkpoint import load_continuation

    voicing = _voicing(arguments)
    voice = load_continuation(
        arguments.checkpoint or voicing.checkpoint, device=device_name(arguments.device)
    )
    return voice, voicing


if __name__ == "__main__":
    sys.exit(main())
