"""DICOM images beside masks of another format: the pixels as shown, the spacing, and nothing else of the header."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from dicom_files import NAME, UID, item, write_dicom
from PIL import Image
from study_files import lesion, ramp, write_png

from pig.data.images import read_grey, read_mask
from pig.data.manifest import read_manifest
from pig.data.readers import import_data
from pig.data.readers.dicom import read_header
from pig.system.errors import UserError

STORED = ramp() // 8  # of 12 bits
WINDOW = {"WindowCenter": 300, "WindowWidth": 401, "BitsStored": 12, "HighBit": 11}
SHOWN = np.rint(np.clip((STORED - 299.5) / 400 + 0.5, 0, 1) * 65535).astype(np.uint16)  # PS3.3 C.11.2.1.2.1
FOLDERS = {"patient": "(p[0-9])_"}
PATTERNS = {**FOLDERS, "images": "images/*.dcm", "masks": "masks/*.png"}


def write_pairs(root: Path, ending: str = ".dcm") -> Path:
    """Two images of two patients, the second inverted and of another lesion, with masks of PNG; and a table of them."""
    for number, kind in ((1, "MONOCHROME2"), (2, "MONOCHROME1")):
        name = f"p{number}_a"
        fields = WINDOW | {"PhotometricInterpretation": kind, "PixelSpacing": [0.1 * number, 0.1 * number]}
        write_dicom(root / f"images/{name}{ending}", STORED, **fields)
        write_png(root / f"masks/{name}.png", lesion()[:: 3 - 2 * number])
    rows = [(f"images/p{n}_a{ending}", f"masks/p{n}_a.png", f"p{n}", "x") for n in (1, 2)]
    pd.DataFrame(rows, columns=["image_path", "mask_path", "patient_id", "site"]).to_csv(root / "t.csv", index=False)
    return root


def as_imported(manifest: Path) -> pd.DataFrame:
    table = read_manifest(manifest)
    assert table["patient_id"].tolist() == ["p1", "p2"]
    assert table["spacing_mm"].tolist() == [0.1, 0.2]
    expected = (SHOWN, lesion()), (65535 - SHOWN, lesion()[::-1])
    for path, mask_path, (shown, mask) in zip(table["image_path"], table["mask_path"], expected, strict=True):
        assert (read_grey(path) == shown).all()
        assert Path(path).is_relative_to(manifest.parent)
        assert (read_mask(mask_path) == (mask > 0)).all()
    return table


@pytest.mark.parametrize("ending", [".dcm", ".DICOM", ".IMA", ""])
def test_in_two_folders(tmp_path: Path, ending: str) -> None:
    write_pairs(tmp_path / "in", ending)
    (tmp_path / "in/images/DICOMDIR").write_bytes(b"\0" * 128 + b"DICM")
    (tmp_path / "in/images/notes.txt").write_text("read by nobody")
    table = as_imported(import_data("folders", tmp_path / "in", FOLDERS, tmp_path / "out"))
    assert table["volume_id"].isna().all()  # each by itself: they have no place in a stack


@pytest.mark.parametrize(("ending", "images"), [(".dcm", "images/*.dcm"), ("", "images/*")])
def test_by_wildcards(tmp_path: Path, ending: str, images: str) -> None:
    write_pairs(tmp_path / "in", ending)
    as_imported(import_data("folders", tmp_path / "in", PATTERNS | {"images": images}, tmp_path / "out"))


@pytest.mark.parametrize("ending", [".dcm", ""])
def test_in_a_table(tmp_path: Path, ending: str) -> None:
    write_pairs(tmp_path / "in", ending)
    table = as_imported(import_data("manifest", tmp_path / "in/t.csv", {}, tmp_path / "out"))
    assert table["site"].tolist() == ["x", "x"]


def test_a_spacing_of_the_table_goes_before_that_of_the_file(tmp_path: Path) -> None:
    root = write_pairs(tmp_path / "in")
    pd.read_csv(root / "t.csv").assign(spacing_mm=[0.7, None]).to_csv(root / "t.csv", index=False)
    table = read_manifest(import_data("manifest", root / "t.csv", {}, tmp_path / "out"))
    assert table["spacing_mm"].tolist() == [0.7, 0.2]


def test_pixels_that_are_no_squares_have_no_single_spacing(tmp_path: Path) -> None:
    root = write_pairs(tmp_path / "in")
    for number, spacing in ((1, [0.9, 0.7]), (2, [0.5, 0.502])):
        write_dicom(root / f"images/p{number}_a.dcm", STORED, **WINDOW, PixelSpacing=spacing)
    table = read_manifest(import_data("folders", root, FOLDERS, tmp_path / "out"))
    assert np.isnan(table["spacing_mm"][0]) and table["spacing_mm"][1] == 0.5
    assert read_header(write_dicom(tmp_path / "a.dcm", STORED, PixelSpacing=0.3)).spacing_mm == 0.3
    with pytest.raises(UserError, match="numbers in its header that cannot be"):
        read_header(write_dicom(tmp_path / "a.dcm", STORED, PixelSpacing=["nan", "nan"]))


@pytest.mark.parametrize(
    ("fields", "spacing_mm", "slice_mm"),
    [
        ({"ImagerPixelSpacing": [0.07, 0.07], "SliceThickness": 2}, 0.07, 2),
        (
            {"PixelSpacing": [0.05, 0.05], "ImagerPixelSpacing": [0.07, 0.07]}
            | {"SpacingBetweenSlices": 1, "SliceThickness": 2},
            0.05,
            1,
        ),
        (
            {"PixelSpacing": [1, 1], "SliceThickness": 2}
            | {"SharedFunctionalGroupsSequence": item(PixelMeasuresSequence=item(PixelSpacing=[0.6, 0.6]))}
            | {"PerFrameFunctionalGroupsSequence": item(PixelMeasuresSequence=item(PixelSpacing=[0.5, 0.5]))},
            0.5,
            2,
        ),
    ],
)
def test_of_several_distances_the_most_exact_is_taken(
    tmp_path: Path, fields: dict[str, Any], spacing_mm: float, slice_mm: float
) -> None:
    header = read_header(write_dicom(tmp_path / "a.dcm", STORED, **fields))
    assert (header.spacing_mm, header.slice_mm) == (spacing_mm, slice_mm)


def test_names_of_uids_have_no_ending(tmp_path: Path) -> None:
    write_dicom(tmp_path / f"in/images/{UID}", STORED, **WINDOW)
    write_png(tmp_path / f"in/masks/{UID}.png", lesion())
    table = read_manifest(import_data("folders", tmp_path / "in", {"patient": r"\.([0-9]+)$"}, tmp_path / "out"))
    assert table["patient_id"].tolist() == [UID.rpartition(".")[2]]
    assert (read_grey(table["image_path"][0]) == SHOWN).all()


def test_nothing_else_of_the_header_is_passed_on(tmp_path: Path) -> None:
    write_pairs(tmp_path / "in")
    for number, (source, root, settings) in enumerate(
        [("folders", "in", FOLDERS), ("folders", "in", PATTERNS), ("manifest", "in/t.csv", {})]
    ):
        out = tmp_path / f"out{number}"
        import_data(source, tmp_path / root, settings, out)
        for path in filter(Path.is_file, out.rglob("*")):
            held = path.read_bytes() + path.name.encode()
            assert not [secret for secret in (NAME, UID, "secret-id") if secret.encode() in held], path


@pytest.mark.parametrize(
    ("pixels", "fields", "message"),
    [
        (np.stack([STORED] * 3), {}, r"p1_a\.dcm holds 3 frames; save each as a file of its own"),
        (STORED[1:], {}, r"masks/p1_a\.png is 16 x 24 pixels, its image 16 x 23; they must match"),
        (STORED, {"SamplesPerPixel": 3}, r"p1_a\.dcm has colours"),
        (STORED, {"PhotometricInterpretation": "PALETTE COLOR"}, r"has colours \(PALETTE COLOR\)"),
        (STORED, {"WindowWidth": 0}, "has a window 0 wide"),
        (STORED, {"RescaleSlope": "1e308", "WindowWidth": 1}, "gives no grey values"),
        (STORED, {"RescaleSlope": [1, 2]}, "lacks a field of the header or has a broken one"),
        (STORED, {"RescaleSlope": 0}, "numbers in its header that cannot be"),  # it was taken for 1
        (STORED, {"BitsStored": 60000}, "numbers in its header that cannot be"),
    ],
)
def test_what_is_no_single_grey_image_is_refused_or_skipped(
    tmp_path: Path, pixels: np.ndarray, fields: dict[str, object], message: str
) -> None:
    root = write_pairs(tmp_path / "in")
    write_dicom(root / "images/p1_a.dcm", pixels, **WINDOW | fields)
    for source, place, settings in (("folders", root, FOLDERS), ("manifest", root / "t.csv", {})):
        with pytest.raises(UserError, match=message):
            import_data(source, place, settings, tmp_path / "out")
        table = read_manifest(import_data(source, place, settings | {"faults": "skip"}, tmp_path / "out"))
        assert table["patient_id"].tolist() == ["p2"]
        assert json.loads((tmp_path / "out/import.json").read_text())["faults"] == 1


def test_a_mask_of_dicom_or_one_that_is_to_be_turned_is_refused(tmp_path: Path) -> None:
    root = write_pairs(tmp_path / "in")
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    Image.fromarray(lesion()).save(root / "masks/p1_a.png", exif=exif)
    (root / "masks/p2_a.png").unlink()
    write_dicom(root / "masks/p2_a.dcm", lesion())
    with pytest.raises(UserError) as caught:
        import_data("folders", root, FOLDERS, tmp_path / "out")
    assert "masks/p1_a.png is to be turned (EXIF orientation 3)" in str(caught.value)
    assert "masks/p2_a.dcm is DICOM, and masks are not read from that" in str(caught.value)
