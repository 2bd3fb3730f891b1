"""Lesions cut out of their images, so that what little of a picture they are is looked at by itself."""

import numpy as np
from numpy.typing import NDArray

from pig.data.resize import resize_image

TIMES = 2  # the side of a crop is so many times that of the lesion
LEAST = 8  # pixels of that side: less is no picture


def lesion_crops(images: NDArray[np.uint16], masks: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """Return a square around the lesion of each pair that has one, enlarged or reduced to the size of the images.

    The square is twice as long as the longer side of the box around all pieces of the lesion, at least 8 pixels, and
    its middle is that of the box; at the edge of the picture it is moved inwards.

    Args:
        images: uint16 [N, (3,) S, S].
        masks: uint8 {0, 1} [N, S, S].

    Returns:
        uint16 [n, (3,) S, S], n <= N; pairs without a lesion have no crop.
    """
    size = images.shape[-1]
    filled = np.flatnonzero(masks.any((1, 2)))
    crops = np.empty((len(filled), *images.shape[1:]), np.uint16)
    for crop, row in zip(crops, filled, strict=True):
        top, left, side = _square(masks[row])
        crop[:] = np.rint(resize_image(images[row][..., top : top + side, left : left + side], size, size))
    return crops


def _square(mask: NDArray[np.uint8]) -> tuple[int, int, int]:
    """Return the top, the left and the side of the square."""
    size = len(mask)
    ends = [(int(at.min()), int(at.max()) + 1) for at in np.nonzero(mask)]
    side = min(size, max(LEAST, TIMES * max(last - first for first, last in ends)))
    top, left = (min(max((first + last - side) // 2, 0), size - side) for first, last in ends)
    return top, left, side
