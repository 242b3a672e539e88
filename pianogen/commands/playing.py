"""The commands that make music: continue, generate, melody."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pianogen.commands.voicing import add_family, add_voicing, voice_of
from pianogen.errors import ConfigError, PianogenError
from pianogen.presets import HEARD

if TYPE_CHECKING:
    from pianogen.commands.voicing import Commands

MODELS = ("gru", "lstm_attention", "vae")  # of the family melody, each a checkpoint `melody-...`


def add_playing(commands: Commands) -> None:
    """Add these commands to the parser."""
    for add in (_add_continue, _add_generate, _add_melody):
        add(commands)


def _add_continue(commands: Commands) -> None:
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
    add_family(parser)
    add_voicing(parser)
    parser.set_defaults(run=_continue)


def _continue(arguments: argparse.Namespace) -> int:
    from pianogen.generate import continue_file

    pairs = _pairs(arguments)
    voice, voicing = voice_of(arguments)
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


def _pairs(arguments: argparse.Namespace) -> list[tuple[Path, Path]]:
    """Which files are carried on, and where to; raises ConfigError."""
    from pianogen.generate import pair_up

    files: list[Path] = arguments.files
    _refuse_no_measures(arguments)
    if arguments.out is not None:
        return list(pair_up(files, arguments.out))
    if len(files) == 2 and not files[0].is_dir():
        return [(files[0], files[1])]
    raise ConfigError("give IN.mid and OUT.mid, or any number of files and --out DIR")


def _refuse_no_measures(arguments: argparse.Namespace) -> None:
    if arguments.measures < 1:
        raise ConfigError("--measures must be at least 1")


def _add_generate(commands: Commands) -> None:
    parser = commands.add_parser("generate", help="make music from nothing")
    parser.add_argument("out", type=Path, metavar="OUT.mid")
    parser.add_argument("--seconds", type=float, default=30.0)
    _add_time(parser)
    add_family(parser)
    add_voicing(parser)
    parser.set_defaults(run=_generate)


def _add_time(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--meter", default="4/4")
    parser.add_argument("--bpm", type=float, default=120.0)


def _generate(arguments: argparse.Namespace) -> int:
    from pianogen.generate import generate_file
    from pianogen.grid import Meter

    meter = Meter.parse(arguments.meter)
    if arguments.scale == HEARD:
        raise ConfigError("--scale heard: nothing is heard before it; name a scale")
    voice, voicing = voice_of(arguments)
    music = generate_file(
        voice, arguments.out, arguments.seconds,
        meter=meter, tempo_bpm=arguments.bpm, sampling=voicing.sampling, seed=arguments.seed,
    )  # fmt: skip
    notes = sum(len(m.notes) for m in music)
    print(f"{arguments.out}: {len(music)} measures of {meter}, {notes} notes")
    return 0


def _add_melody(commands: Commands) -> None:
    parser = commands.add_parser(
        "melody", help="carry a typed melody on",
        description="In sixteenths: a pitch (60 is middle C), _ to hold it, r for a rest; "
        "/ at the end, where what follows is to be a melody of its own.",
    )  # fmt: skip
    parser.add_argument("typed", metavar="NOTES", help="such as '60 _ 62 _ 64 _ _ _ r r'")
    parser.add_argument("out", type=Path, metavar="OUT.mid")
    parser.add_argument("--model", choices=MODELS, help="which checkpoint of the family melody")
    parser.add_argument("--measures", type=int, default=4, metavar="N")
    _add_time(parser)
    add_voicing(parser)
    parser.set_defaults(run=_melody, family="melody")


def _melody(arguments: argparse.Namespace) -> int:
    from pianogen.grid import Meter
    from pianogen.melodies import write_melody

    _refuse_no_measures(arguments)
    if arguments.model is not None:
        if arguments.checkpoint is not None:
            raise ConfigError("--model and --checkpoint: choose one")
        arguments.checkpoint = f"melody-{arguments.model}"
    meter = Meter.parse(arguments.meter)
    voice, voicing = voice_of(arguments)
    melody = write_melody(
        voice, arguments.typed, arguments.out, measures=arguments.measures, meter=meter,
        tempo_bpm=arguments.bpm, sampling=voicing.sampling,
        is_in_scale_heard=voicing.is_in_scale_heard, seed=arguments.seed,
    )  # fmt: skip
    print(melody)
    return 0
