"""Names that a shell would run as commands, through the whole workflow: data, labels, paths, the working directory."""

import csv
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from PIL import Image
from small_study import CONFIGS, TABLES, run

EVIL = "a b; touch OWNED1 $(touch OWNED2) `touch OWNED3` 'q' \"d\" && touch OWNED4 > OWNED5 $( %s * \\ é"
BRACES = f"{EVIL} {{fold}} {{input}}"  # not in the path of a manifest, which is refused


def write_data(folder: Path, patients: list[str], slices: int = 3) -> Path:
    """Write images with one bright square each, and a manifest; all names are as bad as a file system lets them be."""
    rng = np.random.default_rng(0)
    rows = []
    for i, patient in enumerate(patients):
        for j in range(slices):
            image, mask = rng.integers(1, 200, (40, 40)).astype(np.uint8), np.zeros((40, 40), np.uint8)
            at = slice(8 + 4 * j, 20 + 4 * j)
            image[at, at], mask[at, at] = 250, 255
            names = [f"{BRACES} {i} {j} {kind}.png" for kind in ("image", "mask")]
            for name, pixels in zip(names, (image, mask), strict=True):
                Image.fromarray(pixels).save(folder / name)
            rows.append((*names, patient))
    manifest = folder / f"-{EVIL}.csv"
    pd.DataFrame(rows, columns=["image_path", "mask_path", "patient_id"]).to_csv(manifest, index=False)
    return manifest


def test_nothing_in_a_name_is_executed(tmp_path: Path) -> None:
    directory = tmp_path / f"-{BRACES}"
    data = directory / f"data {EVIL}"
    data.mkdir(parents=True)
    patients = [f"{BRACES} {i}" for i in range(3)] + ["-x", "=cmd()", "P,\n4"]
    manifest = write_data(data, patients)
    study = directory / f"study {BRACES}.yaml"
    sections = {
        "dataset": {"name": f"-{BRACES}=1", "manifest": str(manifest.relative_to(directory))},
        "generators": {"pig": {"label": f"--out={BRACES}"}},
    }
    study.write_text(yaml.safe_dump(sections))
    before = {path for path in tmp_path.rglob("*") if "results" not in path.parts}

    targets = ["results/figures/gallery_pig.png", "results/figures/strip_pig.png", *TABLES]
    status, said = run(directory, "--", *targets, configs=[*CONFIGS, str(study)])
    assert status == 0, said

    made = {path for path in tmp_path.rglob("*") if not {"results", ".snakemake"} & {*path.parts}} - before
    assert made == {directory / "out.txt"}
    assert not list(tmp_path.rglob("OWNED?")) and not list(Path.cwd().glob("OWNED?"))
    for path, labels in ((TABLES[0], [f"--out={BRACES}"]), (TABLES[1], [f"-{BRACES}=1", f"+--out={BRACES}_16"])):
        with (directory / path).open(newline="") as file:
            assert [row[0] for row in csv.reader(file)][1:] == labels
    slices = pd.concat(pd.read_csv(file, dtype=str) for file in directory.glob("results/segmentation/real/*/*/*.csv"))
    assert set(slices["patient_id"]) == set(patients)
    assert (directory / targets[0]).stat().st_size > 0
