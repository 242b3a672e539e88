"""Calibration over real ports: `NAME out` joined to `NAME in` on a JACK server of its own."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep

import pytest

pytest.importorskip("jack", exc_type=(ImportError, OSError))

TOOLS = ("jackd", "jack_connect", "jack_lsp")
_MISSING = [tool for tool in TOOLS if shutil.which(tool) is None]
pytestmark = pytest.mark.skipif(bool(_MISSING), reason=f"not installed: {', '.join(_MISSING)}")

ROOT = Path(__file__).resolve().parent.parent
CODE = "import sys; from bridge.cli import main; sys.exit(main())"
OPTIONS = ("--calibrate", "--midi", "jack", "--port", "loop")


def wait_for(what: str, is_so: Callable[[], bool], seconds: float = 30.0) -> None:
    end = monotonic() + seconds
    while not is_so():
        if monotonic() > end:
            pytest.fail(f"waited {seconds:g} s in vain for {what}")
        sleep(0.05)


def present() -> list[str]:
    return subprocess.run(["jack_lsp"], capture_output=True, text=True).stdout.splitlines()


def is_joined() -> bool:
    ports = [next(p for p in present() if p.endswith(f":loop {end}")) for end in ("out", "in")]
    return subprocess.run(["jack_connect", *ports], capture_output=True).returncode == 0


@contextmanager
def running(*command: str, out: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process whose words are in `out`; ended, if it is still there, by force."""
    with out.open("wb") as words:
        process = subprocess.Popen(command, stdout=words, stderr=words, cwd=ROOT)
        try:
            yield process
        finally:
            process.kill()
            process.wait(20)


@pytest.fixture
def calibrating(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """A calibration that sends its probes, on a server of its own."""
    server, out = f"loop-{os.getpid()}", tmp_path / "said"
    monkeypatch.setenv("JACK_NO_START_SERVER", "1")
    monkeypatch.setenv("JACK_DEFAULT_SERVER", server)
    dummy = ("-d", "dummy", "-r", "48000", "-p", "256")
    with running("jackd", "-n", server, "-r", *dummy, out=tmp_path / "jackd"):
        wait_for("the JACK server", lambda: "system:playback_1" in present())
        with running(sys.executable, "-c", CODE, *OPTIONS, out=out) as process:
            wait_for("the ports", lambda: "waiting for it" in out.read_text())
            yield process, out


def test_what_goes_out_comes_back_and_a_value_is_printed(
    calibrating: tuple[subprocess.Popen[bytes], Path],
) -> None:
    process, out = calibrating
    wait_for("the cable", is_joined)
    assert process.wait(60) == 0, out.read_text()
    said = out.read_text()
    assert re.search(r"round trip: median \d+\.\d\d ms, .*lost \d+ of 40", said)
    assert re.search(r"use `latency_ms: [\d.]+` in the preset, or --latency-ms [\d.]+\n", said)
    assert "without the port's own 2.00 ms" in said


def test_ctrl_c_ends_it_with_one_line_of_what_to_do(
    calibrating: tuple[subprocess.Popen[bytes], Path],
) -> None:
    process, out = calibrating
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 2, out.read_text()
    said = out.read_text()
    assert "Traceback" not in said
    assert said.splitlines()[-1].startswith("pianogen-bridge: error: nothing came back: in the DAW")
