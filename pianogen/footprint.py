"""How much memory a voice takes: a process of its own loads it and plays, and is looked at.

Imports little, so that what the process has before the voice is little too.
"""

from __future__ import annotations

import math
import multiprocessing
import re
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pianogen.grid import Measure
    from pianogen.sampling import Sampling

STATUS, PEAK = Path("/proc/self/status"), re.compile(r"^VmHWM:\s+(\d+) kB", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Footprint:
    """Memory in MiB at its most. process: of the whole process. voice: what that is more than
    the process had before the voice was loaded. nan where the system does not tell."""

    process: float
    voice: float


def footprint(
    checkpoint: str, heard: Sequence[Measure], measures: int, sampling: Sampling, device: str
) -> Footprint:
    """Load a checkpoint in a new process and let it play `measures` measures after `heard`."""
    apart = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=apart) as process:
        return process.submit(_grown, checkpoint, heard, measures, sampling, device).result()


def _grown(
    checkpoint: str, heard: Sequence[Measure], measures: int, sampling: Sampling, device: str
) -> Footprint:
    from pianogen.device import use_one_thread

    use_one_thread()  # before numpy is imported
    from pianogen.checkpoint import load_continuation
    from pianogen.generate import continuation

    before = peak_mib()
    continuation(load_continuation(checkpoint, device=device), heard, measures, sampling, seed=0)
    after = peak_mib()
    return Footprint(after, after - before)


def peak_mib() -> float:
    """The most memory that this process has had in use so far, in MiB; nan where it is not told.

    On Linux from /proc: what getrusage says there of a process that was just started is its
    parent's.
    """
    told = PEAK.search(STATUS.read_text()) if STATUS.exists() else None
    if told:
        return int(told[1]) / 2**10
    if sys.platform == "win32":
        return math.nan
    import resource

    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
