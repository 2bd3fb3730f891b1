"""T-SYNTH (huggingface.co/datasets/didsr/tsynth): synthetic tomosynthesis volumes with voxel labels."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pig.data.limits import refuse_giant
from pig.data.readers.volume import Pair, Volume, below, gather, to_uint16
from pig.system.errors import UserError

FOLDER = re.compile(r"^D2_(?P<size>[^_]+)_(?P<density>[A-Za-z]+)\.(?P<id>\d+)$")
MASS = 200  # the label of mass in the phantoms
LETTERS = {"fatty": "a", "scattered": "b", "hetero": "c", "dense": "d"}
DEVIATIONS = 2  # of the grey values around their mean that are shown


@dataclass(frozen=True)
class Settings:
    """Size of voxels, which the files do not give."""

    spacing_mm: float = 0.085
    slice_mm: float = 1.0


def volumes(root: Path, settings: Settings) -> list[Volume]:
    """Return one volume for each with a lesion, that is, with a ``.loc`` file; sorted by path.

    Raises:
        Incomplete: a volume is not in a folder D2_SIZE_DENSITY.NUMBER, or lacks its header or labels. All are listed.
    """
    single, found = [], []
    for path in below(root, "reconstruction*.raw"):
        if not path.with_suffix(".loc").is_file():
            continue
        labels = path.with_name(path.name.replace("reconstruction", "reconstruction_mask")).with_suffix(".h5")
        match = next(filter(None, map(FOLDER.match, reversed(path.parts))), None)
        header = path.with_suffix(".mhd")
        if lacking := [str(file) for file in (header, labels) if not file.is_file()]:
            single.append(f"{path}: {', '.join(lacking)} does not exist")
            continue
        if not match:
            single.append(f"{path} is not in a folder D2_SIZE_DENSITY.NUMBER, which tells the patient")
            continue
        density = match["density"].lower()
        row = {
            # One phantom with lesions of several sizes and densities stays one patient.
            "patient_id": f"{density}-{match['id']}",
            "view": "CC",
            "volume_id": "/".join(path.relative_to(root).parts[:-1]),
            "density": LETTERS.get(density),
            "lesion_size": match["size"],
            "spacing_mm": settings.spacing_mm,
            "mask_source": "phantom",
        }
        found.append(Volume(str(path.relative_to(root)), partial(load, path, header, labels, row)))
    return gather(root, [], found, "reconstruction*.raw with a .loc beside", single)


def load(path: Path, header: Path, labels: Path, row: dict[str, Any]) -> Iterator[Pair]:
    """Read the slices of a volume that the mass reaches, or a C-view, which is one image.

    Grey values of a volume within two standard deviations of its mean become 0..65535; what lies outside is clipped.
    Differs: the authors' reader sets what is below to zero and scales from there, which leaves a gap in the grey
    values. Those of a C-view, from the smallest to the largest.

    Raises:
        UserError: a file cannot be read, or sizes do not agree.
    """
    volume, truth = _volume(path, header), _labels(labels)
    if volume.ndim == 2:
        if truth.shape != volume.shape:
            raise UserError(f"{labels} has {list(truth.shape)} pixels, {header} says {list(volume.shape)}")
        image, scale = to_uint16(volume, path)
        yield Pair(image, truth == MASS, row | scale)
        return
    if truth.shape != volume.shape:
        raise UserError(f"{labels} has {list(truth.shape)} voxels, {header} says {list(volume.shape)}")
    # One plane at a time: a volume has a hundred million voxels.
    means = [float(plane.mean(dtype=np.float64)) for plane in volume]
    mean = float(np.mean(means))
    variance = float(np.mean([np.square(plane.astype(np.float64) - mean).mean() for plane in volume]))
    reach = DEVIATIONS * np.sqrt(variance)
    if not np.isfinite(reach) or reach == 0:
        raise UserError(f"{path} holds no volume: its grey values have the standard deviation {np.sqrt(variance)}")
    for index in range(len(volume)):
        mask = truth[index] == MASS
        if mask.any():
            grey = np.clip((volume[index].astype(np.float64) - mean + reach) / (2 * reach), 0, 1) * 65535
            image = np.rint(grey).astype(np.uint16)
            more = {"slice_index": index, "n_slices": len(volume)}
            yield Pair(_upright(image), _upright(mask), row | more)


def _upright(plane: NDArray[Any]) -> NDArray[Any]:
    """Return a plane [x, y] as an image: the file's last axis counts rows, from the bottom."""
    return plane.T[::-1]


def _volume(path: Path, header: Path) -> NDArray[Any]:
    """Return the voxels, float64 [slices, W, H], or the pixels of a C-view, float32 [H, W]; mapped from the file."""
    fields = dict(re.findall(r"^\s*(\w+)\s*=\s*(.*?)\s*$", header.read_text(encoding="utf-8", errors="replace"), re.M))
    try:
        x, y, z = map(int, fields["DimSize"].split())
        if min(x, y, z) < 1:
            raise ValueError
    except (KeyError, ValueError):
        raise UserError(f"{header} gives no DimSize of three numbers above 0; copy it again") from None
    size = path.stat().st_size
    if size == 4 * x * y:
        return np.asarray(np.memmap(path, "<f4", "r", shape=(x, y)))
    if not size or size != 8 * x * y * z:
        raise UserError(f"{path} has {size} bytes, not {x} x {y} x {z} voxels of 8; it may be cut short: copy it again")
    return np.asarray(np.memmap(path, "<f8", "r", shape=(z, y, x)))


def _labels(path: Path) -> NDArray[Any]:
    """Return the labels, of the same shape."""
    try:
        import h5py  # type: ignore[import-untyped]
    except ImportError:
        raise UserError(f"{path}: reading T-SYNTH needs h5py; pip install 'pig-benchmark[tsynth]'.") from None
    try:
        with h5py.File(path) as file:
            refuse_giant(path, *file["dbt"].shape, 1)
            return np.asarray(file["dbt"])
    except UserError:
        raise
    except Exception as error:  # of a broken file h5py raises nearly anything
        raise UserError(f"{path} cannot be read ({error}); it may be cut short: copy it again") from None
