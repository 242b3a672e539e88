"""The session log: what it holds comes back as it was, and whatever happens the music goes on."""

from __future__ import annotations

import errno
import json
import os
import stat
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge import session_log
from bridge.errors import LogError
from bridge.events import (
    Action,
    Ask,
    Event,
    ModelReady,
    NoteOff,
    NoteOn,
    Quit,
    Send,
    Start,
    Tick,
    Wake,
)
from bridge.log_file import FORMAT, SUFFIX, LogWriter, read_lines
from bridge.log_records import (
    Asked,
    Head,
    line_of,
    read_actions,
    read_end,
    read_event,
    read_head,
    record_of,
)
from bridge.plain import plain, reader
from bridge.presets import Preset
from bridge.session import Session
from bridge.session_log import LoggedSession, LogPlace, SessionLog, kept_session, make_room
from bridge.status import Settings
from pianogen.grid import Measure, Meter, Note
from tests.logs import logged, values_of
from tests.stage import clock, perform, play, preset

EVENTS, ACTIONS = get_args(Event), get_args(Action)


# --- records ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", EVENTS, ids=lambda kind: kind.__name__)
@given(data=st.data())
@settings(max_examples=20)
def test_every_event_comes_back_as_it_was(kind: Any, data: st.DataObject) -> None:
    event = data.draw(values_of(kind))
    line = record_of(event, ())
    assert read_event(line) == event
    assert record_of(read_event(line), ()) == line
    assert read_actions(line) == []


@pytest.mark.parametrize("kind", ACTIONS, ids=lambda kind: kind.__name__)
@given(data=st.data())
@settings(max_examples=20)
def test_every_action_comes_back_as_it_was_and_a_request_in_short(
    kind: Any, data: st.DataObject
) -> None:
    action = data.draw(values_of(kind))
    kept = Asked.of(action) if isinstance(action, Ask) else action
    assert read_actions(record_of(Wake(1.0), [action, action])) == [kept, kept]


@given(values_of(Head))
@settings(max_examples=20)
def test_a_head_comes_back_with_its_presets_and_settings(head: Head) -> None:
    assert read_head(line_of(head)) == head


@given(st.floats(allow_nan=False))
def test_a_time_comes_back_to_the_bit(time: float) -> None:
    assert read_event(record_of(Tick(time), ())).time.hex() == time.hex()


def test_requests_that_differ_in_a_note_of_context_differ_in_the_log() -> None:
    made = perform([*play("| c4 e4 g4 - |"), *clock(12)])
    ask = next(ask for _, ask in made.asks)
    other = Measure(Meter(), (Note(0, 60, 20, 7),))
    changed = Ask(**{**{f: getattr(ask, f) for f in ask.__slots__}, "context": (other,)})
    assert record_of(Wake(1.0), [ask]) != record_of(Wake(1.0), [changed])


def test_a_session_that_fails_is_no_session_that_does_nothing() -> None:
    assert read_actions(record_of(Wake(1.0), None)) is None
    assert read_actions(record_of(Wake(1.0), ())) == []


@dataclass(frozen=True, slots=True)
class Laden:
    """A kind of event there might be."""

    time: float
    presets: tuple[Preset, ...]
    message: bytes
    how: Literal["softly", "loudly"] | None


@given(values_of(Laden))
@settings(max_examples=20)
def test_a_new_kind_may_carry_presets_bytes_and_words(laden: Laden) -> None:
    assert reader(Laden | Tick)(json.loads(json.dumps(plain(laden)))) == laden


@dataclass(frozen=True, slots=True)
class Bag:
    """A kind of event that no log can hold."""

    time: float
    pitches: set[int]


@dataclass(frozen=True, slots=True)
class Either:
    """Two that are both written as text."""

    time: float
    what: bytes | str


@pytest.mark.parametrize("kind", [Bag, Either])
def test_a_kind_that_a_log_cannot_hold_is_refused(kind: Any) -> None:
    with pytest.raises(TypeError, match=r"cannot be (written to a log|told apart)"):
        reader(kind)


def test_a_value_that_a_log_cannot_hold_is_refused() -> None:
    with pytest.raises(TypeError, match="set cannot be written"):
        plain(Bag(1.0, {60}))


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{}",
        b"[]",
        b"[" * 100_000,
        b'[["Sing",1.0]]',
        b'[["Tick"]]',
        b'[["Tick","now"]]',
        b'[["Tick",true]]',
        b'[["NoteOn",1.0,0,60.5,70]]',
        b'[["Planned",1.0,1,"0404ff",1,0.0]]',
        b'[["Planned",1.0,1,"0404ff000000",1,0.0]]',
        b'[["Planned",1.0,1,"0307",1,0.0]]',
    ],
)
def test_what_is_no_event_is_told_in_one_line(line: bytes) -> None:
    with pytest.raises(LogError) as caught:
        read_event(line)
    assert "\n" not in str(caught.value)


# --- files --------------------------------------------------------------------------------------


def written(path: Path, frames: list[list[bytes]]) -> Path:
    writer = LogWriter(path)
    for lines in frames:
        writer.write(lines)
    writer.close()
    return path


lines = st.lists(st.binary(max_size=40).map(lambda data: data.replace(b"\n", b" ")), max_size=6)


@given(st.lists(lines.filter(bool), min_size=1, max_size=5), st.data())
def test_a_log_cut_off_anywhere_is_read_as_far_as_it_goes(
    frames: list[list[bytes]], data: st.DataObject
) -> None:
    with TemporaryDirectory() as folder:
        path = written(Path(folder) / "a", frames)
        whole = path.read_bytes()
        head = whole.index(b"\n") + 1
        assert list(read_lines(path)) == [line for lines in frames for line in lines]
        path.write_bytes(whole[: data.draw(st.integers(head, len(whole) - 1))])
        kept = list(read_lines(path))
        starts = [list(chain(*frames[:n])) for n in range(len(frames))]
        assert kept in starts


@given(st.data())
def test_a_changed_byte_ends_the_log_or_is_told(data: st.DataObject) -> None:
    frames = [[b"one", b"two"], [b"three"], [b"four"]]
    with TemporaryDirectory() as folder:
        path = written(Path(folder) / "a", frames)
        whole = bytearray(path.read_bytes())
        place = data.draw(st.integers(0, len(whole) - 1))
        whole[place] ^= data.draw(st.integers(1, 255))
        path.write_bytes(whole)
        try:
            kept = list(read_lines(path))
        except LogError:
            return
        assert kept in ([], frames[0], frames[0] + frames[1])


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"", "is no session log"),
        (b"MThd\0\0\0\6", "is no session log"),
        (b"pianogen-log 99\nxxxx", f"format 99, and this version reads format {FORMAT}"),
        (None, "No such file"),
    ],
)
def test_a_file_that_is_no_log_is_told(tmp_path: Path, content: bytes | None, error: str) -> None:
    path = tmp_path / "log"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(LogError, match=error):
        list(read_lines(path))


# --- writing while it plays ---------------------------------------------------------------------


def test_every_event_is_logged_in_order_with_what_came_of_it(tmp_path: Path) -> None:
    told: list[tuple[Event, Any]] = []
    session = LoggedSession([preset()], Settings(), lambda *record: told.append(record))
    given = [ModelReady(1.0), Start(2.0), Tick(2.0), Wake(2.01), NoteOn(2.02, 0, 60, 70)]
    came = [tuple(session.handle(event)) for event in [*given, Quit(3.0)]]
    assert told == list(zip([*given, Quit(3.0)], came, strict=True))
    assert any(came)


def test_a_fault_is_logged_as_one_and_not_hidden() -> None:
    told: list[tuple[Event, Any]] = []
    session = LoggedSession([preset()], Settings(), lambda *record: told.append(record))
    wrong: Any = "no event"
    with pytest.raises(AttributeError):
        session.handle(wrong)
    assert told == [(wrong, None)]


def test_a_performance_is_in_its_log_from_head_to_end(tmp_path: Path) -> None:
    events = [*play("| c4 e4 g4 - | - |"), *clock(12)]
    path = logged(events, tmp_path, bpm=77.0)
    head, *records, end = read_lines(path)
    assert read_head(head).presets == (preset(),)
    assert read_head(head).settings == Settings(bpm=77.0)
    assert read_end(end) is not None
    read = [read_event(line) for line in records]
    assert [e for e in read if isinstance(e, NoteOn | NoteOff)] == sorted(
        play("| c4 e4 g4 - | - |"), key=lambda event: event.time
    )
    assert sum(isinstance(event, Tick) for event in read) == 12 * 24
    sent = [a for line in records for a in read_actions(line) or () if isinstance(a, Send)]
    assert [s.message for s in sent] == perform(events, bpm=77.0, until=1000.0).messages


def test_only_its_user_may_read_it_and_its_name_tells_date_and_port(tmp_path: Path) -> None:
    place = LogPlace(tmp_path / "new" / "logs", "a/b c")
    logs = [SessionLog(place, [preset()], Settings()) for _ in range(3)]
    for kept in logs:
        kept.close()
    names = sorted(path.name for path in place.folder.iterdir())
    assert len(names) == 3
    assert all("_a%2Fb%20c" in name and name.endswith(SUFFIX) for name in names)
    assert all(name.startswith("20") for name in names)
    if os.name == "posix":
        assert stat.S_IMODE(logs[0].path.stat().st_mode) == 0o600


def test_a_full_log_ends_with_one_warning_and_the_music_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_log, "FLUSH_S", 0.0)
    kept = SessionLog(LogPlace(tmp_path, "duo"), [preset()], Settings(), most_bytes=1)
    kept._thread.join(30)  # it is full with its head alone
    kept.tell(Tick(1.0), ())
    kept.close()
    *_, end = read_lines(kept.path)
    assert getattr(read_end(end), "why", None) == "full"
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "as large as logs may be" in caplog.text


def test_a_log_that_falls_behind_ends_and_holds_what_came_before(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_log, "FLUSH_S", 3600.0)
    monkeypatch.setattr(session_log, "MOST_WAITING", 9)
    kept = SessionLog(LogPlace(tmp_path, "duo"), [preset()], Settings())
    for n in range(50):
        kept.tell(Tick(float(n)), ())
    kept.close()
    _, *records, end = read_lines(kept.path)
    assert [read_event(line).time for line in records] == list(range(10))
    assert getattr(read_end(end), "why", None) == "behind"
    assert caplog.text.count("playing on") == 1


def test_a_disk_that_is_full_costs_the_log_and_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def put(self: LogWriter, data: bytes) -> None:
        if self.size > 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        plain_put(self, data)

    events = [*play("| c4 e4 g4 - | - |"), *clock(12)]
    with kept_session(LogPlace(tmp_path, "duo"), [preset()], Settings()) as session:
        plain_put = LogWriter._put
        monkeypatch.setattr(LogWriter, "_put", put)
        monkeypatch.setattr(session_log, "FLUSH_S", 0.0)
        played = [session.handle(event) for event in sorted(events, key=lambda e: e.time)]
    (path,) = tmp_path.iterdir()
    assert len(list(read_lines(path))) == 1  # its head
    assert caplog.text.count("WARNING") == 1
    assert "No space left on device" in caplog.text
    assert len(played) == len(events)


def test_a_folder_that_cannot_be_made_costs_the_log_and_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "logs").write_text("no folder")
    with kept_session(LogPlace(tmp_path / "logs", "duo"), [preset()], Settings()) as session:
        assert type(session) is Session
    assert caplog.text.count("WARNING") == 1
    assert "no session log" in caplog.text


def test_the_oldest_logs_make_room_and_nothing_else_goes(tmp_path: Path) -> None:
    for age, name in enumerate(("d", "c", "b", "a")):
        path = tmp_path / f"{name}{SUFFIX}"
        path.write_bytes(bytes(100))
        os.utime(path, (1000 - age, 1000 - age))
    (tmp_path / "song.mid").write_bytes(bytes(1000))
    make_room(tmp_path, 250)
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"c{SUFFIX}", f"d{SUFFIX}", "song.mid"]
    make_room(tmp_path, 250)
    assert len(list(tmp_path.iterdir())) == 3


def test_without_a_place_there_is_no_log() -> None:
    with kept_session(None, [preset()], Settings()) as session:
        assert type(session) is Session
