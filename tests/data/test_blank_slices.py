"""Volumes whose first and last slices are blank: these become the lowest value, and decide nothing about the others."""

from pathlib import Path

import nibabel
import numpy as np
import pandas as pd
import pytest
from study_files import write_png

from pig.data.checks.check import check
from pig.data.preprocess import build_store
from pig.data.readers import import_data
from pig.data.settings import PreprocessSettings
from pig.data.store import Store
from pig.system.errors import UserError

KEEP = PreprocessSettings(16, empty_masks="keep")


def head(lowest: int = 0) -> np.ndarray:
    """Three slices [Z, H, W] that become brighter, and of which each fills more of the picture."""
    slices = np.full((3, 24, 20), lowest, np.uint8)
    for z in range(3):
        slices[z, 3 : 15 + 2 * z, 4 : 12 + 2 * z] = 100 + 40 * z + np.arange(8 + 2 * z)
    return slices


def lesions(*of: int, count: int = 3) -> np.ndarray:
    masks = np.zeros((count, 24, 20), np.uint8)
    masks[[*of], 6:10, 6:10] = 255
    return masks


def write(folder: Path, images: np.ndarray, masks: np.ndarray, volume: str | None = "v", patient: str = "p1") -> Path:
    rows = []
    for z, (image, mask) in enumerate(zip(images, masks, strict=True)):
        write_png(folder / f"{patient}-{z}.png", image)
        write_png(folder / f"{patient}-m{z}.png", mask)
        rows.append((f"{patient}-{z}.png", f"{patient}-m{z}.png", patient, volume))
    table = pd.DataFrame(rows, columns=["image_path", "mask_path", "patient_id", "volume_id"])
    table.to_csv(folder / f"{patient}.csv", index=False)
    return folder / f"{patient}.csv"


def with_blank(images: np.ndarray, value: int) -> np.ndarray:
    return np.concatenate([np.full_like(images[:1], value), images])


@pytest.mark.parametrize("lowest", [0, 7])
@pytest.mark.parametrize("anatomy", ["any", "breast"])
def test_a_blank_slice_is_the_lowest_value_and_changes_no_other(tmp_path: Path, lowest: int, anatomy: str) -> None:
    settings = PreprocessSettings(16, "pad", anatomy, empty_masks="keep")  # type: ignore[arg-type]
    without = build_store(write(tmp_path / "a", head(lowest), lesions(1)), settings, tmp_path / "a/store")
    images, masks = with_blank(head(lowest), 0), lesions(2, count=4)  # a mask's slice 2 is the image's slice 1
    store = build_store(write(tmp_path / "b", images, masks), settings, tmp_path / "b/store")
    assert (store.images[0] == 0).all() and not store.masks[0].any()
    assert (store.images[1:] == without.images).all() and (store.masks[1:] == without.masks).all()
    geometry = ["crop_y0", "crop_x0", "crop_h", "crop_w", "source_h", "source_w"]
    assert store.manifest[geometry].drop_duplicates().to_numpy().tolist() == [
        without.manifest.loc[0, geometry].tolist()
    ]


def test_the_full_window_shows_a_blank_slice_as_it_is(tmp_path: Path) -> None:
    settings = PreprocessSettings(16, window="full", empty_masks="keep")
    path = write(tmp_path, with_blank(head(7), 7), lesions(2, count=4))
    assert (build_store(path, settings, tmp_path / "store").images[0] == 7 * 257).all()


def save(path: Path, voxels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(voxels.transpose(2, 1, 0), np.diag([-1.0, -1, 1, 1])), path)


def test_nifti_with_blank_ends_is_imported_checked_and_stored(tmp_path: Path) -> None:
    for number in (1, 2):
        images = with_blank(head() + np.uint8(number) * (head() > 0), 0)
        save(tmp_path / f"in/images/p{number}.nii", np.concatenate([images, 0 * images[:2]]).astype(np.int16) * 9)
        save(tmp_path / f"in/masks/p{number}.nii", lesions(2, count=6))
    settings = {"patient": "(p.)", "without_lesion": "keep"}
    manifest = import_data("folders", tmp_path / "in", settings, tmp_path / "out")
    check(manifest, KEEP, tmp_path / "check", folds=2)  # blank slices of two patients are no copies of one image
    found = pd.read_csv(tmp_path / "check/check.csv")
    assert found["faults"].isna().all()
    assert found["warnings"].isna()[found["high"] == 0].tolist() == [True] * 6
    assert found["nearest_row"].isna().tolist() == [True, False, False, False, True, True] * 2
    store: Store = build_store(manifest, KEEP, tmp_path / "store")
    assert store.images.any((1, 2)).tolist() == [False, True, True, True, False, False] * 2
    assert store.masks.any((1, 2)).tolist() == [False, False, True, False, False, False] * 2


@pytest.mark.parametrize(
    ("images", "masks", "volume", "faults"),
    [
        (0 * head(), lesions(), "v", ["0, as are all slices of its volume", "row 3", "row 4"]),
        (with_blank(head(), 0), lesions(0, 2, count=4), "v", ["0, and {}/p1-m0.png has a lesion there"]),
        (with_blank(head(), 255), lesions(count=4), "v", ["255, and in other slices of its volume blank is 0"]),
        (with_blank(head(), 0), lesions(count=4), None, ["0"]),
    ],
    ids=["all", "lesion", "bright", "single"],
)
def test_blank_images_that_are_refused(
    tmp_path: Path, images: np.ndarray, masks: np.ndarray, volume: str | None, faults: list[str]
) -> None:
    path = write(tmp_path, images, masks, volume)
    with pytest.raises(UserError) as caught:
        build_store(path, KEEP, tmp_path / "store")
    lines = str(caught.value).splitlines()[1:]
    assert len(lines) == len(faults)
    said = faults[0].replace("{}", str(tmp_path))
    assert lines[0].endswith(f"row 2: {tmp_path}/p1-0.png is blank: every pixel is {said}")
    assert [fault in line for fault, line in zip(faults[1:], lines[1:], strict=True)] == [True] * (len(lines) - 1)


def test_a_single_image_that_is_blank_beside_an_empty_mask_has_both_faults(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        build_store(write(tmp_path, 0 * head()[:1], lesions(count=1), None), PreprocessSettings(16), tmp_path / "store")
    assert [word in str(caught.value) for word in ("p1-0.png is blank", "p1-m0.png is an empty mask")] == [True, True]
