"""A long run over JACK with `jack_midi_clock` as master: `python -m tests.jack_measures`.

The performer plays a phrase of two measures and hears the answer, again and again. At the end:
the daemon's own figures, JACK's lost cycles, and what was left sounding.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import sleep

from tests.jack_duo import MEASURE_TICKS, NAME, Stage, staged
from tests.jack_stage import free_server

EVERY = 5 * MEASURE_TICKS  # two measures of phrase, one till it is over, two of answer
COUNTERS = ("measures_answered", "measures_missed", "measures_stale", "notes_dropped", "late")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--measures", type=int, default=500)
    parser.add_argument("--bpm", type=float, default=120.0)
    asked = parser.parse_args()
    os.environ |= {"JACK_NO_START_SERVER": "1", "JACK_DEFAULT_SERVER": free_server()}
    with (
        TemporaryDirectory() as folder,
        staged(Path(folder), asked.bpm, "--midi", "jack", every=EVERY) as stage,
    ):
        stage.play()
        _wait(stage, asked.measures * 240 / asked.bpm)
        figures = _figures(stage)
        stage.daemon.process.send_signal(signal.SIGTERM)
        stage.daemon.process.wait(20)
        sleep(0.5)
        print(f"{asked.measures} measures at {asked.bpm:g} bpm, over JACK with jack_midi_clock")
        for name in COUNTERS:
            print(f"{name.replace('_', ' '):18} {figures['session'][name]}")
        print(f"{'ticks lost':18} {figures['session']['ticks_lost']}")
        print(f"{'lateness, ms':18} {_rounded(figures['lateness_ms'])}")
        print(f"{'response, ms':18} {_rounded(figures['response_ms'])}")
        print(f"{'satisfaction':18} {figures['satisfaction']}, staleness {figures['staleness']}")
        print(f"{'left sounding':18} {len(stage.client.left_sounding())}")
        print(f"{'cycles JACK lost':18} {stage.client.xruns - stage.xruns_before}")


def _wait(stage: Stage, seconds: float) -> None:
    """Until so much has been played; tells how far it is."""
    for _ in range(int(seconds // 60)):
        sleep(60.0)
        print(stage.client.report(), file=sys.stderr)
    sleep(seconds % 60)


def _figures(stage: Stage) -> dict[str, dict[str, float]]:
    code = "import sys; from bridge.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", code, "--port", NAME, "--status", "--json"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    figures: dict[str, dict[str, float]] = json.loads(told)
    return figures


def _rounded(spread: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.2f}" for name, value in spread.items())


if __name__ == "__main__":
    main()
