"""Training steps and sampling calls of the paper's network on a GPU: variants, peers, memory, floors, equality.

    python -m benchmarks.gpu --out benchmarks/results/gpu.json

The variants of this project: as it runs (float32, bfloat16), with torch.compile, with CUDA graphs ("reduce-overhead"),
channels last, and the optimiser not fused. Each is built alone, so that its peak memory is its own. Its output
and gradients, with the same weights on the same pictures, must be those of the plain float32 path within the bound of
its dtype. Beside each time is the floor of the device for its operations and bytes (benchmarks/floors.py). The work is
that of benchmarks/peers.py: one network; a step of drawing a pair calls two.

The status is 0; 1 if a variant is not equal; 2 without a GPU.
"""

import argparse
import gc
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.floors import Device, activations, measure_device, operations
from benchmarks.measure import facts, medians
from benchmarks.peers import PEERS, Peer, Work, check_parameters, pig
from benchmarks.steps import DTYPES, network_of
from pig.methods.settings import NetworkSettings
from pig.system.files import write_json

VARIANTS: dict[str, Callable[[Work], Peer]] = {
    "plain": pig,
    "not fused optimiser": partial(pig, fused=False),
    "channels last": partial(pig, channels_last=True),
    "compiled": partial(pig, compiled="default"),
    "compiled, channels last": partial(pig, compiled="default", channels_last=True),
    "compiled, CUDA graphs": partial(pig, compiled="reduce-overhead"),
    "diffusers": PEERS["diffusers"],
    "monai": PEERS["monai"],
}
# Greatest relative error (2-norm) of output and gradient. Float32 products are TF32 in cuDNN: 10 bits of mantissa;
# bfloat16 has 7.
BOUNDS = {torch.float32: 5e-3, torch.bfloat16: 5e-2}


def measure(
    device: torch.device, network: NetworkSettings, size: int, batch: int, steps: int, rounds: int, side: int
) -> dict[str, Any]:
    """Return what the device can do and a row for each variant, peer and dtype.

    Args:
        device: a CUDA device; the CPU takes the same paths, without memory.
        network: of all of them.
        size: pixels of a side.
        batch: images of a training step and of a sampling call.
        steps: calls of the network in sampling.
        rounds: of which medians are taken.
        side: of the matrices whose product is the floor.
    """
    can = measure_device(device, side, rounds)
    work = Work(network, size, batch, steps, device)
    check_parameters({name: make(replace(work, batch=1)) for name, make in PEERS.items()})
    plain = answers(pig(work))
    rows = []
    for dtype_name, dtype in DTYPES.items():
        needs = _needs(replace(work, dtype=dtype))
        for name, make in VARIANTS.items():
            row: dict[str, Any] = {"of": name, "dtype": dtype_name}
            try:
                peer = make(replace(work, dtype=dtype))
                equality = {} if name in PEERS else _equality(answers(peer), plain, BOUNDS[dtype])
                row |= _row(peer, work, rounds, can, dtype, needs) | equality
                del peer
            except torch.OutOfMemoryError:
                row["failed"] = "out of memory"
            rows.append(row)
            print(row, flush=True)
            torch.compiler.reset()
            _release(device)
    flops = {name: round(can.flops[dtype] / 1e12, 3) for name, dtype in DTYPES.items()}
    return {"matrix_product_tflops": flops, "copy_gb_s": round(can.bandwidth / 1e9, 1), "rows": rows}


def answers(peer: Peer) -> dict[str, Tensor]:
    """Return what a new peer draws, and the gradients of its first training step, as float32 on the CPU."""
    drawn = peer.sample().float().cpu()
    peer.train()
    gradients = [p.grad.float().cpu().flatten() for p in peer.network.parameters() if p.grad is not None]
    return {"images": drawn, "gradients": torch.cat(gradients)}


def _equality(found: dict[str, Tensor], plain: dict[str, Tensor], bound: float) -> dict[str, Any]:
    """Return the relative errors, and whether they are within the bound; NaN is not."""
    errors = {name: float((found[name] - plain[name]).norm() / plain[name].norm()) for name in plain}
    return {"error": errors, "equal": all(error <= bound for error in errors.values())}


def _needs(work: Work) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return operations and bytes of a training step and of a sampling call.

    A training step moves activations at least three times as much as a forward pass (the backward pass reads them, and
    writes and reads as many gradients), and reads and writes weights and both moments of AdamW, and reads gradients.
    """
    peer = pig(work)
    forward = 2 * activations(peer.network, peer.sample) / work.steps
    optimiser = 7 * 4 * peer.parameters
    weights = 4 * peer.parameters * work.steps
    return (
        (operations(peer.train), 3 * forward + optimiser),
        (operations(peer.sample), forward * work.steps + weights),
    )


def _row(
    peer: Peer, work: Work, rounds: int, can: Device, dtype: torch.dtype, needs: tuple[tuple[float, float], ...]
) -> dict[str, Any]:
    """Return times, floors, how many times as long as the floor, and peak memory of training and of sampling."""
    row: dict[str, Any] = {}
    for what, call, (flops, moved) in zip(("train", "sample"), (peer.train, peer.sample), needs, strict=True):
        if work.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(work.device)
        taken = medians({what: call}, rounds, work.device)[what]
        floor = can.floor(flops, moved, dtype)
        row |= {f"{what}_ms": round(1e3 * taken, 3), f"{what}_floor_ms": round(1e3 * floor, 3)}
        row[f"{what}_of_floor"] = round(taken / floor, 1)
        if work.device.type == "cuda":
            row[f"{what}_peak_mib"] = torch.cuda.max_memory_allocated(work.device) // 2**20
    return row


def _release(device: torch.device) -> None:
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def main() -> int:
    """Measure, and write all as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=512, help="pixels of a side (512)")
    parser.add_argument("--batch", type=int, default=6, help="images of a step and of a call (6, the paper's)")
    parser.add_argument("--steps", type=int, default=8, help="calls of the network in sampling (8)")
    parser.add_argument("--rounds", type=int, default=20, help="(20)")
    parser.add_argument("--out", type=Path, required=True)
    a = parser.parse_args()
    if not torch.cuda.is_available():
        print("benchmarks.gpu: PyTorch finds no CUDA device here; run it on a machine with one.", file=sys.stderr)
        return 2
    device = torch.device("cuda")
    command = f"python -m benchmarks.gpu --size {a.size} --batch {a.batch} --steps {a.steps} --rounds {a.rounds}"
    found = measure(device, network_of("paper"), a.size, a.batch, a.steps, a.rounds, side=8192)
    write_json(a.out, {**facts(f"{command} --out {a.out}", device, "diffusers", "monai"), **found})
    unequal = [f"{row['of']} {row['dtype']}" for row in found["rows"] if row.get("equal") is False]
    if unequal:
        print(f"benchmarks.gpu: not equal to the plain path: {', '.join(unequal)}.", file=sys.stderr)
    return int(bool(unequal))


if __name__ == "__main__":
    sys.exit(main())
