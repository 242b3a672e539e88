"""Both voices as they were played, for a MIDI file. Reads and writes nothing until asked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bridge.events import ChannelMessage, Event, NoteOff, NoteOn, Start
from bridge.status import Status
from pianogen.grid import Meter

if TYPE_CHECKING:
    from pianogen.midi_file import Track

PERFORMER, MACHINE = "performer", "pianogen"


class Voice:
    """Note-ons paired with their note-offs; times in monotonic seconds."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.notes: list[tuple[float, float, int, int]] = []  # start, end, pitch, velocity
        self._held: dict[tuple[int, int], tuple[float, int]] = {}

    def take(self, message: object, now: float) -> None:
        """A note begins or ends at `now`; anything else is passed over."""
        if isinstance(message, NoteOn | NoteOff):
            place = (message.channel, message.pitch)
            if place in self._held:
                start, velocity = self._held.pop(place)
                self.notes.append((start, now, message.pitch, velocity))
            if isinstance(message, NoteOn):
                self._held[place] = (now, message.velocity)

    def end(self, now: float) -> None:
        """Whatever is still held ends at `now`."""
        for (_, pitch), (start, velocity) in self._held.items():
            self.notes.append((start, now, pitch, velocity))
        self._held.clear()


class Recording:
    """Hears what the daemon hears and sends; begins at the first Start, else at the first note."""

    def __init__(self) -> None:
        self.performer = Voice(PERFORMER)
        self.machine = Voice(MACHINE)
        self._origin: float | None = None
        self._latest = 0.0
        self._heard: set[Event] = set()  # the performer's notes: thru sends them on as they are

    def heard(self, event: Event) -> None:
        """An event came in."""
        self._latest = max(self._latest, event.time)
        if self._origin is None and isinstance(event, Start | NoteOn):
            self._origin = event.time
        self.performer.take(event, event.time)
        if isinstance(event, NoteOn | NoteOff):
            self._heard.add(event)

    def sent(self, message: ChannelMessage, now: float) -> None:
        """A message went out: the machine's, or what was heard, passed on."""
        self._latest = max(self._latest, now)
        if message not in self._heard:
            self.machine.take(message, now)

    def shown(self, status: Status) -> None:
        """Nothing in it for a recording."""

    def tracks(self) -> tuple[Track, ...]:
        """The two voices in seconds from the origin."""
        from pianogen.midi_file import TimedNote, Track

        origin = self._origin or 0.0
        tracks = []
        for voice in (self.performer, self.machine):
            voice.end(self._latest)
            shifted = (
                TimedNote(max(0.0, start - origin), max(0.0, end - origin), pitch, velocity)
                for start, end, pitch, velocity in sorted(voice.notes)
            )
            tracks.append(Track(voice.name, tuple(shifted)))
        return tuple(tracks)

    def write(self, path: Path, tempo_bpm: float, meter: Meter) -> None:
        """Write a MIDI file of both; raises MidiFileError where that cannot be."""
        from pianogen.midi_file import write_midi

        write_midi(path, self.tracks(), tempo_bpm, meter)
