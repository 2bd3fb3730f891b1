"""Near-duplicates: images that look alike although they are said to show different patients.

The difference hash (dHash; N. Krawetz, "Kind of Like That", hackerfactor.com, 21 January 2013): the image is averaged
over a coarse grid, and each bit says whether the grey value rises to the next field on the right. It does not change
with brightness, contrast, scale or compression. Differs: 16 x 16 bits instead of 8 x 8, because breasts on black are
much more alike than the photographs for which 64 bits were meant.
"""

import numpy as np
from numpy.typing import NDArray

from pig.data.resize import resize_image

SIDE = 16
BITS = SIDE * SIDE
ALIKE = (
    24  # bits; measured on 600 phantom slices: strangers differ in 41 or more, JPEG and rescaled copies in 8 or fewer
)
ROWS_AT_ONCE = 64


def difference_hash(image: NDArray[np.generic]) -> NDArray[np.uint64]:
    """Return the 256 bits of an image as uint64 [4]: grey [H, W], or channels [3, H, W], of which the mean counts."""
    coarse = resize_image(image if image.ndim == 2 else image.mean(axis=0), SIDE, SIDE + 1)
    return np.packbits(coarse[:, 1:] > coarse[:, :-1]).view(np.uint64)


def bits_to_nearest(hashes: NDArray[np.uint64], others: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Return for each image, int64 [n], in how many bits it differs from the most similar of other images.

    Args:
        hashes: uint64 [n, 4].
        others: uint64 [m, 4].
    """
    sides = np.repeat([0, 1], [len(hashes), len(others)])
    return nearest_stranger(np.concatenate([hashes, others]), sides)[1][: len(hashes)]


def nearest_stranger(
    hashes: NDArray[np.uint64], patients: NDArray[np.integer]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Find for each image the most similar one of another patient.

    Every pair is compared, block by block: time grows with the square of the number, memory with the number.

    Args:
        hashes: uint64 [N, 4].
        patients: integers [N]; equal for equal patients.

    Returns:
        int64 [N], the index of the nearest (the first of several; -1 where there is one patient alone), and int64 [N],
        the number of bits in which the two differ (``BITS`` + 1 for none).
    """
    nearest = np.full(len(hashes), -1, np.int64)
    distance = np.full(len(hashes), BITS + 1, np.int64)
    for start in range(0, len(hashes), ROWS_AT_ONCE):
        rows = slice(start, start + ROWS_AT_ONCE)
        differing = np.zeros((len(hashes[rows]), len(hashes)), np.uint16)
        for word in range(hashes.shape[1]):
            differing += np.bitwise_count(hashes[rows, word, None] ^ hashes[None, :, word])
        differing[patients[rows, None] == patients[None]] = BITS + 1
        nearest[rows] = differing.argmin(axis=1)
        distance[rows] = differing.min(axis=1)
    nearest[distance > BITS] = -1
    return nearest, distance
