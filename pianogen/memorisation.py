"""How much of a continuation stands in the training music already, note for note.

Music is heard as events: the keys struck on one step, and how many steps later the next are. A
run is consecutive events with the same keys at the same distances:

    training       {60} 4 {64 67} 4 {65} 8 {72} 4 {71}
    continuation   {48} 2 {64 67} 4 {65} 8 {72} 8 {69}       a run of 3 events, of 4 notes

It never crosses a break of the training music, and a continuation is taken without what was
heard before it. Velocities, lengths and where the measure line lies do not count. It is looked
for in three ways: at the same pitches; with all transposed alike, as training does; and in the
top line alone, which is what people recognise.

Events become 64-bit hashes. All places of the training music that hold the first k events of
what is looked for are kept, and of them those that hold k + 1, until none is left.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pianogen.grid import PITCHES, Measure
from pianogen.measure_rows import MeasureRows

Hashes = NDArray[np.uint64]
Ints = NDArray[np.int64]
LONG = 16  # notes: a run that is a theme rather than a turn of phrase
BASE = np.uint64(0x9E3779B97F4A7C15)  # odd, so that its powers never come to 0
WAYS = ("same pitches", "transposed", "top line")
_RANDOM = np.random.default_rng(20).integers(1, 2**63, size=PITCHES, dtype=np.uint64)


@dataclass(frozen=True, slots=True, eq=False)
class Notes:
    """Notes in order of time, highest first on each step: (N,) each.

    time, duration: steps. pitch 0..127. segment: notes of two segments make no run together;
    it never falls.
    """

    time: Ints
    pitch: Ints
    duration: Ints
    segment: Ints

    @classmethod
    def of_music(cls, music: Sequence[Sequence[Measure] | None]) -> Notes:
        """Each stretch of measures a segment; one that is None has no notes."""
        rows, now = [], 0
        for number, measures in enumerate(music):
            for measure in measures or ():
                rows += [(now + n.onset, n.pitch, n.duration, number) for n in measure.notes]
                now += measure.meter.steps
        return cls(*np.array(rows, np.int64).reshape(-1, 4).T)

    @classmethod
    def of_rows(cls, rows: MeasureRows, firsts: Sequence[int] = ()) -> Notes:
        """A split's measures; a break begins a segment, and so does each of `firsts`."""
        table = rows.measures[:-1]
        begins = table["is_break"] > 0
        begins[np.asarray(firsts, np.int64)] = True
        steps = table["steps"].astype(np.int64)
        bounds = rows.measures["first_note"].astype(np.int64)
        counts = bounds[1:] - bounds[:-1]
        start = np.repeat(steps.cumsum() - steps, counts)
        notes = np.asarray(rows.notes)
        return cls(
            start + notes[:, 0],
            notes[:, 1].astype(np.int64),
            notes[:, 3].astype(np.int64),
            np.repeat(begins.cumsum(), counts),
        )

    def top_line(self) -> Notes:
        """The highest note of each step with onsets, where no higher one of its segment sounds on
        from before."""
        if not len(self.time):
            return self
        covered = np.zeros(int(self.time.max()) + 1, np.bool_)
        last = np.zeros(int(self.segment.max()) + 1, np.int64)
        last[self.segment] = self.time  # in order, so the last onset of each segment stays
        on_top = np.zeros(len(self.time), np.bool_)
        order = np.argsort(-self.pitch, kind="stable")
        edges = np.flatnonzero(np.diff(self.pitch[order])) + 1
        for mine in np.split(order, edges):
            time = self.time[mine]
            on_top[mine] = ~covered[time]
            until = np.minimum(time + self.duration[mine], last[self.segment[mine]] + 1)
            length = until - time
            within = np.arange(length.sum()) - np.repeat(length.cumsum() - length, length)
            covered[np.repeat(time, length) + within] = True
        return Notes(*(getattr(self, name)[on_top] for name in Notes.__slots__))


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """Events as hashes, (E,) each.

    last: of an event's keys. link: of its keys and the way to the next event's. notes: how many
    keys. segment: as of its notes.
    """

    last: Hashes
    link: Hashes
    notes: Ints
    segment: Ints

    @classmethod
    def of(cls, notes: Notes, *, transposed: bool = False) -> Line:
        """The events of some notes; transposed: keys are told from the lowest of their event,
        and the lowest from that of the event before."""
        place = notes.segment * (int(notes.time.max(initial=0)) + 1) + notes.time
        first = np.flatnonzero(np.diff(place, prepend=-1))
        if not len(first):
            none, hashes = np.zeros(0, np.int64), np.zeros(0, np.uint64)
            return cls(hashes, hashes, none, none)
        counts = np.diff(first, append=len(place))
        low = notes.pitch[first + counts - 1]
        pitch = notes.pitch - np.repeat(low, counts) if transposed else notes.pitch
        last = np.add.reduceat(_RANDOM[pitch], first)
        time = notes.time[first]
        apart = np.diff(time, append=time[-1:])
        moved = np.diff(low, append=low[-1:]) * transposed
        way = (apart * 2 * PITCHES + moved + PITCHES).astype(np.uint64)
        return cls(last, _mixed(last ^ _mixed(way)), counts, notes.segment[first])

    def __len__(self) -> int:
        return len(self.last)


def _mixed(values: Hashes) -> Hashes:
    """Each value scattered over all 64 bits: the finaliser of SplitMix64 (Steele et al. 2014)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(values ^ (values >> np.uint64(31)), np.uint64)


def longest_runs(wanted: Line, library: Line) -> Ints:
    """From each event of `wanted` on, how many events stand in the library as a run: (E,)."""
    longest = np.zeros(len(wanted), np.int64)
    mine, theirs = _Places.all_of(wanted), _Places.all_of(library)
    length, power = 0, np.uint64(1)
    while len(mine.place) and len(theirs.place):
        keys, others = mine.keys(length, power), theirs.keys(length, power)
        mine, theirs = mine.kept(np.isin(keys, others)), theirs.kept(_isin(others, keys))
        length += 1
        longest[mine.place] = length
        mine, theirs = mine.longer(length, power), theirs.longer(length, power)
        power = np.uint64((int(power) * int(BASE)) % 2**64)
    return longest


def _isin(many: Hashes, few: Hashes) -> NDArray[np.bool_]:
    """Which of many values are among a few."""
    known = np.unique(few)
    if not len(known):
        return np.zeros(len(many), np.bool_)
    return np.asarray(known[np.searchsorted(known, many).clip(max=len(known) - 1)] == many)


@dataclass(frozen=True, slots=True, eq=False)
class _Places:
    """Places of a line where a run may begin, and the hash of the run so far, but for the keys
    of its last event."""

    line: Line
    place: Ints
    hashed: Hashes

    @classmethod
    def all_of(cls, line: Line) -> _Places:
        return cls(line, np.arange(len(line)), np.zeros(len(line), np.uint64))

    def keys(self, length: int, power: np.uint64) -> Hashes:
        """The hashes of the runs of length + 1 events."""
        return np.asarray(self.hashed + self.line.last[self.place + length] * power, np.uint64)

    def kept(self, which: NDArray[np.bool_]) -> _Places:
        return _Places(self.line, self.place[which], self.hashed[which])

    def longer(self, length: int, power: np.uint64) -> _Places:
        """Those that go on for one more event, linked to it."""
        segment, after = self.line.segment, self.place + length
        goes_on = after < len(segment)
        goes_on[goes_on] = segment[after[goes_on]] == segment[self.place[goes_on]]
        place = self.place[goes_on]
        link = self.line.link[place + length - 1] * power
        return _Places(self.line, place, self.hashed[goes_on] + link)


@dataclass(frozen=True, slots=True, eq=False)
class Training:
    """The music to look in: its events, each way of looking."""

    lines: Mapping[str, Line]

    @classmethod
    def of(cls, notes: Notes) -> Training:
        """All of some music."""
        return cls(_lines(notes))

    def copied(
        self, heard: Sequence[Sequence[Measure]], answers: Sequence[Sequence[Measure] | None]
    ) -> dict[str, NDArray[Any]]:
        """Notes in the longest run of each answer that the training music has: way of looking ->
        (answers, 2), of any run, and of those that do not stand in what was heard as well."""
        mine, own = _lines(Notes.of_music(answers)), _lines(Notes.of_music(heard))
        return {way: _copied(mine[way], own[way], self.lines[way], len(answers)) for way in WAYS}


def _lines(notes: Notes) -> dict[str, Line]:
    return {
        "same pitches": Line.of(notes),
        "transposed": Line.of(notes, transposed=True),
        "top line": Line.of(notes.top_line()),
    }


def _copied(answers: Line, heard: Line, training: Line, count: int) -> Ints:
    known = longest_runs(answers, training)
    quoted = np.zeros(len(answers), np.int64)
    for number in range(count):
        mine, context = answers.segment == number, heard.segment == number
        quoted[mine] = longest_runs(_part(answers, mine), _part(heard, context))
    until = np.concatenate([[0], answers.notes.cumsum()])
    place = np.arange(len(answers))
    notes = until[place + known] - until[place]
    longest = np.zeros((count, 2), np.int64)
    np.maximum.at(longest[:, 0], answers.segment, notes)
    np.maximum.at(longest[:, 1], answers.segment, notes * (known > quoted))
    return longest


def _part(line: Line, which: NDArray[np.bool_]) -> Line:
    return Line(*(getattr(line, name)[which] for name in Line.__slots__))
