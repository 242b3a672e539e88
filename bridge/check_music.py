"""What the check plays: a clock on an exact grid, and calls that want to be answered. Pure.

    |  lead in  |  call  |  answer  |  call  |  answer  | ... |  last  |Stop
       clock alone; the loop locks     the machine's turn        its last notes end by themselves

The calls are those of the demo, in turn, with a hand's small errors, cut to leave the rest that
the preset waits for. Everything is made as it is needed, however long it lasts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from heapq import merge
from math import ceil
from random import Random

from bridge.demo_music import CALLS
from bridge.events import MidiEvent, NoteOff, NoteOn, Start, Stop, Tick
from bridge.presets import Preset
from pianogen.grid import PPQN, Meter

LEAD_IN = 2  # measures
MARGIN_BEATS = 0.15  # more rest than needed: half a step and a hand's errors
CALL_BEATS = 2.0  # of playing in a call, where its rest allows
MOST_JITTER = 0.45  # of a tick: ticks never change places
HAND_S, MOST_EARLY_S, MOST_LATE_S = 0.006, 0.008, 0.020


def in_turns(preset: Preset) -> Preset:
    """The preset as it is checked: by calls and answers, whatever its mode."""
    update = {"mode": "answer", "on_interruption": "yield", "thru": "off"}
    return preset.model_copy(update=update)


@dataclass(frozen=True, slots=True)
class Piece:
    """One tempo of a check.

    bpm: quarter notes a minute. rounds: calls with their answers. rest_beats: how long each call
    rests before the line, at least. jitter_ms: standard deviation of the clock's own errors.
    """

    bpm: float
    meter: Meter
    rounds: int
    call_measures: int
    answer_measures: int
    rest_beats: float
    jitter_ms: float = 0.0

    @classmethod
    def of(cls, preset: Preset, meter: Meter, bpm: float, measures: int) -> Piece:
        """About as many measures of calls and answers, such that a preset answers each call."""
        beats = meter.ticks / PPQN
        wanted = max(2, ceil((preset.rest_beats + CALL_BEATS) / beats))
        call = min(preset.listen_measures, wanted)
        latest = max(beat for beat, *_ in _cut(CALLS[0], call * beats, preset.rest_beats))
        length = preset.answer_measures
        if length is None:
            length = min(preset.listen_measures, int(latest // beats) + 1)
        rounds = max(1, round(measures / (call + length)))
        return cls(bpm, meter, rounds, call, length, preset.rest_beats)

    @property
    def tick_s(self) -> float:
        """Seconds a tick."""
        return 60.0 / (self.bpm * PPQN)

    @property
    def round_measures(self) -> int:
        """Measures of a call and its answer."""
        return self.call_measures + self.answer_measures

    @property
    def measures(self) -> int:
        """Measures in all, with those in which nobody plays."""
        return LEAD_IN + self.rounds * self.round_measures + 1

    @property
    def ticks(self) -> int:
        """MIDI clocks in all."""
        return self.measures * self.meter.ticks

    def round_at(self, step: int) -> int | None:
        """Whose answer step `step` of the piece lies in: the round's number; None in no answer."""
        measure = step // self.meter.steps - LEAD_IN
        number, place = divmod(measure, self.round_measures)
        is_answer = place >= self.call_measures and 0 <= number < self.rounds
        return number if is_answer else None

    def events(self, seed: int = 5) -> Iterator[MidiEvent]:
        """All that is sent, in order; the first tick of the grid is at time 0, as is Start."""
        yield Start(0.0)
        yield from merge(self._clock(seed), self._strokes(seed), key=lambda event: event.time)
        yield Stop(self.ticks * self.tick_s)

    def _clock(self, seed: int) -> Iterator[MidiEvent]:
        draw = Random(seed)
        most = MOST_JITTER * self.tick_s
        for n in range(self.ticks):
            error = draw.gauss(0, self.jitter_ms / 1000) if self.jitter_ms else 0.0
            yield Tick(max(0.0, n * self.tick_s + min(max(error, -most), most)))

    def _strokes(self, seed: int) -> Iterator[MidiEvent]:
        hand = Random(seed)
        beats, beat_s = self.meter.ticks / PPQN, self.tick_s * PPQN
        for number in range(self.rounds):
            notes = _cut(CALLS[number % len(CALLS)], self.call_measures * beats, self.rest_beats)
            first = (LEAD_IN + number * self.round_measures) * beats
            latest = (first + self.call_measures * beats - _rest(self.rest_beats)) * beat_s
            events: list[MidiEvent] = []
            for beat, pitch, length, velocity in notes:
                error = min(max(hand.gauss(0.004, HAND_S), -MOST_EARLY_S), MOST_LATE_S)
                start = (first + beat) * beat_s + error
                end = min(start + 0.95 * length * beat_s, max(latest, start + 0.1 * beat_s))
                events += [NoteOn(start, 0, pitch, velocity), NoteOff(end, 0, pitch)]
            yield from sorted(events, key=lambda event: event.time)


def _rest(rest_beats: float) -> float:
    return rest_beats + MARGIN_BEATS


def _cut(
    call: tuple[tuple[float, int, float, int], ...], beats: float, rest_beats: float
) -> list[tuple[float, int, float, int]]:
    """The notes of a call that leave a rest at the end of so many beats; the first at least."""
    latest = max(beats - _rest(rest_beats) - 0.1, 0.1)
    return [note for note in call if note[0] < latest]
