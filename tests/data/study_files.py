"""Small studies written as real files, for the tests beside this file."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from pig.data.store import Store, allocate, complete


def write_png(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def ramp(height: int = 24, width: int = 16, top: int = 4, left: int = 3) -> np.ndarray:
    """A uint16 image: zeros, and from (top, left) on grey values that rise from pixel to pixel."""
    image = np.zeros((height, width), np.uint16)
    inner = image[top:, left:]
    inner[:] = 1000 + 10 * np.arange(inner.size).reshape(inner.shape)
    return image


def lesion(height: int = 24, width: int = 16, value: int = 255) -> np.ndarray:
    """A uint8 mask of 0 and ``value``: a square of 8 x 8 pixels from (10, 6) on."""
    mask = np.zeros((height, width), np.uint8)
    mask[10:18, 6:14] = value
    return mask


def picture(number: int, height: int = 128, width: int = 128) -> np.ndarray:
    """Grey values of 8 bits, nowhere blank, so that nothing is cut off."""
    return np.random.default_rng(number).integers(1, 256, (height, width), np.uint8)


def square(side: int, height: int = 128, width: int = 128) -> np.ndarray:
    """A uint8 mask of 0 and 255: a square from (32, 32) on."""
    mask = np.zeros((height, width), np.uint8)
    mask[32 : 32 + side, 32 : 32 + side] = 255
    return mask


def write_study(folder: Path, patients: Sequence[str] = ("007", "008"), **columns: Sequence[object]) -> Path:
    """Write one 16-bit image and one mask per entry of ``patients``, and return the manifest."""
    for number in range(len(patients)):
        write_png(folder / f"images/{number}.png", ramp() + np.uint16(number) * (ramp() > 0))
        write_png(folder / f"masks/{number}.png", lesion())
    table = pd.DataFrame(
        {
            "image_path": [f"images/{number}.png" for number in range(len(patients))],
            "mask_path": [f"masks/{number}.png" for number in range(len(patients))],
            "patient_id": patients,
            **columns,
        }
    )
    table.to_csv(folder / "manifest.csv", index=False)
    return folder / "manifest.csv"


def write_store(folder: Path, patients: Sequence[str], size: int = 8, seed: int = 0) -> Store:
    """A store of random pairs, one per entry of ``patients``; every mask is a rectangle."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    images, masks = allocate(folder, len(patients), size)
    images[:] = rng.integers(0, 2**16, images.shape, np.uint16)
    masks[:, : size // 2, size // 4 :] = 1
    names = [str(number) for number in range(len(patients))]
    complete(
        folder,
        images,
        masks,
        pd.DataFrame({"image_path": names, "mask_path": names, "patient_id": patients}),
        "stretch",
    )
    return Store.open(folder)
