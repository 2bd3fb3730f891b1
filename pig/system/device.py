"""On which device networks run, and in which precision."""

from collections.abc import Callable
from contextlib import AbstractContextManager

import torch
from torch import Tensor


def pick_device() -> torch.device:
    """Return the first visible CUDA device, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def has_bf16(device: torch.device) -> bool:
    """Tell whether bfloat16 is fast on ``device``: a CUDA device that has it, or AVX512-BF16 or AMX."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def autocast(device: torch.device) -> AbstractContextManager[None]:
    """Return a context in which networks run in bfloat16 where that is fast, else in float32.

    Schedules, losses and samplers keep to float32 themselves.
    """
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=has_bf16(device))


def in_autocast(network: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Return ``network`` so that each call of it runs in :func:`autocast` of its first argument's device."""

    def call(*arguments: Tensor) -> Tensor:
        with autocast(arguments[0].device):
            return network(*arguments)

    return call
