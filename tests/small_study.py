"""A study of seventeen jobs and half a minute, for the tests that run it many times through real Snakemake."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
CONFIGS = ["--configfile", str(ROOT / "workflow/configs/tiny.yaml"), str(ROOT / "tests/small.yaml")]
TABLES = ["results/table1.csv", "results/table2.csv"]
MODEL = "results/models/pig/fold0"
VARYING = ("logs", "benchmarks", "events", "metadata", "work", "plan.json")  # differ by time


def start(directory: Path, *words: str, configs: list[str] = CONFIGS) -> subprocess.Popen[str]:
    """Start Snakemake in ``directory``, in a process group of its own; its output goes to ``out.txt`` there."""
    command = [str(Path(sys.executable).with_name("snakemake")), "--snakefile", str(ROOT / "Snakefile"), *configs]
    with (directory / "out.txt").open("a") as out:
        return subprocess.Popen(
            [*command, "--cores", "2", *words],
            cwd=directory,
            env=os.environ | {"PIG_GPUS": "0"},
            stdout=out,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )


def run(directory: Path, *words: str, configs: list[str] = CONFIGS) -> tuple[int, str]:
    """Run Snakemake in ``directory`` to its end; return its exit status and what it said."""
    said = directory / "out.txt"
    before = said.stat().st_size if said.exists() else 0
    process = start(directory, *words, configs=configs)
    try:
        status = process.wait()
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    return status, said.read_bytes()[before:].decode()


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str], seconds: float = 120) -> None:
    """Wait until something is so, while a process runs."""
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, "it ended before"
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.02)


def trains(directory: Path) -> bool:
    """Return whether the training of MODEL has written a checkpoint."""
    return any((directory / MODEL.replace("results/", "results/work/")).rglob("step*.safetensors"))


def contents(directory: Path) -> dict[str, object]:
    """Return what a run made, by path: bytes, of shards their arrays; records are there by name alone.

    The store names the files that it was made from, hence its directory.
    """
    results = directory / "results"
    found: dict[str, object] = {}
    for path in sorted(results.rglob("*")):
        name = path.relative_to(results)
        if path.is_dir() or name.parts[0] in VARYING or name.name.startswith(".snakemake"):
            continue
        if path.suffix == ".npz":
            with np.load(path) as file:
                found[str(name)] = {key: file[key].tobytes() for key in file if key != "provenance"}
        elif path.name in ("record.json", "generator.json") or name.parts[0] == "fid":
            found[str(name)] = None  # it holds the time
        elif path.parent.name == "store" and path.name == "manifest.csv":
            found[str(name)] = path.read_bytes().replace(bytes(directory), b"")
        elif path.name == "store.json":
            found[str(name)] = {key: value for key, value in json.loads(path.read_text()).items() if key != "manifest"}
        else:
            found[str(name)] = path.read_bytes()
    return found


def differing(one: dict[str, object], other: dict[str, object]) -> list[str]:
    """Return the names of what is not the same, or not there, in two of :func:`contents`."""
    return sorted(name for name in one.keys() | other.keys() if one.get(name, "absent") != other.get(name, "absent"))
