"""What `--check` does: how long it plays, through which ports, and what it prints."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bridge.check import Checked, check
from bridge.check_figures import figures
from bridge.check_music import Piece, in_turns
from bridge.check_table import Report, Setting, table
from bridge.check_verdict import verdict
from bridge.errors import BridgeError
from bridge.ports import Driver
from bridge.presets import Preset
from bridge.staged import Cast
from bridge.vitals import load_average
from pianogen.files import write_whole
from pianogen.grid import PPQN

log = logging.getLogger("bridge")

DEFAULT_S = 48.0  # of calls and answers, all tempi together: a minute with all that is around them


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be checked.

    tempi: in bpm, one after the other. measures: of calls and answers at each tempo; seconds: of
    all of them, where measures is None. jitter_ms: added to the clock, as a standard deviation.
    """

    tempi: tuple[float, ...]
    measures: int | None = None
    seconds: float | None = None
    jitter_ms: float = 0.0

    def pieces(self, cast: Cast, preset: Preset) -> tuple[Piece, ...]:
        """What is played at each tempo."""
        meter = cast.settings.meter
        beats = meter.ticks / PPQN
        seconds = (DEFAULT_S if self.seconds is None else self.seconds) / len(self.tempi)
        return tuple(
            replace(
                Piece.of(preset, meter, bpm, self.measures or round(seconds * bpm / 60 / beats)),
                jitter_ms=self.jitter_ms,
            )
            for bpm in self.tempi
        )


def run_check(
    cast: Cast, preset: Preset, wish: Wish, *, port: str, driver: Driver, json_file: str | None
) -> int:
    """Play, print the table and the verdict; 0 where it is on time here, else 1.

    json_file: the figures go there too; "-" prints them instead. Raises BridgeError.
    """
    preset, cast = in_turns(preset), replace(cast, presets=tuple(map(in_turns, cast.presets)))
    if cast.settings.latency_ms is None:
        cast = replace(cast, settings=replace(cast.settings, latency_ms=preset.latency_ms))
    name = port if sys.platform == "win32" else f"{port} check"  # a daemon may have that one
    load = load_average()
    checked = check(cast, wish.pieces(cast, preset), name, driver, log.info)
    report = report_of(checked, preset.name, load)
    if json_file == "-":
        print(json.dumps(as_dict(report), indent=1))
    else:
        print("\n".join([table(report), "", *verdict(report)]))
    if json_file not in (None, "-"):
        _write(Path(json_file or ""), report)
    return 0 if report.is_fine else 1


def report_of(checked: Checked, preset: str, load: float | None) -> Report:
    """The figures of a check."""
    is_exact = checked.way == "jack"
    columns = [
        (
            Setting(taken.piece.bpm, checked.is_real_time, is_exact),
            figures(taken, is_heard_exactly=is_exact),
        )
        for taken in checked.taken
    ]
    return Report(
        columns=columns,
        label=checked.label,
        way=checked.way,
        preset=preset,
        device=checked.device,
        ports_after_s=checked.ports_after_s,
        ready_after_s=checked.ready_after_s,
        load=load,
        cores=os.cpu_count(),
    )


def as_dict(report: Report) -> dict[str, Any]:
    """The same as plain values; what cannot be told is null."""
    tempi: Sequence[dict[str, Any]] = [
        {"bpm": setting.bpm, **figures} for setting, figures in report.columns
    ]
    return {
        "is_fine": report.is_fine,
        "verdict": verdict(report),
        "ports": report.label,
        "way": report.way,
        "preset": report.preset,
        "device": report.device,
        "is_real_time": any(setting.is_real_time for setting, _ in report.columns),
        "ports_after_s": report.ports_after_s,
        "ready_after_s": report.ready_after_s,
        "load_average": report.load,
        "processors": report.cores,
        "tempi": tempi,
    }


def _write(path: Path, report: Report) -> None:
    try:
        write_whole(path, (json.dumps(as_dict(report), indent=1) + "\n").encode())
    except OSError as error:
        raise BridgeError(f"{path}: cannot be written ({error.strerror})") from error
