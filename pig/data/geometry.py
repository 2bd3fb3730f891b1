"""Where a stored pair lies in its source image, and the way back."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pig.data.resize import resize_mask


class Geometry(NamedTuple):
    """How a volume was turned, cut and scaled, in pixels of the source but for the scales (store per source pixel).

    The point (y, x) of a stored image, pixel centres at 1/2, is (crop_y0 + y / scale_y, crop_x0 + x / scale_x) of
    its source; where ``flip`` is 1, of its source mirrored left to right.
    """

    source_h: int
    source_w: int
    crop_y0: int
    crop_x0: int
    crop_h: int
    crop_w: int
    pad_h: int
    pad_w: int
    scale_y: float
    scale_x: float
    flip: int = 0


def to_source(mask: NDArray[np.generic], geometry: Mapping[str, Any]) -> NDArray[np.uint8]:
    """Carry a mask from the square of a store back to the pixels of its source image.

    Args:
        mask: {0, 1} or bool [S, S]: a row of ``Store.masks``, or a prediction for it, at any size S.
        geometry: that row of ``Store.manifest``; a row without ``flip`` was not mirrored.

    Returns:
        uint8 {0, 1} [source_h, source_w]; 0 outside the box that was cut out.
    """
    row = {name: int(geometry[name]) for name in Geometry._fields[:8]}
    box = resize_mask(mask, row["crop_h"] + row["pad_h"], row["crop_w"] + row["pad_w"])
    source = np.zeros((row["source_h"], row["source_w"]), np.uint8)
    rows = slice(row["crop_y0"], row["crop_y0"] + row["crop_h"])
    columns = slice(row["crop_x0"], row["crop_x0"] + row["crop_w"])
    source[rows, columns] = box[: row["crop_h"], : row["crop_w"]]
    return source[:, ::-1].copy() if geometry.get("flip", 0) else source
