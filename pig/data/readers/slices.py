"""An image file with its label map: two-dimensional files, or NIfTI volumes slice by slice."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pig.data.images import read_labels, refuse_giant
from pig.data.readers.volume import Pair, lesion_of, to_uint16
from pig.system.errors import UserError

NIFTI = (".nii", ".nii.gz")
FLAT = (".png", ".tif", ".tiff", ".jpg", ".jpeg", ".bmp")
ENDINGS = (*NIFTI, *FLAT)


def ending_of(path: Path) -> str | None:
    """Return which of ``ENDINGS`` a file name has, or None."""
    return next((ending for ending in ENDINGS if path.name.lower().endswith(ending)), None)


def read_pairs(image: Path, mask: Path, row: dict[str, Any], labels: tuple[int, ...], axis: int) -> Iterator[Pair]:
    """Read one image or volume and its label map.

    Args:
        image: a two-dimensional file, which stays where it is, or NIfTI.
        mask: of the same kind.
        row: columns of the manifest; a volume's slices get ``slice_index`` beside.
        labels: see ``pig.data.readers.volume.lesion_of``.
        axis: 0, 1 or 2: what counts the slices of a volume.

    Raises:
        UserError: a file cannot be read, or the two do not match.
    """
    if ending_of(image) not in NIFTI:
        yield Pair(image, lesion_of(read_labels(mask), labels, mask), row)
        return
    volume, truth = _nifti(image), _nifti(mask)
    if volume.shape != truth.shape:
        raise UserError(f"{mask} has {_shape(truth)} voxels, its image {_shape(volume)}; they must match")
    grey, scale = to_uint16(volume, image)
    lesion = lesion_of(truth, labels, mask)
    for index in range(volume.shape[axis]):
        # NIfTI counts x first; an image has y as rows.
        yield Pair(np.take(grey, index, axis).T, np.take(lesion, index, axis).T, row | {"slice_index": index} | scale)


def _nifti(path: Path) -> NDArray[Any]:
    """Return the voxels [X, Y, Z] of a NIfTI file; a fourth axis of length 1 is dropped, a missing third added."""
    try:
        import nibabel
        from nibabel.filebasedimages import ImageFileError
    except ImportError:
        raise UserError(f"{path}: reading NIfTI needs nibabel; pip install 'pig-benchmark[nifti]'.") from None
    try:
        file = nibabel.load(path)
        refuse_giant(path, *file.shape, 1)  # type: ignore[attr-defined]
        voxels: NDArray[Any] = np.asarray(file.dataobj)  # type: ignore[attr-defined]
    except UserError:
        raise
    except (OSError, ValueError, EOFError, ImageFileError) as error:
        raise UserError(f"{path} cannot be read ({error}); it may be cut short: copy it again") from None
    if voxels.ndim == 4 and voxels.shape[3] == 1:
        voxels = voxels[..., 0]
    if voxels.ndim == 2:
        voxels = voxels[..., None]
    if voxels.ndim != 3 or not voxels.size or voxels.dtype.kind not in "biuf":
        raise UserError(f"{path} holds {voxels.dtype} {list(voxels.shape)}; a volume has numbers on three axes")
    return voxels


def _shape(array: NDArray[Any]) -> str:
    return " x ".join(map(str, array.shape))
