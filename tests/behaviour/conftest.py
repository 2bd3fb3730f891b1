"""What each test here is given."""

from pathlib import Path

import pytest
from spies import Memory, Trainings

from pig.training.run import TrainingRun


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch) -> Trainings:
    """No method trains; what it would have trained is kept."""
    import baselines.autoencoder
    import baselines.controlnet
    import baselines.ddpm
    import baselines.joint
    import baselines.ldm
    import baselines.segguided
    import pig.evaluation.segmentation
    import pig.methods.pig

    kept = Trainings()
    for module in (
        baselines.autoencoder, baselines.controlnet, baselines.ddpm, baselines.joint, baselines.ldm,
        baselines.segguided, pig.methods.pig, pig.evaluation.segmentation,
    ):  # fmt: skip
        monkeypatch.setattr(module, "train", kept)
    return kept


@pytest.fixture
def pairs() -> Memory:
    return Memory()


@pytest.fixture
def run(tmp_path: Path) -> TrainingRun:
    return TrainingRun(tmp_path / "work", fold=0, seed=0)
