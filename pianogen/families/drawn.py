"""Drafts as they were drawn, and a draft as a measure. Knows no network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pianogen.families.steering import Push
from pianogen.grid import LOWEST_KEY, Measure, Meter, Note
from pianogen.sampling import Sampling


@dataclass(frozen=True)
class Theme:
    """What drafts are drawn from: a past of the engine's, how, and noise (N, S, 31), numbers in
    0..1, a row a draft."""

    past: Any
    sampling: Sampling
    push: Push
    noise: NDArray[np.float32]


@dataclass(frozen=True)
class Drawn:
    """N drafts of a measure of S steps.

    keys, bins, lengths (N, S, 10) int: which notes begin on a step, keys -1 where none, lengths
    in steps; cuts (N, S, 88) bool: keys whose note ends there, before its time; nats (N, 4): the
    negative log-likelihood, at temperature 1, of timing, pitches, velocities and lengths.
    """

    keys: NDArray[np.integer[Any]]
    bins: NDArray[np.integer[Any]]
    lengths: NDArray[np.integer[Any]]
    cuts: NDArray[np.bool_]
    nats: NDArray[np.float32]


def written(meter: Meter, drawn: Drawn, row: int) -> Measure:
    """One draft as a measure."""
    keys, bins, lengths = (x[row].tolist() for x in (drawn.keys, drawn.bins, drawn.lengths))
    cuts: dict[int, list[int]] = {}
    for step, key in np.argwhere(drawn.cuts[row]).tolist():
        cuts.setdefault(step, []).append(key)
    notes: list[Note] = []
    newest: dict[int, int] = {}  # key -> where its newest note stands in `notes`
    for step in range(meter.steps):
        for key in cuts.get(step, ()):
            if key in newest:
                note = notes[newest[key]]
                ended = min(note.duration, step - note.onset)
                notes[newest[key]] = replace(note, duration=ended)
        for key, bin_, duration in zip(keys[step], bins[step], lengths[step], strict=True):
            if key >= 0:
                newest[key] = len(notes)
                notes.append(Note(step, key + LOWEST_KEY, bin_, duration))
    return Measure(meter, tuple(notes))


def parted(drawn: Drawn, sizes: Sequence[int]) -> list[Drawn]:
    """Drafts drawn together, so many of each measure, as those of each."""
    ends = np.cumsum(sizes)
    return [
        Drawn(*(getattr(drawn, f.name)[end - size : end] for f in fields(Drawn)))
        for size, end in zip(sizes, ends, strict=True)
    ]


def joined(parts: Sequence[Drawn]) -> Drawn:
    """Drafts of the same measure drawn apart, in order."""
    if len(parts) == 1:
        return parts[0]
    return Drawn(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Drawn)))
