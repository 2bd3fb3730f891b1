"""How many GPUs jobs may use, and that no two use one. The GPUs are names alone: nothing here computes on one."""

import os
import re
import signal
import subprocess
import sys
from itertools import combinations
from pathlib import Path

import pytest

from pig.errors import UserError
from pig.gpus import gpu_count

ROOT = Path(__file__).resolve().parents[1]

# Takes GPUs, says which and from when to when it had it.
JOB = """
import logging, os, sys, time
from pig.gpus import own_gpus
logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
with own_gpus(int(sys.argv[2])):
    start = time.monotonic()
    print(os.environ.get("CUDA_VISIBLE_DEVICES"), flush=True)
    time.sleep(float(sys.argv[1]))
    print(start, time.monotonic())
"""


def job(seconds: float, count: int = 1, **environment: str) -> subprocess.Popen[str]:
    clean = {key: value for key, value in os.environ.items() if key not in ("PIG_GPUS", "LOCAL_RANK", "SLURM_JOB_ID")}
    return subprocess.Popen(
        [sys.executable, "-c", JOB, str(seconds), str(count)],
        env=clean | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def shown(count: int = 1, **environment: str) -> str:
    """Return the GPUs shown to a job."""
    return job(0, count, **environment).communicate()[0].splitlines()[0]


@pytest.mark.parametrize(
    ("asked", "visible", "count"),
    [("3", "0", 3), ("0", "0,1", 0), (None, "0,1", 2), (None, "", 0), (None, "-1", 0), (None, "GPU-8f, MIG-1", 2)],
)
def test_what_is_asked_for_goes_before_what_is_visible(
    monkeypatch: pytest.MonkeyPatch, asked: str | None, visible: str, count: int
) -> None:
    monkeypatch.delenv("PIG_GPUS", raising=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    if asked is not None:
        monkeypatch.setenv("PIG_GPUS", asked)
    assert gpu_count() == count


@pytest.mark.parametrize("asked", ["", "one", "-1", "1.5"])
def test_no_count_is_a_sentence(monkeypatch: pytest.MonkeyPatch, asked: str) -> None:
    monkeypatch.setenv("PIG_GPUS", asked)
    with pytest.raises(UserError, match="PIG_GPUS must be a number of GPUs"):
        gpu_count()


def test_no_two_jobs_share_a_gpu_and_who_waits_says_so() -> None:
    started = [job(1, CUDA_VISIBLE_DEVICES="3,5,7") for _ in range(8)]
    outputs = [process.communicate() for process in started]
    assert not any(process.returncode for process in started), outputs
    used = [(output.split()[0], *map(float, output.split()[1:])) for output, _ in outputs]
    assert {name for name, *_ in used} == {"3", "5", "7"}  # as they are named, not renumbered
    for (one, start, end), (other, its_start, its_end) in combinations(used, 2):
        if max(start, its_start) < min(end, its_end):
            assert one != other
    waited = [error for _, error in outputs if "GPUs 3, 5, 7 are in use; waiting for 1 of them." in error]
    assert len(waited) >= 4  # three began at once, and three after them at the soonest


def test_a_killed_job_frees_its_gpu() -> None:
    killed = job(600, CUDA_VISIBLE_DEVICES="killed")
    assert killed.stdout and killed.stdout.readline() == "killed\n"
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert shown(CUDA_VISIBLE_DEVICES="killed") == "killed"


def test_jobs_of_a_scheduler_do_not_wait_for_each_others_numbers() -> None:
    # Each job of Slurm may see a GPU of its own as number 0.
    held = job(600, CUDA_VISIBLE_DEVICES="same", SLURM_JOB_ID="1")
    assert held.stdout and held.stdout.readline() == "same\n"
    try:
        assert shown(CUDA_VISIBLE_DEVICES="same", SLURM_JOB_ID="2") == "same"
    finally:
        held.kill()
        held.communicate()


@pytest.mark.parametrize(
    ("environment", "gpus"),
    [
        ({"CUDA_VISIBLE_DEVICES": "a,b", "PIG_GPUS": "0"}, ""),
        ({"CUDA_VISIBLE_DEVICES": "a,b", "LOCAL_RANK": "0"}, "a,b"),
        ({"CUDA_VISIBLE_DEVICES": ""}, ""),
    ],
)
def test_where_no_gpu_is_to_be_dealt(environment: dict[str, str], gpus: str) -> None:
    assert shown(**environment) == gpus


def test_a_job_of_several_processes_takes_as_many() -> None:
    assert shown(2, CUDA_VISIBLE_DEVICES="x,y,z", PIG_GPUS="1") == "x,y"
    held = job(600, CUDA_VISIBLE_DEVICES="x,y")
    assert held.stdout and held.stdout.readline() == "x\n"
    waits = job(0, 2, CUDA_VISIBLE_DEVICES="x,y")
    assert waits.stderr and waits.stderr.readline() == "GPUs x, y are in use; waiting for 2 of them.\n"
    assert shown(CUDA_VISIBLE_DEVICES="y") == "y"  # who waits holds nothing
    held.kill()
    held.communicate()
    assert waits.communicate()[0].startswith("x,y\n")
    output, error = job(0, 3, CUDA_VISIBLE_DEVICES="x,y").communicate()
    assert not output
    assert "3 processes want a GPU each, and there are 2 (x, y)." in error


def test_the_commands_that_take_a_gpu_are_those_of_the_rules_that_ask_for_one() -> None:
    from pig.cli import ON_GPU

    asking = set()
    for file in (ROOT / "workflow/rules").glob("*.smk"):
        for rule in re.split(r"^rule ", file.read_text(), flags=re.M)[1:]:
            if "gpu=GPU" in rule:
                asking |= set(re.findall(r'"\(?pig (\w+)', rule))
    assert asking == {command.__name__ for command in ON_GPU}
