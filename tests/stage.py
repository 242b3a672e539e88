"""A performance as text, turned into events on fake time; and what came of it, as lists.

    "| c4 e4 g4+c5 - | - |"     measures between bars, each divided evenly among its cells;
                                "-" a rest, "+" a chord, "_" holds on what came before

120 bpm and 4/4 unless told otherwise; time 10.0 is where the song begins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from bridge.events import Ask, Event, NoteOff, NoteOn, Notice, Send, Start, Stop, Tick
from bridge.presets import Preset
from bridge.session import Session, Settings
from bridge.simulation import Done, Simulation
from pianogen.grid import PPQN, Measure, Meter, Note

BEGIN = 10.0
NAMES = {"c": 0, "d": 2, "e": 4, "f": 5, "g": 7, "a": 9, "b": 11}


def pitch_of(name: str) -> int:
    return NAMES[name[0]] + 12 * (int(name[1:]) + 1)


def seconds(beats: float, bpm: float = 120.0) -> float:
    return 60.0 * beats / bpm


def clock(
    beats: float, *, bpm: float = 120.0, begin: float = BEGIN, stops: bool = False
) -> list[Event]:
    """Start, the ticks of so many beats and, where wanted, Stop."""
    ticks = round(beats * PPQN)
    period = seconds(1 / PPQN, bpm)
    events: list[Event] = [Start(begin)]
    events += [Tick(begin + n * period) for n in range(ticks)]
    return events + ([Stop(begin + ticks * period)] if stops else [])


def play(
    text: str, *, bpm: float = 120.0, begin: float = BEGIN, meter: Meter | None = None
) -> list[Event]:
    """The notes of a text; each key comes up a little before its cell ends."""
    meter = meter or Meter()
    beats = meter.ticks / PPQN
    events: list[Event] = []
    down: list[str] = []
    for number, measure in enumerate(m for m in text.split("|") if m.strip()):
        cells = measure.split()
        length = seconds(beats / len(cells), bpm)
        for place, cell in enumerate(cells):
            at = begin + seconds(beats * number, bpm) + place * length
            if cell != "_":
                events += [NoteOff(at - length / 20, 0, pitch_of(name)) for name in down]
                down = [] if cell == "-" else cell.split("+")
                events += [NoteOn(at, 0, pitch_of(name), 80) for name in down]
    end = begin + seconds(beats * (number + 1), bpm)
    return events + [NoteOff(end - length / 20, 0, pitch_of(name)) for name in down]


def preset(number: int = 0, **values: Any) -> Preset:
    return Preset(name=f"preset {number}", number=number, **values)


def measure(*pitches: int, meter: Meter | None = None, step: int = 8, length: int = 6) -> Measure:
    """A measure of notes `step` steps apart."""
    notes = tuple(Note(step * n, pitch, 20, length) for n, pitch in enumerate(pitches))
    return Measure(meter or Meter(), notes)


FOUR = measure(84, 86, 88, 89)


def perform(
    events: Iterable[Event],
    *,
    ask: Callable[[Ask], Measure | None] = lambda ask: FOUR,
    presets: Sequence[Preset] = (preset(),),
    delay: float | Callable[[Ask], float] = 0.0,
    is_ready: bool = True,
    until: float = float("inf"),
    **settings: Any,
) -> Performance:
    session = Session(presets, Settings(**settings))
    simulation = Simulation(session, events, ask, delay=delay, is_ready=is_ready)
    simulation.run(until)
    return Performance(session, simulation.done)


class Performance:
    """What a session did."""

    def __init__(self, session: Session, done: list[Done]) -> None:
        self.session = session
        self.done = done
        self.status = session.status()

    @property
    def messages(self) -> list[Any]:
        return [d.action.message for d in self.done if isinstance(d.action, Send)]

    @property
    def asks(self) -> list[tuple[float, Ask]]:
        return [(d.time, d.action) for d in self.done if isinstance(d.action, Ask)]

    @property
    def notices(self) -> list[str]:
        return [d.action.text for d in self.done if isinstance(d.action, Notice)]

    def notes(self, *, bpm: float = 120.0, begin: float = BEGIN) -> list[tuple[float, int]]:
        """The note-ons sent: (beats from the beginning, to 1/1000, pitch)."""
        return [
            (round((m.time - begin) * bpm / 60, 3), m.pitch)
            for m in self.messages
            if isinstance(m, NoteOn)
        ]

    def offs(self) -> list[tuple[float, int]]:
        return [
            (round((m.time - BEGIN) * 2, 3), m.pitch)
            for m in self.messages
            if isinstance(m, NoteOff)
        ]

    def assert_whole(self) -> None:
        """Every note-on has its note-off, and none comes twice without an off between."""
        assert_whole(self.messages)
        assert self.status.sounding == ()


def assert_whole(messages: Iterable[Any], *, polyphony: int = 128) -> None:
    sounding: set[tuple[int, int]] = set()
    for message in messages:
        if isinstance(message, NoteOn):
            assert (message.channel, message.pitch) not in sounding
            sounding.add((message.channel, message.pitch))
            assert len(sounding) <= polyphony
        elif isinstance(message, NoteOff):
            assert (message.channel, message.pitch) in sounding
            sounding.remove((message.channel, message.pitch))
    assert not sounding
