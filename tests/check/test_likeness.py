import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pig.data.checks.likeness import BITS, difference_hash, nearest_stranger


def bits(image: np.ndarray) -> np.ndarray:
    return np.unpackbits(difference_hash(image).view(np.uint8)).reshape(16, 16)


def test_bits_by_hand() -> None:
    """16 x 17 fields of 2 x 3 pixels: rising on the left of column 8, falling on the right."""
    fields = np.tile(-np.abs(np.arange(17) - 8), (16, 1))
    image = np.kron(fields, np.ones((2, 3), int))
    expected = np.tile(np.arange(16) < 8, (16, 1))
    assert (bits(image) == expected).all()
    assert bits(np.full((40, 30), 7)).sum() == 0  # nothing rises


@given(st.integers(0, 2**32), st.floats(0.1, 9), st.floats(-5, 5))
def test_brightness_and_contrast_do_not_matter(seed: int, contrast: float, brightness: float) -> None:
    image = np.random.default_rng(seed).integers(0, 256, (16, 17)).astype(float)
    assert (bits(image) == bits(np.round(contrast * 8) * image + brightness)).all()


@given(st.integers(0, 2**32), st.integers(1, 150), st.integers(1, 5))
def test_the_nearest_stranger_is_that_of_a_plain_loop(seed: int, count: int, patients: int) -> None:
    """Across the edges of the blocks, too: one has 64 rows."""
    rng = np.random.default_rng(seed)
    hashes = rng.integers(0, 2**63, (count, 4), np.uint64) & rng.integers(0, 2**63, (count, 4), np.uint64)
    codes = rng.integers(0, patients, count)
    nearest, distance = nearest_stranger(hashes, codes)
    for row in range(count):
        all_bits = [
            (sum(int(a ^ b).bit_count() for a, b in zip(hashes[row], hashes[other], strict=True)), other)
            for other in range(count)
            if codes[other] != codes[row]
        ]
        assert (distance[row], nearest[row]) == (min(all_bits) if all_bits else (BITS + 1, -1))
