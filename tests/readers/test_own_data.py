import json
import logging
from pathlib import Path

import nibabel
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from pycocotools import mask as coco
from study_files import lesion, ramp, write_png, write_study

from pig.data.images import read_grey, read_mask
from pig.data.manifest import read_manifest
from pig.data.preprocess import build_store
from pig.data.readers import SOURCES, import_data
from pig.data.settings import PreprocessSettings
from pig.system.errors import UserError


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def write_folders(root: Path, stems: list[str], suffix: str = "") -> None:
    for number, stem in enumerate(stems):
        write_png(root / f"images/{stem}.png", ramp() + np.uint16(number) * (ramp() > 0))
        write_png(root / f"masks/{stem}{suffix}.tif", lesion())


# --- two folders ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("jobs", [1, 2])
def test_two_folders(tmp_path: Path, jobs: int) -> None:
    root = tmp_path / "größere Daten"
    write_folders(root, ["Anna/1", "Anna/2", "Bo/1"], "_seg")
    settings = {"patient": "^([^/]+)/", "mask_suffix": "_seg"}
    manifest = import_data("folders", root, settings, tmp_path / "out", jobs)
    table = read_manifest(manifest)
    assert table["patient_id"].tolist() == ["Anna", "Anna", "Bo"]
    assert table["image_path"].tolist() == [str(root / f"images/{stem}.png") for stem in ("Anna/1", "Anna/2", "Bo/1")]
    assert all((read_mask(path) == (lesion() > 0)).all() for path in table["mask_path"])
    assert build_store(manifest, PreprocessSettings(16), tmp_path / "store").manifest["patient_id"].nunique() == 2
    record = json.loads((tmp_path / "out/import.json").read_text())
    assert (record["pairs"], record["patients"], record["without_lesion"]) == (3, 2, 0)
    again = import_data("folders", root, settings, tmp_path / "again").parent
    assert files(again) == files(manifest.parent)


def test_symlinks_are_followed(tmp_path: Path) -> None:
    write_folders(tmp_path / "far away", ["a_1"])
    (tmp_path / "in").mkdir()
    for name in ("images", "masks"):
        (tmp_path / "in" / name).mkdir()
        for path in (tmp_path / "far away" / name).iterdir():
            (tmp_path / "in" / name / path.name).symlink_to(path)
    assert len(read_manifest(import_data("folders", tmp_path / "in", {"patient": "^(a)_"}, tmp_path / "out"))) == 1


def test_what_all_masks_have_behind_the_stem_is_proposed(tmp_path: Path) -> None:
    write_folders(tmp_path / "in", ["p1_1", "p1_10", "p2_1"], "_seg")
    with pytest.raises(UserError, match="each mask has '_seg' behind the stem of its image; set mask_suffix: '_seg'"):
        import_data("folders", tmp_path / "in", {"patient": "^(p.)"}, tmp_path / "out")
    found = import_data("folders", tmp_path / "in", {"patient": "^(p.)", "mask_suffix": "_seg"}, tmp_path / "out")
    assert read_manifest(found)["patient_id"].tolist() == ["p1", "p1", "p2"]
    (tmp_path / "in/masks/p2_1_seg.tif").rename(tmp_path / "in/masks/p2_1_lesion.tif")
    with pytest.raises(UserError, match="p2_1_lesion.tif has no image of the same stem"):
        import_data("folders", tmp_path / "in", {"patient": "^(p.)"}, tmp_path / "out")


@pytest.mark.parametrize(
    ("pattern", "message"),
    [("_", "has 0 groups"), ("(a)(b)", "has 2 groups"), ("(", "is no regular expression"), ("^(x)", "no patient in")],
)
def test_patients_are_never_guessed(tmp_path: Path, pattern: str, message: str) -> None:
    write_folders(tmp_path / "in", ["a_1"])
    with pytest.raises(UserError, match=message):
        import_data("folders", tmp_path / "in", {"patient": pattern}, tmp_path / "out")
    with pytest.raises(UserError, match=r"dataset\.import\.patient: missing"):
        import_data("folders", tmp_path / "in", {}, tmp_path / "out")


def test_files_without_partner_are_listed(tmp_path: Path) -> None:
    write_folders(tmp_path, ["a_1", "a_2", "a_3"])
    (tmp_path / "masks/a_1.tif").unlink()
    (tmp_path / "images/a_2.png").unlink()
    with pytest.raises(UserError) as caught:
        import_data("folders", tmp_path, {"patient": "^(a)"}, tmp_path / "out")
    message = str(caught.value)
    assert "has 2 errors" in message
    assert "a_1.png has no mask" in message
    assert "a_2.tif has no image" in message


def test_two_spellings_of_a_patient(tmp_path: Path) -> None:
    write_folders(tmp_path, ["Anna_1", "anna_2"])
    with pytest.raises(UserError, match="'anna' and 'Anna' are one in two spellings"):
        import_data("folders", tmp_path, {"patient": "^(.+)_"}, tmp_path / "out")


def test_bad_files_are_listed_at_once_or_skipped(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_folders(tmp_path, ["a_1", "a_2", "a_3", "a_4"])
    (tmp_path / "images/a_1.png").write_text("grey")
    write_png(tmp_path / "masks/a_2.tif", lesion()[1:])
    write_png(tmp_path / "masks/a_3.tif", np.maximum(lesion(), np.eye(24, 16, dtype=np.uint8)))
    settings = {"patient": "^(a)"}
    with pytest.raises(UserError) as caught:
        import_data("folders", tmp_path, settings, tmp_path / "out")
    lines = str(caught.value).splitlines()
    assert "has 3 errors" in lines[0]
    assert "a_1.png cannot be read" in lines[1]
    assert "masks/a_2.tif is 16 x 23 pixels, its image 16 x 24" in lines[2]
    assert "has several labels (0, 1, 255)" in lines[3]
    assert not (tmp_path / "out").exists()
    with caplog.at_level(logging.WARNING, "pig"):
        manifest = import_data("folders", tmp_path, {**settings, "faults": "skip"}, tmp_path / "out")
    assert len(caplog.messages) == 3
    assert len(read_manifest(manifest)) == 1
    assert len(list((tmp_path / "out/masks").iterdir())) == 1
    chosen = import_data(
        "folders", tmp_path, {**settings, "faults": "skip", "labels": [255], "background": [0, 1]}, tmp_path / "out"
    )
    assert len(read_manifest(chosen)) == 2


LPS = np.diag([-1.0, -1.0, 1.0, 1.0])  # the affine of voxels that are stored as they are shown


@pytest.mark.parametrize("dtype", [np.int16, np.float32, np.uint8])
@pytest.mark.parametrize("axis", [0, 2])
def test_nifti_slices(tmp_path: Path, dtype: type, axis: int) -> None:
    volume = (np.arange(6 * 5 * 4).reshape(6, 5, 4) - (0 if dtype == np.uint8 else 10)).astype(dtype)
    truth = np.zeros((6, 5, 4), dtype)
    truth[2:4, 1:3, 1:3] = 1
    for name, voxels in (("images", volume), ("masks", truth)):
        (tmp_path / "in" / name).mkdir(parents=True)
        nibabel.save(nibabel.Nifti1Image(voxels, LPS), tmp_path / "in" / name / "p1.nii.gz")
    settings = {"patient": "^(p1)", "axis": axis}
    table = read_manifest(import_data("folders", tmp_path / "in", settings, tmp_path / "out"))
    indices = [2, 3] if axis == 0 else [1, 2]
    assert table["slice_index"].tolist() == indices
    assert table["volume_id"].tolist() == ["p1", "p1"]
    for row, index in enumerate(indices):
        assert (read_mask(table["mask_path"][row]) == (truth.take(index, axis).T > 0)).all()
        grey = read_grey(table["image_path"][row]).astype(float)
        if dtype != np.uint8:
            assert table["grey_low"][row] == -10
            grey = grey / 65535 * (table["grey_high"][row] + 10) - 10
        assert grey == pytest.approx(volume.take(index, axis).T, abs=1e-3)


@pytest.mark.parametrize(
    ("image", "mask", "message"),
    [
        (np.full((4, 4, 2), np.nan, np.float32), np.ones((4, 4, 2), np.uint8), "NaN or infinite"),
        (np.ones((4, 4, 2), np.uint8), np.full((4, 4, 2), 0.5, np.float32), "no whole numbers"),
        (np.ones((4, 4, 2), np.uint8), np.full((4, 4, 2), np.nan, np.float32), "NaN or infinite"),
        (np.ones((4, 4, 2), np.uint8), np.zeros((4, 4, 2), np.uint8), "gives no pairs: .* 2 have no lesion"),
        (np.ones((4, 4, 2), np.uint8), np.ones((4, 4, 3), np.uint8), "4 x 4 x 3 voxels, its image 4 x 4 x 2"),
    ],
)
def test_bad_volumes(tmp_path: Path, image: np.ndarray, mask: np.ndarray, message: str) -> None:
    for name, voxels in (("images", image), ("masks", mask)):
        (tmp_path / name).mkdir()
        nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4)), tmp_path / name / "p.nii")
    with pytest.raises(UserError, match=message):
        import_data("folders", tmp_path, {"patient": "(p)"}, tmp_path / "out")


def test_a_volume_without_a_lesion_is_left_out_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name, lesions in (("p1", 1), ("p2", 0)):
        for kind, voxels in (("images", np.arange(32).reshape(4, 4, 2)), ("masks", np.zeros((4, 4, 2)))):
            if kind == "masks":
                voxels[1:3, 1:3, :lesions] = 1
            path = tmp_path / "in" / kind / f"{name}.nii"
            path.parent.mkdir(parents=True, exist_ok=True)
            nibabel.save(nibabel.Nifti1Image(voxels.astype(np.uint8), np.eye(4)), path)
    with caplog.at_level(logging.INFO, "pig"):
        table = read_manifest(import_data("folders", tmp_path / "in", {"patient": "^(p.)"}, tmp_path / "out"))
    assert table["patient_id"].tolist() == ["p1"]
    assert "3 pairs without a lesion were left out" in caplog.text


# --- nnU-Net -------------------------------------------------------------------------------------------------------


def write_nnunet(root: Path, labels: dict, masks: dict[str, np.ndarray]) -> None:
    for name, mask in masks.items():
        write_png(root / f"imagesTr/{name}_0000.png", ramp())
        write_png(root / f"labelsTr/{name}.png", mask)
    (root / "dataset.json").write_text(
        json.dumps({"channel_names": {"0": "x"}, "labels": labels, "numTraining": len(masks), "file_ending": ".png"})
    )


def test_nnunet(tmp_path: Path) -> None:
    write_nnunet(tmp_path / "in", {"background": 0, "mass": 1}, {"p1_01": lesion(value=1), "p2_01": 0 * lesion()})
    table = read_manifest(import_data("nnunet", tmp_path / "in", {"patient": "^(p.)"}, tmp_path / "out"))
    assert table["patient_id"].tolist() == ["p1"]  # the other has no lesion
    assert (read_mask(table["mask_path"][0]) == (lesion() > 0)).all()
    settings = {"patient": "^(p.)", "without_lesion": "keep"}
    manifest = import_data("nnunet", tmp_path / "in", settings, tmp_path / "out")
    with pytest.raises(UserError, match="is an empty mask"):
        build_store(manifest, PreprocessSettings(16), tmp_path / "store")
    store = build_store(manifest, PreprocessSettings(16, empty_masks="keep"), tmp_path / "store")
    assert store.masks.any((1, 2)).tolist() == [True, False]


def test_of_several_channels_the_log_says_which_is_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_nnunet(tmp_path / "in", {"background": 0, "mass": 1}, {"p1_01": lesion(value=1)})
    import_data("nnunet", tmp_path / "in", {"patient": "^(p.)"}, tmp_path / "out")
    assert "channel" not in caplog.text
    description = json.loads((tmp_path / "in/dataset.json").read_text())
    description["channel_names"] = {"0": "T1", "1": "T2", "2": "FLAIR"}
    (tmp_path / "in/dataset.json").write_text(json.dumps(description))
    write_png(tmp_path / "in/imagesTr/p1_01_0001.png", ramp()[::-1].copy())
    manifest = import_data("nnunet", tmp_path / "in", {"patient": "^(p.)", "channel": 1}, tmp_path / "out")
    assert (read_grey(read_manifest(manifest)["image_path"][0]) == ramp()[::-1]).all()
    assert "channel 1 (T2) is read, and 0 (T1), 2 (FLAIR) left out; the setting 'channel' takes another" in caplog.text


def test_labels_of_nnunet_are_chosen_by_name(tmp_path: Path) -> None:
    both = np.maximum(lesion(value=2), np.eye(24, 16, dtype=np.uint8))
    write_nnunet(tmp_path / "in", {"background": 0, "cyst": 1, "mass": 2, "whole": [1, 2]}, {"p1": both})
    with pytest.raises(UserError, match=r"has the labels cyst, mass, whole; say in the setting 'labels'"):
        import_data("nnunet", tmp_path / "in", {"patient": "(p1)"}, tmp_path / "out")
    with pytest.raises(UserError, match="has no label lump; it has cyst, mass, whole"):
        import_data("nnunet", tmp_path / "in", {"patient": "(p1)", "labels": ["lump"]}, tmp_path / "out")
    for name, expected in (("mass", both == 2), ("whole", both > 0)):
        settings = {"patient": "(p1)", "labels": [name]}
        table = read_manifest(import_data("nnunet", tmp_path / "in", settings, tmp_path / "out"))
        assert (read_mask(table["mask_path"][0]) == expected).all()


def test_nnunet_v1_says_labels_by_value_and_no_ending(tmp_path: Path) -> None:
    truth = np.zeros((6, 5, 4), np.uint8)
    truth[2:4, 1:3, 1], truth[0, 0, 3] = 2, 1
    image = np.arange(120).reshape(6, 5, 4).astype(np.int16)
    for name, voxels in (("imagesTr/p1_0000", image), ("labelsTr/p1", truth)):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        nibabel.save(nibabel.Nifti1Image(voxels, LPS), tmp_path / "in" / f"{name}.nii.gz")
    said = {"modality": {"0": "CT"}, "labels": {"0": "background", "1": "cyst", "2": "mass"}, "training": []}
    (tmp_path / "in/dataset.json").write_text(json.dumps(said))
    settings = {"patient": "(p1)", "labels": ["mass"]}
    table = read_manifest(import_data("nnunet", tmp_path / "in", settings, tmp_path / "out"))
    assert table["slice_index"].tolist() == [1]
    assert (read_mask(table["mask_path"][0]) == (truth[..., 1].T == 2)).all()
    (tmp_path / "in/dataset.json").write_text(json.dumps(said | {"labels": {"0": "background", "1": "a", "2": "a"}}))
    with pytest.raises(UserError, match=r"dataset\.json \(of nnU-Net v1\) has several labels named a"):
        import_data("nnunet", tmp_path / "in", settings, tmp_path / "out")


@pytest.mark.parametrize("layout", ["folders", "patterns", "nnunet"])
def test_files_without_partner_or_patient_are_skipped_if_asked(tmp_path: Path, layout: str) -> None:
    """Two whole pairs of p1, a pair that tells no patient, an image and a mask alone."""
    root, settings = tmp_path / "in", {"patient": "(p1)_"}
    names = ("p1_1", "p1_2", "nobody")
    if layout == "nnunet":
        write_nnunet(root, {"background": 0, "mass": 1}, {name: lesion(value=1) for name in names})
        write_png(root / "imagesTr/p1_3_0000.png", ramp())
        write_png(root / "labelsTr/p1_4.png", lesion(value=1))
    else:
        for name in (*names, "p1_3"):
            write_png(root / f"images/{name}.png", ramp())
        for name in (*names, "p1_4"):
            write_png(root / f"masks/{name}.png", lesion())
    if layout == "patterns":
        settings |= {"images": "images/*.png", "masks": "masks/*.png"}
    source, out = "nnunet" if layout == "nnunet" else "folders", tmp_path / "out"
    with pytest.raises(UserError, match="in has 3 errors; fix the data, or set faults to skip to go on without:"):
        import_data(source, root, settings, out)
    assert not out.exists()
    table = read_manifest(import_data(source, root, {**settings, "faults": "skip"}, out))
    assert sorted(Path(name).name for name in table["volume_id"]) == ["p1_1", "p1_2"]
    skipped = pd.read_csv(out / "skipped.csv").fault.tolist()
    assert len(skipped) == 3
    for name in ("nobody", "p1_3", "p1_4"):
        assert sum(name in fault for fault in skipped) == 1
    import_data(source, root, {**settings, "faults": "skip"}, out, salt=b"0" * 32)
    assert not (out / "skipped.csv").exists()


def test_two_files_of_one_stem_are_never_skipped(tmp_path: Path) -> None:
    for name in ("images/p1.png", "masks/p1.png"):
        write_png(tmp_path / "in" / name, lesion())
    Image.fromarray(lesion()).save(tmp_path / "in/images/p1.tif")
    with pytest.raises(UserError, match="have one stem; remove one"):
        import_data("folders", tmp_path / "in", {"patient": "(p1)", "faults": "skip"}, tmp_path / "out")


COMPOSED, TAKEN_APART = "M\u00fcller_1", "Mu\u0308ller_1"  # one name, as Linux and macOS store it


@pytest.mark.parametrize(("image", "mask"), [(COMPOSED, TAKEN_APART), (TAKEN_APART, COMPOSED)])
@pytest.mark.parametrize("layout", ["folders", "patterns", "nnunet"])
def test_a_name_is_one_however_its_letters_are_composed(tmp_path: Path, layout: str, image: str, mask: str) -> None:
    root, settings = tmp_path / "in", {"patient": "^(Mu\u0308ller)"}
    if layout == "nnunet":
        write_nnunet(root, {"background": 0, "mass": 1}, {mask: lesion(value=1)})
        (root / f"imagesTr/{mask}_0000.png").rename(root / f"imagesTr/{image}_0000.png")
    else:
        write_png(root / f"images/{image}.png", ramp())
        write_png(root / f"masks/{mask}.png", lesion())
    if layout == "patterns":
        settings |= {"images": "images/*.png", "masks": "masks/*.png", "patient": "/(Mu\u0308ller)"}
    source = "nnunet" if layout == "nnunet" else "folders"
    table = read_manifest(import_data(source, root, settings, tmp_path / "out"))
    assert table["patient_id"].tolist() == ["M\u00fcller"]
    assert (read_mask(table["mask_path"][0]) == (lesion() > 0)).all()


# --- COCO ----------------------------------------------------------------------------------------------------------


def write_coco(root: Path, outlines: list[object], name: str = "p1_1.png", **more: object) -> Path:
    write_png(root / "images/p1_1.png", ramp())
    content = {
        "images": [{"id": 7, "file_name": name, "height": 24, "width": 16}],
        "annotations": [
            {"id": n, "image_id": 7, "category_id": 3, "segmentation": outline} for n, outline in enumerate(outlines)
        ],
        "categories": [{"id": 3, "name": "mass"}],
        **more,
    }
    (root / "coco.json").write_text(json.dumps(content))
    return root


COCO = {"annotations": "coco.json", "images": "images", "patient": "^(p[0-9]+)_"}
SQUARE = np.zeros((24, 16), np.uint8)
SQUARE[10:18, 6:14] = 1


def test_polygons_and_run_lengths_are_united(tmp_path: Path) -> None:
    single = np.zeros((24, 16), np.uint8)
    single[0, 1] = 1
    runs = {"counts": [24, 1, 24 * 16 - 25], "size": [24, 16]}  # column by column
    encoded = coco.encode(np.asfortranarray(single))
    encoded["counts"] = encoded["counts"].decode()
    polygon = [[6, 10, 14, 10, 14, 18, 6, 18]]
    halves = [[6, 10, 10, 10, 10, 18, 6, 18], [10, 10, 14, 10, 14, 18, 10, 18]]  # of one annotation
    united = [([polygon], SQUARE), ([halves], SQUARE), ([runs, polygon], SQUARE | single), ([encoded], single)]
    for outlines, expected in united:
        root = write_coco(tmp_path / "in", outlines)
        table = read_manifest(import_data("coco", root, COCO, tmp_path / "out"))
        assert table["patient_id"].tolist() == ["p1"]
        assert (read_mask(table["mask_path"][0]) == expected).all()


def test_two_categories_of_one_name_are_one_lesion_and_another_is_none(tmp_path: Path) -> None:
    """As files have that were merged from several exports."""
    polygon = [[6, 10, 14, 10, 14, 18, 6, 18]]
    categories = [{"id": 3, "name": "mass"}, {"id": "m", "name": "mass"}, {"id": 5, "name": "cyst"}]
    annotations = [
        {"id": 1, "image_id": 7, "category_id": "m", "segmentation": polygon},
        {"id": 2, "image_id": 7, "category_id": 5, "segmentation": [[0, 0, 4, 0, 4, 4, 0, 4]]},
    ]
    root = write_coco(tmp_path / "in", [], categories=categories, annotations=annotations)
    settings = {**COCO, "categories": ["mass"]}
    table = read_manifest(import_data("coco", root, settings, tmp_path / "out"))
    assert (read_mask(table["mask_path"][0]) == SQUARE).all()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_a_json_file_is_read_in_any_unicode_encoding(tmp_path: Path, encoding: str) -> None:
    root = write_coco(tmp_path / "in", [[[6, 10, 14, 10, 14, 18, 6, 18]]], info={"description": "Aufnahmen für \u00fc"})
    (root / "coco.json").write_bytes((root / "coco.json").read_text().encode(encoding))
    table = read_manifest(import_data("coco", root, COCO, tmp_path / "out"))
    assert (read_mask(table["mask_path"][0]) == SQUARE).all()


def test_a_users_json_is_never_to_be_deleted(tmp_path: Path) -> None:
    root = write_coco(tmp_path / "in", [])
    (root / "coco.json").write_text("{")
    with pytest.raises(UserError, match=r"coco.json is not readable JSON .*; correct it, or export it again\.$"):
        import_data("coco", root, COCO, tmp_path / "out")


@pytest.mark.parametrize(
    ("outlines", "more", "message"),
    [
        ([[[1, 2, 3, 4]]], {}, "neither polygons of three or more points"),
        ([{"counts": [5], "size": [24, 16]}], {}, "run lengths of 5 pixels"),
        ([{"counts": [384], "size": [16, 24]}], {}, "run lengths of 24 x 16 pixels"),
        ([], {"name": "../p1_1.png", "patient": None}, "leaves the folder"),
        ([], {"name": "/p1_1.png"}, "leaves the folder"),
        ([], {"annotations": [{"id": 4, "image_id": 8, "category_id": 3}]}, "annotation 4 is of an image"),
        ([], {"annotations": [{"id": 4, "image_id": "7", "category_id": 3}]}, r"not listed \(image_id '7'\)"),
        ([], {"annotations": [{"id": 4, "image_id": 7, "category_id": "3"}]}, r"not listed \(category_id '3'\)"),
        (
            [],
            {"annotations": [{"id": 4, "image_id": 7, "category_id": 9}]},
            "annotation 4 is of a category that is not",
        ),
        ([], {"annotations": [{"id": 4, "image_id": [7], "category_id": 3}]}, "annotation 4 is of an image"),
        ([], {"annotations": [5]}, "an annotation is 5, not a record"),
        ([], {"images": [None]}, "an image is None, not a record"),
        ([], {"images": [{"id": {}, "file_name": "p1_1.png"}]}, "not a record with a number or text as id"),
        ([], {"categories": [{"id": [1], "name": "mass"}]}, "a category is .* not a record with a number or text"),
        ([[]], {}, "annotation 0: an outline that is neither polygons"),
        ([None], {}, "annotation 0: an outline that is neither polygons"),
        ([[[6, 10, 6.1, 10, 6.1, 10.1]]], {}, "annotation 0 draws no pixel; correct or remove it"),
        ([{"counts": [384], "size": [24, 16]}], {}, "annotation 0 draws no pixel"),
        ([], {"categories": []}, "has the categories "),
        ([], {"images": 3}, "lacks the lists"),
    ],
)
def test_bad_coco(tmp_path: Path, outlines: list, more: dict, message: str) -> None:
    more = {key: value for key, value in more.items() if key != "patient"}
    root = write_coco(tmp_path / "in", outlines, **more)
    with pytest.raises(UserError, match=message):
        import_data("coco", root, {**COCO, "patient": "(p1)"}, tmp_path / "out")


# --- a table -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_table_with_other_names(tmp_path: Path, suffix: str) -> None:
    path = write_study(tmp_path, ["007", "8"], age=[50, None])
    table = pd.read_csv(path, dtype={"patient_id": str}).rename(columns={"patient_id": "PID"})
    other = tmp_path / f"table.{suffix}"
    table.to_csv(other, index=False) if suffix == "csv" else table.to_parquet(other)
    result = read_manifest(import_data("manifest", other, {"patient_id": "PID"}, tmp_path / "out"))
    assert result["patient_id"].tolist() == ["007", "8"]
    assert result["age"].isna().tolist() == [False, True]
    with pytest.raises(UserError, match="lacks the column patient_id"):
        import_data("manifest", other, {}, tmp_path / "out")


def test_unknown_sources_and_settings(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"the sources are {', '.join(SOURCES)}"):
        import_data("dicom", tmp_path, {}, tmp_path / "out")
    with pytest.raises(UserError, match=r"dataset\.import\.anotations: unknown key; did you mean 'annotations'"):
        import_data("coco", tmp_path, {"anotations": "a"}, tmp_path / "out")
    with pytest.raises(UserError, match="does not exist"):
        import_data("coco", tmp_path / "none", COCO, tmp_path / "out")
