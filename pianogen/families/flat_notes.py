"""Notes as flat tensors, and how their loudness and lengths are written in numbers.

Keys are pitches counted from A0: 0..87; key 88 is a note that is not there, to fill a table up
with. T counts steps from a window's first.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from pianogen.families.sizes import DURATIONS, MARKS
from pianogen.grid import KEYS, VELOCITY_BINS

COLUMNS = ("window", "time", "key", "velocity", "duration")  # of a table of notes


@dataclass(frozen=True)
class Notes:
    """A batch of windows as flat notes, by window, time and from the top down.

    Each (N,) int64: window 0..B-1, time 0..T-1 in steps, key 0..87 (one of a kind a step),
    velocity bin 0..31, duration 1..255 in steps.
    """

    windows: int  # B
    measures: int  # K in each window
    steps: int  # S in each measure; T = K * S
    window: Tensor
    time: Tensor
    key: Tensor
    velocity: Tensor
    duration: Tensor

    @property
    def length(self) -> int:
        """Steps in a window, T."""
        return self.measures * self.steps


def filled_up(notes: Notes, count: int) -> Notes:
    """The same notes and such as are not there, `count` in all; of more the newest are kept."""
    short = max(count - len(notes.key), 0)

    def fit(x: Tensor, value: int) -> Tensor:
        return F.pad(x[-count:], (0, short), value=value)

    return replace(
        notes,
        window=fit(notes.window, 0),
        time=fit(notes.time, 0),
        key=fit(notes.key, KEYS),
        velocity=fit(notes.velocity, 0),
        duration=fit(notes.duration, 1),
    )


@cache
def constant(values: tuple[float, ...], device: torch.device) -> Tensor:
    """The same numbers on a device, brought there once."""
    with torch.inference_mode(False):
        return torch.tensor(values, device=device)


@cache
def duration_classes(device: torch.device) -> Tensor:
    """For each duration 0..255 in steps the index of the nearest of DURATIONS; (256,) int64."""
    with torch.inference_mode(False):
        lengths = torch.tensor(DURATIONS)
        return (torch.arange(256)[:, None] - lengths).abs().argmin(dim=1).to(device)


def values(velocity: Tensor, duration: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What the three rolls hold for each note: that it is there, how loud, how long."""
    return torch.ones_like(velocity, dtype=torch.float32), loudness(velocity), length(duration)


def loudness(velocity_bin: Tensor) -> Tensor:
    """A velocity bin (0..31) as a number in 0..1."""
    return velocity_bin.float() / (VELOCITY_BINS - 1)


def length(duration: Tensor) -> Tensor:
    """A duration in steps as a number in 0..1, each doubling one eighth."""
    return torch.log2(duration.float()) / 8


def length_classes(duration: Tensor) -> Tensor:
    """Indices into DURATIONS of durations in steps."""
    return duration_classes(duration.device)[duration]


def mark_places(notes: Notes) -> tuple[Tensor, Tensor]:
    """Where in a flat (89 * 64) memory each note's velocity bin and its length class are."""
    first = notes.key * MARKS
    return first + notes.velocity, first + VELOCITY_BINS + length_classes(notes.duration)


def marked(velocity: Tensor, length_class: Tensor) -> Tensor:
    """A note's velocity bin and length class as ones among zeros, (N, 64)."""
    place = torch.arange(MARKS, device=velocity.device)
    of_velocity = place == velocity[:, None]
    return (of_velocity | (place == length_class[:, None] + VELOCITY_BINS)).float()
