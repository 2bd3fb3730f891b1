import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pig.data.resize import resize_image, resize_images, resize_mask, resize_masks, resize_pairs

sizes = st.integers(1, 12)


def random_image(height: int, width: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2**16, (height, width), np.uint16)


def test_shrinking_by_a_whole_number_is_the_mean_of_blocks() -> None:
    image = np.array([[1, 3, 10, 30], [5, 7, 50, 70]], np.uint16)
    assert resize_image(image, 1, 2).tolist() == [[4, 40]]


def test_shrinking_by_a_fraction_weighs_pixels_by_their_overlap() -> None:
    # Each new pixel covers 1.5 old ones: (2 * 6 + 12) / 3 and (12 + 2 * 30) / 3.
    assert resize_image(np.array([[6, 12, 30]]), 1, 2).tolist() == [[8, 24]]
    assert resize_image(np.array([[6], [12], [30]]), 2, 1).tolist() == [[8], [24]]
    # 5 -> 3: (3 * 1 + 2 * 2) / 5, (1 * 2 + 3 * 3 + 1 * 4) / 5, (2 * 4 + 3 * 5) / 5.
    assert resize_image(np.array([[1, 2, 3, 4, 5]]), 1, 3) == pytest.approx(np.array([[1.4, 3, 4.6]]), rel=1e-15)


def test_each_axis_goes_its_own_way() -> None:
    image = np.array([[0, 4], [2, 6]])
    # Height halves (mean 1, 5), width doubles (centres at -1/4, 1/4, 3/4, 5/4 of the old).
    assert resize_image(image, 1, 4).tolist() == [[1, 2, 4, 5]]


@given(sizes, sizes, st.integers(1, 4), st.integers(1, 4), st.integers(0, 9))
def test_shrinking_keeps_the_mean(height: int, width: int, down: int, across: int, seed: int) -> None:
    image = random_image(height * down, width * across, seed)
    blocks = image.reshape(height, down, width, across).mean((1, 3))
    assert resize_image(image, height, width) == pytest.approx(blocks, rel=1e-13)


@given(sizes, sizes, st.data())
def test_shrinking_keeps_the_mean_whatever_the_sizes(height: int, width: int, data: st.DataObject) -> None:
    image = random_image(height, width, data.draw(st.integers(0, 9)))
    new = resize_image(image, data.draw(st.integers(1, height)), data.draw(st.integers(1, width)))
    assert new.mean() == pytest.approx(image.mean(), rel=1e-13)


@given(sizes, sizes, st.integers(0, 12), st.integers(0, 12), st.integers(0, 9))
def test_enlarging_agrees_with_torch(height: int, width: int, more: int, wider: int, seed: int) -> None:
    image = random_image(height, width, seed)
    size = (height + more, width + wider)
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(image.astype(np.float64))[None, None], size, mode="bilinear", align_corners=False
    )
    assert resize_image(image, *size) == pytest.approx(expected[0, 0].numpy(), rel=1e-12, abs=1e-9)


@given(sizes, sizes, st.integers(0, 9))
def test_the_same_size_changes_nothing(height: int, width: int, seed: int) -> None:
    image = random_image(height, width, seed)
    assert (resize_image(image, height, width) == image).all()
    mask = image > 2**15
    assert (resize_mask(mask, height, width) == mask).all()


def test_a_mask_is_kept_where_exactly_half_is_covered() -> None:
    mask = np.array([[1, 0, 1, 1], [0, 1, 1, 1], [0, 0, 0, 0], [0, 1, 0, 0]], np.uint8)
    assert resize_mask(mask, 2, 2).tolist() == [[1, 1], [0, 0]]
    assert resize_mask(np.array([[1, 1, 0, 0, 0]], np.uint8), 1, 2).tolist() == [[1, 0]]


def test_half_is_exact_for_sizes_that_have_no_exact_fraction() -> None:
    # Of 6 x 6 old pixels per new one, half: thirds and sixths must not tip the balance.
    half = np.zeros((42, 42), np.uint8)
    half[:, [column for column in range(42) if column % 6 < 3]] = 1
    assert resize_mask(half, 7, 7).all()
    half[::6, ::6] = 0
    assert not resize_mask(half, 7, 7).any()


def test_arrays_as_a_store_holds_them() -> None:
    images = np.array([[[65535, 65534], [65535, 65535]], [[0, 0], [0, 3]]], np.uint16)
    masks = np.array([[[1, 1], [0, 0]], [[1, 0], [0, 0]]], np.uint8)
    new_images, new_masks = resize_pairs(images, masks, 1)
    assert new_images.dtype == np.uint16
    assert new_masks.dtype == np.uint8
    assert new_images.tolist() == [[[65535]], [[1]]]  # 65534.75 and 0.75, rounded
    assert new_masks.tolist() == [[[1]], [[0]]]
    assert (resize_images(images, 1) == new_images).all()
    assert (resize_masks(masks, 1) == new_masks).all()
    assert resize_images(images, 3).max() == 65535
