"""One volume: its slices are turned, cut by one box, windowed alike and brought to one size, with their masks."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pig.data.breast import orient
from pig.data.geometry import Geometry
from pig.data.images import GREY_LEVELS, as_mask, read_colours, read_grey, read_labels, refuse_other_turn
from pig.data.layout import images_shape
from pig.data.resize import resize_image, resize_mask
from pig.data.settings import PreprocessSettings
from pig.system.errors import UserError

WINDOW = (0.005, 0.995)  # shares of the pixels that are not blank
DARK = 1 / 8  # of the pixel type's range: an image that does not reach it is shown nearly black without a window
UNSEEN = 0.1  # share of a lesion that may lie where the image is blanked or cut off: outlines drawn by hand stick out


class Slice(NamedTuple):
    """One row of the manifest (0-based) and its files; of a new image, which is to be segmented, no mask is known."""

    row: int
    image_path: str
    mask_path: str | None


# Called with each file that could be read: its row, "image" or "mask", and its pixels.
Look = Callable[[int, Literal["image", "mask"], NDArray[Any]], None]


class Prepared(NamedTuple):
    """What became of a volume: either faults, (row, sentence), or everything else; warnings, alike, in both cases."""

    faults: list[tuple[int, str]]
    images: NDArray[np.uint16] | None = None
    masks: NDArray[np.uint8] | None = None
    geometry: Geometry | None = None
    warnings: Sequence[tuple[int, str]] = ()


def prepare_volume(volume: list[Slice], settings: PreprocessSettings, look: Look = lambda *_: None) -> Prepared:
    """Read, turn, cut, window and resize the slices of one volume.

    What is done to an image is computed from the images of its volume alone: anything taken from a mask would show
    where the lesion is. Blank is what equals the smallest grey value of the volume. The box around everything else, in
    any slice, is kept; of a mask, what lies outside the box is cut off. Of colours each channel has grey values, and a
    pixel is blank if all three are; one window for the three leaves the hues what they are. A lesion of which more than
    ``UNSEEN`` lies there, or outside the breast, is a fault, and less of it a warning. Grey values from the 0.5th to
    the 99.5th percentile of the pixels of the volume that are not blank become [-1, 1] (0..65535 in the store); what
    lies outside them is clipped, so that blank is -1. The settings may ask for another window, and for breasts to be
    found first. A slice that is blank everywhere decides nothing: the others become what they would be without it.
    ``look`` sees every image and label map as it was read.

    Returns:
        images uint16 [slices, size, size], of colours [slices, 3, size, size], masks uint8 {0, 1} [slices, size, size],
        and the geometry; or the faults.
    """
    slices: list[tuple[NDArray[Any], NDArray[np.uint8]]] = []
    faults: list[tuple[int, str]] = []
    for item in volume:
        image, mask, wrong = _read_pair(item, settings, look, alone=len(volume) == 1)
        if not wrong and slices and image.shape != slices[0][0].shape:
            wrong = [f"{item.image_path} is {_size(image)}, other slices of its volume {_size(slices[0][0])}"]
        if not wrong and slices and image.dtype != slices[0][0].dtype:
            kinds = f"{image.dtype}, other slices of its volume {slices[0][0].dtype}"
            wrong = [f"{item.image_path} is read as {kinds}; save all of them alike, in grey of 8 or of 16 bits"]
        if not wrong:
            slices.append((image, mask))
        faults += [(item.row, fault) for fault in wrong]
    filled = [position for position, (image, _) in enumerate(slices) if image.min() < image.max()]
    if faults := faults or _blank_faults(volume, slices, filled):
        return Prepared(faults)

    sources, lesions = [slices[position][0] for position in filled], [mask for _, mask in slices]
    seen, flipped = np.ones(sources[0].shape[:2], bool), False
    if settings.anatomy == "breast":
        sources, seen, flipped = orient(sources)
        lesions = [mask[:, ::-1] for mask in lesions] if flipped else lesions
    blank = min(int(image.min()) for image in sources)
    if settings.window == "full":
        low, high = 0, int(np.iinfo(sources[0].dtype).max)
    else:
        low, high = _window(sources, blank)
    if low == high:
        sentence = f"no contrast: {WINDOW[0]:.1%} and {WINDOW[1]:.1%} of the grey values of its volume are {low}"
        return Prepared([(volume[0].row, sentence)])
    grey = np.clip((np.arange(GREY_LEVELS) - low) / (high - low), 0, 1) * (GREY_LEVELS - 1)

    geometry = _geometry(sources, blank, flipped, settings)
    cut = (
        slice(geometry.crop_y0, geometry.crop_y0 + geometry.crop_h),
        slice(geometry.crop_x0, geometry.crop_x0 + geometry.crop_w),
    )
    size = settings.size
    images = np.empty(images_shape(len(slices), size, settings.channels), np.uint16)
    masks = np.empty((len(slices), size, size), np.uint8)
    warnings: list[tuple[int, str]] = []
    greatest = max(int(image.max()) for image in sources)
    if settings.window == "full" and greatest < DARK * high:
        sentence = (
            f"with preprocessing.window full, the greatest grey value of its volume, {greatest} of {high}, is nearly "
            "black; are 12 bits stored as 16? Set window to percentile, or scale the images"
        )
        warnings.append((volume[0].row, sentence))
    turned = dict(zip(filled, sources, strict=True))
    for position, mask in enumerate(lesions):
        image = turned.get(position, slices[position][0])
        planes = image[cut] if image.ndim == 2 else np.moveaxis(image[cut], 2, 0)
        images[position] = np.rint(resize_image(_padded(grey[planes], geometry), size, size))
        masks[position] = resize_mask(_padded(mask[cut], geometry), size, size)
        wrong, odd = _lesion_lost(volume[position], mask, (mask & seen)[cut], masks[position], settings)
        faults += [(volume[position].row, fault) for fault in wrong]
        warnings += [(volume[position].row, warning) for warning in odd]
    return Prepared(faults, warnings=warnings) if faults else Prepared([], images, masks, geometry, warnings)


def _blank_faults(
    volume: list[Slice], slices: list[tuple[NDArray[Any], NDArray[np.uint8]]], filled: list[int]
) -> list[tuple[int, str]]:
    """Return what is wrong with the slices that are blank, which are all but those at the positions ``filled``.

    Slices of a volume may be blank, as its first and last ones often are: where it has others, they show no lesion, and
    their grey value is not above what is blank in the others.
    """
    if not volume:  # of new images, whose blank slices are found before
        return [(0, "all slices of its volume are blank")]
    least = min((int(slices[position][0].min()) for position in filled), default=-1)
    faults = []
    for position in sorted({*range(len(volume))} - {*filled}):
        item, (image, mask) = volume[position], slices[position]
        if not filled:
            faults.append((item.row, f"{_is_blank(item, image)}, as are all slices of its volume"))
        elif image.min() > least:
            faults.append((item.row, f"{_is_blank(item, image)}, and in other slices of its volume blank is {least}"))
        elif mask.any():
            faults.append((item.row, f"{_is_blank(item, image)}, and {item.mask_path} has a lesion there"))
    return faults


def _is_blank(item: Slice, image: NDArray[Any]) -> str:
    return f"{item.image_path} is blank: every pixel is {image.min()}"


def _lesion_lost(
    item: Slice,
    mask: NDArray[np.uint8],
    kept: NDArray[np.uint8],
    stored: NDArray[np.uint8],
    settings: PreprocessSettings,
) -> tuple[list[str], list[str]]:
    """Return what is wrong and what is suspicious where a lesion is not whole in the image that is kept.

    Args:
        item: its row.
        mask: as it was read.
        kept: of it, what lies in the box and, for a breast, in the breast.
        stored: the mask at the size of the store.
        settings: of the preprocessing.
    """
    faults: list[str] = []
    warnings: list[str] = []
    total = int(mask.sum())
    unseen = total - int(kept.sum())
    if unseen:
        where = "outside the breast" if settings.anatomy == "breast" else "on the blank border that is cut off"
        sentence = f"{unseen} of {total} pixels of the lesion in {item.mask_path} lie {where}"
        if unseen > UNSEEN * total:
            sentence += "; check that the mask belongs to the image, is turned as it is, and is not inverted"
            if settings.anatomy == "breast":
                sentence += ", or, if the breast was not found, set preprocessing.anatomy to any"
        (faults if unseen > UNSEEN * total else warnings).append(sentence)
    if total > unseen and not stored.any():
        faults.append(
            f"{item.mask_path} vanishes at {settings.size} x {settings.size} pixels: nowhere does the lesion cover "
            "half a pixel; choose a larger preprocessing.size, or leave the row out"
        )
    return faults, warnings


def _padded(pixels: NDArray[Any], geometry: Geometry) -> NDArray[Any]:
    # Most volumes are not padded, and NumPy copies even then.
    padding = ((0, 0),) * (pixels.ndim - 2) + ((0, geometry.pad_h), (0, geometry.pad_w))
    return np.pad(pixels, padding) if geometry.pad_h or geometry.pad_w else pixels


def _window(images: Iterable[NDArray[Any]], blank: int) -> tuple[int, int]:
    """Return the percentiles of ``WINDOW``: the smallest grey values that this share of the pixels do not exceed."""
    histogram = np.zeros(GREY_LEVELS, np.int64)
    for image in images:
        histogram += np.bincount(image.ravel(), minlength=GREY_LEVELS)
    histogram[: blank + 1] = 0
    below = np.cumsum(histogram)
    low, high = (int(np.searchsorted(below, share * below[-1])) for share in WINDOW)
    return low, high


def _geometry(images: list[NDArray[Any]], blank: int, flipped: bool, settings: PreprocessSettings) -> Geometry:
    source_h, source_w = images[0].shape[:2]
    in_row, in_column = np.zeros(source_h, bool), np.zeros(source_w, bool)
    for image in images:
        kept = (image > blank) if image.ndim == 2 else (image.max(axis=2) > blank)
        in_row |= kept.any(axis=1)
        in_column |= kept.any(axis=0)
    (y0, y1), (x0, x1) = np.flatnonzero(in_row)[[0, -1]], np.flatnonzero(in_column)[[0, -1]]
    height, width = int(y1 - y0 + 1), int(x1 - x0 + 1)
    side_h, side_w = (height, width) if settings.aspect == "stretch" else (max(height, width),) * 2
    return Geometry(
        source_h=source_h,
        source_w=source_w,
        crop_y0=int(y0),
        crop_x0=int(x0),
        crop_h=height,
        crop_w=width,
        pad_h=side_h - height,
        pad_w=side_w - width,
        scale_y=settings.size / side_h,
        scale_x=settings.size / side_w,
        flip=int(flipped),
    )


def _read_pair(
    item: Slice, settings: PreprocessSettings, look: Look, alone: bool
) -> tuple[NDArray[Any], NDArray[np.uint8], list[str]]:
    """Return image, mask, and what is wrong with them; with faults, the arrays mean nothing."""
    image, mask, faults = np.empty((0, 0), np.uint8), np.empty((0, 0), np.uint8), []
    try:
        keep = settings.colour == "keep"
        image = read_colours(item.image_path) if keep else read_grey(item.image_path, settings.colour)
        look(item.row, "image", image)
        if alone and image.min() == image.max():
            faults.append(_is_blank(item, image))
    except UserError as error:
        faults.append(str(error))
    if item.mask_path is None:
        return image, np.zeros(image.shape[:2], np.uint8), faults
    try:
        labels = read_labels(item.mask_path)
        look(item.row, "mask", labels)
        mask = as_mask(labels, item.mask_path)
        if settings.empty_masks == "refuse" and not mask.any():
            faults.append(
                f"{item.mask_path} is an empty mask; leave the row out, or set preprocessing.empty_masks to keep"
            )
    except UserError as error:
        faults.append(str(error))
    if image.size and mask.size:
        try:
            refuse_other_turn(item.image_path, item.mask_path)
        except UserError as error:
            faults.append(str(error))
    if image.size and mask.size and image.shape[:2] != mask.shape:
        faults.append(f"{item.mask_path} is {_size(mask)}, its image {_size(image)}; they must match")
    return image, mask, faults


def _size(array: NDArray[Any]) -> str:
    return f"{array.shape[1]} x {array.shape[0]} pixels"
