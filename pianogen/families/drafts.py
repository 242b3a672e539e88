"""A measure drawn N times at once, a step at a time, from one past.

    step     1    2    3    4 ...
    draft 1  ♪         ♪♪          what one draft plays is seen by that draft alone;
    draft 2  ♪    ♪                the past is shared
    draft 3            ♪

All that is drawn comes from uniform numbers given beforehand, so that a draft does not depend on
the others, and a measure is drawn without asking the device anything on the way: shapes never
change, and drafts in which nothing begins are computed like the others. `cpu_drafts` draws the
same where asking costs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from pianogen.families.drawn import Drawn
from pianogen.families.echo import Slots, outer_lines
from pianogen.families.features import History, harmony, planes, rhythm
from pianogen.families.flat_notes import constant, length, loudness, marked
from pianogen.families.folded import Folded
from pianogen.families.hybrid import chord_above
from pianogen.families.layers import Surroundings
from pianogen.families.sizes import (
    AHEAD,
    DECAYS,
    DURATIONS,
    FINGERS,
    MARKS,
    MEMORIES,
    MEMORY_KEYS,
    NO_KEY,
    NOWHERE,
    ROWS,
    STOP,
    lookbacks,
)
from pianogen.families.steering import EASE
from pianogen.families.touches import as_shares, touch_everywhere
from pianogen.grid import KEYS, VELOCITY_BINS

NO_MARK = KEYS * MARKS  # the place in a memory of what is not there


@dataclass(frozen=True)
class Start:
    """What all drafts start from: the past as tensors.

    decoder: the carry, (2, H). around: of the measures before. slots: onsets before, their times
    negative; slot_of (n,) int64 and places (2, n) int64: of the notes of those onsets, which slot,
    and where in a flat memory their loudness and length count.
    """

    history: History
    decoder: Tensor
    around: Surroundings
    slots: Slots
    slot_of: Tensor
    places: Tensor


@dataclass(frozen=True)
class Wishes:
    """A `Sampling` as tensors: temperatures (4,) of pitch, velocity, rhythm and length; min_p ();
    most () int64 notes at once; outside (89,) bool the keys out of range, the stop never; lean
    (89,) what is added to logits to draw from; anything () bool whether any key may be drawn;
    push (3,) of a `Push`: always, wanting, goal."""

    temperatures: Tensor
    min_p: Tensor
    most: Tensor
    outside: Tensor
    lean: Tensor
    anything: Tensor
    push: Tensor


def draw(folded: Folded, start: Start, wishes: Wishes, noise: Tensor) -> Tensor:
    """Draw drafts from noise (N, S, 31), uniform numbers in 0..1, one draft a row; as bytes,
    (N, X) uint8, for `unpacked`: one copy brings them home."""
    drafts = _Drafts(folded, start, wishes, noise)
    for step in range(noise.shape[1]):
        drafts.play(step)
    return drafts.packed()


def unpacked(data: Tensor, steps: int) -> Drawn:
    """The drafts that `draw` made into bytes; data on the CPU."""
    N, notes = len(data), steps * FINGERS
    ends = np.cumsum([notes, notes, notes, steps * KEYS])
    keys, bins, lengths, cuts, nats = np.split(data.numpy(), ends, axis=1)
    keys, bins, lengths = (
        x.reshape(N, steps, FINGERS).astype(np.int64) for x in (keys, bins, lengths)
    )
    return Drawn(
        np.where(keys == NO_KEY, -1, keys),
        bins,
        lengths,
        cuts.reshape(N, steps, KEYS) > 0,
        np.ascontiguousarray(nats).view(np.float32),
    )


@dataclass
class _Chord:
    """The notes of one step so far, of N drafts: which still go on, how many, the lowest."""

    going: Tensor
    chosen: Tensor
    count: Tensor
    lowest: Tensor
    above: Tensor
    memory: Tensor  # (N, 4, 88, 64)
    touch: Tensor  # (N, 88, 7)


class _Drafts:
    def __init__(self, folded: Folded, start: Start, wishes: Wishes, noise: Tensor) -> None:
        self.folded, self.network = folded, folded.network
        self.start, self.wishes, self.noise = start, wishes, noise
        N, S, _ = noise.shape
        self.steps, device = S, noise.device
        self.range = torch.arange(N, device=device)

        def each(x: Tensor) -> Tensor:
            return x.expand(N, *x.shape)

        past = start.history
        self.level, self.memory = each(past.level), each(past.memory)
        self.remaining, self.age = each(past.remaining), each(past.age)
        self.latest, self.since = each(past.latest), each(past.since)
        self.onset, self.velocity = each(past.onsets[-1]), each(past.velocity)
        self.onsets = torch.cat([each(past.onsets), past.onsets.new_zeros(N, S, KEYS)], dim=1)
        self.carry = (each(start.decoder[0]), each(start.decoder[1]))
        self.place = folded.places(S)
        self.counts = F.pad(self.onsets.sum(dim=2), (0, 1))  # one more, which stays 0
        self.own = self._no_slots(N, S)
        self.filled = torch.zeros(N, S, dtype=torch.bool, device=device)
        self.own_places = torch.full((N, S, 2 * FINGERS), NO_MARK, device=device)
        self.keys = torch.full((N, S, FINGERS), -1, device=device)
        self.bins = torch.zeros_like(self.keys)
        self.lengths = torch.ones_like(self.keys)
        self.cuts = torch.zeros(N, S, KEYS, dtype=torch.bool, device=device)
        self.nats = torch.zeros(N, 4, device=device)
        self.duration = constant(DURATIONS, device)
        self.fade = torch.exp(-1 / constant(DECAYS, device))[:, None, None]
        self.forget = torch.exp(-1 / constant(MEMORIES, device))[:, None, None]
        keys = torch.arange(KEYS, device=device)
        self.near = torch.exp(-(keys[:, None] - keys).abs() / MEMORY_KEYS)

    def _no_slots(self, drafts: int, steps: int) -> Slots:
        slots = self.start.slots

        def like(x: Tensor) -> Tensor:
            return x.new_zeros(drafts, steps, *x.shape[1:])

        rest = {f.name: like(getattr(slots, f.name)) for f in fields(slots) if f.name != "time"}
        return Slots(torch.arange(steps, device=slots.time.device), **rest)

    # --- one step -------------------------------------------------------------------------------

    def play(self, step: int) -> None:
        """Draw what begins on a step, and go on to the next."""
        held = (self.remaining > 0).float()
        rhythm, chords = self._rhythm(step, held), harmony(self.level)
        loud = self.velocity.clamp(max=4) / 2
        before = torch.cat([self.onset, held, loud, rhythm, chords], dim=1)
        given = self.folded.given(before, self.place[step])
        here = slice(step, step + 1)
        attended = self.network.attention(given.unsqueeze(0), self.start.around, here)[0]
        state, self.carry = self.folded.step(given + attended, self.carry)
        onset = self.folded.onset(state)
        push = self._push(step)
        chance = torch.sigmoid((onset + push) / self.wishes.temperatures[2])
        fires = (self.noise[:, step, 0] < chance) & self.wishes.anything
        self.nats[:, 0] -= F.logsigmoid(torch.where(fires, onset, -onset))
        self._choose(step, fires, state, held)
        self._make_room(step)
        self._begin(step)
        self._go_on()

    def packed(self) -> Tensor:
        """What was drawn, as bytes: keys, bins, lengths, cuts, nats."""
        keys = torch.where(self.keys < 0, NO_KEY, self.keys)
        small = (keys, self.bins, self.lengths, self.cuts)
        parts = [x.to(torch.uint8).view(len(keys), -1) for x in small]
        return torch.cat([*parts, self.nats.contiguous().view(torch.uint8)], dim=1)

    def _rhythm(self, step: int, held: Tensor) -> Tensor:
        first, never = 4 * self.steps + step, 5 * self.steps
        places = tuple(
            first - back + ahead if back > ahead else never
            for back in lookbacks(self.steps)
            for ahead in range(AHEAD)
        )
        earlier = self.counts[:, constant(places, held.device)]
        return rhythm(earlier.view(-1, 4, AHEAD), self.since, held)

    def _planes(self, step: int, held: Tensor) -> Tensor:
        places = tuple(4 * self.steps + step - back for back in lookbacks(self.steps))
        before = self.onsets[:, constant(places, held.device)]
        return planes(held, self.level, before, self.latest)

    def _push(self, step: int) -> Tensor:
        """How much the drafts are pushed towards more notes, (N,)."""
        always, wanting, goal = self.wishes.push.unbind()
        played = self.counts[:, 4 * self.steps :].sum(dim=1)
        wanted = goal * step / self.steps
        return always + wanting * torch.log((wanted + EASE) / (played + EASE))

    # --- the notes of a step --------------------------------------------------------------------

    def _choose(self, step: int, going: Tensor, state: Tensor, held: Tensor) -> None:
        """Draw the notes of the drafts in which something begins, from the top down."""
        lines = outer_lines(self.latest)
        added, echo, touching = self._recall(step, state, lines)
        asked, state = state, state + added
        head = self.network.pitch
        ground = head.ground(self._planes(step, held), echo, state)
        N, device = len(going), going.device
        chord = _Chord(
            going=going,
            chosen=torch.zeros(N, KEYS, device=device),
            count=torch.zeros(N, dtype=torch.long, device=device),
            lowest=torch.full((N,), NO_KEY, device=device),
            above=torch.zeros(N, 3, device=device),
            memory=torch.cat([self.memory, self._reminded(touching)], dim=1),
            touch=touch_everywhere(self.level),
        )
        for finger in range(FINGERS):
            chord.going = chord.going & (chord.count < self.wishes.most)
            logits, mixed = head(
                ground, chord.chosen, chord.count, chord.lowest, self.folded.influence
            )
            logits = logits.masked_fill(self.wishes.outside, -1e9)
            steered = logits + self.wishes.lean
            key, nats = self._draw(logits, 0, self.noise[:, step, 1 + 3 * finger], steered)
            self.nats[:, 1] += nats * chord.going
            chord.going = chord.going & (key != STOP)
            key = key.clamp(max=KEYS - 1)
            inputs = self.network.touch.inputs(
                state, mixed[self.range, key], key, chord.touch[self.range, key], chord.above
            )
            self._touch(step, finger, chord, inputs, key)
        self._remember(step, asked, chord.chosen, lines)

    def _touch(self, step: int, finger: int, chord: _Chord, inputs: Tensor, key: Tensor) -> None:
        """Draw how loud and how long the chosen keys are, and write them down."""
        going = chord.going
        near = self.near[key].view(-1, 1, 1, KEYS)
        recent = as_shares((near @ chord.memory).squeeze(2))
        noise = self.noise[:, step, 2 + 3 * finger : 4 + 3 * finger]
        loudness, half = self.folded.touch(inputs, recent)
        bins, nats = self._draw(loudness, 1, noise[:, 0])
        self.nats[:, 2] += nats * going
        index, nats = self._draw(self.folded.length(half, bins), 3, noise[:, 1])
        self.nats[:, 3] += nats * going
        self.keys[:, step, finger] = torch.where(going, key, -1)
        self.bins[:, step, finger] = bins
        self.lengths[:, step, finger] = self.duration[index]
        first = key * MARKS
        marks = torch.stack([first + bins, first + VELOCITY_BINS + index], dim=1)
        marks = marks.masked_fill(~going[:, None], NO_MARK)
        self.own_places[:, step, 2 * finger : 2 * finger + 2] = marks
        counted = marked(bins, index) * going[:, None]
        chord.memory[self.range, : len(MEMORIES), key] += counted.unsqueeze(1)
        chord.chosen[self.range, key] += going
        chord.count = chord.count + going
        chord.lowest = torch.where(going, key, chord.lowest)
        chord.above = chord_above(bins, index, going)

    def _draw(
        self, logits: Tensor, which: int, noise: Tensor, steered: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """An index a row, by its probability at the temperature `which`, as `steered` where that
        is given; and its nats at 1."""
        drawn_from = logits if steered is None else steered
        tempered = (drawn_from / self.wishes.temperatures[which]).double()
        chances = torch.softmax(tempered, dim=-1)
        if which == 0:
            likely = chances >= self.wishes.min_p * chances.amax(dim=-1, keepdim=True)
            chances = chances * likely
        sums = chances.cumsum(dim=-1)
        place = (sums <= noise.unsqueeze(1) * sums[:, -1:]).sum(dim=-1)
        index = place.clamp(max=logits.shape[1] - 1)
        nats = -torch.log_softmax(logits, dim=-1).gather(1, index.unsqueeze(1)).squeeze(1)
        return index, nats

    # --- what it is like ------------------------------------------------------------------------

    def _recall(self, step: int, state: Tensor, lines: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What is added to the states (N, H), rows (N, 8, 88), and weights (N, 2, M + S)."""
        echo, past, own = self.network.echo, self.start.slots, self.own
        query = echo.asked(state)  # (N, heads, size)
        far = (query.transpose(0, 1) @ past.key.permute(1, 2, 0)).transpose(0, 1)
        near = (own.key.transpose(1, 2) @ query.unsqueeze(-1)).squeeze(-1)
        bias = echo.bias((step - past.time).unsqueeze(0), self.steps).squeeze(-2)
        own_bias = echo.bias((step - own.time).unsqueeze(0), self.steps).squeeze(-2)
        near = (near + own_bias).masked_fill(~self.filled.unsqueeze(1), NOWHERE)
        weights = echo.attend(torch.cat([far + bias, near], dim=-1).unsqueeze(2))
        M = past.time.shape[0]
        shared = Slots(past.time, *(getattr(past, f.name)[None] for f in fields(past)[1:]))
        old = echo.blend(weights[..., 0, :M].transpose(0, 1).unsqueeze(0), shared)
        new = echo.blend(weights[..., M:], own)
        value = old[0][0].unsqueeze(1) + new[0]
        same, by_top, by_bass = (
            a[0].transpose(0, 1).unsqueeze(2) + b for a, b in zip(old[1:], new[1:], strict=True)
        )
        added, brought = echo.told(value, same, by_top, by_bass, lines.unsqueeze(1))
        return added[:, 0], brought[:, 0], weights[:, ROWS:, 0]

    def _reminded(self, touching: Tensor) -> Tensor:
        """Marks a key of the notes before, by how much each onset is thought of; (N, 2, 88, 64)."""
        M = self.start.slots.time.shape[0]
        N, heads, _ = touching.shape
        memory = touching.new_zeros(N, heads, NO_MARK + MARKS)
        past = touching[..., self.start.slot_of].repeat(1, 1, 2)
        memory = memory.index_add(2, self.start.places.flatten(), past)
        own = touching[..., M:].repeat_interleave(2 * FINGERS, dim=-1)
        places = self.own_places.view(N, 1, -1).expand(-1, heads, -1)
        memory = memory.scatter_add(2, places, own)
        return memory[..., :NO_MARK].view(N, heads, KEYS, MARKS)

    def _remember(self, step: int, state: Tensor, notes: Tensor, lines: Tensor) -> None:
        slots = self.network.echo.slots(self.own.time, state, notes, lines)
        for name in ("key", "value", "notes", "by_top", "by_bass"):
            getattr(self.own, name)[:, step] = getattr(slots, name)
        self.filled[:, step] = notes.any(dim=1)

    # --- the rules of the keyboard, and time ----------------------------------------------------

    def _make_room(self, step: int) -> None:
        """Keys struck again end now, and the oldest of the others until all fit the limit."""
        keys = self.keys[:, step]
        new = torch.zeros(len(keys), KEYS + 1, dtype=torch.bool, device=keys.device)
        new = new.scatter(1, torch.where(keys >= 0, keys, KEYS), True)[:, :KEYS]
        held = self.remaining > 0
        others = held & ~new
        order = self.age * MARKS * 2 + torch.arange(KEYS, device=keys.device)
        younger = (order.unsqueeze(1) < order.unsqueeze(2)) & others.unsqueeze(1)
        room = self.wishes.most - new.sum(dim=1)
        surplus = others & (younger.sum(dim=2) >= room[:, None])
        cut = ((held & new) | surplus) & new.any(dim=1)[:, None]
        self.cuts[:, step] = cut
        self.remaining = self.remaining.masked_fill(cut, 0)

    def _begin(self, step: int) -> None:
        """What was drawn begins, in every draft."""
        keys, bins, lengths = (x[:, step] for x in (self.keys, self.bins, self.lengths))
        at, N = torch.where(keys >= 0, keys, KEYS), len(keys)
        rolls = self.level.new_zeros(N, 3, KEYS + 1)
        drawn = torch.stack([torch.ones_like(bins).float(), loudness(bins), length(lengths)], dim=1)
        rolls = rolls.scatter(2, at.unsqueeze(1).expand(-1, 3, -1), drawn)[..., :KEYS]
        steps = torch.zeros(N, KEYS + 1, dtype=torch.long, device=keys.device)
        steps = steps.scatter(1, at, lengths)[:, :KEYS]
        marks = self.level.new_zeros(N, NO_MARK + 1)
        one = marks.new_ones(()).expand(N, 2 * FINGERS)
        marks = marks.scatter_add(1, self.own_places[:, step], one)
        self.memory = self.memory + marks[:, None, :NO_MARK].view(N, 1, KEYS, MARKS)
        onset = rolls[:, 0]
        there = onset > 0
        sounds = there.any(dim=1)
        self.begun = rolls.unsqueeze(1)
        self.remaining = torch.maximum(self.remaining, steps)
        self.age = self.age.masked_fill(there, 0)
        self.latest = torch.where(sounds[:, None], onset, self.latest)
        self.since = self.since.masked_fill(sounds, 0)
        self.onset, self.onsets[:, 4 * self.steps + step] = onset, onset
        self.counts[:, 4 * self.steps + step] = onset.sum(dim=1)
        counts = onset.new_zeros(N, VELOCITY_BINS)
        self.velocity = counts.scatter_add(1, bins, (keys >= 0).to(counts.dtype))

    def _go_on(self) -> None:
        """A step later."""
        self.level = self.level * self.fade + self.begun
        self.memory = self.memory * self.forget
        self.remaining = (self.remaining - 1).clamp(min=0)
        self.age = self.age + 1
        self.since = self.since + 1
