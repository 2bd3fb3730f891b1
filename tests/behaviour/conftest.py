"""What each test here is given."""

from pathlib import Path

import pytest
from spies import Memory, Trainings

from pig.generator import RunDirectory


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch) -> Trainings:
    """No method trains; what it would have trained is kept."""
    import baselines.autoencoder
    import baselines.controlnet
    import baselines.ddpm
    import baselines.ldm
    import baselines.segguided
    import pig.paired_diffusion
    import pig.segmentation

    kept = Trainings()
    for module in (
        baselines.autoencoder, baselines.controlnet, baselines.ddpm, baselines.ldm, baselines.segguided,
        pig.paired_diffusion, pig.segmentation,
    ):  # fmt: skip
        monkeypatch.setattr(module, "train", kept)
    return kept


@pytest.fixture
def pairs() -> Memory:
    return Memory()


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return RunDirectory(tmp_path / "work", fold=0, seed=0)
