"""Paths that a data set names stay within it."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pig.data.manifest import read_manifest
from pig.data.readers import import_data
from pig.system.errors import UserError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data set beside a file that is none of its business."""
    folder = tmp_path / "data"
    folder.mkdir()
    for path in (tmp_path / "secret.png", folder / "image.png", folder / "mask.png"):
        Image.fromarray(np.eye(8, dtype=np.uint8) * 255).save(path)
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    (folder / "up").symlink_to(tmp_path)
    (folder / "own.png").symlink_to("image.png")
    return folder


def manifest(folder: Path, image: str, mask: str = "mask.png") -> Path:
    path = folder / "manifest.csv"
    pd.DataFrame({"image_path": [image], "mask_path": [mask], "patient_id": ["p"]}).to_csv(path, index=False)
    return path


ESCAPES = ["../secret.png", "up/secret.png", "link.png", "x/../../secret.png", "./.././secret.png"]


@pytest.mark.parametrize("path", ESCAPES)
@pytest.mark.parametrize("column", ["image_path", "mask_path"])
def test_a_manifests_relative_path_stays_in_its_folder(folder: Path, path: str, column: str) -> None:
    names = {"image": "image.png", "mask": "mask.png", column.removesuffix("_path"): path}
    with pytest.raises(UserError, match=f"row 2: {column} {path} leaves the manifest's folder"):
        read_manifest(manifest(folder, **names))


def test_links_within_and_whole_paths_are_read(folder: Path, tmp_path: Path) -> None:
    assert read_manifest(manifest(folder, "own.png"))["image_path"][0] == str(folder / "own.png")
    secret = str(tmp_path / "secret.png")
    assert read_manifest(manifest(folder, secret))["image_path"][0] == secret
    # The folder itself may be reached through a link.
    (tmp_path / "alias").symlink_to(folder)
    assert len(read_manifest(manifest(tmp_path / "alias", "image.png"))) == 1


@pytest.mark.parametrize("path", [*ESCAPES, "/etc/hostname", "ABSOLUTE"])
def test_a_coco_set_names_files_of_its_own(folder: Path, tmp_path: Path, path: str) -> None:
    path = path.replace("ABSOLUTE", str(tmp_path / "secret.png"))
    box = [1, 1, 5, 1, 5, 5, 1, 5]
    annotations = {
        "images": [{"id": 1, "file_name": path, "width": 8, "height": 8}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "segmentation": [box], "iscrowd": 0}],
        "categories": [{"id": 1, "name": "mass"}],
    }
    (folder / "coco.json").write_text(json.dumps(annotations))
    settings = {"annotations": "coco.json", "patient": "^(.+)$", "images": "."}
    with pytest.raises(UserError, match="leaves the folder"):
        import_data("coco", folder, settings, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    (folder / "coco.json").write_text(json.dumps(annotations).replace(json.dumps(path), '"image.png"'))
    assert import_data("coco", folder, settings, tmp_path / "out").is_file()
