"""A session log as a MIDI file: both voices where they lay in the measures, and the tempo map."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bridge.ears import Ears
from bridge.events import ChannelMessage, ControlChange, NoteOn, Send
from bridge.pedal import SUSTAIN
from bridge.recording import MACHINE, PERFORMER, Voice
from bridge.replay import Replay, Step
from bridge.timeline import Timeline
from pianogen.grid import PPQN

if TYPE_CHECKING:
    from pianogen.midi_file import TickTrack


@dataclass(frozen=True, slots=True)
class _Placed:
    """A message of a voice when it was heard; `place` is None while nothing rolled."""

    voice: str
    message: ChannelMessage
    time: float
    place: float | None


class Export:
    """What a replay comes to on the measure grid; `follow` it to its end, then write."""

    def __init__(self, replay: Replay) -> None:
        settings = replay.head.settings
        self._replay = replay
        self._meter = settings.meter
        self._ears = Ears(settings)
        self._timeline = Timeline(settings.meter, settings.bpm)
        self._placed: list[_Placed] = []
        self._now = 0.0

    def follow(self) -> None:
        """Play the log to its end. Raises LogError."""
        for step in self._replay:
            self._take(step)
        self._timeline.end(self._now)

    def write(self, path: Path) -> None:
        """Write the file; raises MidiFileError."""
        from pianogen.midi_file import write_ticks

        tempi = {_ticks(place): bpm for place, bpm in self._timeline.tempi()}
        tracks = [self._track(name) for name in (PERFORMER, MACHINE)]
        write_ticks(path, tracks, sorted(tempi.items()), self._meter)

    def _take(self, step: Step) -> None:
        self._now = step.now
        self._timeline.see(step.now, step.before, step.after)
        sent = [a.message for a in step.logged_actions() or () if isinstance(a, Send)]
        if (played := self._ears.heard(step.event)) is not None:
            if isinstance(played, NoteOn):
                self._timeline.begin(played.time)
            self._place(PERFORMER, played, played.time)
        for message in self._ears.sent(sent, step.event, step.now):
            self._place(MACHINE, message, message.time + step.ahead_s)

    def _place(self, voice: str, message: ChannelMessage, time: float) -> None:
        run = self._replay.session.run_at(time)
        place = None if run is None else self._timeline.place_of(run)
        self._placed.append(_Placed(voice, message, time, place))

    def _track(self, name: str) -> TickTrack:
        from pianogen.midi_file import TickTrack

        voice, pedal, latest = Voice(name), [], 0.0
        for placed in self._placed:
            place = placed.place
            if place is None:
                place = self._timeline.place_at(placed.time)
            latest = max(latest, place)
            match placed.message:
                case _ if placed.voice != name:
                    pass
                case ControlChange(control=control, value=value) if control == SUSTAIN:
                    pedal.append((_ticks(place), value))
                case message:
                    voice.take(message, place)
        voice.end(latest)
        notes = tuple(
            (_ticks(start), _ticks(end), pitch, velocity)
            for start, end, pitch, velocity in sorted(voice.notes)
        )
        return TickTrack(name, notes, tuple(pedal))


def _ticks(place: float) -> int:
    """A place in the file's own ticks, 480 a quarter note."""
    from pianogen.midi_file import TICKS_PER_BEAT

    return round(place * TICKS_PER_BEAT / PPQN)
