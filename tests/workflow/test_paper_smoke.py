"""The paper's settings, really run, for a step or two: 512 x 512 pixels, its networks, epsilon."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from study_runs import ROOT, plan, snakemake

CONFIGS = [ROOT / "workflow" / "configs" / name for name in ("paper.yaml", "paper-smoke.yaml")]
TABLE2 = "results/table2.csv"


@pytest.fixture(scope="module")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the finished run."""
    folder = tmp_path_factory.mktemp("paper smoke")
    run = snakemake(folder, "--cores", "2", "--configfile", *CONFIGS, "--", TABLE2)
    assert run.returncode == 0, run.stdout
    return folder / "results"


def parameters(weights: Path) -> int:
    with safe_open(weights, framework="np") as file:
        return sum(int(np.prod(file.get_slice(key).get_shape())) for key in file.keys())  # noqa: SIM118


def test_the_networks_and_settings_are_the_papers(smoke: Path) -> None:
    for name in ("guider", "denoiser"):
        assert parameters(smoke / "models/pig/fold0" / f"{name}.safetensors") == 7_125_409
    description = json.loads((smoke / "models/pig/fold0/generator.json").read_text())
    model = description["model"]
    assert (model["prediction"], model["image_size"], model["schedule"]["timesteps"]) == ("epsilon", 512, 1024)
    assert model["schedule"]["kind"] == "linear"
    assert (model["training"]["optimizer"], model["training"]["steps"]) == ("adam", 1)


def test_pairs_have_512_pixels_a_side(smoke: Path) -> None:
    for name in ("pig", "segguided"):
        for fold in (0, 1):
            with np.load(smoke / f"synthetic/{name}/fold{fold}/shard0.npz", allow_pickle=False) as shard:
                assert shard["images"].shape == shard["masks"].shape == (2, 512, 512)
                assert shard["images"].dtype == np.uint16
                assert shard["images"].std() > 0
                assert set(np.unique(shard["masks"])) <= {0, 1}


def test_table_2_has_its_rows(smoke: Path) -> None:
    with (smoke / "table2.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert [row[0] for row in rows[1:]] == ["Smoke", "+SegGuidedDif_2", "+PIG_2"]
    for row in rows[1:]:
        assert 0 <= float(row[1]) <= 100


def test_the_latent_methods_are_planned(tmp_path: Path) -> None:
    """They are not run: a step of their autoencoder is too heavy without a GPU."""
    result = plan(tmp_path, "--configfile", *CONFIGS, "--", "results/models/controlnet/fold0")
    assert result.counts["fit"] == 3  # with the autoencoder and the base
    assert '"channels": [128, 256, 512]' in result.text
