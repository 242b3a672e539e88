"""What a daemon says of itself: what it counts, how it is published, how it reads."""

from __future__ import annotations

import json
import os
import stat
import struct
import subprocess
import sys
import threading
from pathlib import Path
from random import Random
from time import perf_counter
from typing import Any
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import BridgeError
from bridge.events import Event, ModelReady, NoteOff, NoteOn, Tick
from bridge.ledger import percentile
from bridge.published import SILENT_S, NotRunningError, Publication, read, runtime_folder
from bridge.reporter import Cost, Jitter
from bridge.spread import Spread
from bridge.status_text import status_text
from bridge.vitals import Usage, usage
from tests.stage import clock, perform, play, preset, seconds

AT = 10.0  # where the song begins


def at(beat: float) -> float:
    return AT + seconds(beat)


# A note so near the line that the plan made before it has grown old by the freeze.
LAST: list[Event] = [NoteOn(at(3.75), 0, 67, 80), NoteOff(at(3.8), 0, 67)]


@pytest.mark.parametrize(("response_s", "stale"), [(0.02, 0), (0.03, 1)])
def test_a_measure_is_stale_where_its_plan_was_made_of_less_than_was_known_at_the_freeze(
    response_s: float, stale: int
) -> None:
    p = perform(
        [ModelReady(at(0), response_s), *clock(8), *play("| c4 d4 - - |"), *LAST],
        presets=[preset(rest_beats=0.1)],
        is_ready=False,
    )
    assert (p.status.measures_answered, p.status.measures_stale) == (1, stale)


def test_a_renewal_that_comes_too_late_leaves_a_stale_measure() -> None:
    p = perform(
        [ModelReady(at(0), 0.001), *clock(8), *play("| c4 d4 - - |"), *LAST],
        presets=[preset(rest_beats=0.1)],
        delay=0.035,
        is_ready=False,
    )
    assert (p.status.measures_answered, p.status.measures_stale) == (1, 1)


def test_nothing_is_stale_where_nothing_changed_before_the_freeze() -> None:
    p = perform(clock(16) + play("| c4 d4 - - | e4 - - - |"))
    assert (p.status.measures_answered, p.status.measures_stale) == (2, 0)


# Published and read.


def test_what_is_published_is_read_by_another_and_goes_at_the_end(tmp_path: Path) -> None:
    publication = Publication("duo", tmp_path)
    publication.write({"notes": 1})
    publication.write({"notes": 2})
    assert read("duo", tmp_path)["notes"] == 2
    publication.close()
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(NotRunningError, match="no daemon with the ports 'duo' is running"):
        read("duo", tmp_path)


def test_a_name_may_hold_anything(tmp_path: Path) -> None:
    publication = Publication("../two pianos:ü", tmp_path)
    publication.write({"notes": 3})
    assert [path.parent for path in tmp_path.iterdir()] == [tmp_path]
    assert read("../two pianos:ü", tmp_path)["notes"] == 3
    publication.close()


def test_the_second_of_a_name_says_so_and_leaves_the_first_alone(tmp_path: Path) -> None:
    first = Publication("duo", tmp_path)
    first.write({"notes": 1})
    with pytest.raises(BridgeError, match=r"another daemon .* has the ports 'duo'"):
        Publication("duo", tmp_path)
    assert read("duo", tmp_path)["notes"] == 1
    first.close()


def test_what_a_dead_daemon_left_is_no_daemon_and_makes_way(tmp_path: Path) -> None:
    process = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True
    )
    left = Publication("duo", tmp_path)
    left.write({"notes": 1})
    forge(tmp_path, {"pid": int(process.stdout), "heartbeat": perf_counter()})
    with pytest.raises(NotRunningError, match="ended without a word"):
        read("duo", tmp_path)
    Publication("duo", tmp_path).close()


@pytest.mark.parametrize("age_s", [SILENT_S + 1, -1000.0])  # before it, and before a restart
def test_a_heartbeat_of_another_time_is_no_daemon(tmp_path: Path, age_s: float) -> None:
    Publication("duo", tmp_path)
    forge(tmp_path, {"pid": os.getpid(), "heartbeat": perf_counter() - age_s})
    with pytest.raises(NotRunningError):
        read("duo", tmp_path)


def test_a_reader_never_sees_half_a_snapshot(tmp_path: Path) -> None:
    publication = Publication("duo", tmp_path)
    publication.write({"notes": 1})
    path = next(tmp_path.iterdir())
    half = bytearray(path.read_bytes())
    sequence, length, _ = struct.unpack_from("<QII", half)
    torn = [bytes(struct.pack("<Q", sequence + 1)) + half[8:], half[:20] + b"?" + half[21:]]
    for data in torn:  # while it is written; where the sequence was written out of order
        path.write_bytes(data)
        with pytest.raises(NotRunningError, match="no daemon"):
            read("duo", tmp_path)
    assert length < len(half)


def test_snapshots_published_under_a_readers_eyes_are_whole(tmp_path: Path) -> None:
    publication = Publication("duo", tmp_path)
    publication.write({"a": 0, "b": 0, "fill": ""})
    is_over = threading.Event()

    def write() -> None:
        n = 0
        while not is_over.is_set():
            n += 1
            publication.write({"a": n, "b": n, "fill": "x" * (n % 3000)})

    thread = threading.Thread(target=write)
    thread.start()
    try:
        seen = [read("duo", tmp_path) for _ in range(200)]
    finally:
        is_over.set()
        thread.join()
    assert all(figures["a"] == figures["b"] for figures in seen)


def test_the_folder_must_be_ones_own_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    folder = runtime_folder()
    assert (folder.parent, stat.S_IMODE(folder.stat().st_mode)) == (tmp_path, 0o700)
    folder.chmod(0o777)
    with pytest.raises(BridgeError, match="must be a folder of yours alone"):
        runtime_folder()
    folder.rmdir()
    folder.symlink_to(tmp_path)
    with pytest.raises(BridgeError, match="must be a folder of yours alone"):
        runtime_folder()


def forge(folder: Path, figures: dict[str, Any]) -> None:
    data = json.dumps(figures).encode()
    path = next(folder.iterdir())
    path.write_bytes(
        (struct.pack("<QII", 2, len(data), crc32(data)) + data).ljust(path.stat().st_size, b"\0")
    )


# How values spread.


@given(st.lists(st.floats(-1e6, 1e6), min_size=1), st.integers(1, 10))
def test_the_newest_are_spread_and_the_most_is_of_all(values: list[float], remembered: int) -> None:
    spread = Spread(remembered)
    for value in values:
        spread.add(value)
    newest = values[-remembered:]
    assert [spread.percentile(0.0), spread.percentile(1.0)] == [min(newest), max(newest)]
    assert spread.percentile(0.5) == percentile(newest, 0.5)
    assert (spread.count, spread.most) == (len(values), max(values))


def test_of_nothing_there_is_no_spread() -> None:
    assert Spread().figures(0.5, 0.999) == {"p50": None, "p99.9": None, "max": None}


# The clock's jitter, and costs.


def test_the_jitter_told_is_that_of_the_clock_and_less_after_the_loop() -> None:
    jitter, draw = Jitter(), Random(3)
    for n in range(600):
        jitter.hear(Tick(5.0 + n * 60 / (120 * 24) + draw.gauss(0, 0.001)))
    told = jitter.figures()
    assert told["before"] == pytest.approx(1.0, rel=0.2)
    assert told["after"] is not None
    assert told["after"] < 0.3


def test_the_jitter_of_a_clock_just_come_is_not_told() -> None:
    jitter = Jitter()
    for n in range(30):
        jitter.hear(Tick(n / 48))
    assert jitter.figures() == {"before": None, "after": None}


def test_a_cost_is_the_share_since_the_last_look() -> None:
    cost = Cost()
    assert cost.since(Usage(2.0, 50.0, 0.0), 10.0)["cpu"] is None
    assert cost.since(Usage(2.1, 50.0, 0.0), 12.0)["cpu"] == pytest.approx(0.05)
    assert cost.since(Usage(0.3), 13.0)["cpu"] is None  # another process: the model was restarted
    assert cost.since(Usage(), 14.0) == {"cpu": None, "memory_mb": None, "shared_mb": None}


def test_this_process_costs_something() -> None:
    used = usage()
    assert used.cpu_s is not None
    assert used.cpu_s > 0
    assert usage(2**30).memory_mb is None


# As text.


FIGURES = {
    "name": "duo",
    "pid": 7,
    "uptime_s": 3723.4,
    "is_real_time": True,
    "session": {
        **dict.fromkeys(("notes_heard", "notes_dropped", "late", "measures_missed"), 0),
        **dict.fromkeys(("plans_late", "plans_failed", "measures_stale", "ticks_lost"), 0),
        "mode": "answering", "clock": "midi", "tempo": 120.0, "meter": "4/4", "measure": 9,
        "step": 4, "preset": "default", "sounding": [60, 64], "is_model_ready": True,
        "notes_sent": 41, "plans_asked": 12, "plan_lead_ms": 88.0, "candidates": 8,
        "measures_answered": 6,
    },
    "clock_ms": {"before": 1.004, "after": 0.131},
    "lateness_ms": {"p50": 0.02, "p99": 0.2, "p99.9": None, "max": 0.31},
    "response_ms": {"p50": 20.0, "p95": 31.2, "max": 40.0},
    "satisfaction": 1.0,
    "staleness": 0.0,
    "daemon": {"cpu": 0.021, "memory_mb": 51.2, "shared_mb": 0.0},
    "model": {"cpu": None, "memory_mb": None, "shared_mb": None},
    "device": "cpu",
}  # fmt: skip


def test_a_status_reads_as_lines_with_dashes_for_what_is_not_known() -> None:
    assert status_text(FIGURES) == (
        "daemon    ports 'duo in' and 'duo out', process 7, up 1:02:03\n"
        "music     answering, measure 9, step 4, meter 4/4, preset default\n"
        "clock     midi, 120.00 bpm, 0 ticks lost; jitter 1.004 ms, after the loop 0.131 ms\n"
        "notes     0 heard, 41 sent, 0 dropped (0 of them late), 2 sounding\n"
        "lateness  p50 0.02, p99 0.20, p99.9 -, max 0.31 ms, real-time priority\n"
        "answers   6 measures, 0 missed, 0 stale; input satisfaction 1.000, staleness 0.0000\n"
        "plans     12 asked, 0 late, 0 failed; response p50 20.0, p95 31.2, max 40.0 ms; "
        "lead 88 ms; 8 drafts\n"
        "costs     daemon 2.1 % of a core, 51 MB; model on cpu - % of a core, - MB"
    )
