"""Mammograms: which side the chest wall is on, and which pixels are breast."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pig.data.resize import resize_image

LONG_SIDE = 256  # pixels; the outline is found at this size, where film labels are coarse and noise is averaged
FLAT = 0.1  # from this share of pixels with the smallest value on, the background is that value and needs no threshold


def orient(images: list[NDArray[Any]]) -> tuple[list[NDArray[Any]], NDArray[np.bool_], bool]:
    """Turn the slices of a view so that the chest wall is on the left, and blank what is not breast.

    The breast is the largest bright component of the mean of the slices: labels, tape and film edges go. The chest
    wall is on the side where more of it lies, as seen in the pixels; a file's laterality may be wrong. Nothing but
    the images decides: a mask is not known when a segmentation is used.

    Args:
        images: uint8 or uint16 [H, W], all of one size.

    Returns:
        The images, mirrored left to right where needed, with the smallest grey value outside the breast; which
        pixels of them are breast, bool [H, W]; and whether they were mirrored.
    """
    height, width = images[0].shape
    block = max(1, -(-max(height, width) // LONG_SIDE))
    small_h, small_w = max(1, height // block), max(1, width // block)
    mean = np.mean([resize_image(image, small_h, small_w) for image in images], axis=0)
    breast = _largest(mean > _background(mean))
    flipped = bool(breast[:, (small_w + 1) // 2 :].sum() > breast[:, : small_w // 2].sum())
    if flipped:
        breast = breast[:, ::-1]
        images = [image[:, ::-1] for image in images]

    # Dark tissue at the chest wall is open to the left: it is a hole once a wall stands there. One pixel of the small
    # picture more on all sides keeps the skin.
    walled = np.pad(ndimage.binary_dilation(breast), ((0, 0), (1, 0)))
    first, last = np.flatnonzero(walled.any(axis=1))[[0, -1]]
    walled[first : last + 1, 0] = True
    filled = ndimage.binary_fill_holes(walled)[:, 1:]
    rows, columns = (np.arange(height) * small_h) // height, (np.arange(width) * small_w) // width
    inside = filled[np.ix_(rows, columns)]
    blank = min(int(image.min()) for image in images)
    return [np.where(inside, image, image.dtype.type(blank)) for image in images], inside, flipped


def _background(image: NDArray[np.float64]) -> float:
    """Return the grey value that no background exceeds: its only value, or half way to Otsu's threshold."""
    lowest = float(image.min())
    if (image == lowest).mean() >= FLAT:
        return lowest
    return lowest + (_otsu(image) - lowest) / 2


def _otsu(image: NDArray[np.float64]) -> float:
    """Return the threshold with the largest variance between classes (Otsu 1979), over 256 bins."""
    counts, edges = np.histogram(image, 256)
    centres = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)
    sums = np.cumsum(counts * centres)
    above = below[-1] - below
    with np.errstate(invalid="ignore", divide="ignore"):
        between = below * above * (sums / below - (sums[-1] - sums) / above) ** 2
    return float(edges[1 + int(np.nanargmax(between[:-1]))])


def _largest(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the largest component after an opening that cuts thin bridges; the mask itself if nothing is left."""
    # The image's edge counts as breast during the opening, or it would eat the chest wall.
    opened = np.pad(mask, 1, mode="edge")
    opened = ndimage.binary_opening(opened, iterations=1)[1:-1, 1:-1]
    labels, count = ndimage.label(opened)
    if not count:
        return mask
    return np.asarray(labels == 1 + int(np.argmax(np.bincount(labels.ravel())[1:])))
