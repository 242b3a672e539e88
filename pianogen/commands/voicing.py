"""Who plays, and how it is drawn from: the options that most commands share, and what they mean.

given                    sampled as                  played by
nothing                  the default preset          its checkpoint
--family F               the preset of F             its checkpoint
--checkpoint C           the preset of C's family    C
--preset P               P                           its checkpoint
--family F --preset P    P                           P's checkpoint, or F's where P has none
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias, get_args

from pianogen.errors import ConfigError
from pianogen.family import FAMILIES
from pianogen.presets import Voicing, preset_of, read_voicing
from pianogen.sampling import Decoding
from pianogen.shipped import DEFAULT

if TYPE_CHECKING:
    from pianogen.continuation import Continuation

    Commands: TypeAlias = argparse._SubParsersAction[argparse.ArgumentParser]

TEMPERATURES = {
    "temperature": "which pitches (default: the preset's)",
    "velocity_temperature": "how loud",
    "rhythm_temperature": "when",
    "duration_temperature": "how long",
}
SETTINGS = (*TEMPERATURES, "min_p", "max_polyphony", "density", "candidates", "decoding",
            "repetition_penalty")  # fmt: skip


def add_family(parser: argparse.ArgumentParser) -> None:
    """The option that says who plays."""
    parser.add_argument("--family", choices=tuple(FAMILIES),
                        help="who plays, by its own preset (default: hybrid)")  # fmt: skip


def add_voicing(parser: argparse.ArgumentParser) -> None:
    """The options that say how it is drawn from."""
    parser.add_argument("--preset", help="a preset's name, or a YAML file")
    parser.add_argument("--checkpoint", metavar="FILE",
                        help="instead of the preset's: its name, or a file")  # fmt: skip
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
    parser.add_argument("--decoding", choices=get_args(Decoding),
                        help="draw, take the likeliest each time, or the likeliest of as "
                             "many lines as candidates (chords, melody; else max)")  # fmt: skip
    parser.add_argument("--repetition-penalty", type=float, metavar="P",
                        help="1 to 4: how much less likely what was played before is "
                             "(chords, melody)")  # fmt: skip
    add_chance(parser)


def add_chance(parser: argparse.ArgumentParser) -> None:
    """The options of every command that draws."""
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="cpu")


def voicing_of(arguments: argparse.Namespace) -> Voicing:
    """What the options say, the checkpoint included; raises ConfigError, CheckpointError."""
    voicing = _chosen(getattr(arguments, "family", None), arguments.preset, arguments.checkpoint)
    changes = {n: getattr(arguments, n) for n in SETTINGS if getattr(arguments, n) is not None}
    voicing = replace(voicing, sampling=replace(voicing.sampling, **changes))
    return voicing if arguments.scale is None else voicing.in_scale(arguments.scale)


def _chosen(family: str | None, preset: str | None, checkpoint: str | None) -> Voicing:
    own = preset_of(family or _family_of(checkpoint))
    voicing = read_voicing(preset or own)
    if checkpoint is None and family is not None and voicing.checkpoint == DEFAULT:
        checkpoint = read_voicing(own).checkpoint
    voicing = replace(voicing, checkpoint=checkpoint or voicing.checkpoint)
    if family is not None:
        _refuse_another(family, voicing.checkpoint)
    return voicing


def _family_of(checkpoint: str | None) -> str:
    """The one whose preset suits; of an unknown family, loading will tell."""
    if checkpoint is None:
        return "hybrid"
    from pianogen.checkpoint import family_of

    found = family_of(checkpoint)
    return found if found in FAMILIES else "hybrid"


def _refuse_another(family: str, checkpoint: str) -> None:
    from pianogen.checkpoint import family_of

    found = family_of(checkpoint)
    if found != family:
        raise ConfigError(
            f"the family {family} is to play, but checkpoint {checkpoint} is of the family {found}"
        )


def voice_of(arguments: argparse.Namespace) -> tuple[Continuation, Voicing]:
    """Who plays, loaded, and how it is drawn from."""
    from pianogen.device import device_name, use_one_thread

    use_one_thread()  # before numpy is imported
    from pianogen.checkpoint import load_continuation

    voicing = voicing_of(arguments)
    return load_continuation(voicing.checkpoint, device=device_name(arguments.device)), voicing
