"""The hybrid as a voice: hears measures, plays the next one, step by step.

What is drawn comes from one uniform number a choice, from the seed; so the same checkpoint,
context, sampling and seed give the same measure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from random import Random
from typing import Any

import torch
from torch import Tensor

from pianogen.errors import ConfigError
from pianogen.families.features import DURATIONS, key_of, touch
from pianogen.families.head import NO_KEY, STOP
from pianogen.families.history import History
from pianogen.families.hybrid import Hybrid, HybridConfig, chord_above
from pianogen.families.layers import EncoderState, LSTMState, Surroundings
from pianogen.grid import KEYS, LOWEST_KEY, VELOCITY_BINS, Measure, Meter, Note
from pianogen.sampling import Sampling

SHORTEST = 3  # steps in a measure: what the convolutions carry over a line


@dataclass(frozen=True)
class Past:
    """All that was heard, as the network holds it. Never changed, only replaced."""

    meter: Meter
    history: History
    encoder: EncoderState | None
    memory: tuple[Tensor, ...]  # keys and values of the last measures, (S, 2H) each
    decoder: LSTMState | None
    onset: Tensor  # (88,) notes that began on the newest step
    velocity: Tensor  # (32,) and their bins
    age: Mapping[int, int]  # key -> steps since the onset of what sounds there


class HybridVoice:
    """The hybrid behind the contract of `pianogen.continuation.Continuation`."""

    def __init__(self, network: Hybrid) -> None:
        self.network = network.eval()
        self.device = network.onset.weight.device
        self.influence = network.pitch.influence().detach()
        self.reset(Meter())

    def reset(self, meter: Meter) -> None:
        """Forget everything; raises ConfigError for a meter too short to hear."""
        if meter.steps < SHORTEST:
            raise ConfigError(f"meter {meter}: the hybrid needs measures of {SHORTEST} steps")
        empty = torch.zeros(KEYS, device=self.device)
        self.past = Past(
            meter, History(meter.steps, self.device), None, (), None, empty,
            torch.zeros(VELOCITY_BINS, device=self.device), {},
        )  # fmt: skip

    def mark(self) -> Past:
        """The present context."""
        return self.past

    def rewind(self, mark: Past) -> None:
        """Back to a context that `mark` gave."""
        self.past = mark

    @torch.inference_mode()
    def listen(self, measure: Measure) -> None:
        """Append a completed measure; one pass of decoder and encoder over its steps."""
        if measure.meter != self.past.meter:
            raise ConfigError(f"a measure in {measure.meter} after {self.past.meter}: reset first")
        run = _Run(self.network, self.past, self.influence)
        run.hear(measure)
        self.past = run.finish()

    @torch.inference_mode()
    def answer(self, sampling: Sampling, seed: int) -> Measure:
        """Draw the next measure."""
        run = _Run(self.network, self.past, self.influence)
        measure = run.play(sampling, Random(seed))
        if run.has_cut:  # then the context is the measure as it is, not as it was drawn
            run = _Run(self.network, self.past, self.influence)
            run.hear(measure)
        self.past = run.finish()
        return measure


class _Run:
    """One measure under way: the past it started from, and its rolls so far."""

    def __init__(self, network: Hybrid, past: Past, influence: Tensor) -> None:
        self.network, self.past, self.influence = network, past, influence
        self.steps = past.meter.steps
        self.history = past.history.copy()
        self.age = dict(past.age)
        self.onset, self.velocity, self.decoder = past.onset, past.velocity, past.decoder
        self.rolls: list[tuple[Tensor, Tensor, Tensor]] = []  # onset, sounding, velocity a step
        self.has_cut = False  # whether a note was ended before its time
        self.place = network.places(self.steps, 0, self.steps)
        self.around = self._surroundings()

    def _surroundings(self) -> Surroundings:
        memory, size = self.past.memory, 2 * self.network.config.hidden
        if not memory:
            memory = (self.place.new_zeros(self.steps, size),)
        present = torch.full((1, len(memory)), bool(self.past.memory), device=self.place.device)
        return self.network.attention.prepare(torch.stack(memory).unsqueeze(0), present)

    # --- one step at a time ---------------------------------------------------------------------

    def before(self) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """What the network is given at a step, but for the place."""
        history = self.history
        return self.onset, history.held, self.velocity, history.rhythm(), history.harmony()

    def given(self, step: int) -> Tensor:
        """What the network is given at a step, (H,)."""
        return self.network.given(*self.before(), self.place[step])

    def begin(self, notes: list[tuple[int, int, int]]) -> None:
        """These notes (key, velocity bin, duration) begin now; go on to the next step."""
        rows = torch.tensor(notes, dtype=torch.long, device=self.place.device).reshape(-1, 3)
        sounding = self.history.held
        self.velocity = torch.zeros_like(self.velocity)
        if notes:
            self.velocity.index_put_((rows[:, 1],), self.velocity.new_ones(()), accumulate=True)
        self.history.play(rows[:, 0], rows[:, 1], rows[:, 2])
        self.onset = self.history.past[-1]
        sounding = torch.maximum(sounding, self.onset) if notes else sounding
        self.rolls.append((self.onset, sounding, self.velocity))
        self.age = {key: age + 1 for key, age in self.age.items()}
        self.age.update((key, 1) for key, _, _ in notes)

    # --- a whole measure ------------------------------------------------------------------------

    def hear(self, measure: Measure) -> None:
        """Follow a measure that is known: the decoder goes over its steps at once."""
        starts: dict[int, dict[int, tuple[int, int]]] = {}
        for note in measure.notes:
            starts.setdefault(note.onset, {})[key_of(note.pitch)] = (
                note.velocity_bin,
                note.duration,
            )
        rows = []
        for step in range(self.steps):
            rows.append(self.before())
            begins = sorted(starts.get(step, {}).items(), reverse=True)
            self.begin([(key, *touch) for key, touch in begins])
        onset, held, velocity, rhythm, harmony = map(torch.stack, zip(*rows, strict=True))
        given = self.network.given(onset, held, velocity, rhythm, harmony, self.place)
        self.states(given.unsqueeze(0))

    def states(self, given: Tensor, at: int = 0) -> Tensor:
        """The decoder's states over steps at, at + 1 ..., (1, Q, H)."""
        attended = self.network.attention(given, self.around, at)
        state, self.decoder = self.network.decode(given, attended, self.decoder)
        return state

    def play(self, sampling: Sampling, random: Random) -> Measure:
        """Draw a measure."""
        notes: list[Note] = []
        for step in range(self.steps):
            state = self.states(self.given(step).view(1, 1, -1), step)[0]
            _, onset = self.network.timing(state)
            chance = torch.sigmoid(onset / sampling.rhythm_temperature).item()
            drawn = self.choose(state, sampling, random) if random.random() < chance else []
            notes = self.make_room(notes, step, {key for key, _, _ in drawn}, sampling)
            notes += [Note(step, key + LOWEST_KEY, bin_, length) for key, bin_, length in drawn]
            self.begin(drawn)
        return Measure(self.past.meter, tuple(notes))

    def make_room(
        self, notes: list[Note], step: int, new: set[int], sampling: Sampling
    ) -> list[Note]:
        """Keys struck again end now, and the oldest of the others until all fit the limit."""
        if not new:
            return notes
        sounding = self.history.held.nonzero().flatten().tolist()
        others = sorted(set(sounding) - new, key=lambda key: (-self.age.get(key, 0), -key))
        surplus = max(0, len(others) + len(new) - sampling.max_polyphony)
        for key in [*(set(sounding) & new), *others[:surplus]]:
            self.has_cut = True
            self.history.silence(key)
            notes = [_ended(n, step) if n.pitch == key + LOWEST_KEY else n for n in notes]
        return notes

    def choose(
        self, state: Tensor, sampling: Sampling, random: Random
    ) -> list[tuple[int, int, int]]:
        """Draw the notes of a step, from the top down: (key, velocity bin, duration)."""
        head = self.network.pitch
        field, register = head.field(self.history.planes().unsqueeze(0), state)
        outside = self._outside(sampling)
        chosen = torch.zeros(1, KEYS, device=state.device)
        lowest, drawn = NO_KEY, []  # type: tuple[int, list[tuple[int, int, int]]]
        while len(drawn) < sampling.max_polyphony:
            count = torch.tensor([len(drawn)], device=state.device)
            below = torch.tensor([lowest], device=state.device)
            logits, mixed = head(field, register, state, chosen, count, below, self.influence)
            logits = logits[0].masked_fill(outside, -1e9)
            if drawn == [] and not bool((logits[:STOP] > -1e8).any()):
                break
            key = draw(logits / sampling.temperature, random)
            if key == STOP:
                break
            drawn.append(self.touch(state, mixed[:, key], key, drawn, sampling, random))
            chosen = chosen.clone()
            chosen[0, key] = 1.0
            lowest = key
        return drawn

    def _outside(self, sampling: Sampling) -> Tensor:
        keys = torch.arange(KEYS + 1, device=self.place.device)
        low, high = sampling.low_pitch - LOWEST_KEY, sampling.high_pitch - LOWEST_KEY
        return (keys != STOP) & ((keys < low) | (keys > high))

    def touch(
        self, state: Tensor, field: Tensor, key: int, drawn: list[tuple[int, int, int]],
        sampling: Sampling, random: Random,
    ) -> tuple[int, int, int]:  # fmt: skip
        """Draw how loud and how long a chosen key is."""
        head, device = self.network.touch, state.device
        at = torch.tensor([key], device=device)
        chord = [(k, v, int(self.network.duration_class[length])) for k, v, length in drawn]
        last = torch.tensor(chord[-1:] or [(0, 0, 0)], device=device)
        above = chord_above(last[:, 1], last[:, 2], torch.tensor([bool(drawn)], device=device))
        heard = touch(self.history.level.unsqueeze(0), at)
        inputs = head.inputs(state, field, at, heard, above)
        recent = self.history.remembered(key, chord).unsqueeze(0)
        bin_ = draw(head.loudness(inputs, recent)[0] / sampling.velocity_temperature, random)
        velocity = torch.tensor([bin_], device=device)
        logits = head.length(inputs, velocity, recent)[0] / sampling.duration_temperature
        return key, bin_, DURATIONS[draw(logits, random)]

    def finish(self) -> Past:
        """Encode the measure that has just ended; the past it leaves."""
        onset, sounding, velocity = (
            torch.stack(rows).view(1, 1, self.steps, -1) for rows in zip(*self.rolls, strict=True)
        )
        memory, encoder = self.network.encode(onset, sounding, velocity, self.past.encoder)
        held = set(self.history.held.nonzero().flatten().tolist())
        return replace(
            self.past,
            history=self.history,
            encoder=encoder,
            memory=(*self.past.memory, memory[0, 0])[-self.network.config.window :],
            decoder=self.decoder,
            onset=self.onset,
            velocity=self.velocity,
            age={key: age for key, age in self.age.items() if key in held},
        )


def draw(logits: Tensor, random: Random) -> int:
    """One index by its probability, from one uniform number."""
    sums = torch.softmax(logits.double(), dim=-1).cumsum(dim=-1)
    place = torch.searchsorted(sums, random.random() * sums[-1].item())
    return min(int(place), len(logits) - 1)


def _ended(note: Note, step: int) -> Note:
    """The note, ending at `step` of its measure at the latest."""
    if note.onset + note.duration <= step:
        return note
    return replace(note, duration=step - note.onset)


def load(config: Mapping[str, Any], weights: Mapping[str, Tensor], device: str) -> HybridVoice:
    """A checkpoint's configuration and weights as a voice on a device."""
    network = Hybrid(HybridConfig(**config))
    network.load_state_dict(
        {name: weight.float() for name, weight in weights.items() if weight.is_floating_point()}
        | {n: w for n, w in weights.items() if not w.is_floating_point()}
    )
    return HybridVoice(network.to(device))
