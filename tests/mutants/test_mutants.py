"""Each fault of the catalogue makes one of its tests fail; without a fault they pass."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from catalogue import MUTANTS

HERE = Path(__file__).parent
FAILED = 1  # pytest's exit status


@pytest.fixture(scope="module")
def found() -> dict[str, int]:
    """What became of each fault, and of the tests without one."""
    run = subprocess.run(
        [sys.executable, HERE / "hunt.py"], capture_output=True, text=True, check=False,
        env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"} | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    statuses: dict[str, int] = json.loads(run.stdout.splitlines()[-1])
    return statuses


def test_names_are_unique() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 25


def test_without_a_fault_all_tests_pass(found: dict[str, int]) -> None:
    unchanged = {name: status for name, status in found.items() if name.startswith("unchanged: ")}
    assert set(unchanged.values()) == {0}, unchanged


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_fault_is_noticed(mutant, found: dict[str, int]) -> None:
    assert found[mutant.name] == FAILED
