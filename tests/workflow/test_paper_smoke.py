"""The paper's settings, really run with few data and steps: 512 x 512 pixels, its networks, epsilon."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from study_runs import ROOT, snakemake

CONFIGS = ROOT / "workflow/configs"
ARMS = ["real", "ldm_1", "segguided_1", "controlnet_1", "pig_1", "pig_2"]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of fold 0, to the counts of every arm; the second fold would take as long again."""
    directory = tmp_path_factory.mktemp("paper")
    files = [CONFIGS / "paper.yaml", CONFIGS / "paper-smoke.yaml"]
    counts = [f"results/segmentation/{arm}/fold0/seed0/slices.csv" for arm in ARMS]
    run = snakemake(directory, "--cores", "2", "--configfile", *files, "--", *counts)
    assert run.returncode == 0, run.stdout
    return directory / "results"


def parameters(file: Path) -> int:
    return sum(value.size for value in load_file(file).values())


@pytest.mark.parametrize("arm", ARMS)
def test_every_pixel_of_the_test_slices_is_counted(results: Path, arm: str) -> None:
    with (results / f"segmentation/{arm}/fold0/seed0/slices.csv").open(newline="") as file:
        slices = list(csv.DictReader(file))
    assert len(slices) == 2
    for row in slices:
        assert sum(int(row[kind]) for kind in ("tp", "fp", "fn", "tn")) == 512 * 512
        assert int(row["tp"]) + int(row["fn"]) > 0


def test_the_models_are_the_papers(results: Path) -> None:
    for network in ("guider", "denoiser"):
        assert parameters(results / f"models/pig/fold0/{network}.safetensors") == 7_125_409
    for name in ("pig", "segguided", "ldm", "ldm_base"):
        model = json.loads((results / f"models/{name}/fold0/generator.json").read_text())["model"]
        assert model["prediction"] == "epsilon"
        assert model["schedule"]["timesteps"] == 1024
        assert model["network"]["channels"] == [32, 32, 64, 64, 128, 128]
        assert model["training"]["optimizer"] == "adam" and model["training"]["learning_rate"] == 2e-4
    control = json.loads((results / "models/controlnet/fold0/generator.json").read_text())["model"]
    assert control["training"]["learning_rate"] == 1e-5
    autoencoder = json.loads((results / "models/autoencoder/fold0/generator.json").read_text())["model"]
    assert autoencoder["kl_weight"] == 1e-6 and autoencoder["adversarial_weight"] == 0.5


@pytest.mark.parametrize(("name", "shards"), [("pig", 2), ("segguided", 1), ("ldm", 1), ("controlnet", 1)])
def test_pairs_are_drawn_at_the_papers_size(results: Path, name: str, shards: int) -> None:
    files = sorted((results / f"synthetic/{name}/fold0").glob("*.npz"))
    assert len(files) == shards
    for file in files:
        with np.load(file) as shard:
            images, masks = shard["images"], shard["masks"]
        assert images.shape == masks.shape == (1, 512, 512)
        assert images.dtype == np.uint16 and images.std() > 0
        assert set(np.unique(masks)) == {0, 1}
