"""Two short pieces played to a preset with the shipped model, and what can be counted in them.

On simulated time, one draft a measure, each piece with two seeds. Times are in steps from the
beginning.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from math import inf
from statistics import fmean
from typing import NamedTuple, TypeAlias

from bridge.events import Ask, ControlChange, Event, NoteOff, NoteOn
from bridge.pedal import SUSTAIN
from bridge.presets import choose_preset, load_presets
from bridge.recall import Recall
from bridge.wire import Request, unpack_measure
from pianogen.checkpoint import load_continuation
from pianogen.grid import STEPS_PER_BEAT, Measure
from pianogen.keys import ALL_CLASSES, PITCH_CLASSES, Key
from pianogen.presets import AUTO
from tests.stage import BEGIN, clock, perform, play, seconds

HAND_OVER = 22  # the controller
BEATS = 4  # a measure
EIGHTH = STEPS_PER_BEAT // 2
SCALES = [frozenset(Key(n, minor).scale) for n in ALL_CLASSES for minor in (False, True)]

Piece: TypeAlias = tuple[tuple[str, int], ...]  # voices: their text, and how loud

SONG: Piece = (
    ("|e5 _ g5 f5 e5 _ d5 c5|a5 _ g5 f5 e5 _ g5 _|f5 e5 d5 f5 e5 d5 c5 e5|d5 _ b4 _ c5 _ _ -", 92),
    ("|c3 g3 e4 g3 c3 g3 e4 g3|f3 c4 a3 c4 c3 g3 e4 g3"
     "|d3 a3 f3 a3 g3 d4 b3 d4|g2 d3 f3 d3 c3 g3 e3 -", 64),
)  # fmt: skip
HYMN: Piece = (
    ("|e4+c5 d4+b4 e4+c5 e4+b4|e4+a4 _ d4+g4 _|d4+f4 d4+g4 e4+a4 d4+g4|c4+e4 _ _ -", 60),
    ("|a2+a3 b2+g3 c3+a3 e3+b3|a2+c4 _ g2+b3 _|d3+a3 b2+b3 a2+c4 g2+b3|c3+g3 _ _ -", 52),
)
TAKES = tuple((piece, seed) for piece in (SONG, HYMN) for seed in (0, 1))


@dataclass(frozen=True)
class Part:
    """What the player does with a piece, in measures.

    phrases: where in the take one begins, and which of the piece's measures it is: from, until.
    measures: how long the clock runs. hand_over: from which measure line to which it is down.
    """

    phrases: tuple[tuple[int, int, int], ...]
    measures: int
    hand_over: tuple[int, int] | None = None


CALL = Part(((0, 0, 4),), 13)  # a phrase, and a long rest
TRADE = Part(((0, 0, 1), (2, 1, 2), (4, 2, 3), (6, 3, 4)), 9)  # a measure, a measure's rest
BREAK_IN = Part(((0, 0, 4), (6, 0, 2)), 12)  # and into the third measure of the answer
TOGETHER = Part(((0, 0, 4), (4, 0, 3)), 7)  # on and on
TAKE_OVER = Part(((0, 0, 4),), 12, hand_over=(4, 10))  # and for longer than the phrase


class Struck(NamedTuple):
    """One note as it was played."""

    onset: int
    length: float
    pitch: int
    velocity: int
    channel: int


@dataclass(frozen=True)
class Heard:
    """A voice in one take; pedals: how often the pedal went down."""

    notes: tuple[Struck, ...]
    measures: int
    pedals: int = 0


Figure: TypeAlias = Callable[[Sequence[Heard]], float]  # of a voice in all takes


@cache
def played(preset: str, part: Part) -> tuple[Heard, ...]:
    """What the machine plays with a preset, take by take."""
    return tuple(_answer(preset, part, piece, seed) for piece, seed in TAKES)


@cache
def performer(part: Part) -> tuple[Heard, ...]:
    """What the player plays, take by take."""
    measures = sum(until - first for _, first, until in part.phrases)
    return tuple(Heard(_struck(_keys(part, piece)), measures) for piece, _ in TAKES)


def _answer(name: str, part: Part, piece: Piece, seed: int) -> Heard:
    preset = choose_preset(load_presets(), name)
    if preset.candidates == AUTO:
        preset = preset.model_copy(update={"candidates": 1})
    beats = part.measures * BEATS
    done = perform(
        [*clock(beats, stops=True), *_keys(part, piece), *_handed(part)],
        ask=_ask,
        presets=[preset],
        until=BEGIN + seconds(beats + 1),
        seed=seed,
    )
    done.assert_whole()
    controls = [m for m in done.messages if isinstance(m, ControlChange)]
    pedals = sum(m.control == SUSTAIN and m.value > 0 for m in controls)
    return Heard(_struck(done.messages), done.status.measures_answered, pedals)


def _keys(part: Part, piece: Piece) -> list[Event]:
    return [
        replace(event, velocity=velocity) if isinstance(event, NoteOn) else event
        for begins, first, until in part.phrases
        for text, velocity in piece
        for event in play(
            "|".join(text.split("|")[1:][first:until]), begin=BEGIN + seconds(begins * BEATS)
        )
    ]


def _handed(part: Part) -> Iterator[Event]:
    """Down and up a beat before the lines."""
    for line, value in zip(part.hand_over or (), (127, 0), strict=False):
        yield ControlChange(BEGIN + seconds(line * BEATS - 1), 0, HAND_OVER, value)


@cache
def _model(checkpoint: str) -> Recall:
    return Recall(load_continuation(checkpoint, device="cpu"))


def _ask(ask: Ask) -> Measure:
    in_time = replace(ask, deadline=inf, wanted_by=inf)  # simulated time means nothing to it
    return unpack_measure(_model(ask.checkpoint).answer(Request.of(in_time)).measure)


def _struck(messages: Iterable[object]) -> tuple[Struck, ...]:
    held: dict[tuple[int, int], NoteOn] = {}
    notes = []
    for message in sorted(
        (m for m in messages if isinstance(m, NoteOn | NoteOff)),
        key=lambda m: (m.time, isinstance(m, NoteOn)),
    ):
        place = message.channel, message.pitch
        if isinstance(message, NoteOn):
            held[place] = message
        elif (on := held.pop(place, None)) is not None:
            length = _steps(message.time) - _steps(on.time)
            notes.append(Struck(round(_steps(on.time)), length, *place[1:], on.velocity, place[0]))
    return tuple(sorted(notes))


def _steps(time: float) -> float:
    return (time - BEGIN) / seconds(1 / STEPS_PER_BEAT)


# What can be counted.


def measures(voices: Sequence[Heard]) -> float:
    """Measures, a take."""
    return fmean(voice.measures for voice in voices)


def notes(voices: Sequence[Heard]) -> float:
    """Notes a measure."""
    return len(_all(voices)) / max(1, sum(voice.measures for voice in voices))


def onsets(voices: Sequence[Heard]) -> float:
    """Steps of a measure at which something begins."""
    return len(_chords(voices)) / max(1, sum(voice.measures for voice in voices))


def chords(voices: Sequence[Heard]) -> float:
    """The share of onsets at which three notes or more begin."""
    return fmean(len(chord) >= 3 for chord in _chords(voices))


def on_beats(voices: Sequence[Heard]) -> float:
    """The share of onsets that are on a beat."""
    return fmean(chord[0].onset % STEPS_PER_BEAT == 0 for chord in _chords(voices))


def at_once(voices: Sequence[Heard]) -> float:
    """The most notes that ever sound together."""
    return max(
        sum(n.onset <= now.onset < n.onset + n.length - 0.1 for n in voice.notes)
        for voice in voices
        for now in voice.notes
    )


def lowest(voices: Sequence[Heard]) -> float:
    """The lowest pitch."""
    return min(note.pitch for note in _all(voices))


def highest(voices: Sequence[Heard]) -> float:
    """The highest pitch."""
    return max(note.pitch for note in _all(voices))


def loudness(voices: Sequence[Heard]) -> float:
    """The mean velocity."""
    return fmean(note.velocity for note in _all(voices))


def length(voices: Sequence[Heard]) -> float:
    """The mean length of a note, in steps."""
    return fmean(note.length for note in _all(voices))


def restruck(voices: Sequence[Heard]) -> float:
    """The share of notes whose key was struck an eighth before, or less."""
    count = 0
    for voice in voices:
        for key in {note.pitch for note in voice.notes}:
            times = sorted(note.onset for note in voice.notes if note.pitch == key)
            count += sum(later - sooner <= EIGHTH for sooner, later in pairwise(times))
    return count / len(_all(voices))


def pedals(voices: Sequence[Heard]) -> float:
    """Strokes of the pedal, a measure."""
    return sum(voice.pedals for voice in voices) / sum(voice.measures for voice in voices)


def channel(voices: Sequence[Heard]) -> float:
    """The channel, 1..16, where it is one."""
    (one,) = {note.channel for note in _all(voices)}
    return one + 1


def within(classes: Iterable[int]) -> Figure:
    """The share of notes that are of some pitch classes."""
    kept = frozenset(classes)
    return lambda voices: fmean(note.pitch % PITCH_CLASSES in kept for note in _all(voices))


def in_one_key(voices: Sequence[Heard]) -> float:
    """The share of measures all notes of which are in one key, whichever."""
    heard: dict[tuple[int, int], set[int]] = {}
    for number, voice in enumerate(voices):
        for note in voice.notes:
            place = number, note.onset // (BEATS * STEPS_PER_BEAT)
            heard.setdefault(place, set()).add(note.pitch % PITCH_CLASSES)
    return fmean(any(classes <= scale for scale in SCALES) for classes in heard.values())


def of_hymn(figure: Figure) -> Figure:
    """A figure of the takes of the hymn alone."""
    return lambda voices: figure([voices[n] for n, (piece, _) in enumerate(TAKES) if piece is HYMN])


def _all(voices: Sequence[Heard]) -> list[Struck]:
    return [note for voice in voices for note in voice.notes]


def _chords(voices: Sequence[Heard]) -> list[list[Struck]]:
    return [
        [note for note in voice.notes if note.onset == onset]
        for voice in voices
        for onset in sorted({note.onset for note in voice.notes})
    ]
