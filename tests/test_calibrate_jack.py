"""Calibration over real ports: `NAME out` joined to `NAME in` on a JACK server of its own."""

from __future__ import annotations

import re
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.jack_stage import (
    MISSING,
    Said,
    connect,
    free_server,
    running,
    server,
    wait_for,
)

pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")

CODE = "import sys; from bridge.cli import main; sys.exit(main())"
COMMAND = (sys.executable, "-c", CODE, "--calibrate", "--midi", "jack", "--port", "loop")


@pytest.fixture
def calibrating(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Said]:
    """A calibration that sends its probes, on a server of its own."""
    monkeypatch.setenv("JACK_NO_START_SERVER", "1")
    monkeypatch.setenv("JACK_DEFAULT_SERVER", name := free_server())
    with ExitStack() as stack:
        stack.enter_context(server(name, tmp_path))
        said = stack.enter_context(running(*COMMAND, folder=tmp_path))
        wait_for("the ports", lambda: "waiting for it" in said.text, instead=lambda: said.text)
        yield said


def test_what_goes_out_comes_back_and_a_value_is_printed(
    calibrating: Said,
) -> None:
    connect("loop out$", "loop in$")
    assert calibrating.process.wait(60) == 0, calibrating.text
    said = calibrating.text
    assert re.search(r"round trip: median \d+\.\d\d ms, .*lost \d+ of 40", said)
    assert re.search(r"use `latency_ms: [\d.]+` in the preset, or --latency-ms [\d.]+\n", said)
    assert "without the port's own 2.00 ms" in said


def test_ctrl_c_ends_it_with_one_line_of_what_to_do(
    calibrating: Said,
) -> None:
    calibrating.process.send_signal(signal.SIGINT)
    assert calibrating.process.wait(20) == 2, calibrating.text
    said = calibrating.text
    assert "Traceback" not in said
    assert said.splitlines()[-1].startswith("pianogen-bridge: error: nothing came back: in the DAW")
