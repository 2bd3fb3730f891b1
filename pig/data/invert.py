"""Masks on the way back: from the square of a store to the pixels of the images it was made from."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from pig.data.geometry import Geometry, to_source
from pig.data.images import read_mask
from pig.data.manifest import REQUIRED
from pig.data.store import Store
from pig.system.errors import UserError
from pig.system.files import atomic_directory
from pig.system.progress import track

# "000012.png", or "real_000012.png" as `pig export` names real cases, and nnU-Net its predictions for them.
NAME = re.compile(r"(?:real_)?(\d+)\.png")


def invert_masks(store: Store, out: str | Path, masks: str | Path | None = None) -> None:
    """Write masks at the size of their source images, each lying on it as it lies on the stored image.

    ``out`` gets one PNG (0 and 255) per mask, named by the row of the store (from 0, six digits), and ``manifest.csv``
    with the columns row, image_path, mask_path, patient_id.

    Args:
        store: where the masks belong.
        out: a folder that does not exist or is empty.
        masks: a folder of square PNG masks of any size, named by the row of the store, with or without "real_" before
            it; None: the masks of the store itself.

    Raises:
        UserError: the store records no geometry, or a file is no mask, not square, or named by no row. All are listed.
    """
    if lacking := [name for name in Geometry._fields[:8] if name not in store.manifest.columns]:
        raise UserError(f"{store.path / 'manifest.csv'} lacks the column {', '.join(lacking)}: no way back is known.")
    given = _read(Path(masks), len(store.images)) if masks is not None else dict(enumerate(store.masks))
    geometry = [dict(zip(store.manifest.columns, values, strict=True)) for values in store.manifest.to_numpy(object)]
    rows = []
    with atomic_directory(out) as folder:
        for row, mask in track(sorted(given.items()), "carrying back", len(given)):
            name = f"{row:06d}.png"
            # Level 1 is many times as fast as the default, for files a few percent larger.
            Image.fromarray(to_source(mask, geometry[row]) * np.uint8(255)).save(folder / name, compress_level=1)
            rows.append({"row": row, **{key: geometry[row][key] for key in REQUIRED}, "mask_path": name})
        pd.DataFrame(rows).to_csv(folder / "manifest.csv", index=False)


def _read(folder: Path, count: int) -> dict[int, NDArray[np.uint8]]:
    """Return the masks of a folder by their row."""
    if not folder.is_dir():
        raise UserError(f"{folder}, the folder of the masks, does not exist.")
    masks: dict[int, NDArray[np.uint8]] = {}
    faults = []
    for path in sorted(folder.glob("*.png")):
        match = NAME.fullmatch(path.name)
        row = int(match[1]) if match else -1
        if not 0 <= row < count or row in masks:
            faults.append(f"{path.name} names no row of the store (0 to {count - 1}), or one that another file names")
            continue
        try:
            masks[row] = read_mask(path)
        except UserError as error:
            faults.append(str(error))
            continue
        if masks[row].shape[0] != masks[row].shape[1]:
            faults.append(f"{path.name} is {masks[row].shape[1]} x {masks[row].shape[0]} pixels, not a square")
    if faults:
        raise UserError(f"{folder} has {len(faults)} fault{'s' * (len(faults) > 1)}:", faults)
    if not masks:
        raise UserError(f"{folder} holds no masks named by rows of the store, such as 000012.png or real_000012.png.")
    return masks
