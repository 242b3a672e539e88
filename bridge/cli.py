"""The command `pianogen-bridge`: what it is told becomes settings; the work is done elsewhere.

Imports little, so that `--help` is there at once.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

N = TypeVar("N", int, float)

_EPILOG = """\
In the DAW: send its MIDI clock and the keyboard's track to `NAME in`, and give an instrument
track the input `NAME out`. Hear it without a DAW: pianogen-bridge --demo
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code: 0 fine, 1 it did not play, 2 what a user can mend."""
    options = _parser().parse_args(argv)
    from bridge.errors import BridgeError
    from pianogen.errors import PianogenError

    try:
        from bridge.commands import run

        return run(options)
    except (BridgeError, PianogenError) as error:
        for line in str(error).splitlines():
            print(f"pianogen-bridge: error: {line}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pianogen-bridge",
        description="Follows a DAW's clock, hears a phrase, and carries it on at the measure line.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_ports(parser.add_argument_group("MIDI ports"))
    _add_music(parser.add_argument_group("music"))
    _add_stage(parser.add_argument_group("without a DAW"))
    _add_figures(parser.add_argument_group("is it on time?"))
    _add_log(parser.add_argument_group("what was played"))
    parser.add_argument(
        "--device", choices=("cpu", "cuda", "auto"), default="cpu", help="where the model runs"
    )
    parser.add_argument("--model-factory", help=argparse.SUPPRESS)  # "module:function", for tests
    parser.add_argument(
        "--log-level", choices=("debug", "info", "warning", "error"), default="info"
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and end")
    return parser


def _add_ports(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--port",
        dest="ports",
        action="append",
        metavar="NAME",
        help="open the virtual ports `NAME in` and `NAME out` (default: pianogen); given several "
        "times, there are as many players, and --in, --out, --channel, --latency-ms and --preset "
        "are given once, for all, or once for each, in order",
    )
    _add_each(group, "--in", "inputs", metavar="PORT", help="hear this port instead")
    _add_each(group, "--out", "outputs", metavar="PORT", help="play to this one instead")
    group.add_argument(
        "--midi",
        choices=("auto", "jack", "rtmidi"),
        default="auto",
        help="whose ports: JACK's to the frame, or the system's (default: what is there)",
    )
    group.add_argument("--list-ports", action="store_true", help="list the ports there are and end")
    _add_each(
        group,
        "--channel",
        "channels",
        type=_number(1, 16),
        metavar="1..16",
        help="hear only this channel",
    )
    _add_each(
        group,
        "--latency-ms",
        "latencies_ms",
        type=_fraction(-200, 500),
        metavar="MS",
        help="send so much earlier, for what comes after the port (default: the preset's)",
    )
    group.add_argument(
        "--calibrate",
        action="store_true",
        help="send notes, hear them come back through the DAW, print the --latency-ms to use",
    )
    group.add_argument(
        "--one-way",
        action="store_true",
        help="with --calibrate: the clock comes in by another way than the notes come back",
    )


def _add_music(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--presets", type=Path, metavar="DIR", help="read the presets from here")
    group.add_argument(
        "--validate", action="store_true", help="check the presets and the map of controls; end"
    )
    group.add_argument(
        "--controls",
        type=Path,
        metavar="FILE",
        help="what moves which control (default: controls.yaml beside the presets, if it is there)",
    )
    group.add_argument(
        "--learn",
        nargs="?",
        type=Path,
        const=Path("controls.yaml"),
        metavar="FILE",
        help="move what is to move each control; write the map (default: controls.yaml)",
    )
    _add_each(
        group,
        "--preset",
        "first_presets",
        metavar="NAME",
        help="begin with this one, by name or number",
    )
    group.add_argument("--meter", metavar="4/4", help="the DAW's time signature (default: 4/4)")
    group.add_argument(
        "--shift",
        type=_fraction(-64, 64),
        default=0.0,
        metavar="BEATS",
        help="move the measure lines, where the DAW counts otherwise",
    )
    group.add_argument(
        "--bpm",
        dest="tempi",
        type=_tempi,
        metavar="BPM",
        help="tempo where no MIDI clock comes (default: 120; the demo's 96, a file's own)",
    )
    group.add_argument("--seed", type=int, default=0, help="another seed, other answers")


def _add_stage(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--demo", action="store_true", help="half a minute with a built-in performer, to demo.mid"
    )
    group.add_argument(
        "--perform", type=Path, metavar="FILE.mid", help="a MIDI file in the performer's place"
    )
    group.add_argument(
        "--record", type=Path, metavar="OUT.mid", help="write both voices when it is over"
    )
    group.add_argument(
        "--fast", action="store_true", help="with --perform: at once, on simulated time"
    )


def _add_figures(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--check",
        action="store_true",
        help="play for a minute with a clock and a performer of its own; say what is late and why",
    )
    group.add_argument(
        "--measures",
        type=_number(1, 10_000),
        metavar="N",
        help="with --check: so many of calls and answers, at each tempo of --bpm 60,120",
    )
    group.add_argument(
        "--seconds",
        type=_fraction(1, 36_000),
        metavar="S",
        help="with --check: as long instead (default: 48, shared by the tempi)",
    )
    group.add_argument(
        "--jitter-ms",
        type=_fraction(0, 20),
        default=0.0,
        metavar="MS",
        help="with --check: a clock as uneven as that (standard deviation)",
    )
    group.add_argument(
        "--status", action="store_true", help="tell how the running daemon of --port does, and end"
    )
    group.add_argument(
        "--json", nargs="?", const="-", metavar="FILE", help="--check, --status: tell it as JSON"
    )


def _add_log(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--log", type=Path, metavar="DIR", help="log what is played and what comes of it, in DIR"
    )
    group.add_argument(
        "--replay",
        type=Path,
        metavar="LOG",
        help="play a log again at once; say whether the same comes of it, to the byte",
    )
    group.add_argument(
        "--live",
        action="store_true",
        help="with --replay: through the MIDI ports, in the time it took",
    )
    group.add_argument(
        "--export",
        nargs=2,
        type=Path,
        metavar=("LOG", "OUT.mid"),
        help="a log as a MIDI file: both voices in their measures, and the tempo followed",
    )


def _add_each(group: argparse._ArgumentGroup, option: str, dest: str, **how: Any) -> None:
    """An option that several players may be given one by one."""
    group.add_argument(option, dest=dest, action="append", **how)


def _tempi(text: str) -> tuple[float, ...]:
    """One tempo, or several with commas between, as an argument's type."""
    return tuple(_fraction(20, 400)(part) for part in text.split(","))


def _number(low: int, high: int) -> Callable[[str], int]:
    """A whole number in a range, as an argument's type."""
    return _ranged(int, "a whole number", low, high)


def _fraction(low: float, high: float) -> Callable[[str], float]:
    """A number in a range, as an argument's type."""
    return _ranged(float, "a number", low, high)


def _ranged(read: Callable[[str], N], what: str, low: N, high: N) -> Callable[[str], N]:
    def value_of(text: str) -> N:
        try:
            value = read(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not {what}") from None
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"must be {low:g} to {high:g}, is {text}")
        return value

    return value_of


class _Version(argparse.Action):
    """Looks the version up only when asked."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version

        print(f"pianogen-bridge {version('pianogen')}")
        parser.exit()
