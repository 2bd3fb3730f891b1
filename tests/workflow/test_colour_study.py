"""The tiny study on pictures with colours, really run: every method draws three channels, and all steps read them."""

import json
from pathlib import Path

import numpy as np
from PIL import Image
from study_files import write_png
from study_runs import overlay, snakemake

from pig.cli import main
from pig.data.shards import read_shards
from pig.data.store import Store
from pig.evaluation.segmenter import load_segmenter

SIZE = 64


def write_discs(root: Path) -> None:
    """Painted discs, each image of its own hue: 8 patients with 3 images, in two folders."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:SIZE, :SIZE]
    for patient in range(8):
        for number in range(3):
            row, column = rng.uniform(20, 44, 2)
            mask = (y - row) ** 2 + (x - column) ** 2 < 150
            ground, disc = np.array([120, 60, 30]), rng.integers(130, 255, 3)
            picture = np.where(mask[..., None], disc, ground) + rng.integers(0, 20, (SIZE, SIZE, 1))
            write_png(root / f"images/p{patient}_{number}.png", picture.clip(0, 255).astype(np.uint8))
            write_png(root / f"masks/p{patient}_{number}.png", np.uint8(255) * mask)


def test_a_study_in_colour(tmp_path: Path) -> None:
    write_discs(tmp_path / "discs")
    words = overlay(
        tmp_path,
        "colour",
        dataset={"name": "Discs", "import": {"from": "folders", "root": "discs", "patient": "^(p[0-9]+)_"}},
        preprocessing={"window": "full", "colour": "keep"},
    )
    arm = "results/segmentation/pig_8/fold0/seed0"
    made = ["results/table1.csv", f"{arm}/record.json", "results/figures/gallery_pig.png"]
    run = snakemake(tmp_path, "--cores", "2", *words, *made)
    assert run.returncode == 0, run.stdout
    results = tmp_path / "results"
    store = Store.open(results / "data/store")
    assert store.images.shape == (24, 3, 32, 32)
    first = np.asarray(Image.open(tmp_path / "discs/images/p0_0.png"))
    means = first.reshape(32, 2, 32, 2, 3).mean((1, 3))
    assert (store.images[0] == np.rint(np.moveaxis(means, 2, 0) * 257)).all()

    drawn = ["ddpm", "ddim", "pig", "ldm", "segguided", "controlnet"]
    for name in drawn:
        shards = sorted((results / "synthetic" / name / "fold0").glob("*.npz"))
        assert read_shards(shards).images.shape[1:] == (3, 32, 32), name
        assert np.isfinite(float(json.loads((results / f"fid/{name}/fold0.json").read_text())["fid"]))
    network, _, record = load_segmenter(tmp_path / arm)
    assert (record["image_channels"], network.encoder.conv1.weight.shape[1]) == (3, 3)
    model = json.loads((results / "models/controlnet/fold0/generator.json").read_text())
    assert (model["image_channels"], "image_channels" in model["model"]) == (3, False)

    picture = np.asarray(Image.open(results / "figures/gallery_pig.png").convert("RGB")).astype(int)
    assert (np.ptp(picture, axis=2) > 40).mean() > 0.05  # colours, and not the yellow outlines alone

    new = write_png(tmp_path / "new/x.png", first[:50])
    words = ["--model", str(tmp_path / arm), "--images", str(new.parent), "--out", str(tmp_path / "p")]
    assert main(["predict", *words]) == 0
    assert np.asarray(Image.open(tmp_path / "p/x.png")).shape == (50, 64)

    out = tmp_path / "exported"
    shards = [str(path) for path in sorted((results / "synthetic/pig/fold0").glob("*.npz"))]
    assert main(["export", "--format", "png", "--synthetic", *shards, "--count", "3", "--out", str(out)]) == 0
    exported = np.asarray(Image.open(out / "images/pig_f0_000001.png"))
    assert (exported == np.rint(np.moveaxis(read_shards(shards).images[1], 0, 2) / 257)).all()
