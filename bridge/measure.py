"""The performer's notes on the measure grid: rounding, held keys, pedal.

Positions are ticks of the run (see transport.py), found by time against the filtered clock; a
measure's number is its index in the run. A note belongs to the step nearest to it, so the last
half step of a measure is step 0 of the next:

    ticks   90  91  92  93  94 | 95  96  97 ...
    step    30          31     |     0 of the next measure

A key that is down, or held by the pedal, has no end yet: its duration is provisional, up to now.

Each channel has its own keys, and its own pedal, which holds the keys of that channel alone. But
where no note was ever struck on channel 1 or 16, the channel is a master in the sense of MPE, whose
notes come each on a channel of its own: then its pedal holds the keys of all.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import floor

from bridge.loudness import Loudness
from pianogen.grid import TICKS_PER_STEP, Meter, Note, velocity_to_bin

MASTERS = (0, 15)  # channels that may be MPE's master


def step_of(run: float) -> int:
    """The step of the run nearest to a position in ticks; halfway goes to the later one."""
    return floor(run / TICKS_PER_STEP + 0.5)


@dataclass(slots=True)
class _Played:
    """One note on the grid; `end` (step of the run) is None while it sounds."""

    onset: int
    pitch: int
    velocity: int
    end: int | None = None


@dataclass(slots=True)
class _Key:
    """A key that is down or, once up, held by the pedal; `note` is None where it has no place."""

    time: float
    velocity: int
    note: _Played | None
    is_down: bool = True


class Hearing:
    """What the performer plays. `run` is None while nothing rolls: keys are known, notes not."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._measures: dict[int, list[_Played]] = {}
        self._over: dict[int, tuple[Note, ...]] = {}  # measures in which nothing sounds any more
        self._keys: dict[tuple[int, int], _Key] = {}  # by channel and pitch
        self._pedals: set[int] = set()  # channels
        self._struck: set[int] = set()  # channels on which there was a note
        self._loudness = Loudness()
        self._quiet_since: float | None = None

    @property
    def is_playing(self) -> bool:
        """Whether a key is down or a note held by the pedal."""
        return bool(self._keys)

    @property
    def loudness(self) -> float | None:
        """How hard keys were struck lately: their mean velocity; None before the first."""
        return self._loudness.mean

    def quiet_since(self, run: float) -> float:
        """Where (in ticks of the run) the last key came up; `run`, which is now, while playing."""
        return run if self._keys or self._quiet_since is None else self._quiet_since

    def note_on(
        self, *, channel: int, pitch: int, velocity: int, time: float, run: float | None
    ) -> int | None:
        """A key goes down; returns the number of the measure its note begins in."""
        self._struck.add(channel)
        self._end(self._keys.pop((channel, pitch), None), run)
        note = None if run is None else self._place(step_of(run), pitch, velocity)
        self._keys[channel, pitch] = _Key(time, velocity, note)
        if note is None:
            return None
        measure = note.onset // self._meter.steps
        self._loudness.hear(measure, velocity)
        return measure

    def note_off(self, *, channel: int, pitch: int, run: float | None) -> None:
        """A key comes up; the pedal may hold its note."""
        key = self._keys.get((channel, pitch))
        if key is None or not key.is_down:
            return
        key.is_down = False
        if not self._is_held(channel):
            self._drop([(channel, pitch)], run)

    def pedal(self, *, channel: int, is_down: bool, run: float | None) -> None:
        """The sustain pedal (CC 64) of a channel moves; coming up it ends what it held."""
        if is_down:
            self._pedals.add(channel)
            return
        self._pedals.discard(channel)
        up = [place for place, key in self._keys.items() if not key.is_down]
        self._drop([place for place in up if not self._is_held(place[0])], run)

    def silence(self, *, channel: int, run: float | None) -> None:
        """All notes of a channel end, keys and pedal (CC 120 and 123)."""
        self._pedals.discard(channel)
        self._drop([place for place in self._keys if place[0] == channel], run)

    def halt(self, run: float) -> None:
        """The take is over: what sounds ends here on the grid, though keys may stay down."""
        for key in self._keys.values():
            self._end(key, run)

    def begin(self, run: float, since: float) -> list[int]:
        """A take begins at `run`: keys struck at or after `since` are its first notes.

        Earlier ones belong to what was before. Returns the measures that got a note.
        """
        self._quiet_since = run
        measures = []
        for (_, pitch), key in self._keys.items():
            if not (key.is_down and key.time >= since):
                key.note = None
                continue
            self._remove(key.note)
            key.note = self._place(step_of(run), pitch, key.velocity)
            measures.append(key.note.onset // self._meter.steps)
        return measures

    def notes(self, measure: int, run: float) -> tuple[Note, ...]:
        """The notes that begin in a measure, as known at `run`; the same tuple while they stay."""
        if (over := self._over.get(measure)) is not None:
            return over
        notes = self._notes(measure, run)
        if all(played.end is not None for played in self._measures.get(measure, ())):
            self._over[measure] = notes
        return notes

    def _notes(self, measure: int, run: float) -> tuple[Note, ...]:
        first = measure * self._meter.steps
        now = step_of(run)
        return tuple(
            Note(
                onset=played.onset - first,
                pitch=played.pitch,
                velocity_bin=velocity_to_bin(played.velocity),
                duration=max((now if played.end is None else played.end) - played.onset, 1),
            )
            for played in self._measures.get(measure, ())
        )

    def forget(self, before: int) -> None:
        """Let go of measures numbered below `before`."""
        for kept in (self._measures, self._over):
            for measure in [m for m in kept if m < before]:
                del kept[measure]

    def _is_held(self, channel: int) -> bool:
        """Whether a pedal holds the keys of a channel: its own, or that of a master."""
        if channel in self._pedals:
            return True
        return any(m in self._pedals and m not in self._struck for m in MASTERS)

    def _place(self, onset: int, pitch: int, velocity: int) -> _Played:
        note = _Played(onset, pitch, velocity)
        self._measures.setdefault(onset // self._meter.steps, []).append(note)
        self._over.pop(onset // self._meter.steps, None)
        return note

    def _remove(self, note: _Played | None) -> None:
        if note is not None:
            kept = self._measures.get(note.onset // self._meter.steps, [])
            kept[:] = [other for other in kept if other is not note]
            self._over.pop(note.onset // self._meter.steps, None)

    def _drop(self, places: list[tuple[int, int]], run: float | None) -> None:
        for place in places:
            self._end(self._keys.pop(place), run)
        if places and not self._keys:
            self._quiet_since = run

    @staticmethod
    def _end(key: _Key | None, run: float | None) -> None:
        if key is not None and key.note is not None and key.note.end is None and run is not None:
            key.note.end = step_of(run)
