"""`pig invert`, by the command line: masks of a store and predictions, back on the source's pixels."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from study_files import write_png, write_study

from pig.cli import main
from pig.data.images import read_mask
from pig.data.store import Store


def breast(shape: tuple[int, int], centre: tuple[int, int], right: bool) -> tuple[np.ndarray, np.ndarray]:
    """A breast with a round lesion at ``centre``; the chest wall is at one side."""
    height, width = shape
    y, x = np.mgrid[:height, :width]
    inside = ((x / (0.8 * width)) ** 2 + ((y - height / 2) / (0.4 * height)) ** 2) < 1
    image = np.where(inside, 9000 + 60 * x + 40 * y, 0).astype(np.uint16)
    mask = np.where((y - centre[0]) ** 2 + (x - centre[1]) ** 2 < 81, 255, 0).astype(np.uint8)
    return (image[:, ::-1].copy(), mask[:, ::-1].copy()) if right else (image, mask)


SOURCES = [breast((120, 90), (50, 25), False), breast((120, 90), (70, 40), True), breast((150, 100), (60, 30), True)]


@pytest.fixture(params=["stretch", "pad"])
def study(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A folder with a study of three sources, the last two mirrored, and its store."""
    manifest = write_study(tmp_path, ["a", "b", "c"])
    for number, (image, mask) in enumerate(SOURCES):
        write_png(tmp_path / f"images/{number}.png", image)
        write_png(tmp_path / f"masks/{number}.png", mask)
    settings = f'{{"size": 96, "aspect": "{request.param}", "anatomy": "breast"}}'
    store = str(tmp_path / "store")
    assert main(["preprocess", "--manifest", str(manifest), "--settings", settings, "--out", store]) == 0
    return tmp_path


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return float(2 * (a & b).sum() / (a.sum() + b.sum()))


def test_the_masks_of_a_store_come_back_to_their_sources(study: Path) -> None:
    assert main(["invert", "--store", str(study / "store"), "--out", str(study / "back")]) == 0
    table = pd.read_csv(study / "back/manifest.csv")
    assert table["patient_id"].tolist() == ["a", "b", "c"]
    assert table["image_path"].tolist() == [str(study / f"images/{n}.png") for n in range(3)]
    for name, (_, mask) in zip(table["mask_path"], SOURCES, strict=True):
        back = read_mask(study / "back" / name)
        assert back.shape == mask.shape
        assert dice(back, (mask > 0).astype(np.uint8)) > 0.95
    with Image.open(study / "back/000000.png") as file:
        assert set(np.unique(np.asarray(file))) == {0, 255}


def test_predictions_of_any_size_come_back(study: Path) -> None:
    """As nnU-Net leaves them, 0 and 1 under the names of `pig export`, and at half the size of the store."""
    store = Store.open(study / "store")
    write_png(study / "predicted/real_000001.png", store.masks[1])
    write_png(study / "predicted/2.png", np.ascontiguousarray(store.masks[2][::2, ::2]))
    out = study / "back"
    assert main(["invert", "--store", str(store.path), "--masks", str(study / "predicted"), "--out", str(out)]) == 0
    table = pd.read_csv(out / "manifest.csv")
    assert table["row"].tolist() == [1, 2]
    for row, name in zip(table["row"], table["mask_path"], strict=True):
        assert dice(read_mask(out / name), (SOURCES[row][1] > 0).astype(np.uint8)) > 0.9


def test_what_is_no_prediction_is_listed_at_once(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = Store.open(study / "store")
    command = ["invert", "--store", str(store.path), "--masks", str(study / "predicted"), "--out", str(study / "back")]
    assert main(command) == 2
    assert "does not exist" in capsys.readouterr().err
    (study / "predicted").mkdir()
    assert main(command) == 2
    assert "holds no masks named by rows" in capsys.readouterr().err
    write_png(study / "predicted/000001.png", store.masks[1])
    write_png(study / "predicted/real_000001.png", store.masks[1])
    write_png(study / "predicted/000003.png", store.masks[1])
    write_png(study / "predicted/pig_f0_000000.png", store.masks[1])
    write_png(study / "predicted/000000.png", store.masks[1][1:])
    (study / "predicted/000002.png").write_bytes(b"no picture")
    assert main(command) == 2
    said = capsys.readouterr().err
    assert "has 5 faults" in said
    for sentence in (
        "real_000001.png names no row", "000003.png names no row of the store (0 to 2)", "pig_f0_000000.png names no",
        "000000.png is 96 x 95 pixels, not a square", "000002.png cannot be read",
    ):  # fmt: skip
        assert sentence in said
    assert not (study / "back").exists()


def test_a_store_without_geometry_has_no_way_back(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = pd.read_csv(study / "store/manifest.csv").drop(columns="crop_h")
    table.to_csv(study / "store/manifest.csv", index=False)
    description = json.loads((study / "store/store.json").read_text())
    description["manifest"] = hashlib.sha256((study / "store/manifest.csv").read_bytes()).hexdigest()
    (study / "store/store.json").write_text(json.dumps(description))
    assert main(["invert", "--store", str(study / "store"), "--out", str(study / "back")]) == 2
    assert "lacks the column crop_h" in capsys.readouterr().err
