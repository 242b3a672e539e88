"""The three melody models in numpy, one symbol at a time and several lines at once.

Each is a `Model`: what it carries is an argument and a result, never changed in place, an array a
line in the first axis. See `melody_networks` for what they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np

from pianogen.families.arithmetic import Floats, Ints, halved_gates, lstm_cell, softmax
from pianogen.families.cpu_layers import Gru, LayerNorm, Linear, Named, State, single
from pianogen.families.symbols import END, LATENT_MEASURES, MelodyConfig, inputs_of

TABLES = 6  # of what is given with a symbol


class Model(Protocol):
    """What tells the next symbol."""

    def start(self) -> State:
        """What is carried before anything was heard, for one line."""

    def heard(self, state: State, inputs: Ints) -> State:
        """What is carried after one line's next symbols, given with each `inputs` (T, 6)."""

    def ready(self, state: State, line: Ints, cells: int, noise: Floats) -> State:
        """What playing begins with after a line of whole measures (L,); noise: normal numbers
        that vary it, as many as `noises`."""

    def next(self, state: State, inputs: Ints) -> tuple[Floats, State]:
        """Logits (N, 91) of the symbol after what is given, inputs (N, 6), and what is carried."""


class Inputs:
    """Rows of the tables, summed."""

    def __init__(self, weights: Named, name: str) -> None:
        self.tables = [single(weights, f"{name}.tables.{n}.weight") for n in range(TABLES)]

    def __call__(self, inputs: Ints) -> Floats:
        """(..., 6) -> (..., width)."""
        total = self.tables[0][inputs[..., 0]]
        for n in range(1, TABLES):
            total = total + self.tables[n][inputs[..., n]]
        return total


class GruModel:
    """The state of two layers is carried along for as long as is played."""

    noises = 0

    def __init__(self, config: MelodyConfig, weights: Named) -> None:
        self._inputs = Inputs(weights, "model.inputs")
        self._gru = Gru(weights, "model.gru", config.layers)
        self._out = Linear(weights, "model.out")

    def start(self) -> State:
        """Zeros."""
        return self._gru.start()

    def heard(self, state: State, inputs: Ints) -> State:
        """A step a symbol."""
        return self._gru.over(self._inputs(inputs)[None], state)[1]

    def ready(self, state: State, line: Ints, cells: int, noise: Floats) -> State:
        """As it is."""
        return state

    def next(self, state: State, inputs: Ints) -> tuple[Floats, State]:
        """One step."""
        out, state = self._gru.step(self._inputs(inputs), state)
        return self._out(out), state


class LstmAttention:
    """What is carried is the window of what was given, whose oldest drops out; all of it is read
    again for each symbol."""

    noises = 0

    def __init__(self, config: MelodyConfig, weights: Named) -> None:
        self._inputs = Inputs(weights, "model.inputs")
        self._lstm = [BothWays(weights, "model.lstm", layer) for layer in range(config.layers)]
        kernel = single(weights, "model.conv.weight")  # (out, in, 3)
        self._conv = np.ascontiguousarray(kernel.transpose(2, 1, 0))
        self._shift = single(weights, "model.conv.bias")
        self._norm = LayerNorm(weights, "model.norm")
        self._query, self._keys = Linear(weights, "model.query"), Linear(weights, "model.keys")
        self._out = Linear(weights, "model.out")
        self._window, self._heads = config.window, config.heads
        blank = np.full(TABLES, END, np.int64)
        blank[4:] = 0
        self._blank = self._inputs(blank)

    def start(self) -> State:
        """Nothing but beginnings."""
        return (np.tile(self._blank, (1, self._window, 1)),)

    def heard(self, state: State, inputs: Ints) -> State:
        """Moved on by so many symbols."""
        longer = np.concatenate([state[0], self._inputs(inputs)[None]], axis=1)
        return (longer[:, -self._window :],)

    def ready(self, state: State, line: Ints, cells: int, noise: Floats) -> State:
        """As it is."""
        return state

    def next(self, state: State, inputs: Ints) -> tuple[Floats, State]:
        """The window moved on, and read."""
        window = np.concatenate([state[0][:, 1:], self._inputs(inputs)[:, None]], axis=1)
        states = window
        for layer in self._lstm:
            states = layer(states)
        N, W, width = states.shape
        shaped = states + np.maximum(self._convolved(states), 0)
        states = self._norm(shaped.reshape(N * W, width)).reshape(N, W, width)
        last = states[:, -1]
        return self._out(np.concatenate([last, self._attended(last, states)], axis=1)), (window,)

    def _convolved(self, states: Floats) -> Floats:
        out: Floats = states @ self._conv[1] + self._shift
        out[:, 1:] += states[:, :-1] @ self._conv[0]
        out[:, :-1] += states[:, 1:] @ self._conv[2]
        return out

    def _attended(self, last: Floats, states: Floats) -> Floats:
        N, W, width = states.shape
        size = width // self._heads
        query = self._query(last).reshape(N, self._heads, 1, size) * np.float32(size**-0.5)
        both = self._keys(states).reshape(N, W, 2, self._heads, size).transpose(2, 0, 3, 1, 4)
        weights = softmax(query @ both[0].swapaxes(2, 3))
        found: Floats = (weights @ both[1]).reshape(N, width)
        return found


class BothWays:
    """One layer of a bidirectional LSTM, both directions in one multiplication a step."""

    def __init__(self, weights: Named, name: str, layer: int) -> None:
        ways = (f"l{layer}", f"l{layer}_reverse")
        enter = [single(weights, f"{name}.weight_ih_{way}").T for way in ways]
        back = [single(weights, f"{name}.weight_hh_{way}").T for way in ways]
        bias = [
            single(weights, f"{name}.bias_ih_{way}") + single(weights, f"{name}.bias_hh_{way}")
            for way in ways
        ]
        self._enter = [halved_gates(weight) for weight in enter]
        self._back = np.stack([halved_gates(weight) for weight in back])
        self._bias = [halved_gates(shift) for shift in bias]

    def __call__(self, x: Floats) -> Floats:
        """(N, W, in) -> (N, W, 2 * hidden)."""
        (N, W, _), H = x.shape, self._back.shape[1]
        given = np.stack(
            [
                way @ w + b
                for way, w, b in zip((x, x[:, ::-1]), self._enter, self._bias, strict=True)
            ]
        )  # (2, N, W, 4H), each in its own order
        h, c = np.zeros((2, N, H), np.float32), np.zeros((2, N, H), np.float32)
        out = np.empty((2, N, W, H), np.float32)
        for place in range(W):
            gates = h @ self._back
            gates += given[:, :, place]
            h, c = lstm_cell(gates, c)
            out[:, :, place] = h
        return np.concatenate([out[0], out[1][:, ::-1]], axis=2)


class Vae:
    """What is carried is nothing: the last measures are encoded and decoded anew, and the decoder
    goes on from there with the latent found, and noise of its variance."""

    def __init__(self, config: MelodyConfig, weights: Named) -> None:
        self.noises = config.latent
        self._inputs = Inputs(weights, "model.inputs")
        self._encoder = Gru(weights, "model.encoder")
        self._to_latent = Linear(weights, "model.to_latent")
        self._decoder = Gru(weights, "model.decoder")
        self._out = Linear(weights, "model.out")

    def start(self) -> State:
        """Nothing."""
        return ()

    def heard(self, state: State, inputs: Ints) -> State:
        """Nothing."""
        return ()

    def ready(self, state: State, line: Ints, cells: int, noise: Floats) -> State:
        """The latent, and the decoder's state after the last measures of the line; where nothing
        was heard a latent drawn as in training's prior."""
        lately = line[-LATENT_MEASURES * cells :]
        given = self._inputs(inputs_of(lately[None], cells)[0])
        latent: Floats = noise[None]
        if len(lately):
            encoded = self._encoder.over(given[None, 1:], self._encoder.start())[0][:, -1]
            mean, spread = np.split(self._to_latent(encoded), 2, axis=1)
            latent = np.asarray(mean + np.exp(spread.clip(-8, 8) / 2) * noise, np.float32)
        decoder = self._decoder.start()
        if len(lately):
            wide = np.repeat(latent, len(lately), axis=0)
            decoder = self._decoder.over(np.concatenate([given[:-1], wide], 1)[None], decoder)[1]
        return (latent, *decoder)

    def next(self, state: State, inputs: Ints) -> tuple[Floats, State]:
        """One step of the decoder."""
        latent, decoder = state[0], state[1:]
        x = np.concatenate([self._inputs(inputs), latent], axis=1)
        out, decoder = self._decoder.step(x, decoder)
        return self._out(np.concatenate([out, latent], axis=1)), (latent, *decoder)


MODELS: Mapping[str, Callable[[MelodyConfig, Named], Any]] = {
    "gru": GruModel,
    "lstm_attention": LstmAttention,
    "vae": Vae,
}
