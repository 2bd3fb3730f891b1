"""An image file with its label map: two-dimensional files, or NIfTI volumes slice by slice."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from pig.data.images import read_labels, refuse_other_turn
from pig.data.readers.labels import Labels, lesion_of
from pig.data.readers.nifti import read_nifti, refuse_other_grid
from pig.data.readers.volume import Pair, to_uint16

NIFTI = (".nii", ".nii.gz")
FLAT = (".png", ".tif", ".tiff", ".jpg", ".jpeg", ".bmp")
ENDINGS = (*NIFTI, *FLAT)


def ending_of(path: Path) -> str | None:
    """Return which of ``ENDINGS`` a file name has, or None."""
    return next((ending for ending in ENDINGS if path.name.lower().endswith(ending)), None)


def read_pairs(image: Path, mask: Path, row: dict[str, Any], labels: Labels, axis: int) -> Iterator[Pair]:
    """Read one image or volume and its label map.

    Args:
        image: a two-dimensional file, which stays where it is, or NIfTI.
        mask: of the same kind.
        row: columns of the manifest; a volume's slices get ``slice_index`` beside.
        labels: what the values of the mask mean.
        axis: 0, 1 or 2: what counts the slices of a volume, turned to LPS: 2 gives axial slices.

    Raises:
        UserError: a file cannot be read, or the two do not match.
    """
    if ending_of(image) not in NIFTI:
        refuse_other_turn(image, mask)
        yield Pair(image, lesion_of(read_labels(mask), labels, mask), row)
        return
    volume, truth = read_nifti(image), read_nifti(mask)
    refuse_other_grid(volume, truth)
    grey, scale = to_uint16(volume.voxels, image)
    lesion = lesion_of(truth.voxels, labels, mask)
    for index in range(grey.shape[axis]):
        # NIfTI counts x first; an image has y as rows.
        yield Pair(np.take(grey, index, axis).T, np.take(lesion, index, axis).T, row | {"slice_index": index} | scale)
