"""What the command can do, once its words are read: serve, tell how it goes, play without a DAW."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from logging.handlers import QueueHandler, QueueListener
from pathlib import Path
from queue import SimpleQueue

from bridge.controls_file import ControlsFile, find_controls, read_controls
from bridge.display import Display
from bridge.errors import BridgeError
from bridge.model_process import DEFAULT_FACTORY
from bridge.parts import Part, file_of, only_one, parts_of
from bridge.ports import Driver
from bridge.presets import Preset, choose_preset
from bridge.published import read
from bridge.recording import Recording
from bridge.reload import Folder, read_folder
from bridge.session_log import LogPlace
from bridge.staged import Cast, Outcome, play_fast, play_live
from bridge.status import Settings
from bridge.status_text import status_text
from bridge.summary import summary
from pianogen.grid import Meter

log = logging.getLogger("bridge")

DEMO_FILE = Path("demo.mid")
DEFAULT_BPM = 120.0


def run(options: argparse.Namespace) -> int:
    """Do what the options say; returns the exit code. Raises BridgeError, PianogenError."""
    _refuse_nonsense(options)
    parts = parts_of(options)
    with _logging(options.log_level):
        if options.list_ports:
            return _list_ports(options.midi)
        if options.status:
            return _status(options, only_one(parts, "--status"))
        if options.calibrate:
            return _calibrate(options, only_one(parts, "--calibrate"))
        if options.learn is not None:
            return _learn(options, only_one(parts, "--learn"))
        if options.validate:
            return _validate(options)
        if options.replay is not None or options.export is not None:
            from bridge.replay_command import replay_or_export

            return replay_or_export(options, only_one(parts, "--replay, as --export,").wanted)
        return _play(options, parts)


def _play(options: argparse.Namespace, parts: Sequence[Part]) -> int:
    """What presets are needed for."""
    folder = read_folder(options.presets)
    if options.demo:
        return _demo(options, only_one(parts, "--demo"), folder.presets)
    if options.perform is not None:
        return _perform(options, only_one(parts, "--perform"), folder.presets)
    if options.check:
        return _check_here(options, only_one(parts, "--check"), folder.presets)
    return _serve(options, folder, parts)


def _first(presets: tuple[Preset, ...], part: Part) -> Preset:
    """The one that a player begins with; raises BridgeError where there is none of that name."""
    return presets[0] if part.preset is None else choose_preset(presets, part.preset)


def _refuse_nonsense(options: argparse.Namespace) -> None:
    if options.fast and options.perform is None:
        raise BridgeError("--fast needs --perform FILE.mid")
    if options.one_way and not options.calibrate:
        raise BridgeError("--one-way needs --calibrate")
    if options.demo and options.perform is not None:
        raise BridgeError("--demo and --perform: choose one")
    if options.json is not None and not (options.status or options.check):
        raise BridgeError("--json needs --status or --check")
    if options.tempi is not None and len(options.tempi) > 1 and not options.check:
        raise BridgeError("--bpm with several tempi needs --check")
    if options.replay is not None and options.export is not None:
        raise BridgeError("--replay and --export: choose one")
    if options.live and options.replay is None:
        raise BridgeError("--live needs --replay LOG")
    if options.check and (options.demo or options.perform is not None):
        raise BridgeError("--check plays by itself: leave out --demo and --perform")
    if options.check and (options.inputs or options.outputs):
        raise BridgeError("--check has ports of its own: leave out --in and --out")
    record = options.record
    if record is not None and not record.resolve().parent.is_dir():
        raise BridgeError(f"--record {record}: there is no folder {record.resolve().parent}")


def _list_ports(driver: Driver) -> int:
    from bridge.ports import list_ports

    found = list_ports(driver)
    for title, names in zip(("inputs (--in)", "outputs (--out)"), found, strict=True):
        print(f"{title}:")
        for name in names or ["(none)"]:
            print(f"  {name}")
    return 0


def _calibrate(options: argparse.Namespace, part: Part) -> int:
    from bridge.calibrate import calibrate
    from bridge.ports import system_ports

    ports = system_ports(part.wanted, options.midi)
    for line in calibrate(ports, part.wanted, is_one_way=options.one_way):
        print(line)
    return 0


def _learn(options: argparse.Namespace, part: Part) -> int:
    """Learn what moves which control, beginning with the map there is."""
    from bridge.learn import Walk
    from bridge.learn_command import learn, typed_lines
    from bridge.ports import system_ports

    path: Path = options.learn
    there = path if path.is_file() else find_controls(options.presets, options.controls)
    begun = ControlsFile() if there is None else read_controls(there)
    ports = system_ports(part.wanted, options.midi)
    typed = typed_lines(-1 if sys.stdin is None else sys.stdin.fileno())  # -1: it ends at once
    say = partial(print, flush=True)
    return learn(ports, Walk(begun.bindings), path, typed, say, state_out=begun.state_out)


def _validate(options: argparse.Namespace) -> int:
    """What the presets and the map of controls are, a line each; then every fault."""
    from bridge.validate import validate

    told = validate(options.presets, find_controls(options.presets, options.controls))
    for line in told.lines:
        print(line)
    if told.faults:
        raise BridgeError("\n".join(told.faults))
    return 0


def _serve(options: argparse.Namespace, folder: Folder, parts: Sequence[Part]) -> int:
    """The daemon itself, between real ports, until told to end."""
    from bridge.serve import Playing, serve

    players = []
    for part in parts:
        settings = _settings(options, part, _first(folder.presets, part))
        cast = _cast(options, part, folder.presets, settings)
        record = None if options.record is None else file_of(part, options.record, len(parts))
        players.append(Playing(part, cast, record))
    serve(players, folder, options.midi)
    return 0


def _status(options: argparse.Namespace, part: Part) -> int:
    """What a running daemon says of a player, as text or as JSON."""
    figures = read(part.name)
    print(status_text(figures) if options.json is None else json.dumps(figures, indent=1))
    return 0


def _check_here(options: argparse.Namespace, part: Part, presets: tuple[Preset, ...]) -> int:
    from bridge.check_command import Wish, run_check

    first = _first(presets, part)
    cast = _cast(options, part, presets, _settings(options, part, first))
    tempi = options.tempi or (DEFAULT_BPM,)
    wish = Wish(tempi, options.measures, options.seconds, options.jitter_ms)
    return run_check(cast, first, wish, port=part.name, driver=options.midi, json_file=options.json)


def _demo(options: argparse.Namespace, part: Part, presets: tuple[Preset, ...]) -> int:
    from bridge.demo_music import BEATS_A_MEASURE, DEMO_BPM, DEMO_MEASURES, demo_strokes
    from bridge.player import clock_messages, performance, stroke_messages

    settings = _settings(options, part, _first(presets, part), bpm=DEMO_BPM)
    beats = DEMO_MEASURES * BEATS_A_MEASURE + 2  # so that the last notes end by themselves
    messages = performance(
        clock_messages(settings.bpm, beats), stroke_messages(demo_strokes(settings.bpm))
    )
    recording = Recording()
    cast = _cast(options, part, presets, settings)
    with _display() as display:
        outcome = play_live(cast, messages, [recording, display])
    path = options.record or DEMO_FILE
    recording.write(path, settings.bpm, settings.meter)
    return _report(outcome, path, is_live=True)


def _perform(options: argparse.Namespace, part: Part, presets: tuple[Preset, ...]) -> int:
    from bridge.perform import read_piece

    first = _first(presets, part)
    meter = _meter(options)
    piece = read_piece(options.perform, _bpm(options), meter, first)
    settings = _settings(options, part, first, bpm=piece.tempo_bpm, meter=piece.meter)
    cast = _cast(options, part, presets, settings)
    recording = Recording()
    if options.fast:
        outcome = play_fast(cast, piece.messages, [recording])
    else:
        with _display() as display:
            outcome = play_live(cast, piece.messages, [recording, display])
    if options.record is not None:
        recording.write(options.record, piece.tempo_bpm, piece.meter)
    return _report(outcome, options.record, is_live=not options.fast)


def _report(outcome: Outcome, path: Path | None, *, is_live: bool) -> int:
    """Print the summary; fine is what played and left nothing sounding."""
    for line in summary(outcome, is_live=is_live):
        print(line)
    if path is not None:
        print(f"wrote {path}")
    return 0 if outcome.sent.notes and not outcome.sent.sounding else 1


def _settings(
    options: argparse.Namespace,
    part: Part,
    first: Preset,
    *,
    bpm: float = DEFAULT_BPM,
    meter: Meter | None = None,
) -> Settings:
    there = find_controls(options.presets, options.controls)
    controls = ControlsFile() if there is None else read_controls(there)
    return Settings(
        meter=_meter(options) or meter or Meter(),
        shift_beats=options.shift,
        bpm=_bpm(options) or bpm,
        seed=options.seed + part.number,  # of one seed two would play the same to the same
        channel=part.channel,
        latency_ms=part.latency_ms,
        preset=first.number,
        bindings=controls.bindings,
        state_out=controls.state_out,
    )


def _bpm(options: argparse.Namespace) -> float | None:
    return None if options.tempi is None else float(options.tempi[0])


def _meter(options: argparse.Namespace) -> Meter | None:
    return None if options.meter is None else Meter.parse(options.meter)


def _cast(
    options: argparse.Namespace, part: Part, presets: Sequence[Preset], settings: Settings
) -> Cast:
    factory = options.model_factory or DEFAULT_FACTORY
    place = None if options.log is None else LogPlace(options.log, part.name)
    return Cast(tuple(presets), settings, options.device, factory, place)


@contextmanager
def _display() -> Iterator[Display]:
    """A display that also gets the log lines while it is there."""
    display = Display()
    root = logging.getLogger()
    before = root.handlers[:]
    root.handlers[:] = [display]
    try:
        yield display
    finally:
        root.handlers[:] = before
        display.end()


@contextmanager
def _logging(level: str) -> Iterator[None]:
    """To stderr, from a thread of its own: a terminal that stands still must not hold the music."""
    root = logging.getLogger()
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("pianogen-bridge: %(message)s"))
    lines: SimpleQueue[logging.LogRecord] = SimpleQueue()
    writer = QueueListener(lines, handler)
    handlers_before, level_before = root.handlers[:], root.level
    root.handlers[:] = [QueueHandler(lines)]
    root.setLevel(level.upper())
    writer.start()
    try:
        yield
    finally:
        writer.stop()
        root.handlers[:] = handlers_before
        root.setLevel(level_before)
