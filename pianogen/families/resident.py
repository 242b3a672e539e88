"""A pure function of tensors that stays on its device: fixed buffers in, fixed buffers out.

On CUDA it is captured once as a graph and replayed, so that a call is two copies and one launch
whatever the function does inside; on a CPU the same function is simply called. Shapes must be
those of the examples, and the function may ask the device nothing on the way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

WARM_UP = 3  # calls before the capture, as CUDA's libraries ask for
R = TypeVar("R")


def tensors(value: Any) -> list[Tensor]:
    """Every tensor in nested dataclasses and tuples, in a fixed order."""
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, tuple):
        return [tensor for part in value for tensor in tensors(part)]
    if is_dataclass(value):
        return [tensor for f in fields(value) for tensor in tensors(getattr(value, f.name))]
    return []


def with_tensors(value: Any, new: Iterator[Tensor]) -> Any:
    """The same value with other tensors, in the order of `tensors`."""
    if isinstance(value, Tensor):
        return next(new)
    if isinstance(value, tuple):
        return tuple(with_tensors(part, new) for part in value)
    if is_dataclass(value) and not isinstance(value, type):
        parts = {f.name: with_tensors(getattr(value, f.name), new) for f in fields(value)}
        return replace(value, **parts)
    return value


def cloned(value: Any) -> Any:
    """The same value with tensors of its own."""
    return with_tensors(value, iter([tensor.clone() for tensor in tensors(value)]))


class Resident(Generic[R]):
    """The function on buffers of its own. What a call gives holds until the next call."""

    def __init__(self, function: Callable[..., R], *examples: Any) -> None:
        self.function = function
        self.arguments = tuple(cloned(example) for example in examples)
        self.graph: torch.cuda.CUDAGraph | None = None
        self.result: R | None = None
        self.buffers = tensors(self.arguments)
        if self.buffers[0].is_cuda:
            self._capture()

    def _capture(self) -> None:
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(WARM_UP):
                self.function(*self.arguments)
        torch.cuda.current_stream().wait_stream(stream)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.result = self.function(*self.arguments)

    def __call__(self, *arguments: Any) -> R:
        """The function of these; raises ValueError where a shape is not the example's."""
        given = tensors(arguments)
        for buffer, tensor in zip(self.buffers, given, strict=True):
            if buffer.shape != tensor.shape:
                raise ValueError(f"a buffer of {tuple(buffer.shape)} given {tuple(tensor.shape)}")
            buffer.copy_(tensor, non_blocking=True)
        if self.graph is None:
            return self.function(*self.arguments)
        self.graph.replay()
        assert self.result is not None
        return self.result
