"""Which processor runs a network, and in what precision."""

from __future__ import annotations

import contextlib
import os
from typing import Any, Literal

import torch

from pianogen.errors import ConfigError

Precision = Literal["auto", "bfloat16", "float32"]


def choose_device(name: str) -> torch.device:
    """`auto` is CUDA where there is any, else the CPU; raises ConfigError.

    Of several processes that torchrun started, each takes the CUDA device of its own number.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise ConfigError("device cuda: no CUDA device can be used here; choose --device cpu")
    if name == "cuda" and "LOCAL_RANK" in os.environ:
        name = f"cuda:{os.environ['LOCAL_RANK']}"
    return torch.device(name)


def autocast(
    device: torch.device, precision: Precision = "auto"
) -> contextlib.AbstractContextManager[Any]:
    """Matrices multiplied in bfloat16 or float32; `auto` is bfloat16 where the processor
    multiplies it faster."""
    if precision == "auto":
        precision = "bfloat16" if is_bfloat16_fast(device) else "float32"
    if precision == "float32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, torch.bfloat16)


def is_bfloat16_fast(device: torch.device) -> bool:
    """Whether the processor multiplies bfloat16 faster than float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
