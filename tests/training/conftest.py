from pathlib import Path

import pytest
from discs import make_study
from training_study import SIZE


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store and folds.csv."""
    return make_study(tmp_path_factory.mktemp("training study") / "data", SIZE)
