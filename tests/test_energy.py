"""The energy of GPUs, by a stand-in for NVIDIA's library that counts what it is told."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

NVML = str(Path(__file__).resolve().parent / "nvml")

# Counters before and after the work; prints what the record of a run says.
WORK = """
import json, os, sys, time
from pig.system.energy import begin
from pig.system.run_record import run_record
before, after = sys.argv[1:3]
os.environ["NVML_GPUS"] = before
if before != "never":
    begin()
os.environ["NVML_GPUS"] = after
print(json.dumps(run_record(time.monotonic())["gpu_energy_j"]))
"""


def recorded(before: object, after: object, **environment: str) -> object:
    words = [word if isinstance(word, str) else json.dumps(word) for word in (before, after)]
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("CUDA_", "PIG_"))}
    path = os.pathsep.join(filter(None, [NVML, os.environ.get("PYTHONPATH")]))
    run = subprocess.run(
        [sys.executable, "-c", WORK, *words], env=clean | {"PYTHONPATH": path} | environment,
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return json.loads(run.stdout)


def gpus(*counters: int | None) -> list[dict[str, object]]:
    return [{"uuid": f"GPU-{i}"} | ({} if mj is None else {"mJ": mj}) for i, mj in enumerate(counters)]


def test_the_counters_of_the_gpus_of_this_process_are_summed() -> None:
    before, after = gpus(1_000, 50_000, 7), gpus(4_500, 50_250, 9_000_000)
    assert recorded(before, after, CUDA_VISIBLE_DEVICES="0,GPU-1") == 3.75
    assert recorded(before, after, CUDA_VISIBLE_DEVICES="GPU-1") == 0.25


@pytest.mark.parametrize(
    ("before", "environment"),
    [
        (gpus(None), {}),  # before Volta
        (gpus(5, None), {}),
        ([{"uuid": "GPU-a", "mig": ["MIG-1"], "mJ": 5}], {}),
        (gpus(5), {"CUDA_VISIBLE_DEVICES": ""}),
        ([], {}),
        ("never", {}),
    ],
    ids=["old", "one of two", "MIG", "hidden", "none", "not begun"],
)
def test_where_not_all_of_it_is_counted_nothing_is_said(before: object, environment: dict[str, str]) -> None:
    assert recorded(before, gpus(5) if before == "never" else before, **environment) is None
