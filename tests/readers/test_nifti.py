"""NIfTI in every orientation: the lesion stays on what it is the mask of, and all patients come in one orientation."""

from pathlib import Path

import nibabel
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nibabel import orientations

from pig.data.images import read_grey, read_mask
from pig.data.manifest import read_manifest
from pig.data.readers import import_data, read_settings
from pig.data.readers.nifti import read_nifti
from pig.data.readers.volume import to_uint16
from pig.system.errors import UserError

CODES = [
    "".join(code)
    for axes in (("LR", "AP", "IS"), ("AP", "LR", "IS"), ("IS", "AP", "LR"), ("LR", "IS", "AP"))
    for code in np.array(np.meshgrid(*map(list, axes))).T.reshape(-1, 3).tolist()
]
SPACING, ORIGIN = (0.5, 0.8, 3.0), (12.5, -40.0, 7.0)


def scene() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """An image and its mask [X, Y, Z] in LPS, with no symmetry; a pixel is bright where it is lesion."""
    rng = np.random.default_rng(0)
    mask = np.zeros((7, 6, 5), np.uint8)
    mask[1:3, 3:6, 1:4] = 1
    mask[4, 0, 3] = 1
    image = (rng.integers(0, 100, mask.shape) + 150 * mask).astype(np.uint8)
    affine = np.diag([-SPACING[0], -SPACING[1], SPACING[2], 1.0])
    affine[:3, 3] = ORIGIN
    return image, mask, affine


def save(path: Path, voxels: np.ndarray, affine: np.ndarray, code: str) -> Path:
    """Write the same place of space in another order and direction of axes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    turn = orientations.ornt_transform(orientations.io_orientation(affine), orientations.axcodes2ornt(tuple(code)))
    turned = orientations.apply_orientation(voxels, turn)
    stored = nibabel.Nifti1Image(turned, affine @ orientations.inv_ornt_aff(turn, voxels.shape))
    assert "".join(nibabel.aff2axcodes(stored.affine)) == code
    nibabel.save(stored, path)
    return path


def test_several_masks_of_a_volume_are_united(tmp_path: Path) -> None:
    image, mask, affine = scene()
    save(tmp_path / "in/images/p.nii.gz", image, affine, "LPS")
    for number, part in enumerate((mask[:4], mask[4:])):
        alone = np.concatenate([part, 0 * mask[4:]] if number == 0 else [0 * mask[:4], part])
        save(tmp_path / f"in/masks/p_{number}.nii.gz", alone, affine, "RAS")
    given_settings = {"patient": "(p)", "images": "images/*.nii.gz", "masks": "masks/*_*.nii.gz"}
    given_settings["without_lesion"] = "keep"
    table = read_manifest(import_data("folders", tmp_path / "in", given_settings, tmp_path / "out"))
    found = np.stack([read_mask(path).T for path in table["mask_path"]], axis=2)
    assert np.array_equal(found, mask) and mask[:4].any() and mask[4:].any()


@pytest.mark.parametrize(
    ("values", "stored", "scaled"),
    [
        ([0, 65535], [0, 65535], {}),
        ([0, 65536], [0, 65535], {"grey_low": 0, "grey_high": 65536}),
        ([-2, 3], [0, 65535], {"grey_low": -2, "grey_high": 3}),
        ([0.0, 3.0], [0, 65535], {"grey_low": 0, "grey_high": 3}),
    ],
)
def test_whole_numbers_that_fit_stay_and_others_are_scaled(values: list, stored: list, scaled: dict) -> None:
    grey, scale = to_uint16(np.array(values), "name")
    assert (grey.dtype, grey.tolist(), scale) == (np.uint16, stored, scaled)


@settings(max_examples=25)
@given(of_image=st.sampled_from(CODES), of_mask=st.sampled_from(CODES), axis=st.integers(0, 2))
def test_each_slice_lies_on_its_lesion_whatever_the_orientations(
    tmp_path_factory: pytest.TempPathFactory, of_image: str, of_mask: str, axis: int
) -> None:
    root = tmp_path_factory.mktemp("set")
    image, mask, affine = scene()
    save(root / "in/images/p.nii.gz", image, affine, of_image)
    save(root / "in/masks/p.nii.gz", mask, affine, of_mask)
    given_settings = {"patient": "(p)", "axis": axis, "without_lesion": "keep"}
    table = read_manifest(import_data("folders", root / "in", given_settings, root / "out"))
    assert len(table) == image.shape[axis]
    for index in range(len(table)):
        assert (read_grey(table["image_path"][index]) == image.take(index, axis).T).all()
        assert (read_mask(table["mask_path"][index]) == (image.take(index, axis).T >= 150)).all()


def moved(affine: np.ndarray, axis: int, millimetres: float) -> np.ndarray:
    other = affine.copy()
    other[axis, 3] += millimetres
    return other


def scaled(affine: np.ndarray) -> np.ndarray:
    return affine @ np.diag([1.0, 1.0, 1.5, 1.0])


def turned_by(affine: np.ndarray, degrees: float) -> np.ndarray:
    angle = np.deg2rad(degrees)
    rotation = np.eye(4)
    rotation[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return rotation @ affine


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda affine: moved(affine, 2, 3.0), r"by up to 3 mm: orientation LPS, .* origin \(12.5, -40, 10\), against"),
        (lambda affine: moved(affine, 0, 0.1), r"by up to 0.1 mm"),
        (scaled, r"spacing \(0.5, 0.8, 4.5\) .*, against .* spacing \(0.5, 0.8, 3\)"),
        (lambda affine: turned_by(affine, 5), "lies elsewhere than its image"),
        (lambda affine: affine @ np.diag([-1.0, 1.0, 1.0, 1.0]), "orientation RPS, .*, against orientation LPS"),
    ],
)
def test_a_mask_on_another_grid_is_refused(tmp_path: Path, change: object, found: str) -> None:
    image, mask, affine = scene()
    save(tmp_path / "images/p.nii", image, affine, "LPS")
    nibabel.save(nibabel.Nifti1Image(mask, change(affine)), tmp_path / "p.nii")  # type: ignore[operator]
    (tmp_path / "masks").mkdir()
    (tmp_path / "p.nii").rename(tmp_path / "masks/p.nii")
    with pytest.raises(UserError, match=rf"masks/p.nii lies elsewhere than its image.*{found}|{found}"):
        import_data("folders", tmp_path, {"patient": "(p)"}, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_rounding_in_a_header_moves_nothing(tmp_path: Path) -> None:
    image, mask, affine = scene()
    save(tmp_path / "images/p.nii", image, affine, "LPS")
    save(tmp_path / "masks/p.nii", mask, moved(affine, 1, 1e-3), "RAS")
    table = read_manifest(import_data("folders", tmp_path, {"patient": "(p)"}, tmp_path / "out"))
    assert len(table) == 3


@pytest.mark.parametrize("axis", [-1, 3])
@pytest.mark.parametrize("layout", ["folders", "nnunet", "manifest"])
def test_there_are_three_axes(tmp_path: Path, layout: str, axis: int) -> None:
    patient = {} if layout == "manifest" else {"patient": "(p)"}
    for good in (0, 1, 2):
        read_settings(layout, {**patient, "axis": good})
    with pytest.raises(UserError, match=rf"^dataset\.import\.axis: must be 0, 1 or 2, got {axis}\.$"):
        read_settings(layout, {**patient, "axis": axis})


def test_patients_in_different_orientations_come_in_one(tmp_path: Path) -> None:
    image, mask, affine = scene()
    for name, code in (("p1", "LPS"), ("p2", "RAS"), ("p3", "SAR")):
        for kind, voxels in (("images", image), ("masks", mask)):
            save(tmp_path / kind / f"{name}.nii", voxels, affine, code)
    table = read_manifest(import_data("folders", tmp_path, {"patient": "(p.)"}, tmp_path / "out"))
    shown = {name: [read_grey(path) for path in rows["image_path"]] for name, rows in table.groupby("patient_id")}
    for name in ("p2", "p3"):
        assert all((a == b).all() for a, b in zip(shown["p1"], shown[name], strict=True))


def test_several_times_and_no_affine_are_refused(tmp_path: Path) -> None:
    nibabel.save(nibabel.Nifti1Image(np.zeros((4, 4, 2, 3), np.uint8), np.eye(4)), tmp_path / "times.nii")
    with pytest.raises(UserError, match=r"times.nii holds uint8 \[4, 4, 2, 3\]; a volume has numbers on three axes"):
        read_nifti(tmp_path / "times.nii")
    nibabel.save(nibabel.Nifti1Image(np.zeros((4, 4, 2), np.uint8), np.diag([2.0, 2, 2, 1])), tmp_path / "flat.nii")
    header = bytearray((tmp_path / "flat.nii").read_bytes())
    header[296:312] = bytes(16)  # srow_y: the second row of the affine
    (tmp_path / "flat.nii").write_bytes(header)
    with pytest.raises(UserError, match=r"flat.nii does not say where its axes lie"):
        read_nifti(tmp_path / "flat.nii")


def test_a_flat_file_and_a_single_time_are_volumes(tmp_path: Path) -> None:
    image, _, affine = scene()
    nibabel.save(nibabel.Nifti1Image(image[:, :, 0], affine), tmp_path / "flat.nii")
    assert (read_nifti(tmp_path / "flat.nii").voxels == image[:, :, :1]).all()
    nibabel.save(nibabel.Nifti1Image(image[..., None], affine), tmp_path / "time.nii")
    assert (read_nifti(tmp_path / "time.nii").voxels == image).all()
