"""What all tests share: one thread, no time limits, and finished runs of two studies."""

import sys
from pathlib import Path

import hypothesis
import pytest
import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # the modules of the folder `workflow` are not installed
sys.path[:0] = [str(ROOT / "tests/data"), str(ROOT / "tests/readers")]  # their helpers serve the workflow's tests too

from study_runs import TINY, snakemake  # noqa: E402

hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The working directory of a finished run of the tiny study; its name has a space."""
    directory = tmp_path_factory.mktemp("a study")
    run = snakemake(directory, "--cores", "2", "--configfile", TINY, "--", "all")
    assert run.returncode == 0, run.stdout
    return directory


@pytest.fixture(scope="session")
def small_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The working directory of a finished run of the small study; to be read, not to be changed."""
    from small_study import TABLES, run

    directory = tmp_path_factory.mktemp("small")
    status, said = run(directory, "--", *TABLES)
    assert status == 0, said
    return directory
