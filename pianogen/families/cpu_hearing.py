"""A measure heard without torch: one pass of decoder and encoder over its steps.

The decoder's LSTM and both of the encoder's do not wait for each other, so a step of all three is
one multiplication.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pianogen.families.arithmetic import (
    Floats,
    Ints,
    gelu,
    lstm_cell,
    normed,
    normed_centred,
    product,
)
from pianogen.families.cpu_past import (
    LENGTH_CLASSES,
    History,
    Left,
    Past,
    Places,
    Surroundings,
    marked,
)
from pianogen.families.cpu_weights import Weights
from pianogen.families.sizes import HEADS, MARKS, MEMORIES, MIDDLE_C, REACH, key_of
from pianogen.grid import KEYS, VELOCITY_BINS, Measure

CLASS = np.arange(KEYS) % 12  # of each key; class 0 is the lowest key's
OF_CLASS = (CLASS[:, None] == np.arange(12)).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Table:
    """A measure's notes, by time and from the top down, one of a key and step; (n,) each."""

    time: Ints
    key: Ints
    velocity: Ints
    duration: Ints

    @classmethod
    def of(cls, measure: Measure) -> Table:
        """Notes beyond the piano come an octave or more in."""
        kept = {(note.onset, -key_of(note.pitch)): note for note in measure.notes}
        rows = [(t, -k, kept[t, k].velocity_bin, kept[t, k].duration) for t, k in sorted(kept)]
        return cls(*np.array(rows, np.int64).reshape(-1, 4).T)


@dataclass(frozen=True, eq=False)
class Rolls:
    """A measure of S steps: onset, sounding, held (S, 88), velocity (S, 32), and of the newest
    step before each that had notes, those (S, 88) and how long ago that was (S,)."""

    onset: Floats
    sounding: Floats
    held: Floats
    velocity: Floats
    latest: Floats
    since: Floats

    @classmethod
    def of(cls, table: Table, past: History, steps: int) -> Rolls:
        """From the notes, and what sounds on from before."""
        onset, velocity = (np.zeros((steps, n), np.float32) for n in (KEYS, VELOCITY_BINS))
        onset[table.time, table.key] = 1
        np.add.at(velocity, (table.time, table.velocity), 1)
        held = (past.remaining > np.arange(steps)[:, None]).astype(np.float32)
        sounding = held.copy()
        for time, key, length in zip(
            *(x.tolist() for x in (table.time, table.key, table.duration)), strict=True
        ):
            sounding[time : time + length, key] = 1
            held[time + 1 : time + length, key] = 1
        rows = np.concatenate([past.latest[None], onset])  # the past, then each step
        last = np.zeros(steps, np.int64)
        last[table.time] = table.time + 1
        last = np.maximum.accumulate(np.concatenate([[0], last[:-1]]))
        time = np.arange(steps)
        since = np.where(last > 0, time - last + 1, past.since + time).astype(np.float32)
        return cls(onset, sounding, held, velocity, rows[last], since)


def hear(weights: Weights, places: Places, past: Past, measure: Measure) -> Past:
    """The past once a measure is over, too."""
    table = Table.of(measure)
    rolls = Rolls.of(table, past.history, places.steps)
    given = _given(weights, places, past.history, rolls)
    around = Surroundings.of(weights, places, past)
    query = product(given, weights.query) + weights.query_bias
    z = product(around.attend(query, around.bias), weights.attended) + weights.attended_bias
    z += given
    frames, second, inputs = _convolved(weights, places, past, rolls)
    h, encoded, carry = _lstms(weights, past, z, inputs)
    state = decoded(weights, h, z)
    encodings = normed(
        product(encoded, weights.encoded) + weights.encoded_bias, *weights.norm_encoded
    )
    memory = product(encodings, weights.key_value) + weights.key_value_bias
    window = weights.config.window
    return Past(
        _history(places, past.history, table, rolls),
        frames=frames,
        second=second,
        h=carry[0],
        c=carry[1],
        memories=(*past.memories, memory)[-window:],
        left=(*past.left, _left(weights, table, rolls, state))[-REACH:],
    )


def decoded(weights: Weights, h: Floats, z: Floats) -> Floats:
    """The LSTM's output and input, (N, H) each -> the decoder's state."""
    s = normed(h + z, *weights.norm_state)
    wide = gelu(product(s, weights.widen) + weights.widen_bias)
    s += product(wide, weights.narrow)
    s += weights.narrow_bias
    return normed(s, *weights.norm_out)


def _given(weights: Weights, places: Places, past: History, rolls: Rolls) -> Floats:
    """What each step is given, (S, H)."""
    S = places.steps
    counts = np.concatenate([*(r.sum(axis=1) for r in past.rolls), rolls.onset.sum(axis=1), [0]])
    since = np.minimum(rolls.since, 64)
    rest = [np.log2(since) / 6, since == 1, since > 32, rolls.held.sum(axis=1) / 8]
    before = np.concatenate(
        [
            np.concatenate([past.rolls[-1][-1:], rolls.onset[:-1]]),
            rolls.held,
            np.minimum(np.concatenate([past.velocity[None], rolls.velocity[:-1]]), 4) / 2,
            counts[places.earlier] / 4,
            np.stack(rest, axis=1),
            _harmony(places, past, rolls).reshape(S, -1),
        ],
        axis=1,
        dtype=np.float32,
    )
    return normed_centred(product(before, weights.given) + places.given, *weights.norm_in)


def _harmony(places: Places, past: History, rolls: Rolls) -> Floats:
    """Pitch-class profiles over a beat and a measure, (S, 2, 12)."""
    gone, onset = places.gone[:-1, :2], rolls.onset @ OF_CLASS
    sums = gone[:, :, None] * (past.level[:2, 0] @ OF_CLASS)
    lag = np.arange(places.steps)[:, None] - np.arange(places.steps) - 1
    weight = np.where(lag[..., None] >= 0, gone[np.maximum(lag, 0)], 0)  # (S, S, 2)
    sums += np.moveaxis(np.moveaxis(weight, -1, 0) @ onset, 0, 1)
    return profile(sums) * np.float32(4)


def profile(sums: Floats) -> Floats:
    """Decayed counts a pitch class (..., 12) -> shares."""
    shares: Floats = sums / (sums.sum(axis=-1, keepdims=True) + np.float32(0.5))
    return shares


def _convolved(
    weights: Weights, places: Places, past: Past, rolls: Rolls
) -> tuple[Floats, Floats, Floats]:
    """What the convolutions carry over the line, and what the encoder's LSTMs read, (S, C)."""
    velocity = np.minimum(rolls.velocity, 4) / 2
    x = np.concatenate([rolls.onset, rolls.sounding, velocity, places.told], axis=1)
    y = product(_windows(past.frames, x), weights.first) + weights.first_bias
    np.maximum(y, 0, out=y)
    y, gate = np.split(y, [weights.config.conv], axis=1)
    gate = gate @ weights.onset_gate + weights.onset_gate_bias
    gate = np.float32(0.5) + np.float32(0.5) * np.tanh(np.float32(0.5) * gate)
    z = product(_windows(past.second, y), weights.second) + weights.second_bias
    inputs = np.concatenate([np.maximum(z, 0), gate], axis=1)
    second = np.concatenate([past.second, y])[-3:]
    return x[-1:], second, inputs


def _windows(left: Floats, x: Floats) -> Floats:
    """Each frame with as many before and after it as are carried: (S, width * C)."""
    width = 2 * len(left) + 1
    frames = np.concatenate([left, x, np.zeros_like(left)])
    windows = np.lib.stride_tricks.sliding_window_view(frames, width, axis=0)
    return windows.swapaxes(1, 2).reshape(len(x), -1)


def _lstms(
    weights: Weights, past: Past, z: Floats, inputs: Floats
) -> tuple[Floats, Floats, tuple[Floats, Floats]]:
    """Decoder and encoder: (S, H) and, forwards and backwards, (S, 2H); h and c to carry."""
    S, H = z.shape
    both = product(inputs, weights.heard_inputs) + weights.heard_biases
    ahead, back = both[:, : 4 * H], both[::-1, 4 * H :]
    own = product(z, weights.own_input) + weights.gates_bias
    given = np.stack([own, ahead, back], axis=1)  # (S, 3, 4H)
    h, c, out = past.h, past.c, np.empty((S, 3, H), np.float32)
    for step in range(S):
        gates = np.matmul(h[:, None], weights.states)[:, 0]
        gates += given[step]
        h, c = lstm_cell(gates, c)
        out[step] = h
    h[2], c[2] = 0, 0  # backwards begins anew
    return out[:, 0], np.concatenate([out[:, 1], out[::-1, 2]], axis=1), (h, c)


def _history(places: Places, past: History, table: Table, rolls: Rolls) -> History:
    """What of the measure the next ones are told."""
    S, last = places.steps, table.time[-1] if len(table.time) else -1
    values = noted(table.velocity, table.duration)
    level = places.gone[S][:, None, None] * past.level
    weight = places.gone[S - 1 - table.time].T[:, None]  # (3, 1, n)
    level += (weight * values) @ (table.key[:, None] == np.arange(KEYS))
    heard = np.zeros((KEYS, MARKS, len(MEMORIES)), np.float32)
    for mark in (table.velocity, VELOCITY_BINS + LENGTH_CLASSES[table.duration]):
        np.add.at(heard, (table.key, mark), places.gone_of[S - table.time])
    memory = past.memory.reshape(KEYS, len(MEMORIES), MARKS) * places.gone_of[S][:, None]
    memory += heard.swapaxes(1, 2)
    end = np.zeros(KEYS, np.int64)
    np.maximum.at(end, table.key, table.time + table.duration)
    remaining = np.maximum(np.maximum(end, past.remaining) - S, 0)
    age = past.age + S
    age[table.key] = S - table.time  # of several the last holds
    return History(
        level=level,
        memory=memory.reshape(KEYS, -1),
        remaining=remaining,
        age=age * (remaining > 0),
        rolls=(*past.rolls, rolls.onset)[-4:],
        latest=rolls.onset[last] if last >= 0 else past.latest,
        since=S - int(last) if last >= 0 else past.since + S,
        velocity=rolls.velocity[-1],
    )


def noted(velocity_bin: Ints, duration: Ints) -> Floats:
    """What is counted of notes, (3, n): that they are there, how loud, how long; 0..1 each."""
    values = np.ones((3, len(duration)), np.float32)
    values[1] = velocity_bin / (VELOCITY_BINS - 1)
    values[2] = np.log2(duration) / 8
    return values


def _left(weights: Weights, table: Table, rolls: Rolls, state: Floats) -> Left:
    time = np.unique(table.time)
    slot_of = np.searchsorted(time, table.time)
    asked = product(state[time], weights.asked) + weights.asked_bias
    _, key, value = np.split(asked, 3, axis=1)
    heads = (len(time), HEADS, weights.config.echo)
    notes, latest = rolls.onset[time], rolls.latest[time]
    top, bass = outer_lines(latest)
    by_top, by_bass = (np.zeros((len(time), 2 * KEYS - 1), np.float32) for _ in range(2))
    for moved, line in ((by_top, top), (by_bass, bass)):
        moved[slot_of, table.key - line[slot_of] + KEYS - 1] = 1
    return Left(
        time=time,
        key=key.reshape(heads),
        value=(value + notes @ weights.value_of_key).reshape(heads),
        notes=notes,
        by_top=by_top,
        by_bass=by_bass,
        slot_of=slot_of,
        key_of=table.key,
        marks=marked(table.velocity, LENGTH_CLASSES[table.duration]),
    )


def outer_lines(latest: Floats) -> tuple[Ints, Ints]:
    """Top and bass key of (N, 88) notes; middle C where there are none."""
    there = latest > 0
    none = ~there.any(axis=1)
    top = np.where(none, MIDDLE_C, KEYS - 1 - there[:, ::-1].argmax(axis=1))
    return top, np.where(none, MIDDLE_C, there.argmax(axis=1))
