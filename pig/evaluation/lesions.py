"""Which lesions were found, and what was taken for one: connected pieces of masks, as in the PI-CAI challenge.

A lesion is a connected piece of the true mask (pixels that touch at an edge or a corner), a candidate one of the
predicted mask. A candidate can be a lesion if their IoU is 0.1 or more. Lesions and candidates are matched one to one,
so that as many as can be are, and of such matchings the one with the greatest sum of IoUs is taken. A lesion that is
matched is found; a candidate that can be no lesion is a false one. One that can, but was left over, is neither (Saha et
al. 2024, and its code, picai_eval: ``min_overlap`` 0.10 of IoU).

Differs: on slices, not on volumes, because the segmentation is of slices.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage, optimize

LESIONS = ("lesions", "found", "false_lesions")
LEAST_IOU = 0.1


def lesion_counts(predicted: NDArray[np.bool_], true: NDArray[np.bool_]) -> pd.DataFrame:
    """Count the lesions, those that were found, and the false ones in every slice.

    Args:
        predicted: bool [N, H, W].
        true: bool [N, H, W].

    Returns:
        One row per slice; columns lesions, found and false_lesions, int64.
    """
    return pd.DataFrame(map(_counts, predicted, true), columns=list(LESIONS))


def _counts(predicted: NDArray[np.bool_], true: NDArray[np.bool_]) -> tuple[int, int, int]:
    touching = np.ones((3, 3))
    (candidates, n_candidates), (lesions, n_lesions) = (ndimage.label(mask, touching) for mask in (predicted, true))
    shape = (n_lesions + 1, n_candidates + 1)  # row and column 0 are of none
    both = np.bincount((lesions * shape[1] + candidates).ravel(), minlength=shape[0] * shape[1]).reshape(shape)
    either = both.sum(1, keepdims=True) + both.sum(0, keepdims=True) - both
    iou = (both / np.maximum(either, 1))[1:, 1:]
    can_be = iou >= LEAST_IOU
    rows, columns = optimize.linear_sum_assignment(np.where(can_be, len(iou) + 1 + iou, 0), maximize=True)
    return n_lesions, int(can_be[rows, columns].sum()), int((~can_be.any(0)).sum())
