"""Slices of one DICOM series, a file each, are one volume: they are cut and stretched alike."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from dicom_files import UID, write_dicom
from study_files import write_png

from pig.data.manifest import read_manifest
from pig.data.preprocess import build_store
from pig.data.readers import find_images, import_data
from pig.data.settings import PreprocessSettings

DIRECTION = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]
FOLDERS = {"patient": "^(p[0-9])_"}
SLICES = 3


def write_series(root: Path, **of_last: object) -> Path:
    """Two patients with a series each; all slices have the same block, the first a bright spot that others lack."""
    rows = []
    for patient in (1, 2):
        for number in range(SLICES):
            name, size = f"p{patient}_{number}", 40 if number == SLICES - 1 and "Rows" in of_last else 32
            pixels = np.full((size, size), 100, np.uint16)
            pixels[4:12, 4:12] = 400
            pixels[20:28, 20:28] = 3000 if number == 0 else 900
            place = {"ImagePositionPatient": [0.0, 0.0, 3.0 * number], "ImageOrientationPatient": DIRECTION}
            more = {key: value for key, value in of_last.items() if key != "Rows"} if number == SLICES - 1 else {}
            series = {"SeriesInstanceUID": f"{UID}.{patient}"}
            write_dicom(root / f"images/{name}.dcm", pixels, BitsStored=12, HighBit=11, **place | series | more)
            mask = np.zeros((size, size), np.uint8)
            mask[4:12, 4:12] = 255
            write_png(root / f"masks/{name}.png", mask)
            rows.append((f"images/{name}.dcm", f"masks/{name}.png", f"p{patient}"))
    columns = ["image_path", "mask_path", "patient_id"]
    pd.DataFrame(rows, columns=columns).to_csv(root / "t.csv", index=False)
    return root


@pytest.mark.parametrize(("source", "place", "settings"), [("folders", "in", FOLDERS), ("manifest", "in/t.csv", {})])
def test_the_slices_of_a_series_compare(tmp_path: Path, source: str, place: str, settings: dict[str, str]) -> None:
    write_series(tmp_path / "in")
    manifest = import_data(source, tmp_path / place, settings, tmp_path / "out")
    table = read_manifest(manifest)
    assert table.groupby("patient_id").volume_id.nunique().tolist() == [1, 1]
    assert table.volume_id.nunique() == 2
    assert UID not in manifest.read_text()
    store = build_store(manifest, PreprocessSettings(32), tmp_path / "store")
    blocks = store.images[:, 6:10, 6:10].reshape(2 * SLICES, -1)
    assert len(np.unique(blocks)) == 1  # the same tissue has the same grey value in all slices of both
    spots = store.images[:, 24, 24].reshape(2, SLICES)
    assert (spots[:, 0] > spots[:, 1]).all() and (spots[:, 1] == spots[:, 2]).all()


def test_a_volume_id_of_the_table_goes_before_the_series(tmp_path: Path) -> None:
    root = write_series(tmp_path / "in")
    pd.read_csv(root / "t.csv").assign(volume_id=[*"ab", "", *"cde"]).to_csv(root / "t.csv", index=False)
    table = read_manifest(import_data("manifest", root / "t.csv", {}, tmp_path / "out"))
    assert table.volume_id.tolist()[:2] == ["a", "b"] and len(table.volume_id[2]) == 16


@pytest.mark.parametrize(
    "of_last",
    [
        {"SeriesInstanceUID": f"{UID}.9"},
        {"ImageOrientationPatient": [1.0, 0.0, 0.0, 0.0, 0.0, -1.0]},  # a localiser
        {"WindowCenter": 500, "WindowWidth": 900},  # greys that do not compare
        {"RescaleSlope": 2},
        {"Rows": 40},
    ],
)
def test_what_does_not_compare_is_a_volume_of_its_own(tmp_path: Path, of_last: dict[str, object]) -> None:
    write_series(tmp_path / "in", **of_last)
    table = read_manifest(import_data("folders", tmp_path / "in", FOLDERS, tmp_path / "out"))
    for patient in ("p1", "p2"):
        names = table.volume_id[table.patient_id == patient].tolist()
        assert names[0] == names[1] != names[2]


def test_an_image_without_a_place_in_space_is_a_volume_of_its_own(tmp_path: Path) -> None:
    """As mammograms are, of which all views may be one series."""
    write_series(tmp_path / "in", ImagePositionPatient=None)
    table = read_manifest(import_data("folders", tmp_path / "in", FOLDERS, tmp_path / "out"))
    assert table.volume_id.isna().tolist() == [False, False, True] * 2


@pytest.mark.parametrize("place", ["in/images", "in/t.csv"])
def test_new_slices_are_prepared_together_as_those_that_were_learnt_from(tmp_path: Path, place: str) -> None:
    write_series(tmp_path / "in")
    found = find_images(tmp_path / place)
    assert [[file.name[:2] for file in volume] for volume in found] == [["p1"] * SLICES, ["p2"] * SLICES]
    assert not any(file.alone for volume in found for file in volume)
