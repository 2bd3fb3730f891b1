"""One finished run of the tiny study for all tests of the workflow."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # the modules of the folder `workflow` are not installed
sys.path[:0] = [str(ROOT / "tests/data"), str(ROOT / "tests/readers")]  # their helpers serve here too

from study_runs import TINY, snakemake  # noqa: E402


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The working directory of a finished run of the tiny study; its name has a space."""
    directory = tmp_path_factory.mktemp("a study")
    run = snakemake(directory, "--cores", "2", "--configfile", TINY, "--", "all")
    assert run.returncode == 0, run.stdout
    return directory
