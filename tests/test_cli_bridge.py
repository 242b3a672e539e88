"""The command: what it says to wrong words, and that it is light on its feet."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from queue import SimpleQueue

import pytest

from bridge.cli import main
from bridge.events import NoteOn, Planned, Quit
from bridge.midi_bytes import CLOCK, START, STOP
from bridge.perform import read_piece
from bridge.performer import Performer
from bridge.presets import load_presets
from bridge.reporter import Reporter
from bridge.session import Session
from bridge.status import Settings
from pianogen.grid import Meter
from pianogen.midi_file import TimedNote, Track, read_notes, write_midi

FAKE = ["--model-factory", "tests.fakes:load"]


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(arguments) == 2
    return capsys.readouterr().err


def test_help_imports_next_to_nothing() -> None:
    code = (
        "import sys; from bridge.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: print('MODULES', *sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    text, _, modules = done.stdout.partition("MODULES")
    assert "--list-ports" in text
    assert "model-factory" not in text
    assert not {"torch", "numpy", "pydantic", "rtmidi", "yaml"} & set(modules.split())


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["--fast"], "--fast needs --perform"),
        (["--demo", "--preset", "waltz"], "there is no preset 'waltz'"),
        (["--demo", "--meter", "5/7"], "meter 5/7 cannot be used"),
        (["--demo", "--presets", "nowhere"], "no presets in nowhere"),
        (["--perform", "nowhere.mid"], "nowhere.mid: there is no such file"),
        (["--demo", "--record", "nowhere/out.mid"], "there is no folder"),
        (["--demo", "--perform", "x.mid"], "choose one"),
        (["--demo", "--json"], "--json needs --status or --check"),
        (["--demo", "--check"], "--check plays by itself"),
        (["--perform", "x.mid", "--fast", "--model-factory", "tests.fakes:load_nothing"], "x.mid"),
    ],
)
def test_what_a_user_can_mend_is_one_line(
    capsys: pytest.CaptureFixture[str], arguments: list[str], error: str
) -> None:
    err = told(capsys, *arguments)
    assert err.startswith("pianogen-bridge: error: ")
    assert error in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments", [["--bpm", "0"], ["--bpm", "fast"], ["--channel", "17"], ["--device", "tpu"]]
)
def test_values_out_of_range_end_with_usage(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2


def test_every_fault_of_the_presets_is_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.yaml").write_text("name: a\nnumber: 1\ntemperature: -1\nmax_polyphony: 99\n")
    lines = told(capsys, "--demo", "--presets", str(tmp_path)).splitlines()
    assert len(lines) == 2
    assert all(line.startswith("pianogen-bridge: error: preset 'a': ") for line in lines)


def test_without_a_midi_system_it_says_so_in_one_line() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import sys; from bridge.cli import main; sys.exit(main())"]
        + ["--list-ports"],
        capture_output=True,
        text=True,
        timeout=60,
        env={"JACK_DEFAULT_SERVER": "nobody", "JACK_NO_START_SERVER": "1"},
    )
    assert done.returncode in (0, 2)
    assert "Traceback" not in done.stderr
    if done.returncode == 2:
        assert done.stderr.startswith("pianogen-bridge: error: no MIDI system")
        assert done.stderr.count("\n") == 1


@pytest.fixture
def piece(tmp_path: Path) -> Path:
    """Two measures at 100 bpm, ending on the third beat of the second."""
    notes = tuple(TimedNote(i * 0.6, i * 0.6 + 0.5, 60 + i, 70) for i in range(6))
    path = tmp_path / "piece.mid"
    write_midi(path, (Track("piano", notes),), 100.0, Meter())
    return path


def test_a_piece_brings_its_clock(piece: Path) -> None:
    preset = load_presets()[0]
    read = read_piece(piece, None, None, preset)
    clocks = [time for time, data in read.messages if data == bytes((CLOCK,))]
    assert (round(read.tempo_bpm), read.meter) == (100, Meter())
    assert read.messages[0] == (0.0, bytes((START,)))
    assert read.messages[-1][1] == bytes((STOP,))
    assert clocks[24] == pytest.approx(0.6, abs=1e-4)
    told = read_piece(piece, 50.0, Meter(3, 4), preset)
    assert [time for time, data in told.messages if data == bytes((CLOCK,))][24] == 1.2


def test_a_file_performed_fast_gives_the_same_bytes_twice(
    piece: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outs = [tmp_path / "a.mid", tmp_path / "b.mid"]
    for out in outs:
        assert main(["--perform", str(piece), "--record", str(out), "--fast", *FAKE]) == 0
        assert "notes left sounding: 0" in capsys.readouterr().out
    assert outs[0].read_bytes() == outs[1].read_bytes()
    assert len(read_notes(outs[0])) > 6


def test_status_tells_of_a_running_daemon_as_text_and_as_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    session = Session(load_presets(), Settings())
    reporter = Reporter("duo", Performer([], SimpleQueue()))
    reporter.heard(Planned(1.0, 1, None))
    reporter.sent(NoteOn(1.0, 0, 60, 64), 1.0003)
    reporter.shown(session.status(1.0))
    assert main(["--status", "--port", "duo"]) == 0
    text = capsys.readouterr().out
    assert "ports 'duo in' and 'duo out'" in text
    assert "p50 0.30, p99 0.30" in text
    assert main(["--status", "--port", "duo", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert (figures["name"], figures["session"]["mode"]) == ("duo", "stopped")
    reporter.close()
    reporter.close()  # whoever ends may have closed it already
    assert "no daemon with the ports 'duo' is running" in told(capsys, "--status", "--port", "duo")


def test_a_daemon_that_ends_is_no_longer_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    reporter = Reporter("duo", Performer([], SimpleQueue()))
    reporter.shown(Session(load_presets(), Settings()).status(1.0))
    reporter.heard(Quit(2.0))
    reporter.shown(Session(load_presets(), Settings()).status(3.0))
    assert "no daemon" in told(capsys, "--status", "--port", "duo")
