"""How far the outline of a predicted mask lies from the true one.

The outline of a mask are its pixels with a neighbour, up, down, left or right, that is not in it; beyond the picture
nothing is. From each pixel of one outline to the nearest of the other there is a distance, between the middles of
pixels:

    HD95: the 95th percentile of these distances, of the two directions the greater (Huttenlocher et al. 1993; the
        percentile instead of the maximum as in BraTS, Menze et al. 2015)
    NSD: the share of the pixels of both outlines that lie within a tolerance of the other one (normalised surface
        distance, or surface Dice; Nikolov et al. 2018, arXiv 1809.04430)

Both are in pixels of the picture that is segmented; a resized picture has no one spacing in mm.

Convention: where both masks are empty HD95 is 0 and NSD 1, since nothing was there and nothing was found; where one of
them is, NSD is 0 and HD95 is the picture's diagonal, which no distance exceeds (so BraTS does it).

Differs: written out here, although MONAI has both (``compute_hausdorff_distance``, ``compute_surface_dice``), because
importing it takes 1.7 s and the two of them 4 ms a slice of 48 x 48 pixels, where these take 0.3 ms; tests hold them
against MONAI. For empty masks MONAI returns NaN, but 0 for the NSD where one of the two is.
"""

import math

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage

BOUNDARY = ("hd95", "nsd")
TOLERANCE = 1.0  # pixels


def boundary_scores(predicted: NDArray[np.bool_], true: NDArray[np.bool_]) -> pd.DataFrame:
    """Return HD95 and NSD of every slice.

    Args:
        predicted: bool [N, H, W].
        true: bool [N, H, W].

    Returns:
        One row per slice; columns hd95 (pixels) and nsd (in [0, 1]), float64.
    """
    return pd.DataFrame(map(_scores, predicted, true), columns=list(BOUNDARY))


def _scores(predicted: NDArray[np.bool_], true: NDArray[np.bool_]) -> tuple[float, float]:
    found, there = bool(predicted.any()), bool(true.any())
    if not (found and there):
        return (math.hypot(*(side - 1 for side in true.shape)), 0.0) if found or there else (0.0, 1.0)
    (box,) = ndimage.find_objects((predicted | true).astype(np.int8))  # distances between outlines are the same in it
    outlines = [mask[box] & ~ndimage.binary_erosion(mask[box]) for mask in (predicted, true)]
    away = [ndimage.distance_transform_edt(~outline) for outline in outlines]
    distances = [away[1][outlines[0]], away[0][outlines[1]]]
    near = np.concatenate(distances) <= TOLERANCE
    return max(float(np.percentile(one, 95)) for one in distances), float(near.mean())
