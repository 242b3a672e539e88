"""The real thing over JACK: the daemon answers on the line, and ends in silence.

Where a rule does not hold, JACK is asked whether it kept its own (see jack_duo.py), and if not,
all is set up again, a few times.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from time import sleep

import pytest

from bridge.events import NoteOn, Stop
from tests.jack_duo import MEASURE_TICKS, Stage, staged
from tests.jack_stage import MISSING, free_server, transport, wait_for

pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")

BPM = 150
OPTIONS = ["--model-factory", "tests.fakes:load_steady"]  # a model that needs no weights
ATTEMPTS = 4


def hold(rule: Callable[[Stage], None], folder: Path, driver: str) -> None:
    """The rule holds, on a JACK that does its part."""
    for attempt in range(ATTEMPTS):
        (place := folder / str(attempt)).mkdir()
        with staged(place, BPM, *OPTIONS, "--midi", driver) as stage:
            try:
                rule(stage)
            except AssertionError as failure:
                fault = stage.fault_of_jack()
                if fault is None or attempt == ATTEMPTS - 1:
                    raise
                print(f"{fault}; setting up anew. {failure}")
            else:
                return


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("JACK_NO_START_SERVER", "1")
    monkeypatch.setenv("JACK_DEFAULT_SERVER", free_server())
    return tmp_path


def answers_on_the_line_and_ends_in_silence(stage: Stage) -> None:
    client, daemon = stage.client, stage.daemon
    stage.play()
    stage.wait_for_answer(3)
    daemon.process.send_signal(signal.SIGTERM)
    code = daemon.process.wait(20)
    if code != 0 or "Traceback" in daemon.text:
        pytest.fail(f"the daemon ended badly ({code}), whatever JACK did: {daemon.text}")
    wait_for("silence", lambda: client.left_sounding() == (), 5, stage.report)
    assert client.first_answer_tick is not None
    into_measure = client.first_answer_tick % MEASURE_TICKS
    distance = min(into_measure, MEASURE_TICKS - into_measure)
    assert client.first_answer_tick >= 2 * MEASURE_TICKS - 2
    assert distance <= 2, f"began {into_measure} ticks into a measure; {stage.report()}"


def is_silenced_by_stop(stage: Stage) -> None:
    client = stage.client
    stage.play()
    stage.wait_for_answer(2)
    transport("stop\nquit\n")
    wait_for("the stop", lambda: client.count(Stop) > 0, instead=stage.report)
    sleep(0.3)  # what was on its way
    count = client.count(NoteOn)
    assert client.left_sounding() == ()
    sleep(1.0)  # more than two beats
    assert client.count(NoteOn) == count


@pytest.mark.parametrize(
    "driver",
    [
        "jack",
        pytest.param(
            "rtmidi",
            marks=pytest.mark.skipif(
                Path("/dev/snd/seq").exists(), reason="rtmidi takes the ALSA sequencer"
            ),
        ),
    ],
)
def test_a_phrase_is_answered_on_the_measure_line_and_sigterm_brings_silence(
    folder: Path, driver: str
) -> None:
    hold(answers_on_the_line_and_ends_in_silence, folder, driver)


def test_stopping_the_transport_silences_the_answer(folder: Path) -> None:
    hold(is_silenced_by_stop, folder, "jack")
