"""Masks that are held as bits come back as they were, whatever their width."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from pig.data.bits import BitMasks


@given(arrays(np.uint8, array_shapes(min_dims=3, max_dims=3, max_side=19), elements=st.integers(0, 1)), st.data())
def test_masks_come_back(masks: np.ndarray, data: st.DataObject) -> None:
    held = BitMasks.of(masks)
    rows = data.draw(st.lists(st.integers(0, len(masks) - 1), max_size=5))
    assert held.shape == masks.shape
    assert held[:].dtype == np.uint8
    assert np.array_equal(held[:], masks) and np.array_equal(held[np.array(rows, int)], masks[rows])
    assert np.array_equal(held[-1], masks[-1])


def test_a_byte_holds_eight_pixels_of_a_row() -> None:
    mask = np.zeros((1, 2, 9), bool)
    mask[0, 0, 0] = mask[0, 1, 8] = True
    assert BitMasks.of(mask).bits.tolist() == [[[128, 0], [0, 128]]]
