"""The daemon's life between memory ports, with a model that needs no weights."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from multiprocessing import active_children
from pathlib import Path
from queue import SimpleQueue
from time import perf_counter
from typing import Any

import pytest

from bridge.arrivals import Arrival
from bridge.daemon import Daemon
from bridge.demo_music import BEATS_A_MEASURE, demo_strokes
from bridge.errors import ModelError
from bridge.events import (
    Action,
    ChannelMessage,
    ControlChange,
    Event,
    ModelReady,
    NoteOff,
    NoteOn,
    Notice,
    PresetsRead,
    Quit,
    Send,
    Start,
    Wake,
)
from bridge.ledger import Ledger, percentile
from bridge.memory_ports import MemoryPorts
from bridge.performer import Performer
from bridge.player import Stroke, Timed, clock_messages, performance, stroke_messages
from bridge.presets import load_presets
from bridge.recording import Recording
from bridge.seat import Seat
from bridge.staged import Cast, Outcome, play_fast, play_live
from bridge.status import Settings, Status
from bridge.summary import summary
from pianogen.grid import Meter

FACTORY = "tests.fakes:load"
BPM = 300.0


class FakePerformer(Performer):
    """Says it is ready, and answers nothing."""

    def __init__(self, queue: SimpleQueue[Arrival]) -> None:
        super().__init__([], queue)

    def start(self) -> None:
        self._queue.put(ModelReady(perf_counter()))


class ScriptedSession:
    """Wakes when told to, does what it is told to, and keeps what it was given."""

    def __init__(self, script: Callable[[Event], Sequence[Action]]) -> None:
        self.given: list[Event] = []
        self.deadline: float | None = None
        self._script = script

    def handle(self, event: Event) -> list[Action]:
        self.given.append(event)
        return list(self._script(event))

    def next_deadline(self) -> float | None:
        return self.deadline

    def status(self, now: float | None = None) -> Status:
        raise NotImplementedError


def daemon_of(session: Any) -> tuple[Daemon, MemoryPorts, SimpleQueue[Arrival]]:
    queue: SimpleQueue[Arrival] = SimpleQueue()
    ports = MemoryPorts()
    performer = FakePerformer(queue)
    return Daemon([Seat(session, ports, performer)], performer, queue), ports, queue


def test_a_deadline_wakes_the_session_no_sooner_than_it_is_due() -> None:
    due = perf_counter() + 0.05

    def script(event: Event) -> Sequence[Action]:
        if isinstance(event, Wake):
            session.deadline = None
            queue.put(Quit(event.time))
        return ()

    session = ScriptedSession(script)
    daemon, _, queue = daemon_of(session)
    session.deadline = due
    daemon.run()
    wakes = [event.time for event in session.given if isinstance(event, Wake)]
    assert len(wakes) == 1
    assert wakes[0] >= due
    assert isinstance(session.given[-1], Quit)


def test_a_fault_in_the_session_silences_and_the_show_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def script(event: Event) -> Sequence[Action]:
        match event:
            case ModelReady():
                queue.put(NoteOn(1.0, 0, 60, 60))
                return [Send(NoteOn(1.0, 3, 72, 80)), Notice("info", "sounding")]
            case NoteOn():
                queue.put(Quit(2.0))
                raise ZeroDivisionError("a fault")
            case _:
                return ()

    daemon, ports, queue = daemon_of(ScriptedSession(script))
    daemon.run()
    sent = [message for _, message in ports.sent]
    assert sent[0] == NoteOn(1.0, 3, 72, 80)
    assert isinstance(sent[1], NoteOff)
    assert (sent[1].channel, sent[1].pitch) == (3, 72)
    assert "playing on" in caplog.text
    assert not ports.is_open


def test_what_a_session_forgets_to_end_is_ended_at_the_end() -> None:
    def script(event: Event) -> Sequence[Action]:
        if isinstance(event, ModelReady):
            queue.put(Quit(1.0))
            return [Send(NoteOn(0.0, 0, pitch, 80)) for pitch in (60, 64)]
        return ()

    daemon, ports, queue = daemon_of(ScriptedSession(script))
    daemon.run()
    assert left_sounding(ports) == ()


class FakeReload:
    """Brings presets at the second poll."""

    def __init__(self, queue: SimpleQueue[Arrival]) -> None:
        self.told: list[str] = []
        self._queue = queue

    def start(self) -> None:
        self.told.append("start")

    def poll(self) -> None:
        self.told.append("poll")
        if self.told.count("poll") == 2:
            self._queue.put(PresetsRead(perf_counter(), load_presets()))

    def close(self) -> None:
        self.told.append("close")


def test_presets_that_change_reach_the_session() -> None:
    def script(event: Event) -> Sequence[Action]:
        if isinstance(event, PresetsRead):
            queue.put(Quit(event.time))
        return ()

    queue: SimpleQueue[Arrival] = SimpleQueue()
    session: Any = ScriptedSession(script)
    reload: Any = FakeReload(queue)
    performer = FakePerformer(queue)
    Daemon([Seat(session, MemoryPorts(), performer)], performer, queue, reload=reload).run()
    assert reload.told == ["start", "poll", "poll", "close"]


def left_sounding(ports: MemoryPorts) -> tuple[tuple[int, int], ...]:
    ledger = Ledger()
    for now, message in ports.sent:
        ledger.record(message, now)
    return ledger.sounding


def cast(factory: str = FACTORY, **settings: Any) -> Cast:
    return Cast(load_presets(), Settings(bpm=BPM, **settings), "cpu", factory)


def call_and_answer(measures: int = 5) -> list[Timed]:
    strokes = (stroke for stroke in demo_strokes(BPM) if stroke.start < 8 * 60 / BPM)
    clock = clock_messages(BPM, measures * BEATS_A_MEASURE)
    return performance(clock, stroke_messages(strokes))


def test_a_phrase_is_answered_and_nothing_is_left_sounding() -> None:
    recording = Recording()
    outcome = play_live(cast(), call_and_answer(), [recording])
    assert outcome.performer_notes == 21
    assert outcome.sent.notes > 0
    assert outcome.sent.sounding == ()
    assert outcome.status.measures_answered == 2
    performer, machine = recording.tracks()
    assert len(performer.notes) == outcome.performer_notes
    assert len(machine.notes) == outcome.sent.notes


def test_on_simulated_time_the_answer_begins_on_the_line() -> None:
    recording = Recording()
    play_fast(cast("tests.fakes:load_steady"), call_and_answer(), [recording])
    _, machine = recording.tracks()
    step_s = 60 / BPM / 8
    assert machine.notes[0].start == pytest.approx(2 * 32 * step_s, abs=step_s / 8)
    beats = [(note.start / step_s - 64) / 8 for note in machine.notes]
    assert beats == pytest.approx(range(8), abs=0.05)


def test_the_same_seed_plays_the_same_notes() -> None:
    def played(seed: int) -> list[ChannelMessage]:
        watcher = _Sent()
        play_fast(cast(seed=seed), call_and_answer(), [watcher])
        return watcher.messages

    assert played(1) == played(1)
    assert played(1) != played(2)


def test_on_simulated_time_the_number_of_drafts_is_fixed() -> None:
    assert set(play_fast(cast(), call_and_answer(), []).figures.candidates) == {8}
    presets = tuple(p.model_copy(update={"candidates": 3}) for p in load_presets())
    fixed = replace(cast(), presets=presets)
    assert set(play_fast(fixed, call_and_answer(), []).figures.candidates) == {3}


def test_in_real_time_no_more_are_drawn_than_the_preset_says() -> None:
    presets = tuple(p.model_copy(update={"candidates": 2}) for p in load_presets())
    outcome = play_live(replace(cast(), presets=presets), call_and_answer(), [])
    assert set(outcome.figures.candidates) <= {1, 2}
    assert outcome.status.candidates in (1, 2)
    (line,) = (line for line in summary(outcome, is_live=True) if "drafts of a measure" in line)
    assert re.search(r": p50 [12], [12] to [12], fewer .*: \d+ times$", line)


class _Sent:
    def __init__(self) -> None:
        self.messages: list[ChannelMessage] = []

    def heard(self, event: Event) -> None: ...

    def sent(self, message: ChannelMessage, now: float) -> None:
        self.messages.append(message)

    def shown(self, status: Status) -> None: ...


@pytest.mark.parametrize("play", [play_live, play_fast])
def test_a_model_that_cannot_be_loaded_is_told(
    play: Callable[[Cast, Sequence[Timed], Sequence[Any]], Outcome],
) -> None:
    with pytest.raises(ModelError, match=r"the model cannot be loaded: .*no checkpoint default"):
        play(cast("tests.fakes:load_nothing"), call_and_answer(), [])


def test_a_model_that_dies_while_playing_costs_its_answer_only() -> None:
    killer = _Killer()
    outcome = play_live(cast(), call_and_answer(8), [killer])
    assert killer.has_killed
    assert outcome.sent.sounding == ()


class _Killer(_Sent):
    """Kills the model process at the first note that is sent."""

    def __init__(self) -> None:
        super().__init__()
        self.has_killed = False

    def sent(self, message: ChannelMessage, now: float) -> None:
        if not self.has_killed:
            for child in active_children():
                child.kill()
            self.has_killed = True


_NO_TORCH = """
import sys
from bridge import cli, commands, daemon, display, ports, staged
from bridge.demo_music import demo_strokes
if __name__ == "__main__":
    argv = ["--demo", "--bpm", "400", "--model-factory", "tests.fakes:load"]
    from bridge import demo_music
    demo_music.DEMO_MEASURES = 4
    assert cli.main(argv) == 0
    # numpy comes only with the file that is written at the end
    print([name for name in ("torch", "rich", "scipy") if name in sys.modules])
"""


def test_the_daemon_never_imports_torch(tmp_path: Path) -> None:
    done = run_python(["-c", _NO_TORCH], tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"
    assert "notes left sounding: 0" in done.stdout


_LIGHT = "import sys, bridge.daemon, bridge.ports, bridge.commands; print(*sys.modules)"


def test_the_daemon_holds_no_numpy_while_it_plays(tmp_path: Path) -> None:
    loaded = run_python(["-c", _LIGHT], tmp_path).stdout.split()
    assert not {"torch", "numpy", "pretty_midi", "mido", "rich"} & set(loaded)


def run_python(arguments: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
    )


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parent.parent)}


_RUN = "import sys; from bridge.cli import main; sys.exit(main())"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_demo_in_silence(tmp_path: Path, number: signal.Signals) -> None:
    arguments = ["--demo", "--bpm", "200", "--model-factory", "tests.fakes:load_steady"]
    with subprocess.Popen(
        [sys.executable, "-c", _RUN, *arguments],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if re.search(r"measure +3 .*pianogen: [A-G]", line):
                process.send_signal(number)
                break
        out, err = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "notes left sounding: 0" in out
    assert "Traceback" not in err
    assert (tmp_path / "demo.mid").exists()


class TestLedger:
    def test_it_knows_what_sounds(self) -> None:
        ledger = Ledger()
        for message in (NoteOn(0.0, 0, 60, 9), NoteOn(0.0, 0, 64, 9), NoteOff(0.0, 0, 60)):
            ledger.record(message, 0.001)
        assert ledger.sounding == ((0, 64),)
        assert ledger.releases(2.0) == [NoteOff(2.0, 0, 64)]
        assert list(ledger.lateness_ms) == pytest.approx([1.0, 1.0])

    def test_all_notes_off_ends_a_channel(self) -> None:
        ledger = Ledger()
        for message in (NoteOn(0.0, 0, 60, 9), NoteOn(0.0, 1, 60, 9)):
            ledger.record(message, 0.0)
        ledger.record(ControlChange(0.0, 0, 123, 0), 0.0)
        assert ledger.sounding == ((1, 60),)

    def test_percentiles(self) -> None:
        assert percentile([], 0.5) == 0.0
        assert percentile([3.0, 1.0, 2.0], 0.5) == 2.0
        assert percentile(range(101), 0.99) == 99


class TestRecording:
    def test_notes_are_paired_and_timed_from_the_start(self) -> None:
        recording = Recording()
        recording.heard(Start(10.0))
        recording.heard(NoteOn(10.5, 0, 60, 70))
        recording.heard(NoteOn(11.0, 0, 60, 80))  # struck again: ends the one before
        recording.heard(NoteOff(11.5, 0, 60))
        recording.sent(NoteOn(0.0, 0, 72, 50), 12.0)  # never ended
        recording.heard(Quit(13.0))
        performer, machine = recording.tracks()
        assert [(n.start, n.end, n.velocity) for n in performer.notes] == [
            (0.5, 1.0, 70),
            (1.0, 1.5, 80),
        ]
        assert [(n.start, n.end) for n in machine.notes] == [(2.0, 3.0)]


def test_a_written_file_reads_back(tmp_path: Path) -> None:
    from pianogen.midi_file import read_notes

    recording = Recording()
    recording.heard(Start(1.0))
    recording.sent(NoteOn(0.0, 0, 72, 50), 1.5)
    recording.sent(NoteOff(0.0, 0, 72), 2.0)
    recording.write(tmp_path / "out.mid", 120.0, Meter())
    (note,) = read_notes(tmp_path / "out.mid")
    assert (note.start, note.end, note.pitch) == pytest.approx((0.5, 1.0, 72))


def test_strokes_of_a_pitch_end_before_they_begin_again() -> None:
    messages = stroke_messages([Stroke(0.0, 1.0, 60, 9), Stroke(1.0, 2.0, 60, 9)])
    assert [data[0] & 0xF0 for _, data in messages] == [0x90, 0x80, 0x90, 0x80]
