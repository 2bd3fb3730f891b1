"""``faults: skip`` in every layout: what is wrong with a single pair is left out, what with all stops.

Those of ``folders`` and ``nnunet`` are in test_own_data.py.
"""

import json
import os
import plistlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from dicom_files import write_dicom
from study_files import lesion, ramp, write_png, write_study
from test_public_sets import film, write_bcs_dbt, write_cbis, write_inbreast, write_t_synth

from pig.data.images import read_mask
from pig.data.manifest import read_manifest
from pig.data.readers import import_data
from pig.system.errors import UserError

SQUARE = [[6, 10, 14, 10, 14, 18, 6, 18]]


def refused_then_skipped(
    out: Path, source: str, root: Path, settings: dict[str, Any], naming: list[str], loading: list[str]
) -> pd.DataFrame:
    """Return what is imported without the faults, each of which has one of these texts.

    Those in names and tables are told before any pixels are read, and so stop alone.
    """
    with pytest.raises(UserError) as caught:
        import_data(source, root, settings, out)
    lines = str(caught.value).splitlines()
    first = naming or loading
    assert f"has {len(first)} error{'s' * (len(first) > 1)}; fix the data, or set faults to skip" in lines[0]
    assert all(sum(text in line for line in lines) == 1 for text in first), lines
    assert not out.exists()
    table = read_manifest(import_data(source, root, {**settings, "faults": "skip"}, out))
    skipped = pd.read_csv(out / "skipped.csv")["fault"].tolist()
    assert len(skipped) == len(naming) + len(loading), skipped
    assert all(sum(text in fault for fault in skipped) == 1 for text in (*naming, *loading)), skipped
    record = json.loads((out / "import.json").read_text())
    assert (record["pairs"], record["faults"]) == (len(table), len(skipped))
    assert len([*(out / "masks").iterdir()]) == len(table)
    return table


def stops(out: Path, source: str, root: Path, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        import_data(source, root, {**settings, "faults": "skip"}, out)
    assert not out.exists()


# --- a table -------------------------------------------------------------------------------------------------------


def test_rows_of_a_table(tmp_path: Path) -> None:
    path = write_study(tmp_path, ["a", "b", "c", "d"])
    with path.open("a") as file:
        file.write("images/none.png,masks/1.png,e\n")  # row 6
        file.write("images/4.png,,f\n")  # row 7
        file.write("images/5.png,masks/5.png,\n")  # row 8
        file.write("images/6.png,../masks/5.png, g\n")  # row 9, with two faults
    for number in (4, 5, 6):
        write_png(tmp_path / f"images/{number}.png", ramp())
    write_png(tmp_path / "masks/5.png", lesion())
    write_png(tmp_path / "masks/1.png", np.maximum(lesion(), np.eye(24, 16, dtype=np.uint8)))  # row 3
    (tmp_path / "images/2.png").write_text("grey")  # row 4
    naming = ["row 6: image_path", "row 7: mask_path is empty", "row 8: patient_id is empty",
              "row 9: patient_id ' g' begins", "row 9: mask_path ../masks/5.png leaves"]  # fmt: skip
    loading = ["row 3: ", "row 4: "]
    table = refused_then_skipped(tmp_path / "out", "manifest", path, {}, naming, loading)
    assert table["patient_id"].tolist() == ["a", "d"]
    assert table["image_path"].tolist() == [str(tmp_path / f"images/{number}.png") for number in (0, 3)]
    assert all((read_mask(mask) == (lesion() > 0)).all() for mask in table["mask_path"])


def test_faults_of_a_whole_table_stop(tmp_path: Path) -> None:
    path = write_study(tmp_path, ["a", "b"])
    plain = path.read_text()
    for more, message in (
        ("images/0.png,masks/0.png,c\nimages/9.png,masks/0.png,c\n", "has 2 errors:\n.*row 4: the same image as row 2"),
        ("images/2.png,masks/0.png,A\n", "row 4: patient_id 'A' is spelled 'a' in row 2"),
        ("images/2.png,masks/0.png,c,d\n", "row 4 has 'd' in column 4"),
        ("images/\0.png,masks/0.png,c\n", "not a readable CSV table .* the character 0"),
    ):
        write_png(tmp_path / "images/2.png", ramp())
        path.write_text(plain + more)
        stops(tmp_path / "out", "manifest", path, {}, f"(?s){message}")
    path.write_text(plain.replace("mask_path", "mask"))
    stops(tmp_path / "out", "manifest", path, {}, "lacks the column mask_path")


# --- COCO ----------------------------------------------------------------------------------------------------------

COCO = {"annotations": "coco.json", "patient": "^(p[0-9]+)_"}


def write_coco(root: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """Images 1 to 4, each with a square, and what ``change`` makes of the file."""
    content: dict[str, Any] = {"images": [], "annotations": [], "categories": [{"id": 3, "name": "mass"}]}
    for number in range(1, 5):
        write_png(root / f"p{number}_a.png", ramp())
        content["images"].append({"id": number, "file_name": f"p{number}_a.png", "height": 24, "width": 16})
        content["annotations"].append(square(number, id=10 * number))
    change(content)
    (root / "coco.json").write_text(json.dumps(content))
    return root


def square(of: object, **more: object) -> dict[str, object]:
    return {"id": 99, "image_id": of, "category_id": 3, "segmentation": SQUARE, **more}


def test_images_and_annotations_of_coco(tmp_path: Path) -> None:
    def change(content: dict[str, Any]) -> None:
        size = {"height": 24, "width": 16}
        content["images"] += [
            None, {"id": 5, "file_name": "p5.png"}, {"id": 6, "file_name": "nobody.png", **size},
            {"id": 7, "file_name": "p7_none.png", **size}, {"id": 8, "file_name": "p8_\0.png", **size},
            {"id": 9, "file_name": 9, **size}, {"file_name": "p1_b.png", **size},
        ]  # fmt: skip
        content["annotations"] += [
            square(5, id=50), square(77, id=51), square(2, id=52, category_id=4),
            square(3, id=53, segmentation=[[6, 10, 6.1, 10, 6.1, 10.1]]),
        ]  # fmt: skip

    naming = ["an image is None", "an image p5.png has no height, width", "no patient in 'nobody.png'",
              "image 9 has the file_name 9", "an image p1_b.png has no id", "is no path (embedded null byte)",
              "annotation 51 is of an image that is not listed", "annotation 52 is of a category that"]  # fmt: skip
    loading = ["p7_none.png: ", "p3_a.png: annotation 53 draws no pixel"]
    table = refused_then_skipped(tmp_path / "out", "coco", write_coco(tmp_path / "in", change), COCO, naming, loading)
    assert table["patient_id"].tolist() == ["p1", "p4"]
    assert all((read_mask(mask) == (lesion() > 0)).all() for mask in table["mask_path"])


def test_a_patient_that_is_null_is_no_patient(tmp_path: Path) -> None:
    def change(content: dict[str, Any]) -> None:
        for record, person in zip(content["images"], ("p1", None, 3, ["p4"]), strict=True):
            record["person"] = person

    settings = {**COCO, "patient": "(.+)", "patient_key": "person"}
    naming = ["image p2_a.png has no text or whole number as person (None)", "image p4_a.png has no text"]
    root = write_coco(tmp_path / "in", change)
    table = refused_then_skipped(tmp_path / "out", "coco", root, settings, naming, [])
    assert table["patient_id"].tolist() == ["p1", "3"]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"annotations": [square(None)]}, r"annotation 99 is of an image that is not listed \(image_id None\)"),
        ({"annotations": [square("1")]}, r"not listed \(image_id '1'\)"),
        ({"annotations": [5]}, "an annotation is 5, not a record"),
        ({"images": [{"id": 1, "file_name": "p1_b.png", "height": 24, "width": 16}]}, "two images have the id 1"),
        ({"categories": [{"id": [], "name": "mass"}]}, "a category is"),
    ],
)
def test_faults_of_a_whole_coco_file_stop(tmp_path: Path, more: dict[str, list[Any]], message: str) -> None:
    def change(content: dict[str, Any]) -> None:
        for key, values in more.items():
            content[key] += values

    stops(tmp_path / "out", "coco", write_coco(tmp_path / "in", change), COCO, message)


@pytest.mark.parametrize(
    "content", ["{", "[" * 100_000, '{"images": [' + "9" * 5000 + "]}", '{"file_name": "p\\uD83D_1"}', '{"\\ude00": 1}']
)
def test_json_that_cannot_be_read_stops(tmp_path: Path, content: str) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/coco.json").write_text(content)
    stops(tmp_path / "out", "coco", tmp_path / "in", COCO, "is not readable JSON .*; correct it")


# --- the public sets -----------------------------------------------------------------------------------------------


def test_boxes_of_bcs_dbt(tmp_path: Path) -> None:
    boxes = [
        {"View": "lcc"}, {"View": "lmlo"}, {"View": "rcc", "X": 2.5}, {"View": "rmlo", "VolumeSlices": 9},
        {"View": "xcc"}, {"View": "lcc2", "AD": "?"}, {"View": "lcc3", "Width": None}, {"View": "rcc2", "Class": None},
    ]  # fmt: skip
    views = dict.fromkeys(("lcc", "rcc", "rmlo", "xcc", "lcc2", "lcc3", "rcc2"), False)
    write_bcs_dbt(tmp_path / "in", views, boxes)
    (tmp_path / "in/._BCS-DBT boxes-train-v2.csv").write_bytes(b"\0\5\26\7")  # as macOS leaves it beside the file
    naming = ["DBT-P00001 lmlo: a box, but no path", "DBT-P00001 rcc: X is 2.5", "DBT-P00001 xcc: the view is no l",
              "DBT-P00001 lcc2: AD is ?", "DBT-P00001 lcc3: Width is nan"]  # fmt: skip
    loading = ["DBT-P00001 rmlo: "]
    table = refused_then_skipped(tmp_path / "out", "bcs-dbt", tmp_path / "in", {}, naming, loading)
    assert table["view"].tolist() == ["CC"] * 10
    assert table["laterality"].tolist() == ["L"] * 5 + ["R"] * 5
    assert table["class"].fillna("").tolist() == ["cancer"] * 5 + [""] * 5
    path = next((tmp_path / "in").glob("BCS*boxes*"))
    path.write_text(path.read_text().replace("VolumeSlices", "Slices"))
    stops(tmp_path / "none", "bcs-dbt", tmp_path / "in", {}, "lacks the column VolumeSlices")


@pytest.mark.parametrize("key", ["PatientID", "StudyUID", "View"])
def test_a_box_that_does_not_tell_its_volume_stops(tmp_path: Path, key: str) -> None:
    """It may be of any volume, whose mask would lack it; one of an architectural distortion is not taken anyway."""
    boxes: list[dict[str, Any]] = [{"View": "lcc"}, {"View": "lcc", "X": 12, key: None}]
    write_bcs_dbt(tmp_path / "in", {"lcc": False}, boxes)
    stops(tmp_path / "out", "bcs-dbt", tmp_path / "in", {}, "has 1 error:\n.*a box has no PatientID or no StudyUID")
    write_bcs_dbt(tmp_path / "in", {"lcc": False}, [boxes[0], boxes[1] | {"AD": 1}])
    assert len(read_manifest(import_data("bcs-dbt", tmp_path / "in", {}, tmp_path / "out"))) == 5


def test_volumes_of_t_synth(tmp_path: Path) -> None:
    for number in (1, 2, 3, 4):
        write_t_synth(tmp_path / "in", number)
    paths = {int(path.stem.removeprefix("reconstruction")): path for path in (tmp_path / "in").rglob("*.raw")}
    paths[1].with_name("reconstruction_mask1.h5").unlink()
    paths[2].with_suffix(".mhd").write_text("DimSize = -12 -10 4\n")
    paths[3].with_name("reconstruction_mask3.h5").write_bytes(b"no HDF5")
    folder = tmp_path / "in/elsewhere"
    folder.mkdir()
    for path in (tmp_path / "in").rglob("reconstruction*4.*"):
        (folder / path.name).write_bytes(path.read_bytes())
    (paths[4].parent / "._reconstruction4.raw").write_bytes(b"\0\5\26\7")
    naming = ["reconstruction_mask1.h5 does not exist", "elsewhere/reconstruction4.raw is not in a folder"]
    loading = ["gives no DimSize of three numbers above 0", "reconstruction_mask3.h5 cannot be read"]
    table = refused_then_skipped(tmp_path / "out", "t-synth", tmp_path / "in", {}, naming, loading)
    assert set(table["patient_id"]) == {"dense-4"}
    assert table["slice_index"].tolist() == [1, 2]


def test_mammograms_of_cbis_ddsm(tmp_path: Path) -> None:
    write_cbis(tmp_path / "in")
    path = tmp_path / "in/mass_case_description_train_set.csv"
    rows = pd.read_csv(path, dtype="str")
    changes: dict[str, dict[str, Any]] = {"b": {}, "c": {"patient_id": None}, "d": {}}
    other = [rows.assign(**{"image file path": f"{name}/1.dcm", **change}) for name, change in changes.items()]
    other[0].loc[0, "patient_id"] = "P_00002"  # the two lesions of b are of two patients
    for name in ("b", "c"):
        write_dicom(tmp_path / f"in/CBIS-DDSM/{name}/1-1.dcm", film())
    frames = rows.assign(**{"image file path": "e/1.dcm"})
    write_dicom(tmp_path / "in/CBIS-DDSM/e/1-1.dcm", np.stack([film()] * 2))
    write_dicom(tmp_path / "in/CBIS-DDSM/Mass-Training_P_00001_LEFT_CC/._1-1.dcm", film())
    pd.concat([rows, *other, frames]).to_csv(path, index=False)
    naming = ["b has the patients P_00002, P_00001", "c has the patients nan, nan", "d: no such folder"]
    loading = ["holds 2 frames"]
    table = refused_then_skipped(tmp_path / "out", "cbis-ddsm", tmp_path / "in", {}, naming, loading)
    assert table["volume_id"].tolist() == ["Mass-Training_P_00001_LEFT_CC"]


def test_images_of_inbreast(tmp_path: Path) -> None:
    write_inbreast(tmp_path / "in", ["(5.0, 10.0)", "(9.0, 10.0)", "(9.0, 20.0)", "(5.0, 20.0)"])
    good = next((tmp_path / "in/AllDICOMs").glob("20586908*")).read_bytes()
    for number in range(3, 7):
        (tmp_path / f"in/AllDICOMs/2058690{number}_6c613a14b80a859{number}_MG_R_CC_ANON.dcm").write_bytes(good)
    for number, points in ((3, []), (4, ["(1.0, nan)"]), (5, ["(1.0, 2.0, 3.0)"])):
        content = {"Images": [{"ROIs": [{"Name": "Mass", "Point_px": points}]}]}
        (tmp_path / f"in/AllXML/2058690{number}.xml").write_bytes(plistlib.dumps(content))
    (tmp_path / "in/AllXML/20586906.xml").write_text("<plist>")
    (tmp_path / "in/AllDICOMs/mine.dcm").write_bytes(good)
    (tmp_path / "in/AllDICOMs/._20586908_6c613a14b80a8591_MG_R_CC_ANON.dcm").write_bytes(b"\0\5\26\7")
    naming = ["mine.dcm is not named NUMBER_PATIENT_MG_SIDE_VIEW_ANON.dcm"]
    loading = [f"2058690{number}.xml is no readable list of outlines" for number in range(3, 7)]
    table = refused_then_skipped(tmp_path / "out", "inbreast", tmp_path / "in", {}, naming, loading)
    assert table["patient_id"].tolist() == ["6c613a14b80a8591"]
    (tmp_path / "in/INbreast.csv").write_bytes(b"File Name;ACR\n\xff;1\n")
    stops(tmp_path / "none", "inbreast", tmp_path / "in", {}, "INbreast.csv is not a readable table")


# --- folders of pairs ----------------------------------------------------------------------------------------------


def write_pair(root: Path, layout: str) -> tuple[str, dict[str, Any], tuple[str, str]]:
    """Write one pair; return its source and settings, and the folders of images and masks."""
    images, masks = ("imagesTr", "labelsTr") if layout == "nnunet" else ("images", "masks")
    write_png(root / images / ("p1_0000.png" if layout == "nnunet" else "p1.png"), ramp())
    write_png(root / masks / "p1.png", lesion(value=1))
    settings = {"patient": "(p1)"}
    if layout == "nnunet":
        said = {"channel_names": {"0": "x"}, "labels": {"background": 0, "mass": 1}, "file_ending": ".png"}
        (root / "dataset.json").write_text(json.dumps(said))
    if layout == "patterns":
        settings |= {"images": "images/*", "masks": "masks/*"}
    return "nnunet" if layout == "nnunet" else "folders", settings, (images, masks)


# --- names that no table can hold --------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform == "darwin", reason="its file systems take no such name")
@pytest.mark.parametrize("layout", ["folders", "patterns", "nnunet"])
def test_a_name_that_is_not_in_utf_8_stops(tmp_path: Path, layout: str) -> None:
    """As of an archive that an old system has packed: grün.png in Latin-1."""
    root = tmp_path / "in"
    source, settings, (_, masks) = write_pair(root, layout)
    import_data(source, root, settings, tmp_path / "sound")
    (root / masks / "p1.png").rename(root / masks / os.fsdecode(b"gr\xfcn.png"))
    stops(tmp_path / "out", source, root, settings, r"gr\\xfcn\.png has a name that is not in UTF-8 .*; rename it")


# --- what systems leave beside the data ----------------------------------------------------------------------------


@pytest.mark.parametrize("layout", ["folders", "patterns", "nnunet"])
def test_files_that_systems_put_there_are_no_images(tmp_path: Path, layout: str) -> None:
    root = tmp_path / "in"
    source, settings, folders = write_pair(root, layout)
    for folder in folders:
        for name in (".DS_Store", "Thumbs.db", "desktop.ini", "._p1.png", "._p1_0000.png", ".cache/p2.png"):
            (root / folder / name).parent.mkdir(exist_ok=True)
            (root / folder / name).write_bytes(b"\0" * 128 + b"DICM")
    table = read_manifest(import_data(source, root, settings, tmp_path / "out"))
    assert [Path(name).name for name in table["volume_id"]] == ["p1"]


def test_files_of_other_endings_are_said_to_be_left(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for folder, pixels in (("images", ramp()), ("masks", lesion())):
        write_png(tmp_path / f"in/{folder}/p1.png", pixels)
        (tmp_path / f"in/{folder}/p2.webp").write_bytes(b"RIFF")
    import_data("folders", tmp_path / "in", {"patient": "(p.)"}, tmp_path / "out")
    assert [f"in/{name}: 1 of the files have endings that are not read" in text for name, text in zip(
        ("images", "masks"), caplog.messages, strict=True
    )] == [True, True]  # fmt: skip
