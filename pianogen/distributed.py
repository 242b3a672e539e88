"""Processes that train one network together, as torchrun starts them: who am I, and sums over all.

Each process computes on its own windows of the same batch. What a batch is divided by, its
normalisation and its gradients are sums over all of them, so that many processes do what one
would. In a process that is alone nothing here does anything.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch import distributed as dist


@contextmanager
def together(device: torch.device) -> Iterator[None]:
    """Join the processes that torchrun started, if it did (WORLD_SIZE): over nccl on CUDA, else
    over gloo; leave them at the end."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield
    finally:
        dist.destroy_process_group()


def rank() -> int:
    """Which of the processes this is, 0..size() - 1. 0 is the one that writes."""
    return dist.get_rank() if dist.is_available() and dist.is_initialized() else 0


def size() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def summed(x: Tensor) -> Tensor:
    """x summed over all processes, to differentiate through: its gradient is summed as well."""
    if size() == 1:
        return x
    total: Tensor = _Sum.apply(x)  # type: ignore[no-untyped-call]
    return total


def sum_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Replace each gradient by its sum over all processes, in one exchange."""
    if size() == 1:
        return
    weights = list(parameters)
    gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in weights]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    dist.all_reduce(flat)
    totals = torch.split(flat, [p.numel() for p in weights])
    for weight, total in zip(weights, totals, strict=True):
        weight.grad = total.view_as(weight)


class _Sum(torch.autograd.Function):
    """The loss is a sum over processes, so what flows back is one too."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return _exchanged(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return _exchanged(gradients[0])


def _exchanged(x: Tensor) -> Tensor:
    total = x.detach().clone().contiguous()
    dist.all_reduce(total)
    return total


class BatchNorm(nn.BatchNorm1d):
    """Batch norm over the rows of all processes that train together (Ioffe and Szegedy, 2015,
    arXiv:1502.03167; torch's own SyncBatchNorm is for CUDA alone)."""

    def forward(self, x: Tensor) -> Tensor:
        """x (N, C) -> (N, C), in training by mean and variance of the rows of all processes."""
        if size() == 1 or not self.training:
            return super().forward(x)
        rows = x.float()
        count = summed(rows.new_tensor(float(len(rows))))
        mean = summed(rows.sum(dim=0)) / count
        centred = rows - mean
        variance = summed(centred.square().sum(dim=0)) / count
        self._remember(mean.detach(), variance.detach() * count / (count - 1))
        normed = centred * torch.rsqrt(variance + self.eps)
        return (normed * self.weight + self.bias).to(x.dtype)

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        self.num_batches_tracked += 1
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance, self.momentum)
