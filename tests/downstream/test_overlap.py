import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pig.evaluation.overlap import METRICS, confusion_counts, overlap_scores


def masks(*drawings: str) -> np.ndarray:
    """Masks [n, H, W] from drawings such as "##./..." (rows parted by a slash)."""
    return np.array([[[pixel == "#" for pixel in row] for row in drawing.split("/")] for drawing in drawings])


def test_counts_by_hand() -> None:
    predicted = masks("##./##./...", ".../.../...", "###/###/###")
    true = masks(".##/.##/...", "#../.../...", "#../.../...")
    counts = confusion_counts(predicted, true)
    assert counts.to_numpy().tolist() == [[2, 2, 2, 3], [0, 0, 1, 8], [1, 8, 0, 0]]  # tp, fp, fn, tn
    assert list(counts.columns) == ["tp", "fp", "fn", "tn"]


@pytest.mark.parametrize(
    ("tp", "fp", "fn", "dice", "iou", "precision", "recall"),
    [
        (2, 2, 2, 1 / 2, 1 / 3, 1 / 2, 1 / 2),
        (3, 1, 0, 6 / 7, 3 / 4, 3 / 4, 1),
        (5, 0, 0, 1, 1, 1, 1),
        (0, 4, 6, 0, 0, 0, 0),
        (0, 0, 0, 1, 1, 1, 1),  # both empty
        (0, 0, 7, 0, 0, 0, 0),  # nothing predicted: precision 0/0 counts 0
        (0, 7, 0, 0, 0, 0, 0),  # no lesion: recall 0/0 counts 0
    ],
)
def test_scores_by_hand(tp: int, fp: int, fn: int, dice: float, iou: float, precision: float, recall: float) -> None:
    scores = overlap_scores(pd.DataFrame({"tp": [tp], "fp": [fp], "fn": [fn]}))
    assert list(scores.columns) == list(METRICS)
    np.testing.assert_allclose(scores.to_numpy()[0], [dice, iou, precision, recall], rtol=1e-15)


counts = st.integers(0, 1000)


@given(st.lists(st.tuples(counts, counts, counts), min_size=1, max_size=20))
def test_identities(rows: list[tuple[int, int, int]]) -> None:
    scores = overlap_scores(pd.DataFrame(rows, columns=["tp", "fp", "fn"]))
    values = scores.to_numpy()
    assert np.isfinite(values).all() and (values >= 0).all() and (values <= 1).all()
    np.testing.assert_allclose(scores.dice, 2 * scores.iou / (1 + scores.iou), rtol=1e-12)
    swapped = overlap_scores(pd.DataFrame(rows, columns=["tp", "fn", "fp"]))  # prediction and truth exchanged
    np.testing.assert_array_equal(scores.precision, swapped.recall)
    np.testing.assert_array_equal(scores.dice, swapped.dice)


def test_scores_keep_the_index_of_the_counts() -> None:
    rows = pd.DataFrame({"tp": [1, 0], "fp": [0, 0], "fn": [1, 0]}, index=[7, 3])
    assert overlap_scores(rows).loc[7, "iou"] == 0.5
    assert overlap_scores(rows).loc[3, "iou"] == 1


def test_masks_of_different_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(1, 1, 2\).*\(1, 1, 3\)"):
        confusion_counts(masks("##"), masks("###"))


def test_one_pixel_found_is_all_of_one() -> None:
    scores = overlap_scores(pd.DataFrame({"tp": [1], "fp": [0], "fn": [0]}))
    assert scores.to_numpy().tolist() == [[1.0, 1.0, 1.0, 1.0]]
