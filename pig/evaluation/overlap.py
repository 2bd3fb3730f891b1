"""Overlap of a predicted and a true mask, from raw pixel counts.

With tp, fp, fn the pixels that are true positive, false positive and false negative:

    Dice = 2 tp / (2 tp + fp + fn)      IoU = tp / (tp + fp + fn)
    precision = tp / (tp + fp)          recall = tp / (tp + fn)

Convention for 0/0: where both masks are empty all four are 1, since nothing was there and nothing was
found; any other undefined ratio counts 0 (the precision of an empty prediction on a slice with a lesion, the
recall of a prediction on a slice without one). Differs: segmentation-models-pytorch counts every 0/0 as 1,
because of which a network that predicts nothing would be praised for its precision.

A slice or a patient without any lesion has no overlap at all: the scores would be 1, or 0 for a single pixel. They are
left out, and counted in the false alarms of :mod:`pig.report.measures`.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

COUNTS = ("tp", "fp", "fn", "tn")
METRICS = ("dice", "iou", "precision", "recall")


def confusion_counts(predicted: NDArray[np.bool_], true: NDArray[np.bool_]) -> pd.DataFrame:
    """Count the pixels of each kind in every slice.

    Args:
        predicted: bool [N, H, W].
        true: bool [N, H, W].

    Returns:
        One row per slice; columns tp, fp, fn, tn, int64.

    Raises:
        ValueError: the shapes differ.
    """
    if predicted.shape != true.shape:
        raise ValueError(f"predicted masks have shape {predicted.shape} and true masks {true.shape}")
    pixels = (predicted & true, predicted & ~true, ~predicted & true, ~predicted & ~true)
    return pd.DataFrame(
        {name: kind.sum(axis=(1, 2), dtype=np.int64) for name, kind in zip(COUNTS, pixels, strict=True)}
    )


def has_lesion(rows: pd.DataFrame) -> pd.Series:
    """Return whether each slice has a lesion.

    Args:
        rows: slices, with the columns tp and fn.
    """
    return rows.tp + rows.fn > 0


def of_patients_with_lesions(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the slices of the patients who have a lesion in any of theirs.

    Args:
        rows: slices, with the columns patient_id, tp and fn.
    """
    return rows[has_lesion(rows).groupby(rows.patient_id).transform("any")]


def overlap_scores(counts: pd.DataFrame) -> pd.DataFrame:
    """Return Dice, IoU, precision and recall of each row of ``counts``.

    Args:
        counts: columns tp, fp and fn; a row is a slice, or the sum over the slices of a patient or a fold.

    Returns:
        The columns dice, iou, precision, recall, float64 in [0, 1], on the index of ``counts``.
    """
    tp, fp, fn = (counts[name].to_numpy(np.float64) for name in ("tp", "fp", "fn"))
    ratios = {
        "dice": (2 * tp, 2 * tp + fp + fn),
        "iou": (tp, tp + fp + fn),
        "precision": (tp, tp + fp),
        "recall": (tp, tp + fn),
    }
    both_empty = tp + fp + fn == 0
    scores = {}
    for name, (numerator, denominator) in ratios.items():
        ratio = np.divide(numerator, denominator, out=np.zeros_like(numerator), where=denominator > 0)
        scores[name] = np.where(both_empty, 1.0, ratio)
    return pd.DataFrame(scores, index=counts.index)
