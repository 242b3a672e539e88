"""Which processor runs a network, and in what precision."""

from __future__ import annotations

import contextlib
from typing import Any

import torch

from pianogen.errors import ConfigError


def choose_device(name: str) -> torch.device:
    """`auto` is CUDA where there is any, else the CPU; raises ConfigError."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise ConfigError("device cuda: no CUDA device can be used here; choose --device cpu")
    return torch.device(name)


def autocast(device: torch.device) -> contextlib.AbstractContextManager[Any]:
    """bfloat16 where the processor multiplies it faster than float32."""
    if device.type == "cuda":
        helps = torch.cuda.is_bf16_supported()
    else:
        helps = bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return torch.autocast(device.type, torch.bfloat16) if helps else contextlib.nullcontext()
