"""The few functions of a network that numpy lacks, in float32, for few rows at a time."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

PANEL = 64  # columns: narrow enough that BLAS need not copy the weights for a few rows
EPSILON = np.float32(1e-5)  # of every norm

# erfc(z) = t * (A1 + A2 t + ...) * exp(-z * z), t = 1 / (1 + P z), z >= 0, to 1.5e-7
# (Abramowitz and Stegun 1964, 7.1.26); halved, as `gelu` needs it.
P = np.float32(0.3275911 * np.sqrt(0.5))
A1, A2, A3, A4, A5 = (
    np.float32(a / 2) for a in (0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429)
)


def panels(weight: Floats) -> Floats:
    """Weights (in, out) as `product` wants them, (panels, in, out / panels)."""
    width = PANEL if weight.shape[1] % PANEL == 0 else weight.shape[1]
    split = weight.reshape(weight.shape[0], -1, width)
    return np.ascontiguousarray(split.transpose(1, 0, 2), dtype=np.float32)


def product(x: Floats, weight: Floats) -> Floats:
    """Rows (N, in) times weights as `panels` made them -> (N, out)."""
    count, _, width = weight.shape
    out = np.empty((len(x), count, width), np.float32)
    np.matmul(x, weight, out=out.swapaxes(0, 1))
    return out.reshape(len(x), count * width)


def parts(x: Floats, sizes: Sequence[int]) -> list[Floats]:
    """Columns side by side, (N, sum of sizes), as so many views; `np.split` is slow for so few."""
    ends = list(accumulate(sizes))
    return [x[:, end - size : end] for size, end in zip(sizes, ends, strict=True)]


def gelu(x: Floats) -> Floats:
    """x * (1 + erf(x / sqrt(2))) / 2, to 1e-7 of x."""
    size = np.abs(x)
    t = size * P
    t += 1
    np.reciprocal(t, out=t)
    tail = t * A5
    for a in (A4, A3, A2, A1):
        tail += a
        tail *= t
    tail *= size
    np.multiply(size, size, out=size)
    size *= np.float32(-0.5)
    tail *= np.exp(size, out=size)
    out = np.maximum(x, 0)
    out -= tail
    return out


def normed(x: Floats, scale: Floats, shift: Floats) -> Floats:
    """Rows (N, H) brought to mean 0 and variance 1, then scaled and shifted; x is used up."""
    x -= (x.sum(axis=1) / np.float32(x.shape[1]))[:, None]
    return normed_centred(x, scale, shift)


def normed_centred(x: Floats, scale: Floats, shift: Floats) -> Floats:
    """As `normed`, of rows whose mean is 0 already."""
    variance = np.einsum("nh,nh->n", x, x)
    variance /= np.float32(x.shape[1])
    variance += EPSILON
    x /= np.sqrt(variance)[:, None]
    x *= scale
    x += shift
    return x


def softmax(x: Floats) -> Floats:
    """Over the last axis; x is used up."""
    x -= x.max(axis=-1, keepdims=True)
    np.exp(x, out=x)
    x /= x.sum(axis=-1, keepdims=True)
    return x


def chosen(log_chances: NDArray[np.floating[Any]], uniform: float) -> int:
    """One of several by what their chances' logarithms are but for a sum; uniform: a number in 0..1
    that decides."""
    chances = np.exp(log_chances - log_chances.max()).cumsum()
    return min(int(np.searchsorted(chances, uniform * chances[-1], side="right")), len(chances) - 1)


def log_sum(x: Floats) -> Floats:
    """Logarithm of the sum of exp(x) over the last axis."""
    most = x.max(axis=-1)
    out: Floats = np.log(np.exp(x - most[..., None]).sum(axis=-1)) + most
    return out


def softplus(x: Floats) -> Floats:
    """log(1 + exp(x))."""
    return np.logaddexp(np.float32(0), x)


def halved_gates(weight: Floats) -> Floats:
    """An LSTM's weights (..., 4 * H) so that one tanh does for all gates: sigmoid(x) is
    (1 + tanh(x / 2)) / 2, and only the third quarter is a tanh itself."""
    enter, forget, cell, leave = np.split(weight, 4, axis=-1)
    half = np.float32(0.5)
    return np.concatenate([enter * half, forget * half, cell, leave * half], axis=-1)


def lstm_cell(gates: Floats, c: Floats) -> tuple[Floats, Floats]:
    """Gates (..., 4H) by halved weights, and cells (..., H) -> new h and c; gates are used up."""
    H = c.shape[-1]
    np.tanh(gates, out=gates)
    enter, forget, cell, leave = (gates[..., n * H : (n + 1) * H] for n in range(4))
    forget += 1
    forget *= c
    enter += 1
    enter *= cell
    forget += enter
    forget *= np.float32(0.5)  # the new c
    leave += 1
    h = np.tanh(forget)
    h *= leave
    h *= np.float32(0.5)
    return h, forget.copy()
