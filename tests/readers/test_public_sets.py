import math
import plistlib
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from dicom_files import NAME, UID, item, write_dicom

from pig.data.images import read_grey, read_mask
from pig.data.manifest import read_manifest
from pig.data.preprocess import build_store
from pig.data.readers import import_data
from pig.data.readers.bcs_dbt import Box, ellipse
from pig.data.readers.inbreast import draw
from pig.data.settings import PreprocessSettings
from pig.system.errors import UserError

# --- BCS-DBT -------------------------------------------------------------------------------------------------------

BOX = {"Subject": 1, "Slice": 3, "X": 2, "Y": 6, "Width": 10, "Height": 10, "Class": "cancer", "AD": 0,
       "VolumeSlices": 8}  # fmt: skip


def upright(right: bool) -> np.ndarray:
    """A volume [8, 30, 24] with the breast at one side, brighter below than above."""
    volume = np.zeros((8, 30, 24), np.uint16)
    volume[:, 4:26, :18] = 300 + 20 * np.arange(22)[None, :, None] + 5 * np.arange(8)[:, None, None]
    return volume[:, :, ::-1] if right else volume


def write_bcs_dbt(
    root: Path, views: dict[str, bool], boxes: list[dict], inverted: bool = False, slice_mm: float = 1.0
) -> None:
    """``views``: view and whether its file is upside down; on the disk are "-NA" that the table lacks."""
    paths = []
    measures = item(PixelSpacing=[0.5, 0.5], SliceThickness=slice_mm)
    for number, (view, turned) in enumerate(views.items()):
        volume = 1023 - upright(view[0] == "r") if inverted else upright(view[0] == "r")
        folder = f"Breast-Cancer-Screening-DBT/DBT-P00001/01-01-2000-DBT-S1-MAMMO-5/{number}.000000{{}}-17"
        write_dicom(
            root / folder.format("-NA") / "1-1.dcm",
            volume[:, ::-1, ::-1] if turned else volume,
            PhotometricInterpretation="MONOCHROME1" if inverted else "MONOCHROME2",
            SharedFunctionalGroupsSequence=item(
                PixelMeasuresSequence=measures,
                FrameVOILUTSequence=item(WindowCenter=512, WindowWidth=1025),
            ),
        )
        key = {"PatientID": "DBT-P00001", "StudyUID": "DBT-S1", "View": view}
        classic = f"Breast-Cancer-Screening-DBT/DBT-P00001/{UID}.1/{UID}.{number}/000000.dcm"
        paths.append({**key, "descriptive_path": folder.format("") + "/1-1.dcm", "classic_path": classic})
    pd.DataFrame(paths).to_csv(root / "BCS-DBT file-paths-train-v2.csv", index=False)
    rows = [{"PatientID": "DBT-P00001", "StudyUID": "DBT-S1", **BOX, **box} for box in boxes]
    pd.DataFrame(rows).to_csv(root / "BCS-DBT boxes-train-v2.csv", index=False)


@pytest.mark.parametrize("inverted", [False, True])
def test_bcs_dbt(tmp_path: Path, inverted: bool) -> None:
    root = tmp_path / "ein Ordner, größer"
    views = {"lcc": False, "rmlo2": True, "rcc": False}
    boxes = [{"View": "lcc"}, {"View": "rmlo2", "X": 12}, {"View": "rcc", "AD": 1}]
    write_bcs_dbt(root, views, boxes, inverted)
    manifest = import_data("bcs-dbt", root, {}, tmp_path / "out")
    table = read_manifest(manifest)
    # 0.8 / 2 of 10 pixels of 0.5 mm: two slices to each side; the box of the architectural distortion is not taken.
    assert table["slice_index"].tolist() == [1, 2, 3, 4, 5] * 2
    assert table["patient_id"].unique().tolist() == ["DBT-P00001"]
    assert table["view"].tolist() == ["CC"] * 5 + ["MLO"] * 5
    assert table["laterality"].tolist() == ["L"] * 5 + ["R"] * 5
    assert table["turned"].tolist() == [0] * 5 + [1] * 5
    assert set(table["mask_source"]) == {"box_ellipse"}
    assert table["volume_id"].nunique() == 2
    for row, right in ((0, False), (5, True)):
        expected = np.rint((upright(right)[1] - 511.5) / 1024 * 65535 + 32767.5)
        assert (read_grey(table["image_path"][row]) == expected).all()
        mask = read_mask(table["mask_path"][row])
        assert (mask == ellipse(Box(3, 12 if right else 2, 6, 10, 10), mask.shape)).all()
    store = build_store(manifest, PreprocessSettings(16, "pad", anatomy="breast"), tmp_path / "store")
    assert store.manifest["flip"].tolist() == [0] * 5 + [1] * 5
    assert (store.images[:, 8, 0] > 0).all()
    assert (store.masks[0] == store.masks[5]).mean() > 0.95


def test_a_box_reaches_the_slices_around_its_own_alone(tmp_path: Path) -> None:
    """Two to each side, as above."""
    write_bcs_dbt(tmp_path / "in", {"lcc": False}, [{"View": "lcc", "Slice": 1}, {"View": "lcc", "Slice": 6, "Y": 16}])
    table = read_manifest(import_data("bcs-dbt", tmp_path / "in", {}, tmp_path / "out"))
    assert table["slice_index"].tolist() == [*range(8)]
    for index, path in enumerate(table["mask_path"]):
        box = Box(1, 2, 6, 10, 10) if index < 4 else Box(6, 2, 16, 10, 10)
        assert (read_mask(path) == ellipse(box, (30, 24))).all()


def test_of_thicker_slices_a_box_reaches_fewer(tmp_path: Path) -> None:
    """Its reach is 2 mm to each side, as above."""
    write_bcs_dbt(tmp_path / "in", {"lcc": False}, [{"View": "lcc"}], slice_mm=2.0)
    table = read_manifest(import_data("bcs-dbt", tmp_path / "in", {}, tmp_path / "out"))
    assert table["slice_index"].tolist() == [2, 3, 4]


def test_a_view_of_two_studies_is_two_volumes(tmp_path: Path) -> None:
    write_bcs_dbt(tmp_path / "in", {"lcc": False, "lcc2": False}, [{"View": "lcc"}, {"View": "lcc2"}])
    for path in (tmp_path / "in").glob("*.csv"):
        pd.read_csv(path).assign(View="lcc", StudyUID=["DBT-S1", "DBT-S2"]).to_csv(path, index=False)
    table = read_manifest(import_data("bcs-dbt", tmp_path / "in", {}, tmp_path / "out"))
    assert table.groupby("volume_id")["slice_index"].agg(list).tolist() == [[1, 2, 3, 4, 5]] * 2


@pytest.mark.parametrize("write", [int, float, bool, str, lambda value: str(bool(value)).upper()])
def test_architectural_distortions_are_told_however_they_are_written(tmp_path: Path, write: Callable) -> None:
    write_bcs_dbt(tmp_path / "in", {"lcc": False, "rcc": False}, [{"View": "lcc"}, {"View": "rcc", "AD": 1}])
    path = next((tmp_path / "in").glob("*boxes*"))
    table = pd.read_csv(path)
    table.assign(AD=[write(value) for value in table["AD"]]).to_csv(path, index=False)
    for both, sides in ((False, ["L"]), (True, ["L", "R"])):
        settings = {"architectural_distortion": both}
        found = read_manifest(import_data("bcs-dbt", tmp_path / "in", settings, tmp_path / "out"))
        assert found["laterality"].unique().tolist() == sides


def test_a_box_that_may_be_of_a_distortion_is_refused(tmp_path: Path) -> None:
    """The empty cell makes numbers with a point of the others."""
    boxes = [{"View": "lcc"}, {"View": "rcc", "AD": 1}, {"View": "lmlo", "AD": None}]
    write_bcs_dbt(tmp_path / "in", {"lcc": False, "rcc": False, "lmlo": False}, boxes)
    with pytest.raises(UserError, match="has 1 error; .*\n.*DBT-P00001 lmlo: AD is nan, and must be whole numbers"):
        import_data("bcs-dbt", tmp_path / "in", {}, tmp_path / "out")
    table = read_manifest(import_data("bcs-dbt", tmp_path / "in", {"faults": "skip"}, tmp_path / "out"))
    assert table["laterality"].unique().tolist() == ["L"]


def test_an_ellipse_has_its_area() -> None:
    mask = ellipse(Box(0, 20, 30, 100, 60), (200, 300))
    assert mask.sum() == pytest.approx(math.pi * 40 * 24, rel=0.01)
    y, x = np.nonzero(mask)
    assert (y.mean() + 0.5, x.mean() + 0.5) == pytest.approx((60, 70))


def test_what_is_wrong_with_bcs_dbt_is_listed_at_once(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"has no \*file-paths\*\.csv"):
        import_data("bcs-dbt", tmp_path, {}, tmp_path / "out")
    write_bcs_dbt(tmp_path, {"lcc": False}, [{"View": "lmlo"}, {"View": "rcc"}])
    with pytest.raises(UserError) as caught:
        import_data("bcs-dbt", tmp_path, {}, tmp_path / "out")
    assert len(str(caught.value).splitlines()) == 3
    write_bcs_dbt(
        tmp_path, {"lcc": False, "rcc": False}, [{"View": "lcc", "X": 20}, {"View": "rcc", "VolumeSlices": 9}]
    )
    with pytest.raises(UserError) as caught:
        import_data("bcs-dbt", tmp_path, {}, tmp_path / "out")
    assert "DBT-P00001 lcc: (3, 20, 6, 10, 10) is not within" in str(caught.value)
    assert "DBT-P00001 rcc: " in str(caught.value)
    assert "has 8 slices, the table of boxes says 9" in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_a_path_that_leaves_the_data(tmp_path: Path) -> None:
    write_bcs_dbt(tmp_path, {"lcc": False}, [{"View": "lcc"}])
    table = tmp_path / "BCS-DBT file-paths-train-v2.csv"
    table.write_text(table.read_text().replace("Breast-Cancer", "../Breast-Cancer"))
    with pytest.raises(UserError, match="leaves the folder"):
        import_data("bcs-dbt", tmp_path, {}, tmp_path / "out")


def test_no_name_or_uid_is_carried_on(tmp_path: Path) -> None:
    write_bcs_dbt(tmp_path / "in", {"lcc": False}, [{"View": "lcc"}])
    import_data("bcs-dbt", tmp_path / "in", {}, tmp_path / "out")
    for path in (tmp_path / "out").rglob("*"):
        for secret in (NAME, UID, "secret-id"):
            assert path.is_dir() or secret.encode() not in path.read_bytes()
            assert secret not in path.name


def test_the_phantom_in_the_same_layout(tmp_path: Path) -> None:
    from pig.data.phantom.dicom import write_dicom as write_phantom
    from pig.data.phantom.settings import PhantomSettings

    write_phantom(tmp_path / "in", PhantomSettings(patients=1, seed=1, views=("CC",), spacing_mm=2.0))
    table = read_manifest(import_data("bcs-dbt", tmp_path / "in" / "dicom", {}, tmp_path / "out"))
    assert len(table)
    assert set(table["patient_id"]) == {"DBT-P00001"}
    assert set(table["view"]) == {"CC"}


# --- CBIS-DDSM -----------------------------------------------------------------------------------------------------


def film() -> np.ndarray:
    return np.random.default_rng(0).integers(1, 60000, (40, 30), np.uint16)


def spot(y: int, x: int, shape: tuple[int, int] = (40, 30)) -> np.ndarray:
    mask = np.zeros(shape, np.uint8)
    mask[y : y + 5, x : x + 5] = 255
    return mask


def write_cbis(root: Path, swapped: bool = False, mask: np.ndarray | None = None) -> None:
    name = "Mass-Training_P_00001_LEFT_CC"
    write_dicom(root / "CBIS-DDSM" / name / "07-20-2016-DDSM-NA-1/1.000000-full-2/1-1.dcm", film())
    crop = np.random.default_rng(1).integers(1, 60000, (9, 9), np.uint16)
    for lesion, pixels in (("1", spot(5, 5) if mask is None else mask), ("2", spot(20, 10))):
        folder = root / "CBIS-DDSM" / f"{name}_{lesion}" / "07-21-2016-DDSM-NA-1/1.000000-ROI-3"
        first, second = (pixels, crop) if swapped else (crop, pixels)
        write_dicom(folder / "1-1.dcm", first)
        write_dicom(folder / "1-2.dcm", second)
    rows = [
        {
            "patient_id": "P_00001", "breast_density": 3, "left or right breast": "LEFT", "image view": "CC",
            "abnormality id": lesion, "abnormality type": "mass", "mass shape": shape, "mass margins": "OBSCURED",
            "pathology": "BENIGN", "image file path": f"{name}/1.3/1.4/000000.dcm",
            "cropped image file path": f"{name}_{lesion}/1.3/1.5/000000.dcm\n",
            "ROI mask file path": f'"{name}_{lesion}/1.3/1.5/000001.dcm\n"',
        }
        for lesion, shape in ((1, "OVAL"), (2, "ROUND"))
    ]  # fmt: skip
    pd.DataFrame(rows).to_csv(root / "mass_case_description_train_set.csv", index=False)


@pytest.mark.parametrize("swapped", [False, True])
def test_cbis_ddsm(tmp_path: Path, swapped: bool) -> None:
    write_cbis(tmp_path / "in", swapped)
    table = read_manifest(import_data("cbis-ddsm", tmp_path / "in", {}, tmp_path / "out"))
    assert len(table) == 1
    row = table.iloc[0]
    assert (row["patient_id"], row["view"], row["laterality"]) == ("P_00001", "CC", "L")
    assert (row["density"], row["shape"], row["margin"], row["mask_source"]) == (
        "c",
        "oval/round",
        "obscured",
        "outline",
    )
    assert (read_grey(row["image_path"]) == film()).all()
    assert (read_mask(row["mask_path"]) == ((spot(5, 5) | spot(20, 10)) > 0)).all()


def test_a_mask_of_another_size_is_brought_to_that_of_its_image(tmp_path: Path) -> None:
    write_cbis(tmp_path / "in", mask=np.kron(spot(5, 5), np.ones((2, 2), np.uint8)))
    table = read_manifest(import_data("cbis-ddsm", tmp_path / "in", {}, tmp_path / "out"))
    assert (read_mask(table["mask_path"][0]) == ((spot(5, 5) | spot(20, 10)) > 0)).all()


@pytest.mark.parametrize(
    ("mask", "message"), [(spot(5, 5, (40, 40)), "other proportions"), (film(), "no files with two values")]
)
def test_a_mask_that_is_none_stops_or_is_skipped(tmp_path: Path, mask: np.ndarray, message: str) -> None:
    write_cbis(tmp_path / "in", mask=mask)
    with pytest.raises(UserError, match=message):
        import_data("cbis-ddsm", tmp_path / "in", {}, tmp_path / "out")
    with pytest.raises(UserError, match="gives no pairs: 1 cannot be read"):
        import_data("cbis-ddsm", tmp_path / "in", {"faults": "skip"}, tmp_path / "out")


# --- INbreast ------------------------------------------------------------------------------------------------------


def write_inbreast(root: Path, *masses: list[str]) -> None:
    image = np.random.default_rng(0).integers(0, 4096, (30, 20), np.uint16)
    names = ("20586908_6c613a14b80a8591_MG_R_CC_ANON.dcm", "20586934_6c613a14b80a8591_MG_L_ML_ANON.dcm")
    for name in names:
        write_dicom(root / "AllDICOMs" / name, image, ImagerPixelSpacing=[0.07, 0.07], BitsStored=12, HighBit=11)
    rois = [{"Name": "mass ", "Point_px": points} for points in masses]
    rois.append({"Name": "Calcification", "Point_px": ["(1.0, 1.0)"]})
    (root / "AllXML").mkdir()
    (root / "AllXML/20586908.xml").write_bytes(plistlib.dumps({"Images": [{"ROIs": rois}]}))
    (root / "INbreast.csv").write_text("File Name ; ACR\n20586908; 2 \n")


def test_inbreast(tmp_path: Path) -> None:
    write_inbreast(tmp_path / "in", ["(5.0, 10.0)", "(9.0, 10.0)", "(9.0, 20.0)", "(5.0, 20.0)"])
    table = read_manifest(import_data("inbreast", tmp_path / "in", {}, tmp_path / "out"))
    assert len(table) == 1  # the other image has no mass
    row = table.iloc[0]
    assert (row["patient_id"], row["laterality"], row["view"]) == ("6c613a14b80a8591", "R", "CC")
    assert (row["density"], row["spacing_mm"]) == ("b", 0.07)
    mask = read_mask(row["mask_path"])
    assert mask[11:20, 6:9].all()
    assert 9 * 3 + 4 <= mask.sum() <= 11 * 5
    both = read_manifest(import_data("inbreast", tmp_path / "in", {"without_lesion": "keep"}, tmp_path / "out"))
    assert both["view"].tolist() == ["CC", "MLO"]


def test_linked_folders_and_capitals_of_inbreast(tmp_path: Path) -> None:
    write_inbreast(tmp_path / "in", ["(5.0, 10.0)", "(9.0, 10.0)", "(9.0, 20.0)", "(5.0, 20.0)"])
    first, second = sorted((tmp_path / "in/AllDICOMs").iterdir())
    first.rename(first.with_suffix(".DCM"))
    (tmp_path / "disk").mkdir()
    second.rename(tmp_path / "disk" / second.name)
    (tmp_path / "in/AllDICOMs/more").symlink_to(tmp_path / "disk")
    settings = {"without_lesion": "keep"}
    table = read_manifest(import_data("inbreast", tmp_path / "in", settings, tmp_path / "out"))
    assert table["view"].tolist() == ["CC", "MLO"]
    (tmp_path / "disk" / second.name).unlink()
    (tmp_path / "disk" / second.name).symlink_to(tmp_path / "gone")
    with pytest.raises(UserError, match="is a link to a file that is not there"):
        import_data("inbreast", tmp_path / "in", settings, tmp_path / "out")


def test_one_point_is_one_pixel_and_contours_may_lie_just_outside(tmp_path: Path) -> None:
    write_inbreast(tmp_path / "a", ["(3.2, 7.8)"])
    table = read_manifest(import_data("inbreast", tmp_path / "a", {}, tmp_path / "out"))
    assert np.argwhere(read_mask(table["mask_path"][0])).tolist() == [[8, 3]]
    write_inbreast(tmp_path / "b", ["(15.0, 10.0)", "(20.0, 10.0)", "(20.0, 12.0)"])
    import_data("inbreast", tmp_path / "b", {}, tmp_path / "out")
    write_inbreast(tmp_path / "c", ["(15.0, 10.0)", "(25.0, 10.0)", "(25.0, 12.0)"])
    with pytest.raises(UserError, match="is not on 20 x 30 pixels"):
        import_data("inbreast", tmp_path / "c", {}, tmp_path / "out")


def test_masses_that_overlap_are_united(tmp_path: Path) -> None:
    first = ["(2.0, 2.0)", "(10.0, 2.0)", "(10.0, 10.0)", "(2.0, 10.0)"]
    second = ["(6.0, 6.0)", "(14.0, 6.0)", "(14.0, 14.0)", "(6.0, 14.0)"]
    write_inbreast(tmp_path / "in", first, second)
    table = read_manifest(import_data("inbreast", tmp_path / "in", {}, tmp_path / "out"))
    mask = read_mask(table["mask_path"][0])
    assert mask[3:10, 3:10].all() and mask[7:14, 7:14].all()


def test_a_contour_has_the_pixels_whose_centres_lie_in_it() -> None:
    """Three, two and one of them in a triangle, and those under its corners."""
    mask = draw(np.array([[2.25, 2.25], [6.25, 2.25], [2.25, 6.25]]), (8, 8))
    within, corners = {(3, 3), (3, 4), (3, 5), (4, 3), (4, 4), (5, 3)}, {(2, 2), (2, 6), (6, 2)}
    assert {(y, x) for y, x in np.argwhere(mask).tolist()} == within | corners


# --- T-SYNTH -------------------------------------------------------------------------------------------------------


def write_t_synth(root: Path, number: int, lesion: bool = True, cview: bool = False) -> np.ndarray:
    """Write a volume of 4 slices of 12 x 10 pixels, and return it upright, [slices, H, W]."""
    folder = root / f"device_data_VICTREPhantoms_spic_1.0/dense/2/5.0/SIM/D2_5.0_dense.{number}/{number}"
    folder.mkdir(parents=True)
    shape = (12, 10) if cview else (4, 10, 12)
    raw = np.random.default_rng(number).normal(10, 2, shape)
    labels = np.full(shape, 29, np.uint8)
    labels[2:5, 3:8] = 200
    if not cview:
        labels[:] = 29
        labels[1:3, 2:5, 3:8] = 200
    raw.astype("<f4" if cview else "<f8").tofile(folder / f"reconstruction{number}.raw")
    (folder / f"reconstruction{number}.mhd").write_text("ObjectType = Image\nDimSize = 12 10 4\n")
    if lesion:
        (folder / f"reconstruction{number}.loc").write_text("5 5 2 7\n")
        with h5py.File(folder / f"reconstruction_mask{number}.h5", "w") as file:
            file["dbt"] = labels
    return raw if cview else raw.transpose(0, 2, 1)[:, ::-1]


def test_t_synth(tmp_path: Path) -> None:
    volume = write_t_synth(tmp_path / "in", 1)
    write_t_synth(tmp_path / "in", 2, lesion=False)
    table = read_manifest(import_data("t-synth", tmp_path / "in", {}, tmp_path / "out"))
    assert table["slice_index"].tolist() == [1, 2]
    assert set(table["patient_id"]) == {"dense-1"}
    assert set(table["density"]) == {"d"}
    low, high = volume.mean() - 2 * volume.std(), volume.mean() + 2 * volume.std()
    expected = np.rint(np.clip((volume[1] - low) / (high - low), 0, 1) * 65535)
    image, mask = read_grey(table["image_path"][0]), read_mask(table["mask_path"][0])
    assert np.abs(image.astype(int) - expected).max() <= 1
    assert image.shape == (12, 10)
    assert np.argwhere(mask).min(axis=0).tolist() == [4, 2]  # of rows 3..7 counted from below: 4..8
    assert np.argwhere(mask).max(axis=0).tolist() == [8, 4]


def test_a_linked_volume_of_t_synth(tmp_path: Path) -> None:
    write_t_synth(tmp_path / "in", 1)
    write_t_synth(tmp_path / "disk", 2)
    folder = "device_data_VICTREPhantoms_spic_1.0/dense/2/5.0/SIM/D2_5.0_dense.2"
    (tmp_path / "in" / folder).symlink_to(tmp_path / "disk" / folder)
    table = read_manifest(import_data("t-synth", tmp_path / "in", {}, tmp_path / "out"))
    assert set(table["patient_id"]) == {"dense-1", "dense-2"}


def test_a_c_view_of_t_synth(tmp_path: Path) -> None:
    image = write_t_synth(tmp_path / "in", 3, cview=True)
    table = read_manifest(import_data("t-synth", tmp_path / "in", {}, tmp_path / "out"))
    stored = read_grey(table["image_path"][0])
    assert (np.argsort(stored.ravel())[[0, -1]] == np.argsort(image.ravel())[[0, -1]]).all()
    assert np.argwhere(read_mask(table["mask_path"][0])).min(axis=0).tolist() == [2, 3]


def test_t_synth_cut_short(tmp_path: Path) -> None:
    write_t_synth(tmp_path / "in", 1)
    path = next((tmp_path / "in").rglob("*.raw"))
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(UserError, match="it may be cut short"):
        import_data("t-synth", tmp_path / "in", {}, tmp_path / "out")
