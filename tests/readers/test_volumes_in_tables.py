"""NIfTI files that a table names: each is one volume, as in any other layout; and what a manifest cannot name."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from any_data import save_nifti
from dicom_files import write_dicom
from study_files import lesion, ramp, write_png

from pig.data.manifest import read_manifest
from pig.data.preprocess import build_store
from pig.data.readers import import_data
from pig.data.settings import PreprocessSettings
from pig.system.errors import UserError

COLUMNS = ["image_path", "mask_path", "patient_id"]


def write_volume(root: Path, name: str, patient: str = "p1") -> tuple[str, str, str]:
    """A volume whose slices become brighter upwards, and fill more of the picture, with a lesion in each."""
    voxels = np.zeros((10, 12, 4), np.uint8)
    for z in range(4):
        voxels[1 : 6 + z, 1 : 8 + z, z] = 20 + 50 * z + np.arange(7 + z)
    mask = np.zeros_like(voxels)
    mask[2:5, 3:6] = 1
    save_nifti(root / f"images/{name}.nii.gz", voxels, "RAS")
    save_nifti(root / f"masks/{name}.nii.gz", mask, "LPS")
    return f"images/{name}.nii.gz", f"masks/{name}.nii.gz", patient


def write_table(root: Path, rows: list[tuple[str, ...]], **columns: list[object]) -> Path:
    pd.DataFrame(rows, columns=COLUMNS).assign(**columns).to_csv(root / "t.csv", index=False)
    return root / "t.csv"


def test_a_volume_of_a_table_is_prepared_as_one_of_two_folders(tmp_path: Path) -> None:
    path = write_table(tmp_path / "in", [write_volume(tmp_path / "in", "p1_a")])
    stores = []
    for source, root, settings in (("folders", tmp_path / "in", {"patient": "(p1)"}), ("manifest", path, {})):
        manifest = import_data(source, root, settings, tmp_path / source)
        assert read_manifest(manifest)["volume_id"].nunique(dropna=False) == 1
        stores.append(build_store(manifest, PreprocessSettings(16), tmp_path / f"store {source}"))
    assert len(stores[0].images) == 4
    assert (stores[0].images == stores[1].images).all() and (stores[0].masks == stores[1].masks).all()
    assert stores[1].manifest["crop_h"].tolist() == [10] * 4  # one box, that of the last slice
    assert (np.diff(stores[1].images.max((1, 2)).astype(int)) > 5000).all()  # one window: they become brighter


@pytest.mark.parametrize("salt", [None, b"0" * 32])
def test_each_file_is_a_volume_of_its_own_and_a_given_name_stays(tmp_path: Path, salt: bytes | None) -> None:
    rows = [write_volume(tmp_path, name) for name in ("a", "b", "c")]
    write_png(tmp_path / "d.png", ramp())
    write_png(tmp_path / "dm.png", lesion())
    path = write_table(tmp_path, [*rows, ("d.png", "dm.png", "p2")], volume_id=[None, "left", None, None])
    table = read_manifest(import_data("manifest", path, {}, tmp_path / "out", salt=salt))
    names = table["volume_id"].tolist()
    if salt is None:
        assert names[:12] == ["images/a.nii.gz"] * 4 + ["left"] * 4 + ["images/c.nii.gz"] * 4
    assert [len({*names[start : start + 4]}) for start in (0, 4, 8)] == [1, 1, 1]
    assert len({*names[:12]}) == 3
    assert pd.isna(names[12])
    assert salt is None or not any("nii" in name for name in names[:12])


@pytest.mark.parametrize("layout", ["folders", "manifest"])
def test_a_volume_with_a_flat_mask_is_refused_and_the_reverse(tmp_path: Path, layout: str) -> None:
    image, mask, _ = write_volume(tmp_path / "in", "p1_a")
    write_png(tmp_path / "in/images/p1_b.png", ramp())
    (tmp_path / "in" / mask).rename(tmp_path / "in/masks/p1_b.nii.gz")
    write_png(tmp_path / "in/masks/p1_a.png", lesion())
    rows = [(image, "masks/p1_a.png", "p1"), ("images/p1_b.png", "masks/p1_b.nii.gz", "p1")]
    path = write_table(tmp_path / "in", rows)
    root, settings = (path, {}) if layout == "manifest" else (tmp_path / "in", {"patient": "(p1)"})
    with pytest.raises(UserError) as caught:
        import_data(layout, root, settings, tmp_path / "out")
    said = str(caught.value)
    assert "has 2 errors" in said
    for pair in ("images/p1_a.nii.gz and {}/masks/p1_a.png", "images/p1_b.png and {}/masks/p1_b.nii.gz"):
        assert f"{pair.format(tmp_path / 'in')} are not both volumes" in said


def test_a_manifest_that_names_volumes_says_how_to_import_them(tmp_path: Path) -> None:
    nifti = write_volume(tmp_path, "a")
    for name in ("b.dcm", "c"):
        write_dicom(tmp_path / name, ramp())
    write_png(tmp_path / "m.png", lesion())
    (tmp_path / "cut.png").write_bytes((tmp_path / "m.png").read_bytes()[:60])
    rows = [nifti, ("b.dcm", "m.png", "p2"), ("c", "m.png", "p3"), ("cut.png", "m.png", "p4")]
    with pytest.raises(UserError) as caught:
        build_store(write_table(tmp_path, rows), PreprocessSettings(16), tmp_path / "store")
    lines = str(caught.value).splitlines()[1:]
    fix = "in place of dataset.manifest give dataset.import: {from: manifest, root: the same table}"
    for kind, name in (("NIfTI", "images/a.nii.gz"), ("NIfTI", "masks/a.nii.gz"), ("DICOM", "b.dcm"), ("DICOM", "c")):
        assert [f"{tmp_path / name} is {kind}, " in line and fix in line for line in lines].count(True) == 1
    assert sum("cut.png cannot be read" in line and "cut short" in line for line in lines) == 1
    assert len(lines) == 5
