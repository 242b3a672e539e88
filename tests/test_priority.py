"""Real-time priority: which way is taken, what is said, and that children stay ordinary."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bridge.priority import NICENESS, PRIORITY, Way, ask_for_a_larger_share, bus_command, choose

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="a rule of Linux")


def gives(text: str) -> Way:
    return lambda: text


def fails(error: Exception) -> Way:
    def way() -> str:
        raise error

    return way


def test_the_first_way_that_works_is_enough() -> None:
    never = fails(AssertionError("a second way was tried"))
    assert choose([gives("SCHED_FIFO 5"), never], "pray") == "real-time priority: SCHED_FIFO 5"


def test_where_one_way_fails_the_next_is_tried() -> None:
    ways = [fails(OSError("not permitted")), gives("rtkit 5")]
    assert choose(ways, "pray") == "real-time priority: rtkit 5"


def test_where_none_works_the_line_says_why_and_what_to_do() -> None:
    ways = [fails(OSError("not permitted")), fails(OSError("rtkit: no\nand more"))]
    assert choose(ways, "pray") == "no real-time priority (not permitted; rtkit: no): pray"


@pytest.mark.parametrize("error", [OSError(), AttributeError(), ValueError("x"), KeyError("y")])
def test_nothing_that_goes_wrong_is_raised(error: Exception) -> None:
    line = choose([fails(error)], "pray")
    assert line.startswith("no real-time priority (")
    assert "()" not in line


def test_a_system_without_ways_is_told_so() -> None:
    assert choose([], "pray").startswith("no real-time priority (none is known on ")


@pytest.mark.parametrize("is_allowed", [True, False])
def test_a_larger_share_is_asked_for_and_never_required(
    monkeypatch: pytest.MonkeyPatch, is_allowed: bool
) -> None:
    asked = []

    def nice(by: int) -> int:
        asked.append(by)
        if not is_allowed:
            raise PermissionError
        return by

    monkeypatch.setattr(os, "nice", nice, raising=False)
    ask_for_a_larger_share()
    assert asked == [NICENESS]


def test_both_programs_ask_rtkit_for_the_same() -> None:
    busctl = bus_command("/usr/bin/busctl", 12, 34)
    gdbus = bus_command("/usr/bin/gdbus", 12, 34)
    assert busctl[-5:] == ["MakeThreadRealtimeWithPID", "ttu", "12", "34", str(PRIORITY)]
    assert gdbus[-4:] == [
        "org.freedesktop.RealtimeKit1.MakeThreadRealtimeWithPID",
        "12",
        "34",
        str(PRIORITY),
    ]


def run(code: str, **environment: str) -> list[str]:
    """Run code in a process of its own, for limits and priorities cannot be taken back."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@linux_only
def test_threads_and_processes_begun_later_stay_ordinary() -> None:
    line, raised, thread, child = run("""
import os, subprocess, sys, threading
from bridge.priority import ask_for_real_time
print(ask_for_real_time())
print(os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK)
thread = threading.Thread(target=lambda: print(os.sched_getscheduler(0), flush=True))
thread.start(), thread.join()
subprocess.run([sys.executable, "-c", "import os; print(os.sched_getscheduler(0))"])
""")
    assert line.startswith(("real-time priority: ", "no real-time priority ("))
    assert line.startswith("no ") == (raised == "0")
    assert (thread, child) == ("0", "0")


RTKIT = """
import os, resource, signal
def refuse(*_):
    raise PermissionError
os.sched_setscheduler = refuse
from bridge.priority import ask_for_real_time
print(ask_for_real_time())
print(*resource.getrlimit(resource.RLIMIT_RTTIME))
os.sched_setscheduler = lambda pid, policy, _: print(pid, policy & ~os.SCHED_RESET_ON_FORK)
signal.raise_signal(signal.SIGXCPU)
"""


def broker(folder: Path, script: str) -> str:
    """A `busctl` of our own; returns the PATH on which it is alone."""
    path = folder / "busctl"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(folder)


@linux_only
def test_rtkit_gets_a_bound_and_the_thread_that_meets_it_becomes_ordinary(tmp_path: Path) -> None:
    line, limits, stepped_down = run(RTKIT, PATH=broker(tmp_path, "exit 0"))
    assert line == f"real-time priority: rtkit {PRIORITY}"
    assert all(0 < int(limit) <= 200_000 for limit in limits.split())
    assert stepped_down == "0 0"


@linux_only
@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo 'Call failed: Access denied' >&2; exit 1", "rtkit: Call failed: Access denied"),
        ("exec /bin/sleep 20", "rtkit does not answer"),
    ],
)
def test_without_rtkit_the_line_says_what_it_said(tmp_path: Path, script: str, reason: str) -> None:
    line = run(RTKIT, PATH=broker(tmp_path, script))[0]
    assert line.startswith(f"no real-time priority (SCHED_FIFO is not permitted; {reason}): add `@")
