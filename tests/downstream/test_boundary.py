"""Distances between outlines: by hand, for empty masks, and against MONAI."""

import math

import numpy as np
import pytest
import torch

from pig.evaluation.boundary import boundary_scores


def square(top: int, left: int, side: int, size: int = 20) -> np.ndarray:
    mask = np.zeros((size, size), bool)
    mask[top : top + side, left : left + side] = True
    return mask


def scores(predicted: np.ndarray, true: np.ndarray) -> tuple[float, float]:
    """Of one slice."""
    (row,) = boundary_scores(predicted[None], true[None]).itertuples(index=False)
    return row.hd95, row.nsd


def test_a_square_shifted_by_three_pixels() -> None:
    """Squares of 5 x 5 pixels, outlines of 16, one 3 pixels to the right of the other.

    The left side of the left one (5 pixels) is 3 from the other's left side. Of its top row the next two are 2 and 1
    from there, the last two lie on the other's top row; so at the bottom. What is left of its right side (3 pixels) is
    1 from the other's left side. By symmetry the other way round.
    """
    hd95, nsd = scores(square(5, 5, 5), square(5, 8, 5))
    distances = [3] * 5 + [2] * 2 + [1] * 5 + [0] * 4
    assert hd95 == np.percentile(distances, 95) == 3
    assert nsd == 9 / 16


def test_the_percentile_is_between_pixels_and_of_the_worse_direction() -> None:
    """A pixel more, 6 to the right of a line of 20: from the line all distances are 0, from the 21 pixels one is 6.

    The 95th percentile of 21 numbers is the 20th of them, which is 0; of 11, half way from the 10th to the 11th.
    """
    for length, expected in ((20, 0.0), (10, 3.0)):
        line = np.zeros((3, 30), bool)
        line[1, :length] = True
        more = line.copy()
        more[1, length + 5] = True
        for predicted, true in ((more, line), (line, more)):
            hd95, nsd = scores(predicted, true)
            assert hd95 == pytest.approx(expected)
            assert nsd == 1 - 1 / (2 * length + 1)


def test_a_tolerance_of_one_pixel_is_met_by_one_pixel_and_not_by_its_diagonal() -> None:
    assert scores(square(5, 5, 1), square(5, 6, 1)) == (1, 1)
    assert scores(square(5, 5, 1), square(6, 6, 1)) == (pytest.approx(math.sqrt(2)), 0)


def test_what_touches_the_edge_of_the_picture_ends_there() -> None:
    """A picture that is full has its frame as outline, from which the middle of 5 x 5 pixels is 2."""
    assert scores(square(0, 0, 5, size=5), square(2, 2, 1, size=5)) == (
        pytest.approx(np.percentile(sorted(math.hypot(y - 2, x - 2) for y in range(5) for x in range(5)
                                           if {y, x} & {0, 4}), 95)), 0,
    )  # fmt: skip


def test_of_empty_masks() -> None:
    """Both: nothing to find. One: as wrong as can be, the diagonal between the corners' middles."""
    empty, there = np.zeros((4, 5), bool), np.eye(4, 5, dtype=bool)
    assert scores(empty, empty) == (0, 1)
    assert scores(empty, there) == scores(there, empty) == (5, 0)  # 3 down, 4 to the right


def test_no_distance_exceeds_that_of_an_empty_mask() -> None:
    ends = np.zeros((2, 7, 7), bool)
    ends[0, 0, 0] = ends[1, 6, 6] = True
    assert scores(*ends) == (scores(ends[0], ends[0] & False)[0], 0)


def test_as_monai_has_them() -> None:
    """Of sparse and dense random masks, which are in many pieces, touch the edges and have holes."""
    from monai.metrics import compute_hausdorff_distance, compute_surface_dice

    rng = np.random.default_rng(0)
    masks = rng.random((2, 60, 9, 11)) < rng.uniform(0.02, 1, (2, 60, 1, 1))
    masks = masks[:, masks.any((2, 3)).all(0)]
    assert masks.shape[1] > 40
    predicted, true = (torch.from_numpy(mask)[:, None] for mask in masks)
    hd95 = compute_hausdorff_distance(predicted, true, include_background=True, percentile=95)
    nsd = compute_surface_dice(predicted, true, [1.0], include_background=True)
    found = boundary_scores(*masks)
    np.testing.assert_allclose(found.hd95, hd95[:, 0], atol=1e-5)  # MONAI's are float32
    np.testing.assert_allclose(found.nsd, nsd[:, 0], atol=1e-6)


def test_rows_are_those_of_the_slices() -> None:
    found = boundary_scores(np.stack([square(1, 1, 3)] * 2), np.stack([square(1, 1, 3), square(1, 3, 3)]))
    assert list(found.columns) == ["hd95", "nsd"]
    assert found.hd95.tolist() == [0, 2]
    none = np.zeros((0, 4, 4), bool)
    assert boundary_scores(none, none).shape == (0, 2)
