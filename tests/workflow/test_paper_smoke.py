"""The paper's settings, really run with few data and steps: 512 x 512 pixels, its networks, epsilon."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from study_runs import ROOT, snakemake

CONFIGS = ROOT / "workflow/configs"


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of a finished run for table 2."""
    directory = tmp_path_factory.mktemp("paper")
    files = [CONFIGS / "paper.yaml", CONFIGS / "paper-smoke.yaml"]
    run = snakemake(directory, "--cores", "2", "--configfile", *files, "--", "results/table2.csv")
    assert run.returncode == 0, run.stdout
    return directory / "results"


def parameters(file: Path) -> int:
    return sum(value.size for value in load_file(file).values())


def test_the_table_has_the_papers_rows(results: Path) -> None:
    with (results / "table2.csv").open(newline="") as file:
        _, *rows = csv.reader(file)
    assert [row[0] for row in rows] == ["Smoke", "+LDM_1", "+SegGuidedDif_1", "+ControlNet_1", "+PIG_1", "+PIG_2"]
    assert all(0 <= float(value) <= 100 for row in rows for value in row[1:5])


@pytest.mark.parametrize("fold", [0, 1])
def test_the_models_are_the_papers(results: Path, fold: int) -> None:
    for network in ("guider", "denoiser"):
        assert parameters(results / f"models/pig/fold{fold}/{network}.safetensors") == 7_125_409
    for name in ("pig", "segguided", "ldm", "ldm_base"):
        model = json.loads((results / f"models/{name}/fold{fold}/generator.json").read_text())["model"]
        assert model["prediction"] == "epsilon"
        assert model["schedule"]["timesteps"] == 1024
        assert model["network"]["channels"] == [32, 32, 64, 64, 128, 128]
        assert model["training"]["optimizer"] == "adam" and model["training"]["learning_rate"] == 2e-4
    control = json.loads((results / f"models/controlnet/fold{fold}/generator.json").read_text())["model"]
    assert control["training"]["learning_rate"] == 1e-5
    autoencoder = json.loads((results / f"models/autoencoder/fold{fold}/generator.json").read_text())["model"]
    assert autoencoder["kl_weight"] == 1e-6 and autoencoder["adversarial_weight"] == 0.5


@pytest.mark.parametrize(("name", "shards"), [("pig", 2), ("segguided", 1), ("ldm", 1), ("controlnet", 1)])
@pytest.mark.parametrize("fold", [0, 1])
def test_pairs_are_drawn_at_the_papers_size(results: Path, name: str, shards: int, fold: int) -> None:
    files = sorted((results / f"synthetic/{name}/fold{fold}").glob("*.npz"))
    assert len(files) == shards
    for file in files:
        with np.load(file) as shard:
            images, masks = shard["images"], shard["masks"]
        assert images.shape == masks.shape == (1, 512, 512)
        assert images.dtype == np.uint16 and images.std() > 0
        assert set(np.unique(masks)) == {0, 1}
