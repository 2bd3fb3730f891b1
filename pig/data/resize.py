"""The one place that knows how images and masks change size.

Each axis by itself: shrinking averages over the area that a new pixel covers, enlarging interpolates linearly
between pixel centres. Both are matrices with integer weights, so that nothing is rounded before the end and a
mask's "at least half of the area" is decided exactly, whatever the two sizes.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array


@lru_cache(maxsize=64)
def _weights(source: int, target: int) -> tuple[csr_array, int]:
    """Return integer weights [target, source] and the sum of each of their rows."""
    new = np.arange(target)
    if target <= source:
        # On a common ruler of source * target ticks, new pixel i covers [i, i + 1) * source and old pixel j
        # covers [j, j + 1) * target; the weight is their overlap.
        first = new * source // target
        old = first[:, None] + np.arange(-(-source // target) + 1)
        start = np.maximum(new[:, None] * source, old * target)
        stop = np.minimum((new[:, None] + 1) * source, (old + 1) * target)
        weight, total = np.maximum(stop - start, 0), source
    else:
        # Centre of new pixel i in old pixels, in units of 1 / (2 target): (i + 1/2) source / target - 1/2.
        total = 2 * target
        centre = np.clip((2 * new + 1) * source - target, 0, (source - 1) * total)
        old = (centre // total)[:, None] + np.arange(2)
        weight = np.stack([total - centre % total, centre % total], axis=1)
    rows = np.broadcast_to(new[:, None], old.shape)
    used = weight > 0
    entries = (weight[used].astype(np.float64), (rows[used], old[used]))
    return csr_array(entries, shape=(target, source)), total


def _weighted_sums(image: NDArray[np.generic], height: int, width: int) -> tuple[NDArray[np.float64], int]:
    """Return the weighted sums [height, width] over the pixels of ``image`` and the sum of the weights."""
    vertical, rows = _weights(image.shape[0], height)
    horizontal, columns = _weights(image.shape[1], width)
    return (horizontal @ (vertical @ image.astype(np.float64, copy=False)).T).T, rows * columns


def resize_image(image: NDArray[np.generic], height: int, width: int) -> NDArray[np.float64]:
    """Resize a grey image [H, W], or channels [3, H, W], of any number type to float64 [..., height, width]."""
    if image.ndim == 3:
        return np.stack([resize_image(channel, height, width) for channel in image])
    sums, total = _weighted_sums(image, height, width)
    return sums / total


def resize_mask(mask: NDArray[np.generic], height: int, width: int) -> NDArray[np.uint8]:
    """Resize a mask [H, W] of {0, 1} or bool to uint8 [height, width]: 1 where at least half is covered."""
    sums, total = _weighted_sums(mask, height, width)
    return (2 * sums >= total).astype(np.uint8)


def resize_images(images: NDArray[np.uint16], size: int) -> NDArray[np.uint16]:
    """Resize stored images, uint16 [N, ..., H, W], to [N, ..., size, size]; averages are rounded to whole steps."""
    resized = np.empty((*images.shape[:-2], size, size), np.uint16)
    for new, image in zip(resized, images, strict=True):
        new[:] = np.rint(resize_image(image, size, size))
    return resized


def resize_masks(masks: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Resize stored masks, uint8 {0, 1} [N, H, W], to [N, size, size]."""
    resized = np.empty((len(masks), size, size), np.uint8)
    for new, mask in zip(resized, masks, strict=True):
        new[:] = resize_mask(mask, size, size)
    return resized


def resize_pairs(
    images: NDArray[np.uint16], masks: NDArray[np.uint8], size: int
) -> tuple[NDArray[np.uint16], NDArray[np.uint8]]:
    """Resize pairs as a store or a shard holds them: ``resize_images`` and ``resize_masks``."""
    return resize_images(images, size), resize_masks(masks, size)
