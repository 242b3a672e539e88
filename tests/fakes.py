"""Stand-ins for the model: quick, predictable, without torch."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from pianogen.errors import CheckpointError
from pianogen.grid import Measure, Meter, Note
from pianogen.sampling import Sampling


class FakeContinuation:
    """Answers with the last measure heard, transposed by how many it has heard (and the seed)."""

    def __init__(self) -> None:
        self.meter = Meter()
        self.heard: tuple[Measure, ...] = ()
        self.listened = 0  # ever, to count the work

    def another(self) -> FakeContinuation:
        return type(self)()

    def reset(self, meter: Meter) -> None:
        self.meter, self.heard = meter, ()

    def listen(self, measure: Measure) -> None:
        self.listened += 1
        self.heard += (measure,)

    def answer(self, sampling: Sampling, seed: int) -> Measure:
        last = self.heard[-1] if self.heard and self.heard[-1].notes else _ARPEGGIO
        shift = (len(self.heard) + seed) % 12
        notes = tuple(
            Note(note.onset, 48 + (note.pitch + shift) % 36, note.velocity_bin, note.duration)
            for note in last.notes
        )
        measure = Measure(self.meter, tuple(n for n in notes if n.onset < self.meter.steps))
        self.heard += (measure,)
        return measure

    def answer_all(self, wishes: Sequence[tuple[FakeContinuation, Sampling, int]]) -> list[Measure]:
        return [voice.answer(sampling, seed) for voice, sampling, seed in wishes]

    def mark(self) -> Any:
        return self.heard

    def rewind(self, mark: Any) -> None:
        self.heard = mark


_ARPEGGIO = Measure(Meter(), tuple(Note(8 * i, 60 + 4 * i, 18, 6) for i in range(4)))


class SteadyContinuation(FakeContinuation):
    """Answers the same four notes in every measure, the first on the line."""

    def answer(self, sampling: Sampling, seed: int) -> Measure:
        notes = tuple(n for n in _ARPEGGIO.notes if n.onset < self.meter.steps)
        measure = Measure(self.meter, notes)
        self.heard += (measure,)
        return measure


class FailingContinuation(FakeContinuation):
    def answer(self, sampling: Sampling, seed: int) -> Measure:
        if seed == 13:
            raise RuntimeError("unlucky")
        if seed == 99:
            os._exit(7)
        return super().answer(sampling, seed)


def load(name: str, *, device: str, sha256: str | None) -> FakeContinuation:
    return FakeContinuation()


def load_steady(name: str, *, device: str, sha256: str | None) -> FakeContinuation:
    return SteadyContinuation()


def load_failing(name: str, *, device: str, sha256: str | None) -> FakeContinuation:
    return FailingContinuation()


def load_nothing(name: str, *, device: str, sha256: str | None) -> FakeContinuation:
    raise FileNotFoundError(f"there is no checkpoint {name}")


def load_but(name: str, *, device: str, sha256: str | None) -> FakeContinuation:
    """Every checkpoint but those called so: `broken` cannot be loaded, `deadly` is the end."""
    if "deadly" in name:
        os._exit(7)
    if "broken" in name or sha256 == "wrong":
        raise CheckpointError(f"{name}: cannot be read")
    return SteadyContinuation() if "steady" in name else FakeContinuation()
