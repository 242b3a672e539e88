"""What a process costs: processor time, memory, age. Where a system does not tell: None."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from time import process_time

_MB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Usage:
    """A process at one moment.

    cpu_s: processor time of all its threads so far, in seconds. memory_mb: what it holds in memory,
    MiB, without shared_mb: memory it shares with others on purpose, as with a JACK server.
    """

    cpu_s: float | None = None
    memory_mb: float | None = None
    shared_mb: float | None = None


def usage(pid: int | None = None) -> Usage:
    """What a process costs; by default, this one. Quick: some tens of microseconds."""
    cpu_s = process_time() if pid in (None, os.getpid()) else None
    if not Path("/proc/self/status").exists():
        own = _peak_mb() if cpu_s is not None else None
        return Usage(cpu_s, own)
    folder = Path("/proc") / ("self" if pid is None else str(pid))
    try:
        if cpu_s is None:
            cpu_s = _cpu_s(folder)
        return Usage(cpu_s, *_memory_mb(folder))
    except (OSError, ValueError, IndexError):
        return Usage(cpu_s)


def age_s() -> float | None:
    """Seconds since this process was started, interpreter and all."""
    if not hasattr(os, "sysconf") or sys.platform != "linux":
        return None
    from time import CLOCK_BOOTTIME, clock_gettime

    started = int(_stat(Path("/proc/self"))[19]) / os.sysconf("SC_CLK_TCK")
    return clock_gettime(CLOCK_BOOTTIME) - started


def load_average() -> float | None:
    """How many processes wanted a processor, over the last minute."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def is_real_time() -> bool | None:
    """Whether the thread that asks has real-time priority."""
    if sys.platform != "linux":
        return None
    policy = os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK
    return policy in (os.SCHED_FIFO, os.SCHED_RR)


def _stat(folder: Path) -> list[str]:
    """The fields after the name, which may contain anything: from the state on."""
    return (folder / "stat").read_text().rpartition(")")[2].split()


def _cpu_s(folder: Path) -> float:
    fields = _stat(folder)
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _memory_mb(folder: Path) -> tuple[float, float]:
    """Own and shared, MiB."""
    values = {}
    for line in (folder / "status").read_text().splitlines():
        name, _, rest = line.partition(":")
        if name in ("VmRSS", "RssShmem"):
            values[name] = int(rest.split()[0]) * 1024 / _MB
    return values["VmRSS"] - values["RssShmem"], values["RssShmem"]


def _peak_mb() -> float | None:
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (_MB if sys.platform == "darwin" else 1024)
