"""Which processor runs a network, and in what precision.

Torch is asked, and imported, only where there may be CUDA.
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING, Any, Literal

from pianogen.errors import ConfigError

if TYPE_CHECKING:
    import torch

Precision = Literal["auto", "bfloat16", "float32"]

# What the libraries that numpy and torch multiply with read when they are first imported.
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


def device_name(name: str) -> str:
    """`cpu` or `cuda`: `auto` is CUDA where there is any; raises ConfigError."""
    if name == "auto":
        name = "cuda" if _has_cuda() else "cpu"
    elif name.startswith("cuda") and not _has_cuda():
        raise ConfigError("device cuda: no CUDA device can be used here; choose --device cpu")
    return name


def choose_device(name: str) -> torch.device:
    """As `device_name`, as torch's own.

    Of several processes that torchrun started, each takes the CUDA device of its own number.
    """
    import torch

    name = device_name(name)
    if name == "cuda" and "LOCAL_RANK" in os.environ:
        name = f"cuda:{os.environ['LOCAL_RANK']}"
    return torch.device(name)


def _has_cuda() -> bool:
    """Whether torch can use CUDA; torch itself is only asked where it and a driver are there."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        if version("torch").endswith("+cpu") or not _has_driver():
            return False
    except PackageNotFoundError:
        return False
    import torch

    return torch.cuda.is_available()


def _has_driver() -> bool:
    import ctypes

    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    return True


def use_one_thread() -> None:
    """Let numpy and torch, not yet imported, multiply on one thread, here and in processes to be
    started: for so little work two only wait for each other."""
    os.environ.update(dict.fromkeys(THREADS, "1"))


def autocast(
    device: torch.device, precision: Precision = "auto"
) -> contextlib.AbstractContextManager[Any]:
    """Matrices multiplied in bfloat16 or float32; `auto` is bfloat16 where the processor
    multiplies it faster."""
    import torch

    if precision == "auto":
        precision = "bfloat16" if is_bfloat16_fast(device) else "float32"
    if precision == "float32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, torch.bfloat16)


def is_bfloat16_fast(device: torch.device) -> bool:
    """Whether the processor multiplies bfloat16 faster than float32."""
    import torch

    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
