"""Image files of 8 and 16 bits: grey values, and masks."""

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pig.system.errors import UserError

GREY_LEVELS = 2**16
GREY_MODES = ("L", "I;16", "I;16L", "I;16B", "I;16N", "I")  # Pillow's names for 8, 16 and (checked) 32 bits
PIXELS_AT_MOST = 178_956_970  # of an image, twice Pillow's MAX_IMAGE_PIXELS: a damaged size could ask for any memory
VOXELS_AT_MOST = 2**29  # of a volume
LUMINANCE = (0.299, 0.587, 0.114)  # of red, green, blue: ITU-R BT.601


def read_grey(path: str | Path, colour: str = "refuse") -> NDArray[Any]:
    """Read a PNG, TIFF, JPEG or BMP of 8 or 16 bits as grey, uint8 or uint16 [H, W].

    Args:
        path: the file.
        colour: "luminance" turns 8-bit colours into grey; "refuse" does not.

    Raises:
        UserError: the file is unreadable or truncated, has several frames, another pixel type, transparent pixels, or
            colours that are refused.
    """
    mode, pixels = _decode(path)
    return _grey(path, mode, pixels, colour)


def read_plain(path: str | Path) -> NDArray[Any]:
    """Read the pixels of an image and nothing else that its file holds: grey as ``read_grey``, or colours of 8 bits.

    Raises:
        UserError: as ``read_grey``.
    """
    mode, pixels = _decode(path)
    return pixels if mode in ("RGB", "RGBA", "LA") else _grey(path, mode, pixels, "refuse")


def _grey(path: str | Path, mode: str, pixels: NDArray[Any], colour: str) -> NDArray[Any]:
    if colour == "luminance" and mode in ("RGB", "RGBA", "LA"):
        if mode != "RGB" and pixels[..., -1].min() < 255:
            raise UserError(f"{path} has transparent pixels; save it without an alpha channel")
        if mode == "LA":
            opaque: NDArray[Any] = pixels[..., 0]
            return opaque
        # In steps of 1/257, so that a grey of 8 bits becomes the same grey of 16.
        grey: NDArray[np.uint16] = np.rint(pixels[..., :3] @ np.array(LUMINANCE) * 257).astype(np.uint16)
        return grey
    if mode not in GREY_MODES:
        fix = "; save it as 8- or 16-bit grey"
        if mode in ("RGB", "RGBA", "LA"):
            fix += ", or set preprocessing.colour to luminance"
        raise UserError(f"{path} has pixels of type {mode}{fix}")
    if mode == "I" and not (pixels.min() >= 0 and pixels.max() < GREY_LEVELS):
        raise UserError(f"{path} has grey values from {pixels.min()} to {pixels.max()}; save it as 16-bit grey")
    return pixels.astype(np.uint8 if mode == "L" else np.uint16, copy=False)


def read_labels(path: str | Path) -> NDArray[Any]:
    """Read a mask or label map as integers or bool [H, W].

    Grey of 1, 8, 16 or 32 bits, the entries of a palette, or RGB without colours.

    Raises:
        UserError: as ``read_grey``.
    """
    mode, pixels = _decode(path, palette=True)
    if mode == "RGB" and (pixels == pixels[..., :1]).all():
        return pixels[..., 0]
    if mode not in (*GREY_MODES, "1", "P"):
        raise UserError(f"{path} has pixels of type {mode}; save the mask as grey, 0 and 255")
    return pixels


def read_mask(path: str | Path) -> NDArray[np.uint8]:
    """Read a mask as uint8 {0, 1} [H, W]: its pixels are 0 and one other value.

    Raises:
        UserError: as ``read_labels``, or the mask has more than one value beside 0.
    """
    return as_mask(read_labels(path), path)


def as_mask(pixels: NDArray[Any], path: str | Path) -> NDArray[np.uint8]:
    """Return the labels [H, W] that ``read_labels`` has read from ``path`` as uint8 {0, 1}.

    Raises:
        UserError: they have more than one value beside 0.
    """
    lesion = pixels != 0
    if not (pixels[lesion] == pixels.max()).all():
        values = np.unique(pixels)
        shown = ", ".join(map(str, values[:6])) + (", ..." if len(values) > 6 else "")
        raise UserError(f"{path} has {len(values)} values ({shown}); a mask has 0 and one other")
    return np.asarray(lesion, np.uint8)


def refuse_giant(path: str | Path, *shape: int) -> None:
    """Raise a UserError if the size that a file declares, [H, W] or [X, Y, Z], is beyond all images; read it before."""
    most = PIXELS_AT_MOST if len(shape) == 2 else VOXELS_AT_MOST
    if math.prod(shape) > most:
        size = " x ".join(map(str, shape))
        raise UserError(f"{path} declares {size} pixels, and at most {most} are read; it may be damaged: copy it again")


def size_of(path: str | Path) -> tuple[int, int]:
    """Return (height, width) of an image file, from its header alone.

    Raises:
        UserError: the file is not a readable image, or is larger than ``PIXELS_AT_MOST``.
    """
    try:
        with Image.open(path) as file:
            return file.height, file.width
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UserError(f"{path} cannot be read ({error}); copy it again") from None


def _decode(path: str | Path, palette: bool = False) -> tuple[str, NDArray[Any]]:
    """Return Pillow's name of the pixel type, and the pixels; of a palette its entries, if ``palette``, or colours."""
    try:
        with Image.open(path) as file:
            # Pillow gives colours of 16 bits as 8 without a word; only the name of the raw data tells.
            deep = file.mode.startswith("RGB") and any(";16" in str(tile.args) for tile in file.tile)
            file.load()
            frames, mode, pixels = getattr(file, "n_frames", 1), file.mode, np.asarray(file)
            if mode == "P" and not palette:
                mode, pixels = "RGB", np.asarray(file.convert("RGB"))
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        raise UserError(f"{path} cannot be read ({error}); it may be cut short: copy it again") from None
    if frames > 1:
        raise UserError(f"{path} holds {frames} frames; save each slice as a file of its own")
    if deep:
        raise UserError(f"{path} has colours of 16 bits; save it as 16-bit grey or 8-bit colour")
    return mode, pixels
