"""A store of random pairs, on which jobs can be tried out before there are data."""

from pathlib import Path

import numpy as np
import pandas as pd

from pig.data.folds import make_folds, write_folds
from pig.data.store import allocate, complete


def write_random_store(folder: Path, count: int, size: int, patients: str = "P", channels: int = 1) -> None:
    """Write a store of so many patients with a pair each: noise, and a square of a third of the side as lesion.

    Args:
        folder: of the store; it is made.
        count: how many.
        size: height and width of a pair.
        patients: what their names begin with.
        channels: of the images: 1, or 3.
    """
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    images, masks = allocate(folder, count, size, channels)
    for row in range(count):
        images[row] = rng.integers(0, 2**16, images.shape[1:], np.uint16)
    middle = slice(size // 3, max(2 * size // 3, size // 3 + 1))
    masks[:, middle, middle] = 1
    names = [f"{patients}{row:06d}" for row in range(count)]
    manifest = pd.DataFrame({"image_path": names, "mask_path": names, "patient_id": names})
    complete(folder, images, masks, manifest, "stretch")


def write_random_folds(path: Path, store: Path, count: int) -> None:
    """Write a table of so many folds of such a store."""
    write_folds(make_folds(pd.read_csv(store / "manifest.csv", dtype=str), count, 0), path)
