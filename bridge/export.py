"""A session log as a MIDI file: both voices where they lay in the measures, and the tempo map."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bridge.events import ChannelMessage, NoteOff, NoteOn, Send
from bridge.recording import MACHINE, PERFORMER, Voice
from bridge.replay import Replay, Step
from bridge.timeline import Timeline
from pianogen.grid import PPQN


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
        from pianogen.midi_file import TICKS_PER_BEAT, TickTrack, write_ticks

        scale = TICKS_PER_BEAT / PPQN
        tracks = [
            TickTrack(
                voice.name,
                tuple(
                    (round(start * scale), round(end * scale), pitch, velocity)
                    for start, end, pitch, velocity in sorted(voice.notes)
                ),
            )
            for voice in self._voices()
        ]
        tempi = {round(place * scale): bpm for place, bpm in self._timeline.tempi()}
        write_ticks(path, tracks, sorted(tempi.items()), self._meter)

    def _take(self, step: Step) -> None:
        self._now, event = step.now, step.event
        self._timeline.see(step.now, step.before, step.after)
        if isinstance(event, NoteOn | NoteOff):
            self._timeline.begin(event.time)
            self._place(PERFORMER, event, event.time)
        for action in step.logged_actions() or ():
            if isinstance(action, Send):
                self._place(MACHINE, action.message, action.message.time + step.ahead_s)

    def _place(self, voice: str, message: ChannelMessage, time: float) -> None:
        run = self._replay.session.run_at(time)
        place = None if run is None else self._timeline.place_of(run)
        self._placed.append(_Placed(voice, message, time, place))

    def _voices(self) -> Iterable[Voice]:
        voices = {name: Voice(name) for name in (PERFORMER, MACHINE)}
        latest = 0.0
        for placed in self._placed:
            place = placed.place
            if place is None:
                place = self._timeline.place_at(placed.time)
            latest = max(latest, place)
            voices[placed.voice].take(placed.message, place)
        for voice in voices.values():
            voice.end(latest)
        return voices.values()
