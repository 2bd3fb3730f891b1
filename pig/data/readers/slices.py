"""An image file with its label map: two-dimensional files, DICOM among them, or NIfTI volumes slice by slice."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pig.data.formats import NIFTI, ending_of, holds_dicom
from pig.data.images import orientation_of, read_labels, refuse_other_turn, size_of
from pig.data.readers.dicom import read_single
from pig.data.readers.labels import Labels, guessed, lesion_of
from pig.data.readers.nifti import read_nifti, refuse_other_grid
from pig.data.readers.volume import Pair, to_uint16
from pig.system.errors import UserError
from pig.system.settings import Error

AXES = (0, 1, 2)


def axis_errors(axis: int) -> Iterator[Error]:
    """Yield what is wrong with the setting ``axis`` of a layout, if anything."""
    if axis not in AXES:
        yield "axis", f"must be 0, 1 or 2, got {axis}."


def read_pairs(image: Path, masks: Sequence[Path], row: dict[str, Any], labels: Labels, axis: int) -> Iterator[Pair]:
    """Read one image or volume and its label maps, whose lesions are united.

    Args:
        image: a two-dimensional file, which stays where it is, unless it is DICOM of one frame; or NIfTI.
        masks: two-dimensional files that are not DICOM, or NIfTI; none: no lesion.
        row: columns of the manifest; a volume's slices get ``slice_index`` beside; DICOM gets ``spacing_mm``, and the
            slices of one series a ``volume_id``, if the row has none.
        labels: what the values of the mask mean.
        axis: 0, 1 or 2: what counts the slices of a volume, turned to LPS: 2 gives axial slices.

    Raises:
        UserError: a file cannot be read, or the two do not match.
    """
    for mask in masks:
        if holds_dicom(mask):
            raise UserError(f"{mask} is DICOM, and masks are not read from that; save it as PNG, TIFF or NIfTI")
        if (ending_of(mask) in NIFTI) != (ending_of(image) in NIFTI):
            raise UserError(f"{image} and {mask} are not both volumes; save both as NIfTI, or each slice as an image")
    if ending_of(image) not in NIFTI:
        yield _flat(image, masks, row, labels)
        return
    volume = read_nifti(image)
    lesion, values = np.zeros(volume.voxels.shape, bool), set[float]()
    for mask in masks:
        truth = read_nifti(mask)
        refuse_other_grid(volume, truth)
        of_mask = lesion_of(truth.voxels, labels, mask)
        lesion |= of_mask
        values |= guessed(truth.voxels, of_mask, labels)
    grey, scale = to_uint16(volume.voxels, image)
    for index in range(grey.shape[axis]):
        # NIfTI counts x first; an image has y as rows.
        more = {"slice_index": index} | scale
        yield Pair(np.take(grey, index, axis).T, np.take(lesion, index, axis).T, row | more, frozenset(values))


def _flat(image: Path, masks: Sequence[Path], row: dict[str, Any], labels: Labels) -> Pair:
    shown: Path | NDArray[Any] = image
    if holds_dicom(image):
        shown, header = read_single(image)
        said = {"spacing_mm": header.spacing_mm, "volume_id": header.stack}
        row = row | {key: value for key, value in said.items() if not row.get(key)}
    lesion, values = np.zeros(size_of(shown) if isinstance(shown, Path) else shown.shape, bool), set[float]()
    for mask in masks:
        if isinstance(shown, Path):
            refuse_other_turn(image, mask)
        elif (turn := orientation_of(mask)) != 1:
            raise UserError(f"{mask} is to be turned (EXIF orientation {turn}), and {image} is not; save it as seen")
        found = read_labels(mask, labels.threshold is not None)
        of_mask = lesion_of(found, labels, mask)
        lesion = _united(lesion, of_mask, mask)
        values |= guessed(found, of_mask, labels)
    return Pair(shown, lesion, row, frozenset(values))


def _united(before: NDArray[np.bool_], lesion: NDArray[np.bool_], mask: Path) -> NDArray[np.bool_]:
    if before.shape != lesion.shape:
        (height, width), (of_image_h, of_image_w) = lesion.shape, before.shape
        raise UserError(f"{mask} is {width} x {height} pixels, its image {of_image_w} x {of_image_h}; they must match")
    return before | lesion
