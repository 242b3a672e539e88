"""The layers that small families are stacked from, in numpy: made from a network's weights by
their names there, float32, for few rows at a time. What a layer carries is an argument and a
result, never changed in place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pianogen.families.arithmetic import (
    Floats,
    halved_gates,
    lstm_cell,
    normed,
    panels,
    product,
)

Named = Mapping[str, NDArray[Any]]  # as a checkpoint has them
State = tuple[Floats, ...]  # of a stack of recurrent layers


def single(weights: Named, name: str) -> Floats:
    """One weight, in float32."""
    return np.ascontiguousarray(weights[name], dtype=np.float32)


def wide(x: Floats, weight: Floats) -> Floats:
    """Rows (N, in) times large weights as `panels` made them. One row goes as two: so BLAS takes
    the way that is fast for a few rows, and a row's numbers are the same in any company."""
    return product(x, weight) if len(x) > 1 else product(np.repeat(x, 2, axis=0), weight)[:1]


class Linear:
    """As torch's, (N, in) -> (N, out); `name.bias` may be missing."""

    def __init__(self, weights: Named, name: str) -> None:
        self.weight = np.ascontiguousarray(single(weights, f"{name}.weight").T)
        out = self.weight.shape[1]
        bias = f"{name}.bias"
        self.bias = single(weights, bias) if bias in weights else np.zeros(out, np.float32)

    def __call__(self, x: Floats) -> Floats:
        """Rows (..., in) -> (..., out)."""
        y: Floats = x @ self.weight
        y += self.bias
        return y


class LayerNorm:
    """As torch's, over the last axis of (N, H)."""

    def __init__(self, weights: Named, name: str) -> None:
        self.scale, self.shift = single(weights, f"{name}.weight"), single(weights, f"{name}.bias")

    def __call__(self, x: Floats) -> Floats:
        """Rows (N, H), which are left as they are -> (N, H)."""
        return normed(x.copy(), self.scale, self.shift)


class Recurrent:
    """Layers of one kind, one above the other; see `Lstm` and `Gru`."""

    parts: int  # arrays a layer carries

    def __init__(self, layers: int, hidden: int) -> None:
        self.layers, self.hidden = layers, hidden

    def start(self, rows: int = 1) -> State:
        """What is carried before anything was given."""
        return tuple(
            np.zeros((rows, self.hidden), np.float32) for _ in range(self.layers * self.parts)
        )

    def step(self, x: Floats, state: State) -> tuple[Floats, State]:
        """Rows (N, in) -> the highest layer's output (N, H), and what is carried on."""
        after: list[Floats] = []
        for layer in range(self.layers):
            now = self.cell(layer, x, state[layer * self.parts : (layer + 1) * self.parts])
            x = now[0]
            after += now
        return x, tuple(after)

    def over(self, x: Floats, state: State) -> tuple[Floats, State]:
        """Sequences (N, T, in) -> (N, T, H), and what is carried on."""
        out = np.empty((*x.shape[:2], self.hidden), np.float32)
        for time in range(x.shape[1]):
            out[:, time], state = self.step(x[:, time], state)
        return out, state

    def cell(self, layer: int, x: Floats, carried: State) -> State:
        """One layer's step: what it carries on, its output first."""
        raise NotImplementedError


class Lstm(Recurrent):
    """As torch's `nn.LSTM` in evaluation: the last of `suffix` is `_reverse` for the way back."""

    parts = 2

    def __init__(self, weights: Named, name: str, layers: int = 1, suffix: str = "") -> None:
        self._weight, self._bias = [], []
        for layer in range(layers):
            end = f"l{layer}{suffix}"
            enter, back = (single(weights, f"{name}.weight_{part}_{end}") for part in ("ih", "hh"))
            both = [single(weights, f"{name}.bias_{part}_{end}") for part in ("ih", "hh")]
            self._weight.append(panels(halved_gates(np.concatenate([enter.T, back.T]))))
            self._bias.append(halved_gates(both[0] + both[1]))
        super().__init__(layers, len(self._bias[0]) // 4)

    def cell(self, layer: int, x: Floats, carried: State) -> State:
        """Output and cell."""
        h, c = carried
        gates = wide(np.concatenate([x, h], axis=1), self._weight[layer])
        gates += self._bias[layer]
        return lstm_cell(gates, c)


class Gru(Recurrent):
    """As torch's `nn.GRU` in evaluation."""

    parts = 1

    def __init__(self, weights: Named, name: str, layers: int = 1, suffix: str = "") -> None:
        self._enter, self._back = [], []
        for layer in range(layers):
            pair = []
            for part in ("ih", "hh"):
                place = f"{part}_l{layer}{suffix}"
                weight = single(weights, f"{name}.weight_{place}").T
                pair.append((np.ascontiguousarray(weight), single(weights, f"{name}.bias_{place}")))
            self._enter.append(pair[0])
            self._back.append(pair[1])
        super().__init__(layers, self._back[0][0].shape[0])

    def cell(self, layer: int, x: Floats, carried: State) -> State:
        """The output alone."""
        (h,), H = carried, self.hidden
        enter = x @ self._enter[layer][0] + self._enter[layer][1]
        back = h @ self._back[layer][0] + self._back[layer][1]
        gates = np.tanh((enter[:, : 2 * H] + back[:, : 2 * H]) * np.float32(0.5))
        gates = gates * np.float32(0.5) + np.float32(0.5)  # sigmoids
        new = np.tanh(enter[:, 2 * H :] + gates[:, :H] * back[:, 2 * H :])
        return (new + gates[:, H:] * (h - new),)
