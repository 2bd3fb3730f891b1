"""The official code's rule for binary masks, worked out by hand and by scipy."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from pig.diffusion.sampling import binarise
from pig.diffusion.schedule import NoiseSchedule


def by_scipy(x0_hat: np.ndarray) -> np.ndarray:
    """Mean over what of 5 x 5 pixels lies in the image, of values cut to [-1, 1]; 3/4 of max and 1/4 of min."""
    window = np.ones((5, 5))
    ones = ndimage.convolve(np.ones(x0_hat.shape), window, mode="constant")
    smooth = ndimage.convolve(x0_hat.clip(-1, 1), window, mode="constant") / ones
    return np.where(smooth > 0.75 * smooth.max() + 0.25 * smooth.min(), 1.0, -1.0)


@given(st.integers(0, 1000), st.integers(5, 12), st.integers(6, 13))
def test_it_is_scipys_answer(seed: int, height: int, width: int) -> None:
    estimates = np.random.default_rng(seed).normal(0, 3, (2, 1, height, width))
    found = binarise(torch.from_numpy(estimates))
    for mask, estimate in zip(found, estimates, strict=True):
        assert np.array_equal(mask[0].numpy(), by_scipy(estimate[0]))


def test_a_disc_by_hand() -> None:
    """One bright pixel: its 25 neighbours have the same mean, 1/25 of the way up, and all others are the least."""
    estimate = torch.full((1, 1, 11, 11), -5.0)
    estimate[0, 0, 5, 5] = 7.0
    expected = torch.full((11, 11), -1.0)
    expected[3:8, 3:8] = 1.0
    assert torch.equal(binarise(estimate)[0, 0], expected)


@pytest.mark.parametrize("level", [-1.02, -1.0, 7.0])
def test_an_estimate_that_is_clipped_to_one_value_has_no_lesion(level: float) -> None:
    flat = torch.full((2, 1, 9, 9), level)
    assert torch.equal(binarise(flat), -torch.ones(2, 1, 9, 9))


def test_scaled_linear_by_hand() -> None:
    schedule = NoiseSchedule.scaled_linear(3, 0.01, 0.09)
    assert schedule.beta.dtype == torch.float64
    assert torch.allclose(schedule.beta, torch.tensor([0, 0.01, 0.04, 0.09], dtype=torch.float64), atol=1e-15)
