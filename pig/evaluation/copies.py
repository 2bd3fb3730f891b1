"""Whether images were learnt by heart: how near each lies to a training image, and to one patient more than to others.

A distance alone does not tell: a smooth image lies near to all others. So the distance to the nearest training image is
also given as a share of the distance to the nearest one of any other patient. Of a copy it is near 0; of an image that
shows nobody in particular, near 1. (After Carlini et al. 2023, arXiv 2301.13188, who divide by the mean distance to the
50 nearest images. Differs: by the nearest of another patient, because slices of one patient are alike.)
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.spatial.distance import cdist

from pig.data.checks.likeness import ALIKE, bits_to_nearest, difference_hash
from pig.data.resize import resize_images

SIDE = 32  # pixels, at most: a copy is one at any size, and grain averages out
WHITE = 65535
ROWS_AT_ONCE = 512
RARE = 1.0  # percent of the held-out images that are called copies


class Nearest(NamedTuple):
    """Of each image the nearest training image.

    Attributes:
        row: its position among the training images, int64 [n].
        distance: root mean square difference of the pixels, in shares of the range of grey values, float64 [n].
        ratio: of that distance to the one to the nearest image of any other patient, in [0, 1], float64 [n]; NaN if all
            training images are of one patient.
    """

    row: NDArray[np.int64]
    distance: NDArray[np.float64]
    ratio: NDArray[np.float64]


def nearest(images: NDArray[np.uint16], training: NDArray[np.uint16], patients: NDArray[np.int64]) -> Nearest:
    """Find the nearest training image of each image.

    Args:
        images: uint16 [n, (3,) S, S].
        training: uint16 [m, (3,) S, S].
        patients: int64 [m], equal for equal patients.
    """
    theirs = _flat(training)
    parts = [
        _nearest(_flat(images[start : start + ROWS_AT_ONCE]), theirs, patients)
        for start in range(0, len(images), ROWS_AT_ONCE)
    ]
    return Nearest(*(np.concatenate(of) for of in zip(*parts, strict=True)))


def _nearest(ours: NDArray[np.float64], theirs: NDArray[np.float64], patients: NDArray[np.int64]) -> Nearest:
    away = cdist(ours, theirs) / np.sqrt(ours.shape[1])
    row, distance = away.argmin(1), away.min(1)
    others = np.where(patients[row][:, None] != patients[None], away, np.inf).min(1)
    ratio = np.divide(distance, others, out=np.zeros_like(distance), where=others > 0)
    return Nearest(row, distance, np.where(np.isfinite(others), ratio, np.nan))


def _flat(images: NDArray[np.uint16]) -> NDArray[np.float64]:
    size = min(SIDE, images.shape[-1])
    return resize_images(images, size).reshape(len(images), -1).astype(np.float64) / WHITE


def memorised(
    drawn: NDArray[np.uint16],
    held_out: NDArray[np.uint16],
    training: NDArray[np.uint16],
    patients: NDArray[np.int64],
) -> tuple[pd.DataFrame, pd.DataFrame, Nearest]:
    """Hold drawn images and held-out ones against the training images.

    Args:
        drawn: uint16 [n, (3,) S, S].
        held_out: uint16 [h, (3,) S, S], of patients who are not among the training ones.
        training: uint16 [m, (3,) S, S].
        patients: int64 [m], of the training images, equal for equal patients.

    Returns:
        Of the drawn and of the held-out images a table with a row for each: ``nearest``, the distance, and ``ratio``,
        as in :class:`Nearest`; ``flagged``, 1 if the ratio is below the first percentile of those of the held-out
        images; ``copies``, 1 if the difference hash is that of a training image but for ``ALIKE`` bits (both else 0).
        And what is nearest to the drawn images.
    """
    found = [nearest(images, training, patients) for images in (drawn, held_out)]
    limit = np.nanpercentile(found[1].ratio, RARE) if np.isfinite(found[1].ratio).any() else np.nan
    hashes = [np.stack([*map(difference_hash, images)]) for images in (drawn, held_out, training)]
    tables = [
        pd.DataFrame(
            {"nearest": of.distance, "ratio": of.ratio, "copies": 1.0 * (bits_to_nearest(own, hashes[2]) <= ALIKE)}
            | ({"flagged": (of.ratio < limit).astype(float)} if np.isfinite(limit) else {})
        )
        for of, own in zip(found, hashes[:2], strict=True)
    ]
    return tables[0], tables[1], found[0]


def nearest_masks(masks: NDArray[np.uint8], training: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the greatest Dice [n] of each mask [n, H, W] with a training mask [m, H, W]; NaN of an empty one."""
    theirs, parts = _sparse(training), []
    for start in range(0, len(masks), ROWS_AT_ONCE):
        ours = _sparse(masks[start : start + ROWS_AT_ONCE])
        areas = [np.asarray(stack.sum(axis=1)).ravel() for stack in (ours, theirs)]
        dice = 2 * (ours @ theirs.T).toarray() / np.maximum(areas[0][:, None] + areas[1][None], 1)
        parts.append(np.where(areas[0] > 0, dice.max(1), np.nan))
    return np.concatenate(parts)


def _sparse(masks: NDArray[np.uint8]) -> csr_array:
    return csr_array(masks.reshape(len(masks), -1).astype(np.float64))
