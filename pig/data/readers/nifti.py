"""NIfTI volumes, all turned to one orientation, and whether an image and its mask lie on one grid.

Voxels are turned to LPS: the first axis runs from right to left, the second from front to back, the third upwards, as
in DICOM, so that an axial slice is shown with the front at the top. A file may store its axes in any order and
direction; the header's affine says which.
"""

from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pig.data.limits import refuse_giant
from pig.system.errors import UserError

ORIENTATION = "LPS"
TOLERANCE = 0.05  # of a voxel: what rounding in headers may move a corner of the volume by


class Nifti(NamedTuple):
    """A volume in LPS.

    Attributes:
        path: of the file.
        voxels: [X, Y, Z], of any type of numbers.
        affine: float64 [4, 4], from voxel indices to millimetres (x to the right, y to the front, z upwards).
        stored: the orientation of the file, such as "RAS".
    """

    path: Path
    voxels: NDArray[Any]
    affine: NDArray[np.float64]
    stored: str


def read_nifti(path: Path) -> Nifti:
    """Read a NIfTI file; a fourth axis of length 1 is dropped, a missing third added.

    Raises:
        UserError: it cannot be read, has no three axes, or its header does not say where they lie.
    """
    try:
        import nibabel
        from nibabel import orientations
    except ImportError:
        raise UserError(f"{path}: reading NIfTI needs nibabel; pip install 'pig-benchmark[nifti]'.") from None
    try:
        file: Any = nibabel.load(path)
        refuse_giant(path, *file.shape, 1)
        voxels: NDArray[Any] = np.asarray(file.dataobj)
        affine = np.asarray(file.affine, np.float64)
    except UserError:
        raise
    except Exception as error:  # of a broken file nibabel raises nearly anything
        raise UserError(f"{path} cannot be read ({error}); it may be cut short: copy it again") from None
    if voxels.ndim == 4 and voxels.shape[3] == 1:
        voxels = voxels[..., 0]
    if voxels.ndim == 2:
        voxels = voxels[..., None]
    if voxels.ndim != 3 or not voxels.size or voxels.dtype.kind not in "biuf":
        raise UserError(f"{path} holds {voxels.dtype} {list(voxels.shape)}; a volume has numbers on three axes")
    lost = f"{path} does not say where its axes lie (affine {affine[:3].tolist()}); save it with an affine"
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-12:
        raise UserError(lost)
    try:
        turn = orientations.ornt_transform(
            orientations.io_orientation(affine), orientations.axcodes2ornt(tuple(ORIENTATION))
        )
    except ValueError:  # two axes lie along one
        raise UserError(lost) from None
    turned = affine @ orientations.inv_ornt_aff(turn, voxels.shape)
    stored = "".join(orientations.aff2axcodes(affine))
    return Nifti(path, orientations.apply_orientation(voxels, turn), turned, stored)


def refuse_other_grid(image: Nifti, mask: Nifti) -> None:
    """Raise a UserError unless the voxels of a mask lie on those of its image.

    Shapes must be equal, and each corner of the volume must be at the same place, up to a small part of a voxel.
    """
    if image.voxels.shape != mask.voxels.shape:
        raise UserError(f"{mask.path} has {_shape(mask)} voxels, its image {_shape(image)}; they must match")
    corners = np.array([(*corner, 1) for corner in product(*((0, n - 1) for n in image.voxels.shape))], np.float64)
    apart = np.abs(corners @ (image.affine - mask.affine).T).max()
    if apart > TOLERANCE * _spacing(image).min():
        raise UserError(
            f"{mask.path} lies elsewhere than its image, by up to {apart:.3g} mm: {_place(mask)}, against "
            f"{_place(image)}; resample it onto the grid of {image.path}, or save it with that affine"
        )


def _shape(volume: Nifti) -> str:
    return " x ".join(map(str, volume.voxels.shape))


def _spacing(volume: Nifti) -> NDArray[np.float64]:
    spacing: NDArray[np.float64] = np.linalg.norm(volume.affine[:3, :3], axis=0)
    return spacing


def _place(volume: Nifti) -> str:
    spacing, origin = (", ".join(f"{value:.4g}" for value in v) for v in (_spacing(volume), volume.affine[:3, 3]))
    return f"orientation {volume.stored}, in {ORIENTATION} spacing ({spacing}) and origin ({origin})"
