"""Chords as a voice: frame by frame a chord, which of its keys are struck, and notes of that.

    what sounded ──► layers ──► are keys added? ──► which chord ──► which keys are struck again
         ▲                                                                     │
         └──────────── memory, measures ago ◄──────────────────────────────────┘

A frame is drawn in two stages: whether keys are added to what sounds, by what all chords that do
and all that do not come to; then which chord of that kind. The one chord that stays is nearly
always likelier than any one of the many that could follow, so taking the likeliest of all would
hold a chord for ever; so beams, too, score a chord beside the best of its kind. Drawing follows
one line, whatever `candidates` says: the likeliest of four was less like the real music. A note
that sounds at the measure's end is followed past the line until it ends, a measure at most. How
loud notes are, and their lengths within a frame, are as heard (see `manner`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pianogen.families.arithmetic import Floats
from pianogen.families.beams import likeliest
from pianogen.families.chord_beliefs import Beliefs
from pianogen.families.chord_features import LONGEST_AGO, ago, kept
from pianogen.families.chord_frames import (
    Bools,
    ChordsConfig,
    Frames,
    Ints,
    frame_of,
    frames_in,
    placed,
    step_of,
)
from pianogen.families.chord_lines import Lines, Past, Scene, frames_of
from pianogen.families.manner import Manner
from pianogen.families.sizes import DECAYS
from pianogen.families.steering import Push, push_of
from pianogen.families.voice import Voice
from pianogen.grid import KEYS, LOWEST_KEY, Measure, Meter, Note
from pianogen.sampling import Sampling, decided

# Chords that the vocabulary has are thinner than those of music, and what is played is heard
# again. So keys are pushed for a little, and towards as many notes as were heard; in nats, see
# `steering.Push`; chosen on validation music by the overlaps of `comparison`, whose mean was 0.49
# without and 0.54 with them (forty contexts).
BEGIN, PACE, THICKER = 0.2, 2.0, 0.2


class ChordsPlayer:
    """What hears and plays; see `voice.Player`."""

    def __init__(self, beliefs: Beliefs) -> None:
        self.beliefs = beliefs
        self.frame = beliefs.config.frame

    def empty(self, meter: Meter) -> Past:
        """Nothing heard."""
        count = LONGEST_AGO * frames_in(meter.steps, self.frame)
        none = np.zeros((count, KEYS), np.bool_)
        memory = np.zeros((len(DECAYS), KEYS), np.float32)
        return Past(
            meter, self.beliefs.layers.start(), none, none, memory, np.zeros(KEYS, np.int64)
        )

    def heard(self, past: Past, measure: Measure) -> Past:
        """After one more measure; its notes and those that sound into it are its frames."""
        count = frames_in(past.meter.steps, self.frame)
        frames, ringing = self.framed(past, measure)
        sounding = np.concatenate([past.sounding, frames.sounding[0]])
        struck = np.concatenate([past.struck, frames.struck[0]])
        memory = past.memory
        for now in frames.struck[0]:
            memory = memory * kept(self.frame) + now
        inputs = _inputs(sounding, struck, count)
        place = np.arange(count) * self.frame
        told = self.beliefs.told(inputs, place, past.meter.steps)
        _, state = self.beliefs.layers.over(told[None], past.state)
        return Past(past.meter, state, sounding[count:], struck[count:], memory, ringing)

    def framed(self, past: Past, measure: Measure) -> tuple[Frames, Ints]:
        """The frames of a measure, and how many frames longer each key sounds."""
        steps, table = past.meter.steps, placed([measure])
        count = frames_in(steps, self.frame)
        over = np.flatnonzero(past.ringing)
        first = frame_of(table[:, 0], steps, self.frame)
        end = np.maximum(frame_of(table[:, 0] + table[:, 2], steps, self.frame), first + 1)
        first = np.concatenate([np.full(len(over), -1), first])
        end, key = np.concatenate([past.ringing[over], end]), np.concatenate([over, table[:, 1]])
        ringing = np.zeros(KEYS, np.int64)
        for place in np.lexsort((end, first)):
            ringing[key[place]] = max(int(end[place]) - count, 0)
        return Frames.of(np.zeros_like(first), first, end, key, (1, count)), ringing

    def played(
        self, past: Past, heard: tuple[Measure, ...], sampling: Sampling, rng: np.random.Generator
    ) -> Measure:
        """The next measure."""
        asked = decided(sampling)
        scene = Scene(self.beliefs, past, sampling, _push(asked, heard, past.meter.steps))
        count = scene.a_measure
        lots = rng.random((2 * count, 3), dtype=np.float32)
        touch = rng.random((count, 2))
        line = scene.start(1)
        if asked.decoding == "beam":
            line = likeliest(scene, line, length=count, width=asked.candidates).lines
            line = scene.first(line)
        while line.frames < count:
            line = _on(scene, line, lots)
        return self._written(_let_ring(scene, line, lots), Manner.of(heard), scene, touch)

    def _written(
        self, line: Lines, manner: Manner, scene: Scene, touch: NDArray[np.float64]
    ) -> Measure:
        """The notes that begin in the measure, as loud and within a frame as long as heard."""
        asked, steps = scene.sampling, scene.steps
        table = frames_of(line, 0).notes()
        table = table[table[:, 0] < scene.a_measure]
        again = {(int(first), int(key)) for first, key, _ in table}
        onsets, ends = (step_of(table[:, n], steps, self.frame).tolist() for n in (0, 2))
        notes = []
        for (first, key, end), onset, stop in zip(table.tolist(), onsets, ends, strict=True):
            pitch, (loud, long) = key + LOWEST_KEY, touch[first]
            like = manner.duration(onset, pitch, asked.duration_temperature, long)
            length = stop - onset
            if end == first + 1 and like < length:
                length = like
            elif like > self.frame and (end, key) not in again:
                length += like % self.frame
            velocity = manner.velocity_bin(onset, pitch, asked.velocity_temperature, loud)
            notes.append(Note(onset, pitch, velocity, length))
        return Measure(scene.past.meter, tuple(notes))


def _push(asked: Sampling, heard: Sequence[Measure], steps: int) -> Push:
    """What leads to as many notes as are asked for, or else as were heard."""
    push = push_of(asked, heard, steps)
    if push == Push():
        counts = [len(measure.notes) for measure in heard if measure.notes]
        usual = asked.usual_notes or (sum(counts) / len(counts) if counts else 0.0)
        push = Push(wanting=PACE if usual else 0.0, goal=usual)
    return replace(push, always=push.always + BEGIN, thicker=push.thicker + THICKER)


def _on(scene: Scene, line: Lines, lots: Floats) -> Lines:
    """A frame on, drawn."""
    lot = lots[None, line.frames]
    chord = scene.drawn(line, lot[:, :2])
    return scene.said(line, np.zeros(1, np.int64), chord, lot[:, 2])


def _let_ring(scene: Scene, line: Lines, lots: Floats) -> Lines:
    """On until the notes of the measure have ended, a measure at most."""
    ours = line.own
    while ours.any() and line.frames < len(lots):
        line = _on(scene, line, lots)
        ours = ours & line.own & ~line.struck[:, -1]
    return line


def _inputs(sounding: Bools, struck: Bools, count: int) -> Floats:
    """What the network is given at the last `count` frames of those that were, (count, 440)."""
    from_past = slice(-count, None)
    lags = [(sounding, 1), (struck, 1), (struck, count), (sounding, count), (struck, 2 * count)]
    told = [ago(table[None], lag)[0, from_past] for table, lag in lags]
    return np.concatenate(told, axis=1).astype(np.float32)


def load(config: Mapping[str, Any], weights: Mapping[str, NDArray[Any]], device: str) -> Voice:
    """A checkpoint's configuration and weights as a voice. It computes in numpy on any device."""
    return Voice(ChordsPlayer(Beliefs(ChordsConfig(**config), weights)))
