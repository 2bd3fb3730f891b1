"""Make each fault of the catalogue in a copy of the packages, and see whether its tests fail.

    python tests/mutants/hunt.py [words of names]

The slow libraries are imported once; each fault is made in a process that is forked from there, which imports the
changed copy. A line of JSON comes out: name -> pytest's exit status, where 1 says that a test has failed.
"""

import contextlib
import importlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from catalogue import MUTANTS

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("pig", "baselines")
AT_ONCE = 2
SLOW = [
    *["hypothesis", "monai.networks.nets", "pandas", "pytest", "scipy.stats", "segmentation_models_pytorch"],
    *["sklearn.model_selection", "torch._dynamo"],
]


def run_tests(copy: Path, words: str) -> int:
    """Run tests on the packages of ``copy``, in this process."""
    import pytest

    os.chdir(ROOT)
    sys.path.insert(0, str(copy))
    for package in PACKAGES:  # whoever puts another place before the copy comes too late
        assert Path(__import__(package).__file__ or "").is_relative_to(copy)
    with (copy / "out.txt").open("w") as out, contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        return int(pytest.main([*words.split(), "-x", "-q", "-p", "no:cacheprovider", f"--basetemp={copy / 'tmp'}"]))


def fork(act: Callable[[], int]) -> int:
    """Do something in a child process and return its number; the exit status is what was returned."""
    child = os.fork()
    if child == 0:
        status = 99
        try:
            status = act()
        finally:
            os._exit(status)
    return child


def hunt(jobs: dict[str, tuple[str, str, str, str]]) -> dict[str, int]:
    """Return pytest's exit status for each (file, old, new, tests), by name; two at a time."""
    found: dict[str, int] = {}
    waiting, running, number = list(jobs), {}, 0
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        while waiting or running:
            while waiting and len(running) < AT_ONCE:
                name = waiting.pop(0)
                file, old, new, tests = jobs[name]
                number += 1
                copy = Path(folder) / str(number)
                for package in PACKAGES:
                    shutil.copytree(ROOT / package, copy / package, ignore=shutil.ignore_patterns("__pycache__"))
                if file:
                    text = (copy / file).read_text(encoding="utf-8")
                    if text.count(old) != 1:
                        raise SystemExit(f"{name}: {file} has the text {text.count(old)} times: {old}")
                    (copy / file).write_text(text.replace(old, new), encoding="utf-8")
                running[fork(lambda copy=copy, tests=tests: run_tests(copy, tests))] = name
            child, status = os.wait()
            found[running.pop(child)] = os.waitstatus_to_exitcode(status)
    return found


def main(words: list[str]) -> None:
    """Hunt, and print what came of it."""
    import torch

    for library in SLOW:
        importlib.import_module(library)
    torch.set_num_threads(1)  # a child that is forked from a process with more would hang
    chosen = [mutant for mutant in MUTANTS if all(word in mutant.name for word in words)]
    jobs = {mutant.name: mutant[1:] for mutant in chosen}
    jobs |= {f"unchanged: {tests}": ("", "", "", tests) for tests in sorted({mutant.tests for mutant in chosen})}
    print(json.dumps(hunt(jobs)))


if __name__ == "__main__":
    main(sys.argv[1:])
