"""MIDI files: read into ticks, timed in seconds, written whole. The only file here that knows mido.

A file is heard as one keyboard: all tracks and channels together, drums left out, no pitch
sounding twice at once (a key struck again ends the note before). Knows nothing of measures on
the grid, of corpora or of models.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import cycle, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pianogen.errors import MidiFileError
from pianogen.files import write_whole
from pianogen.grid import STEPS_PER_BEAT, Measure, Meter

if TYPE_CHECKING:
    import mido

TICKS_PER_BEAT = 480  # what is written: 60 ticks a step
DRUM_CHANNEL = 9  # MIDI's channel 10
SUSTAIN = 64  # the pedal's controller; values from 64 up are down
DEFAULT_TEMPO_US = 500_000  # 120 beats a minute
LARGEST_TEMPO_US = 0xFFFFFF  # what the three bytes of a tempo event can hold
LARGEST_DENOMINATOR = 1 << 16  # damaged files claim 2 ** 255

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class TimedNote:
    """A note in seconds from the start of the file; pitch 0..127, velocity 1..127."""

    start: float
    end: float
    pitch: int
    velocity: int


@dataclass(frozen=True, slots=True)
class Track:
    """A named voice of a file to be written."""

    name: str
    notes: tuple[TimedNote, ...]


@dataclass(frozen=True, slots=True)
class TickTrack:
    """A named voice in ticks, 480 a beat.

    notes: start, end, pitch, velocity. pedal: where the sustain pedal moves, and how far, 0..127.
    """

    name: str
    notes: tuple[tuple[int, int, int, int], ...]
    pedal: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Score:
    """A file in its own ticks.

    notes: (n, 5) start, end, pitch, velocity, channel, by start and pitch, as the keys were held.
    pedals: (p, 3) down, up, channel. tempos: (t, 2) tick, microseconds a beat.
    signatures: (s, 3) tick, numerator, denominator. Tempos and signatures begin at tick 0.
    """

    ticks_per_beat: int
    notes: Ints
    pedals: Ints
    tempos: Ints
    signatures: Ints

    def seconds(self, ticks: Ints) -> Floats:
        """The times, in seconds, of some ticks."""
        at, microseconds = self.tempos.T
        spans = np.diff(at) * microseconds[:-1]
        before = np.concatenate(([0], np.cumsum(spans)))
        last = np.searchsorted(at, ticks, side="right") - 1
        passed = before[last] + (ticks - at[last]) * microseconds[last]
        return np.asarray(passed / (1e6 * self.ticks_per_beat), np.float64)

    def timed_notes(self) -> tuple[TimedNote, ...]:
        """The notes in seconds, as the keys were held: the pedal is not applied."""
        starts, ends = self.seconds(self.notes[:, 0]), self.seconds(self.notes[:, 1])
        columns = (starts, ends, self.notes[:, 2], self.notes[:, 3])
        return tuple(TimedNote(*row) for row in zip(*(c.tolist() for c in columns), strict=True))

    def tempo_at(self, ticks: Ints) -> Floats:
        """The tempo in force, in beats a minute, at some ticks."""
        last = np.searchsorted(self.tempos[:, 0], ticks, side="right") - 1
        return np.asarray(60e6 / self.tempos[last, 1], np.float64)

    def pedalled_notes(self) -> Ints:
        """The notes as they sound: held by the pedal till it goes up or a key is struck again."""
        notes = self.notes.copy()
        for channel in np.unique(self.pedals[:, 2]):
            spans = self.pedals[self.pedals[:, 2] == channel]
            rows = np.flatnonzero(notes[:, 4] == channel)
            ends = notes[rows, 1]
            span = np.searchsorted(spans[:, 0], ends, side="left") - 1  # down before the key is up
            is_caught = (span >= 0) & (ends < spans[span, 1])
            notes[rows, 1] = np.where(is_caught, spans[span, 1], ends)
        return as_one_keyboard(notes)


def as_one_keyboard(notes: Ints) -> Ints:
    """The same notes, by start and pitch, each ended at the latest by the next of its pitch.

    Notes without length go; of two that begin together on one pitch the longer stays.
    """
    start, end, pitch, velocity = notes.T[:4]
    notes = notes[np.lexsort((velocity, end, start, pitch))]  # the longer comes last
    same_pitch = notes[1:, 2] == notes[:-1, 2]
    notes[:-1, 1] = np.where(same_pitch, np.minimum(notes[:-1, 1], notes[1:, 0]), notes[:-1, 1])
    notes = notes[notes[:, 1] > notes[:, 0]]
    return notes[np.lexsort((notes[:, 2], notes[:, 0]))]


def read_score(path: Path) -> Score:
    """Read a MIDI file; raises MidiFileError, one line, for a file that cannot be used."""
    file = _open(path)
    tracks = [list(_timed(track)) for track in file.tracks]
    end = max((tick for track in tracks for tick, _ in track[-1:]), default=0)
    notes = [note for track in tracks for note in _paired(track, end)]
    events = sorted((event for track in tracks for event in track), key=lambda event: event[0])
    return Score(
        ticks_per_beat=file.ticks_per_beat,
        notes=as_one_keyboard(_table(notes, 5)),
        pedals=_table(_pedal_spans(events, end), 3),
        tempos=_tempos(events),
        signatures=_signatures(events),
    )


def read_notes(path: Path) -> tuple[TimedNote, ...]:
    """Read a MIDI file's notes in seconds, as the keys were held: the pedal is not applied."""
    return read_score(path).timed_notes()


def _open(path: Path) -> mido.MidiFile:
    import mido

    try:
        file = mido.MidiFile(path, clip=True)
    except FileNotFoundError as error:
        raise MidiFileError(f"{path}: there is no such file") from error
    except Exception as error:  # damage shows in many ways: EOFError, ValueError, KeyError, ...
        reason = " ".join(str(error).split()) or type(error).__name__
        raise MidiFileError(f"{path}: cannot be read as a MIDI file ({reason})") from error
    if file.ticks_per_beat <= 0:
        raise MidiFileError(f"{path}: is timed in film frames, not in beats; export it in beats")
    if file.type == 2:
        raise MidiFileError(f"{path}: holds several pieces (type 2); export them one by one")
    return file


def _timed(track: mido.MidiTrack) -> Iterator[tuple[int, Any]]:
    tick = 0
    for message in track:
        tick += message.time
        yield tick, message


def _paired(track: Sequence[tuple[int, Any]], end: int) -> Iterator[tuple[int, ...]]:
    """Each note-on with its note-off, first struck first released; what is left ends at `end`."""
    held: dict[tuple[int, int], deque[tuple[int, int]]] = defaultdict(deque)
    for tick, message in track:
        if message.type not in ("note_on", "note_off") or message.channel == DRUM_CHANNEL:
            continue
        key = (message.note, message.channel)
        if message.type == "note_on" and message.velocity > 0:
            held[key].append((tick, message.velocity))
        elif held[key]:
            start, velocity = held[key].popleft()
            yield start, tick, message.note, velocity, message.channel
    for (pitch, channel), notes in held.items():
        yield from ((start, end, pitch, velocity, channel) for start, velocity in notes)


def _pedal_spans(events: Sequence[tuple[int, Any]], end: int) -> Iterator[tuple[int, int, int]]:
    down: dict[int, int] = {}
    for tick, message in events:
        if message.type != "control_change" or message.control != SUSTAIN:
            continue
        if message.value >= 64:
            down.setdefault(message.channel, tick)
        elif message.channel in down:
            yield down.pop(message.channel), tick, message.channel
    yield from ((tick, end, channel) for channel, tick in down.items())


def _tempos(events: Sequence[tuple[int, Any]]) -> Ints:
    tempos = {0: DEFAULT_TEMPO_US}
    tempos |= {t: m.tempo for t, m in events if m.type == "set_tempo" and m.tempo > 0}
    return _table(tempos.items(), 2)


def _signatures(events: Sequence[tuple[int, Any]]) -> Ints:
    signatures = {0: (4, 4)}
    for tick, message in events:
        if message.type == "time_signature" and message.numerator > 0:
            denominator = min(message.denominator, LARGEST_DENOMINATOR)
            signatures[tick] = (message.numerator, denominator)
    return _table(((tick, *signature) for tick, signature in signatures.items()), 3)


def _table(rows: Any, width: int) -> Ints:
    return np.array(sorted(rows), np.int64).reshape(-1, width)


def measures_to_notes(
    measures: Sequence[Measure], tempo_bpm: float, start_measure: int = 0
) -> tuple[TimedNote, ...]:
    """The notes of measures[start_measure:] in seconds, counted from the line of measures[0].

    A note ends at the latest where a later one of its pitch begins.
    """
    lines = np.cumsum([0] + [measure.meter.steps for measure in measures])
    rows = [
        (line + note.onset, line + note.onset + note.duration, note.pitch, note.velocity, 0)
        for line, measure in list(zip(lines.tolist(), measures, strict=False))[start_measure:]
        for note in measure.notes
    ]
    step_s = 60 / (tempo_bpm * STEPS_PER_BEAT)
    return tuple(
        TimedNote(start * step_s, end * step_s, pitch, velocity)
        for start, end, pitch, velocity, _ in as_one_keyboard(_table(rows, 5)).tolist()
    )


def write_midi(path: Path, tracks: Sequence[Track], tempo_bpm: float, meter: Meter) -> None:
    """Write named tracks, one channel each, with a tempo and a meter; the file appears whole.

    Times are kept to 1/480 of a beat. Raises MidiFileError where it cannot be written.
    """
    per_second = TICKS_PER_BEAT * tempo_bpm / 60
    in_ticks = [
        TickTrack(
            track.name,
            tuple(
                (round(n.start * per_second), round(n.end * per_second), n.pitch, n.velocity)
                for n in track.notes
            ),
        )
        for track in tracks
    ]
    write_ticks(path, in_ticks, [(0, tempo_bpm)], meter)


def write_ticks(
    path: Path,
    tracks: Sequence[TickTrack],
    tempi: Sequence[tuple[int, float]],
    meter: Meter,
) -> None:
    """Write named tracks, one channel each, with a tempo map and a meter; the file appears whole.

    tempi: where (ticks, 480 a beat, rising from 0) which tempo begins, in beats a minute. Raises
    MidiFileError where it cannot be written.
    """
    import mido

    file = mido.MidiFile(type=1, ticks_per_beat=TICKS_PER_BEAT, charset="utf-8")
    signature = {"numerator": meter.numerator, "denominator": meter.denominator}
    conductor = []
    for (before, _), (tick, bpm) in pairwise([(0, 0.0), *tempi]):
        tempo = min(max(mido.bpm2tempo(bpm), 1), LARGEST_TEMPO_US)
        conductor.append(mido.MetaMessage("set_tempo", tempo=tempo, time=tick - before))
    conductor.insert(1, mido.MetaMessage("time_signature", **signature))
    file.tracks.append(mido.MidiTrack(conductor))
    channels = cycle(channel for channel in range(16) if channel != DRUM_CHANNEL)
    for track, channel in zip(tracks, channels, strict=False):
        file.tracks.append(_written(track, channel))
    _save_whole(file, path)


def _written(track: TickTrack, channel: int) -> mido.MidiTrack:
    import mido

    events: list[tuple[int, str, int, int]] = []  # tick, kind, its two values
    for start, end, pitch, velocity in track.notes:
        events += [(start, "note_on", pitch, velocity), (max(end, start + 1), "note_off", pitch, 0)]
    events += [(tick, "control_change", SUSTAIN, value) for tick, value in track.pedal]
    events.sort(key=lambda event: (event[0], _KINDS.index(event[1]), *event[2:]))
    written = mido.MidiTrack([mido.MetaMessage("track_name", name=track.name)])
    for (before, *_), (tick, kind, first, second) in pairwise([(0, "", 0, 0), *events]):
        values = dict(zip(_VALUES[kind], (first, second), strict=True))
        written.append(mido.Message(kind, channel=channel, time=tick - before, **values))
    return written


_KINDS = ("note_off", "control_change", "note_on")  # of the same tick
_VALUES = {
    "note_off": ("note", "velocity"),
    "control_change": ("control", "value"),
    "note_on": ("note", "velocity"),
}


def _save_whole(file: mido.MidiFile, path: Path) -> None:
    whole = BytesIO()
    file.save(file=whole)
    try:
        write_whole(path, whole.getvalue())
    except OSError as error:
        raise MidiFileError(f"{path}: cannot be written ({error.strerror})") from error
