"""What all tests share: one thread, no time limits, and one finished run of a small study."""

from pathlib import Path

import hypothesis
import pytest
import torch

hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def small_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The working directory of a finished run of the small study; to be read, not to be changed."""
    from small_study import TABLES, run

    directory = tmp_path_factory.mktemp("small")
    status, said = run(directory, "--", *TABLES)
    assert status == 0, said
    return directory
