"""How a benchmark takes times, and what it writes beside them."""

import importlib.metadata
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch

from pig.system.run_record import processor


def seconds(call: Callable[[], Any], device: torch.device) -> float:
    """Return how long ``call`` takes, with what it started on the device.

    On the CPU it is the processor's time, which other work on the machine changes far less than the clock's; that of
    all threads, so that several of them make no call shorter.
    """
    clock = time.perf_counter if device.type == "cuda" else time.process_time
    _wait(device)
    started = clock()
    call()
    _wait(device)
    return clock() - started


def medians(calls: Mapping[str, Callable[[], Any]], rounds: int, device: torch.device) -> dict[str, float]:
    """Return the median seconds of each call, one of each in a round, so that other work on the machine meets all."""
    for call in calls.values():  # first calls allocate, choose algorithms, compile
        call()
        call()
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            taken[name].append(seconds(call, device))
    return {name: statistics.median(times) for name, times in taken.items()}


def facts(command: str, device: torch.device, *packages: str) -> dict[str, Any]:
    """Return machine, versions, commit and command of a measurement."""
    commit = ["git", "describe", "--always", "--dirty"]
    cuda = device.type == "cuda"
    return {
        "command": command,
        "commit": subprocess.run(commit, capture_output=True, text=True, check=False).stdout.strip(),
        "machine": {
            "device": torch.cuda.get_device_name(device) if cuda else processor(),
            "cores": os.cpu_count(),
            "threads": torch.get_num_threads(),
            "load": round(os.getloadavg()[0], 2),
        },
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "cuda": torch.version.cuda if cuda else None,
            **{name: importlib.metadata.version(name) for name in packages},
        },
    }


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
