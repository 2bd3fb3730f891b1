"""What was run: settings, versions, device, time and memory, to be written beside each result."""

import importlib.metadata
import platform
import resource
import sys
import time
from pathlib import Path
from typing import Any

from pig.system.commit import commit_of
from pig.system.energy import joules
from pig.system.source import ROOT

PACKAGES = (
    "pig-benchmark",
    "torch",
    "torchvision",
    "monai",
    "segmentation-models-pytorch",
    "torch-fidelity",
    "numpy",
    "pandas",
    "scikit-learn",
    "snakemake",
)


def processor() -> str:
    """Return the name of the processor."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def peak_memory_mb() -> float:
    """Return the greatest resident memory of this process so far, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10  # bytes on macOS, KiB on Linux


def processor_seconds() -> float:
    """Return the time that processors have spent on this process and those of its children that have ended."""
    return sum(
        usage.ru_utime + usage.ru_stime
        for usage in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


def surroundings() -> dict[str, Any]:
    """Return on what this process computes, and with which code.

    That is device, instruction set that PyTorch uses of the processor, threads, precision of training, the commit of
    the project ("" outside a git repository), and versions.
    """
    import torch

    from pig.system.device import has_bf16, pick_device

    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = "not installed"
    return {
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else processor(),
        "instruction_set": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "precision": "bfloat16" if has_bf16(pick_device()) else "float32",
        "commit": commit_of(ROOT),
        "versions": versions,
    }


def run_record(started: float, **what: Any) -> dict[str, Any]:
    """Return the record of a step that began at ``started`` (``time.monotonic()``) and ends now.

    Its ``wall_s`` is that of the step's own work; ``cpu_s``, of all its processors' time, and ``gpu_energy_j``, of its
    GPUs (:mod:`pig.system.energy`), have its start-up, too.

    Args:
        started: when the step's own work began; imports and start-up lie before it.
        what: what else belongs to the record: settings, seed, fold, counts.
    """
    import torch

    cuda = torch.cuda.is_available()
    return {
        **what,
        "wall_s": round(time.monotonic() - started, 2),
        "cpu_s": round(processor_seconds(), 2),
        "peak_memory_mb": round(peak_memory_mb(), 1),
        "peak_gpu_memory_mb": round(torch.cuda.max_memory_allocated() / 2**20, 1) if cuda else None,
        "gpu_energy_j": joules(),
        "finished": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        **surroundings(),
    }
