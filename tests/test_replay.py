"""A log played again: the same comes of it, to the byte, or the first difference is told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.cli import main
from bridge.errors import LogError
from bridge.events import (
    ControlChange,
    Event,
    ModelReady,
    NoteOff,
    NoteOn,
    PresetsRead,
    Quit,
    Send,
    Wake,
)
from bridge.log_file import SUFFIX, LogWriter, read_lines
from bridge.memory_ports import MemoryPorts
from bridge.midi_bytes import encode
from bridge.playback import AFTER_S, BEFORE_S, Playback, play_again
from bridge.presets import Preset, load_presets
from bridge.replay import Replay
from bridge.session import Session
from bridge.session_log import LogPlace, kept_session
from bridge.status import Settings
from pianogen.grid import Measure, Meter
from pianogen.midi_file import TimedNote, Track, write_midi
from tests.logs import logged
from tests.stage import BEGIN, clock, measure, perform, play, preset
from tests.test_invariants import PRESETS, delays, performances, plans

FAKE = ["--model-factory", "tests.fakes:load"]
PHRASE = [*play("| c4 e4 g4 - | - |"), *clock(12)]
ANEW = [*PRESETS, preset(1, thru="on", mode="duet"), preset(3, pedal="played")]


def replayed(path: Path) -> Replay:
    """The replay, at its end."""
    replay = Replay(path)
    for _ in replay:
        pass
    return replay


def rewritten(path: Path, change: Callable[[list[bytes]], Sequence[bytes]]) -> Path:
    """A log of the same lines, changed."""
    other = path.with_name(f"other{SUFFIX}")
    writer = LogWriter(other)
    writer.write(change(list(read_lines(path))))
    writer.close()
    return other


@given(
    performances(),
    st.lists(plans, min_size=1, max_size=4),
    delays,
    st.lists(st.tuples(st.floats(0, 20), st.integers(20, 31), st.integers(0, 127)), max_size=8),
    st.lists(st.tuples(st.floats(0, 20), st.lists(st.sampled_from(ANEW), min_size=1)), max_size=3),
)
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_whatever_was_played_the_same_comes_of_it(
    events: list[Event],
    answers: list[Measure],
    delay: float,
    turned: list[tuple[float, int, int]],
    read: list[tuple[float, list[Preset]]],
) -> None:
    controls = [ControlChange(time, 0, control, value) for time, control, value in turned]
    anew = [PresetsRead(time, tuple(presets)) for time, presets in read]
    with TemporaryDirectory() as folder:
        path = logged(
            [*events, *controls, *anew],
            Path(folder),
            ask=lambda ask: answers[ask.seed % len(answers)],
            presets=PRESETS,
            delay=delay,
            until=60.0,  # a duet on a clock of its own has no end
        )
        replay = replayed(path)
        assert replay.difference is None
        assert replay.ended == "over"
        assert replay.count == len(list(read_lines(path))) - 2


def test_presets_read_anew_are_other_objects_and_the_same_presets(tmp_path: Path) -> None:
    """In the log they are read anew: what is equal must count as the same."""
    gone, back = PresetsRead(0.0, (PRESETS[1],)), PresetsRead(4.0, (PRESETS[0],))
    events = [*play("| c4 d4+e4 f4 - |", begin=0.0), gone, back]
    path = logged(events, tmp_path, presets=PRESETS, delay=3.0, until=60.0)
    assert replayed(path).difference is None


@given(st.floats(0, 1, exclude_max=True), st.integers(1, 255))
@settings(max_examples=30, deadline=None)
def test_a_changed_byte_is_noticed(share: float, change: int) -> None:
    with TemporaryDirectory() as folder:
        path = logged(PHRASE, Path(folder))
        whole = bytearray(path.read_bytes())
        whole[int(share * len(whole))] ^= change
        path.write_bytes(whole)
        try:
            replay = replayed(path)
        except LogError:
            return
        assert replay.ended is None  # a length has changed: it seems cut off


def test_the_first_thing_that_came_out_otherwise_is_told(tmp_path: Path) -> None:
    path = logged(PHRASE, tmp_path)

    def louder(lines: list[bytes]) -> list[bytes]:
        """The machine's second note."""
        number = [n for n, line in enumerate(lines) if b'["Send",["NoteOn"' in line][1]
        lines[number] = lines[number].replace(b",82]", b",83]")
        changed.append(number)
        return lines

    changed: list[int] = []
    replay = replayed(rewritten(path, louder))
    assert replay.difference is not None
    assert [replay.difference.number] == changed  # the head is line 0
    assert b",83]" in replay.difference.logged
    assert b",82]" in replay.difference.replayed


def test_a_session_of_other_presets_is_another_session(tmp_path: Path) -> None:
    path = logged(PHRASE, tmp_path, presets=[preset(octave_shift=-1)])

    def higher(lines: list[bytes]) -> list[bytes]:
        return [lines[0].replace(b'"octave_shift":-1', b'"octave_shift":1'), *lines[1:]]

    assert replayed(rewritten(path, higher)).difference is not None


def test_a_fault_is_played_again_as_a_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(session: Session, event: NoteOn) -> None:
        raise ZeroDivisionError("a fault")

    with monkeypatch.context() as patched:
        patched.setattr(Session, "_key_down", fail)
        with kept_session(LogPlace(tmp_path, "duo"), [preset()], Settings()) as session:
            with pytest.raises(ZeroDivisionError):
                session.handle(NoteOn(BEGIN, 0, 60, 70))
            session.handle(NoteOff(BEGIN + 1, 0, 60))
        (path,) = tmp_path.iterdir()
        assert replayed(path).difference is None
    now = replayed(path).difference
    assert now is not None  # the fault is mended
    assert (now.logged_actions(), now.number) == (None, 1)


def test_what_this_version_does_not_know_is_told_with_its_place(tmp_path: Path) -> None:
    path = logged(PHRASE, tmp_path)
    other = rewritten(path, lambda lines: [*lines[:4], b'[["Sing",1.0]]', *lines[4:]])
    with pytest.raises(LogError, match=r"record 4: \['Sing', 1.0\] is nothing .*\(written by pia"):
        replayed(other)


def test_a_log_cut_off_is_played_as_far_as_it_goes(tmp_path: Path) -> None:
    path = logged(PHRASE, tmp_path)
    replay = replayed(rewritten(path, lambda lines: lines[:100]))
    assert (replay.count, replay.difference, replay.ended) == (99, None, None)
    with pytest.raises(LogError, match="is empty"):
        Replay(rewritten_empty(path))


def rewritten_empty(path: Path) -> Path:
    path.write_bytes(path.read_bytes()[:15])
    return path


# --- the command --------------------------------------------------------------------------------


@pytest.fixture
def piece(tmp_path: Path) -> Path:
    """A measure and a half at 300 bpm."""
    notes = tuple(TimedNote(i * 0.2, i * 0.2 + 0.15, 60 + i, 70) for i in range(6))
    path = tmp_path / "piece.mid"
    write_midi(path, (Track("piano", notes),), 300.0, Meter())
    return path


def log_of(folder: Path) -> str:
    (path,) = folder.glob(f"*{SUFFIX}")
    return str(path)


def test_a_piece_performed_at_once_is_replayed_to_the_same_file(
    piece: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    then, now, logs = tmp_path / "then.mid", tmp_path / "now.mid", tmp_path / "logs"
    arguments = ["--perform", str(piece), "--fast", "--log", str(logs), *FAKE]
    assert main([*arguments, "--record", str(then)]) == 0
    assert main(["--replay", log_of(logs), "--record", str(now)]) == 0
    out = capsys.readouterr().out
    assert "the same, to the byte" in out
    assert "6 notes heard" in out
    assert then.read_bytes() == now.read_bytes()


def test_what_was_played_in_real_time_is_replayed(
    piece: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logs = tmp_path / "logs"
    quick = ["--bpm", "400", "--preset", "quick-reply"]
    assert main(["--perform", str(piece), "--log", str(logs), *quick, *FAKE]) == 0
    assert main(["--replay", log_of(logs)]) == 0
    assert "the same, to the byte" in capsys.readouterr().out


def test_a_replay_that_differs_says_where_and_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = logged(PHRASE, tmp_path)
    other = rewritten(path, lambda lines: [n.replace(b",82]", b",83]") for n in lines])
    assert main(["--replay", str(other)]) == 1
    out = capsys.readouterr().out
    assert "another outcome from event" in out
    assert "cut off" not in out


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["--replay", "nowhere"], "nowhere: cannot be read (No such file"),
        (["--replay", __file__], "is no session log"),
        (["--export", "nowhere", "out.mid"], "nowhere: cannot be read"),
        (["--live"], "--live needs --replay LOG"),
        (["--replay", "a", "--export", "a", "out.mid"], "choose one"),
    ],
)
def test_what_a_user_can_mend_is_one_line(
    arguments: list[str], error: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    err = capsys.readouterr().err
    assert error in err
    assert err.count("\n") == 1


# --- live ---------------------------------------------------------------------------------------

MESSAGES = [NoteOn(50.0, 0, 60, 70), NoteOn(50.0, 1, 64, 70), NoteOff(50.25, 0, 60)]


def test_messages_go_out_as_far_apart_as_they_were() -> None:
    queue: SimpleQueue[Event] = SimpleQueue()
    playback = Playback(MESSAGES, queue, Session([preset()], Settings()).status())
    assert playback.next_deadline() is None
    assert playback.handle(NoteOn(1.0, 0, 1, 1)) == []
    assert playback.handle(ModelReady(100.0)) == []
    first = 100.0 + BEFORE_S
    assert playback.next_deadline() == first
    assert playback.handle(Wake(first)) == [
        Send(NoteOn(first, 0, 60, 70)),
        Send(NoteOn(first, 1, 64, 70)),
    ]
    assert playback.next_deadline() == first + 0.25
    assert playback.handle(Wake(first + 0.25)) == [Send(NoteOff(first + 0.25, 0, 60))]
    assert playback.next_deadline() == first + 0.25 + AFTER_S
    assert playback.handle(Wake(first + 1)) == []
    assert queue.get_nowait() == Quit(first + 1)
    assert playback.next_deadline() is None


def test_through_ports_the_same_goes_out_and_nothing_is_left_sounding() -> None:
    made = perform(
        [*play("| c4 e4 g4 - |", bpm=400), *clock(12, bpm=400, stops=True)],
        ask=lambda ask: measure(60, 62, 64),
        presets=load_presets()[:1],
    )
    ports = MemoryPorts()
    ledger = play_again(made.messages, ports, made.status)
    assert [encode(message) for _, message in ports.sent[: len(made.messages)]] == [
        encode(message) for message in made.messages
    ]
    assert ledger.sounding == ()
    assert ledger.notes > 0


def test_a_log_in_which_nothing_was_played_is_over_at_once() -> None:
    ports = MemoryPorts()
    assert play_again([], ports, Session([preset()], Settings()).status()).notes == 0
