"""The masks of lesions in a few numbers: how large, in how many pieces, how round, how far from the middle; or none."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage


def shapes(masks: NDArray[np.uint8]) -> pd.DataFrame:
    """Return the measures of each mask; all but ``empty`` are NaN where there is no lesion.

    Args:
        masks: uint8 {0, 1} [N, S, S].

    Returns:
        ``empty``: 1 if nothing is in it, else 0. ``area``: share of the picture. ``pieces``: connected ones, also at
        corners. ``compactness``: A^2 / (2 pi (mu_20 + mu_02)), with the second moments about the middle: 1 of a disc,
        less of all else, 0.95 of a square (Zunic, Hirota and Rosin 2010, "A Hu moment invariant as a shape circularity
        measure"). ``off_centre``: from the middle of the lesion to that of the picture, in shares of its side.

    Differs: the compactness is that of moments and not 4 pi A / P^2, because the perimeter of a few pixels has no one
    value. Each pixel counts as a square, whose own moment is 1 / 12 along each axis.
    """
    return pd.DataFrame([_shape(mask.astype(bool)) for mask in masks])


def _shape(mask: NDArray[np.bool_]) -> dict[str, float]:
    if not mask.any():
        return {"empty": 1.0} | dict.fromkeys(("area", "pieces", "compactness", "off_centre"), np.nan)
    places = np.stack(np.nonzero(mask)).astype(np.float64) + 0.5
    area, middle = places.shape[1], places.mean(1)
    spread = ((places - middle[:, None]) ** 2).sum() + area / 6
    return {
        "empty": 0.0,
        "area": area / mask.size,
        "pieces": float(ndimage.label(mask, np.ones((3, 3)))[1]),
        "compactness": area**2 / (2 * np.pi * spread),
        "off_centre": float(np.hypot(*(middle / len(mask) - 0.5))),
    }
