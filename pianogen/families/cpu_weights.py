"""The hybrid's weights as numpy plays them: what is constant is folded, once.

Layers that read the same are one; batch norms and the place in the measure are gone into them; a
table of rows is that table already multiplied. Weights are (in, out), so that rows come in and
rows go out. The numbers are those of `hybrid` but for rounding.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pianogen.families import sizes
from pianogen.families.arithmetic import EPSILON, Floats, halved_gates, panels
from pianogen.families.sizes import RECENT, ROWS, HybridConfig
from pianogen.grid import KEYS, MAX_STEPS, STEPS_PER_BEAT, VELOCITY_BINS

Named = Mapping[str, NDArray[Any]]
BLOCK = 4  # keys that the convolution along the keyboard gives at once


class Weights:
    """The weights of one checkpoint, by what they do.

    Raises KeyError or ValueError where the names or shapes are not those of the configuration.
    """

    def __init__(self, config: HybridConfig, named: Named) -> None:
        self.config, self._named = config, named
        self._check()
        self.choice = named["choice"].astype(np.float64)
        self._input()
        self._attention()
        self._decoder()
        self._encoder()
        self._echo()
        self._ground()
        self._stop()
        self._touch()
        del self._named

    def _check(self) -> None:
        """What would be played wrongly, or fail much later, if the configuration were another's."""
        c, H = self.config, self.config.hidden
        shapes: dict[str, tuple[int, ...]] = {
            "encoder.second.conv.conv.weight": (c.conv, c.conv, 7),
            "encoder.onset_out.conv.weight": (c.onset_branch, c.onset_branch, 1),
            "decoder.weight_hh_l0": (4 * H, H),
            "attention.bias": (c.heads, c.window, 2 * MAX_STEPS - 1),
            "pitch.second.weight": (c.channels, c.channels, c.width),
            "touch.velocity.2.weight": (VELOCITY_BINS, c.touch),
            "echo.out.weight": (H, sizes.HEADS * c.echo),
        }
        for name, shape in shapes.items():
            if self._named[name].shape != shape:
                raise ValueError(f"{name} is of {self._named[name].shape}, not of {shape}")

    def _get(self, name: str) -> Floats:
        return self._named[name].astype(np.float32)

    def _layer(self, name: str) -> tuple[Floats, Floats]:
        """A linear layer as (in, out) and its bias."""
        return np.ascontiguousarray(self._get(f"{name}.weight").T), self._get(f"{name}.bias")

    def _norm(self, name: str) -> tuple[Floats, Floats]:
        return self._get(f"{name}.weight"), self._get(f"{name}.bias")

    def _input(self) -> None:
        """What a step is given. The columns are centred: the norm after it has no mean to take."""
        notes, note_bias = self._layer("note_in")
        rest, rest_bias = self._layer("rest_in")
        first, last = VELOCITY_BINS, VELOCITY_BINS + sizes.POSITION + 16
        self.given = panels(_centred(np.concatenate([notes, rest[:first], rest[last:]])))
        self.place, self.place_bias = _centred(rest[first:last]), _centred(note_bias + rest_bias)
        self.norm_in = self._norm("norm_in")
        self._tables = tuple(self._get(f"{name}.weight") for name in ("position", "beat", "meter"))

    def places(self, steps: int) -> Floats:
        """Where each step of a measure of `steps` lies, (S, 48)."""
        position, beat, meter = self._tables
        at = np.arange(steps)
        rows = (position[at % MAX_STEPS], beat[at % STEPS_PER_BEAT], meter[np.full(steps, steps)])
        return np.concatenate(rows, axis=1)

    def _attention(self) -> None:
        query, query_bias = self._layer("attention.query")
        root = np.float32((self.config.hidden // self.config.heads) ** -0.5)
        self.query, self.query_bias = panels(query * root), query_bias * root
        key_value, self.key_value_bias = self._layer("attention.key_value")
        self.key_value = panels(key_value)
        out, self.attended_bias = self._layer("attention.out")
        self.attended = panels(out)
        self.distances = self._get("attention.bias")  # (heads, W, 2 * longest - 1)
        self.nothing = self._get("attention.nothing").reshape(-1)

    def _decoder(self) -> None:
        of_input, of_state, bias = self._lstm("decoder")
        self.gates = panels(np.concatenate([of_input, of_state]))
        self.gates_bias = bias
        self.norm_state = self._norm("norm_state")
        widen, self.widen_bias = self._layer("widen.0")
        narrow, self.narrow_bias = self._layer("widen.3")
        self.widen, self.narrow = panels(widen), panels(narrow)
        self.norm_out = self._norm("norm_out")
        rhythm, rhythm_bias = self._layer("rhythm")
        onset, onset_bias = self._layer("onset")
        self.timing = np.concatenate([rhythm, onset], axis=1)
        self.timing_bias = np.concatenate([rhythm_bias, onset_bias])
        self.steering = float(self._get("steering"))

    def _lstm(self, name: str) -> tuple[Floats, Floats, Floats]:
        of_input, of_state = (self._get(f"{name}.weight_{x}_l0").T for x in ("ih", "hh"))
        bias = self._get(f"{name}.bias_ih_l0") + self._get(f"{name}.bias_hh_l0")
        return halved_gates(of_input), halved_gates(of_state), halved_gates(bias)

    def _encoder(self) -> None:
        first, first_bias = self._convolution("encoder.first.conv.conv", "encoder.first.norm")
        onset, onset_bias = self._convolution("encoder.onset_in.conv")
        self.first = panels(np.concatenate([first, onset], axis=1))
        self.first_bias = np.concatenate([first_bias, onset_bias])
        second, self.second_bias = self._convolution(
            "encoder.second.conv.conv", "encoder.second.norm"
        )
        self.second = panels(second)
        self.onset_gate, self.onset_gate_bias = self._convolution("encoder.onset_out.conv")
        ahead, ahead_state, ahead_bias = self._lstm("encoder.forwards")
        back, back_state, back_bias = self._lstm("encoder.backwards")
        own, own_state, _ = self._lstm("decoder")
        self.own_input = panels(own)
        self.heard_inputs = panels(np.concatenate([ahead, back], axis=1))
        self.heard_biases = np.concatenate([ahead_bias, back_bias])
        self.states = np.stack([own_state, ahead_state, back_state])  # (3, H, 4 * H)
        encoded, self.encoded_bias = self._layer("encoder.out")
        self.encoded, self.norm_encoded = panels(encoded), self._norm("encoder.norm")

    def _convolution(self, name: str, norm: str = "") -> tuple[Floats, Floats]:
        """A convolution along time as (width * in, out), its batch norm in it."""
        weight, bias = self._get(f"{name}.weight"), self._get(f"{name}.bias")
        if norm:
            variance, mean = self._get(f"{norm}.running_var"), self._get(f"{norm}.running_mean")
            scale = self._get(f"{norm}.weight") / np.sqrt(variance + EPSILON)
            weight, bias = weight * scale[:, None, None], (bias - mean) * scale
            bias = bias + self._get(f"{norm}.bias")
        return weight.transpose(2, 1, 0).reshape(-1, len(bias)), bias

    def _echo(self) -> None:
        query, query_bias = self._layer("echo.query")
        key, key_bias = self._layer("echo.key")
        value, value_bias = self._layer("echo.value")
        root, hidden = np.float32(self.config.echo**-0.5), self.config.hidden
        self.asked = panels(np.concatenate([query * root, key, value[:hidden]], axis=1))
        self.asked_bias = np.concatenate([query_bias * root, key_bias, value_bias])
        self.value_of_key = value[hidden:]
        out, self.echoed_bias = self._layer("echo.out")
        self.echoed = panels(out)
        self.ago, self.within = self._get("echo.ago"), self._get("echo.place")
        self.no_echo = self._get("echo.nothing")

    def _ground(self) -> None:
        """Everything a step's notes are chosen by that is linear in the state, side by side:
        FiLM of both convolutions, the register, how far to copy, the stop, loudness and length."""
        film, film_bias = self._layer("pitch.film")
        C, both = self.config.channels, (film, film_bias[None])
        for part in both:
            part[:, 1 * C : 2 * C] += part[:, :C] * self._get("pitch.first.bias")
            part[:, 3 * C :] += part[:, 2 * C : 3 * C] * self._get("pitch.second.bias")
        for first in (0, 2 * C):  # scales are 1 and what is said of them
            layer = "pitch.first" if first == 0 else "pitch.second"
            film_bias[first : first + C] += 1
            film_bias[first + C : first + 2 * C] += self._get(f"{layer}.bias")
        waves, waves_bias = self._layer("pitch.register_by_state")
        place = np.linspace(0, np.pi, KEYS, dtype=np.float32)
        along = np.stack([np.cos(place * n) for n in range(sizes.WAVES)])
        copy, copy_bias = self._layer("pitch.copy")
        stop, stop_bias = self._layer("pitch.stop.0")
        touch, touch_bias = self._touching()
        hidden = self.config.hidden
        self.ground_sizes = [4 * C, KEYS, ROWS, stop.shape[1], touch.shape[1]]
        self.ground = np.concatenate([film, waves @ along, copy, stop[:hidden], touch[:hidden]], 1)
        register = waves_bias @ along + self._get("pitch.register")
        biases = (film_bias, register, copy_bias, stop_bias, touch_bias)
        self.ground_bias = np.concatenate(biases)
        self.along_keys = [_blocks(self._get(f"pitch.{x}.weight")) for x in ("first", "second")]

    def _stop(self) -> None:
        stop, _ = self._layer("pitch.stop.0")
        C, hidden = self.config.channels, self.config.hidden
        counts, lows = self._get("pitch.counts.weight"), self._get("pitch.lows.weight")
        first = hidden + C
        self.stop_of_field = stop[hidden:first] / np.float32(KEYS)  # of a sum over the keys
        self.stop_of_count = counts @ stop[first : first + 32]
        self.stop_of_lowest = lows @ stop[first + 32 :]
        last, bias = self._layer("pitch.stop.2")
        self.stop_out, self.stop_out_bias = last[:, 0], bias[0]
        self.remaining = self._get("pitch.remaining.weight")[0]
        self.mix, self.mix_bias = self._layer("pitch.mix")
        self.score = self._get("pitch.score.weight")[0]
        self.influence = self._influence()

    def _influence(self) -> Floats:
        """What a chosen key adds to the field of every other, (88, 88, C)."""
        far = np.arange(KEYS) - np.arange(KEYS)[:, None]
        near = np.clip(far, -sizes.INTERVALS - 1, sizes.INTERVALS) + sizes.INTERVALS + 1
        told = self._get("pitch.interval")[near] * (np.abs(far) <= sizes.INTERVALS)[..., None]
        added: Floats = told + self._get("pitch.interval_class")[far % 12]
        return added.astype(np.float32)

    def _touching(self) -> tuple[Floats, Floats]:
        """The first layers of loudness and of length, and the trust in what was played near."""
        velocity, velocity_bias = self._layer("touch.velocity.0")
        duration, duration_bias = self._layer("touch.duration.0")
        trust, trust_bias = self._layer("touch.trust")
        weights = np.concatenate([velocity, duration[:-1], trust], axis=1)
        self.touch_sizes = [len(velocity_bias), len(duration_bias), RECENT, RECENT]
        return weights, np.concatenate([velocity_bias, duration_bias, trust_bias])

    def _touch(self) -> None:
        touch, _ = self._touching()
        hidden, C = self.config.hidden, self.config.channels
        field, keys, rest = np.split(touch[hidden:], [C, C + 32])
        self.touch_of_field, self.touch_of_rest = field, rest
        self.touch_of_key = self._get("touch.keys.weight") @ keys
        self.touch_of_played = self._get("touch.duration.0.weight")[:, -1]
        self.velocity, self.velocity_bias = self._layer("touch.velocity.2")
        self.duration, self.duration_bias = self._layer("touch.duration.2")

    @cached_property
    def near(self) -> Floats:
        """How near each key is to each other for what is remembered, (88, 88)."""
        keys = np.arange(KEYS)
        near: Floats = np.exp(-np.abs(keys[:, None] - keys) / sizes.MEMORY_KEYS, dtype=np.float32)
        return near


def _centred(weight: Floats) -> Floats:
    """Less the mean over the outputs."""
    centred: Floats = weight - weight.mean(axis=-1, keepdims=True)
    return centred


def _blocks(weight: Floats) -> Floats:
    """A convolution along the keyboard, (out, in, width), as one multiplication.

        keys + margin   . . . . a b c d . . . .       width + 3 places, all their rows in a row
        gives               | a b c d |               4 keys side by side

    -> ((width + 3) * in, 4 * out), mostly full: a fourth of the copying of a key at a time.
    """
    out, rows, width = weight.shape
    block = np.zeros((width + BLOCK - 1, rows, BLOCK, out), np.float32)
    for key in range(BLOCK):
        block[key : key + width, :, key] = weight.transpose(2, 1, 0)
    return block.reshape(-1, BLOCK * out)
