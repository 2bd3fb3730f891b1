"""How fast a device could do a work at best: its measured matrix product and memory bandwidth, and what the work needs.

A lower bound, as in the roofline model (Williams et al. 2009, doi 10.1145/1498765.1498785): a work takes at least its
floating-point operations over those of a large matrix product a second, and at least its bytes over those of a copy.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.measure import medians


@dataclass(frozen=True)
class Device:
    """What a device was measured to do: operations a second by dtype, and bytes a second, read and written."""

    flops: dict[torch.dtype, float]
    bandwidth: float

    def floor(self, operations: float, moved: float, dtype: torch.dtype) -> float:
        """Return the least seconds for so many operations and bytes."""
        return max(operations / self.flops[dtype], moved / self.bandwidth)


def measure_device(device: torch.device, side: int, rounds: int) -> Device:
    """Measure the product of matrices [side, side] in float32 (TF32 as PyTorch has it set) and bfloat16, and a copy."""
    calls: dict[str, Callable[[], Any]] = {}
    for dtype in (torch.float32, torch.bfloat16):
        a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
        calls[str(dtype)] = partial(torch.matmul, a, b)
    source = torch.zeros(8 * side**2, device=device)
    target = torch.empty_like(source)
    calls["copy"] = partial(target.copy_, source)
    taken = medians(calls, rounds, device)
    flops = {dtype: 2 * side**3 / taken[str(dtype)] for dtype in (torch.float32, torch.bfloat16)}
    return Device(flops, 2 * source.nbytes / taken["copy"])


def operations(call: Callable[[], Any]) -> float:
    """Return the floating-point operations of the matrix products, convolutions and attention in ``call``."""
    with FlopCounterMode(display=False) as counter:
        call()
    return float(counter.get_total_flops())


def activations(network: nn.Module, call: Callable[[], Any]) -> int:
    """Return the bytes that the convolutions, linear layers and pools of the network put out in ``call``.

    Each must be written once and read once. What lies between them (normalisation, SiLU, sums) could be fused and is
    left out, so that the floor is one for any implementation.
    """
    total = 0

    def count(module: nn.Module, given: Any, output: Any) -> None:
        nonlocal total
        total += output.nbytes if isinstance(output, Tensor) else 0

    kept = (nn.Conv2d, nn.Linear, nn.AvgPool2d)
    hooks = [module.register_forward_hook(count) for module in network.modules() if isinstance(module, kept)]
    call()
    for hook in hooks:
        hook.remove()
    return total
