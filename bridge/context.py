"""What the model has heard: both voices, measure by measure, and which measures count.

The run's measures become context in order, each with an index. A silence between two phrases
shrinks to one measure, and a new take follows on the last: the music is kept, the waiting is not.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from bridge.measure import Hearing
from pianogen.grid import TICKS_PER_STEP, Measure, Meter, Note

CONTEXT_MEASURES = 16  # the newest, sent with every request
PLAYED_MEASURES = 4  # of the performer's, by which it is told how densely they play


class Context:
    """The newest measures of both voices; measures are numbered by their place in the run."""

    def __init__(self, meter: Meter, hearing: Hearing) -> None:
        self._meter = meter
        self._hearing = hearing
        self._own: dict[int, tuple[Note, ...]] = {}
        self._made: dict[int, tuple[tuple[Note, ...], tuple[Note, ...], Measure]] = {}
        self._order: deque[int] = deque(maxlen=CONTEXT_MEASURES)
        self._count = 0

    def begin_phrase(self, measure: int) -> None:
        """A phrase begins in `measure`: of the silence before it one measure stays."""
        self.shorten_silence(measure)
        self.reach(measure)

    def shorten_silence(self, measure: int) -> None:
        """Something begins in `measure`: of the silence before it one measure stays."""
        while self._order and self._order[-1] < measure and self._is_silent(self._order[-1]):
            self._order.pop()
            self._count -= 1
        if self._order and measure - self._order[-1] > 1:
            self._append(measure - 1)

    def reach(self, measure: int) -> None:
        """Everything up to and including `measure` is context."""
        first = self._order[-1] + 1 if self._order else measure
        oldest_kept = max(first, measure - CONTEXT_MEASURES + 1)
        self._count += max(0, oldest_kept - first)
        for number in range(oldest_kept, measure + 1):
            self._append(number)

    def answered(self, measure: int, notes: Iterable[Note]) -> None:
        """The machine plays `notes` in `measure`."""
        self._own[measure] = tuple(notes)
        self.reach(measure)
        self._forget()

    def overtaken(self, measure: int, step: int, notes: Iterable[Note]) -> None:
        """From `step` of `measure` on the machine plays these notes instead."""
        before = [note for note in self._own.get(measure, ()) if note.onset < step]
        self._own[measure] = (*before, *notes)

    def cut(self, run: float) -> None:
        """The machine stopped at `run` (ticks): what it did not play was never heard."""
        for measure, notes in self._own.items():
            first = measure * self._meter.steps
            if run < (first + self._meter.steps) * TICKS_PER_STEP + _tail(notes):
                self._own[measure] = tuple(_cut(notes, run / TICKS_PER_STEP - first))

    def before(self, measure: int, run: float) -> tuple[int, tuple[Measure, ...]]:
        """What precedes `measure`, as known at `run`: (index of the first, the newest measures)."""
        self.reach(measure - 1)
        self._forget()
        heard = tuple(self._measure(number, run) for number in self._order if number < measure)
        later = sum(number >= measure for number in self._order)
        return self._count - later - len(heard), heard

    def played(self, measure: int, run: float) -> tuple[Measure, ...]:
        """The newest measures before `measure` in which the performer played: their notes alone."""
        found: list[Measure] = []
        for number in reversed(self._order):
            if number < measure and (notes := self._hearing.notes(number, run)):
                found.append(Measure(self._meter, notes))
                if len(found) == PLAYED_MEASURES:
                    break
        return tuple(found)

    def _measure(self, number: int, run: float) -> Measure:
        """Both voices of a measure; the same value as long as neither changes."""
        played, own = self._hearing.notes(number, run), self._own.get(number, ())
        made = self._made.get(number)
        if made is None or made[0] is not played or made[1] is not own:
            made = self._made[number] = played, own, Measure(self._meter, played + own)
        return made[2]

    def _is_silent(self, measure: int) -> bool:
        return not (self._own.get(measure) or self._hearing.notes(measure, 0))

    def _append(self, measure: int) -> None:
        self._order.append(measure)
        self._count += 1

    def _forget(self) -> None:
        oldest = self._order[0] if self._order else 0
        self._hearing.forget(oldest)
        for kept in (self._own, self._made):
            for measure in [m for m in kept if m < oldest]:
                del kept[measure]


def _tail(notes: tuple[Note, ...]) -> int:
    return max((note.duration * TICKS_PER_STEP for note in notes), default=0)


def _cut(notes: tuple[Note, ...], step: float) -> Iterable[Note]:
    """The notes begun before `step` (from the measure's line), ending there at the latest."""
    for note in notes:
        if note.onset < step:
            length = max(1, min(note.duration, round(step - note.onset)))
            yield Note(note.onset, note.pitch, note.velocity_bin, length)
