"""Image files of 8 and 16 bits: grey values, colours, and masks."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps

from pig.data.formats import NIFTI, ending_of, holds_dicom
from pig.data.limits import giant_image, pixels_at_most
from pig.system.errors import UserError

GREY_LEVELS = 2**16
GREY_MODES = ("L", "I;16", "I;16L", "I;16B", "I;16N", "I")  # Pillow's names for 8, 16 and (checked) 32 bits
COLOUR_MODES = ("RGB", "RGBA", "LA")
BITS_PER_SAMPLE = 258  # TIFF's tag
PHOTOMETRIC = 262  # TIFF's tag; 0: the least value is white
ONE_OF_TWO = frozenset({1, 255})  # what masks of two values have beside 0, by their format
BLURRED_VALUES, NEAR_END = 8, 0.15  # a blurred mask has as many values at least; share of their range near an end
LUMINANCE = (0.299, 0.587, 0.114)  # of red, green, blue: ITU-R BT.601


def read_grey(path: str | Path, colour: str = "refuse") -> NDArray[Any]:
    """Read a PNG, TIFF, JPEG or BMP of 8 or 16 bits as grey, uint8 or uint16 [H, W].

    Args:
        path: the file.
        colour: "luminance" turns 8-bit colours into grey, uint16; "refuse" does not, unless red, green and blue are
            equal everywhere.

    Raises:
        UserError: the file is unreadable or truncated, has several frames, another pixel type, transparent pixels, or
            colours that are refused.
    """
    mode, pixels = _decode(path)
    return _grey(path, mode, pixels, colour)


def read_colours(path: str | Path) -> NDArray[np.uint8]:
    """Read a PNG, TIFF, JPEG or BMP of 8 bits as red, green and blue, uint8 [H, W, 3]; of grey all three are equal.

    Raises:
        UserError: as ``read_grey``, or the file has 16 bits.
    """
    mode, pixels = _decode(path)
    if mode in ("RGB", "RGBA"):
        return _opaque(path, mode, pixels)
    grey = _opaque(path, mode, pixels)[..., 0] if mode == "LA" else _grey(path, mode, pixels, "refuse")
    if grey.dtype != np.uint8:
        raise UserError(
            f"{path} is grey of 16 bits, and with preprocessing.colour keep all images have colours of 8; save it with "
            "8 bits, or set colour to luminance"
        )
    return np.repeat(grey[..., None], 3, axis=2)


def read_plain(path: str | Path) -> NDArray[Any]:
    """Read the pixels of an image and nothing else that its file holds: grey as ``read_grey``, or colours of 8 bits.

    Raises:
        UserError: as ``read_grey``.
    """
    mode, pixels = _decode(path)
    return pixels if mode in COLOUR_MODES else _grey(path, mode, pixels, "refuse")


def luminance(colours: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """Return colours of 8 bits, uint8 [..., 3], as grey, uint16 [...]: in steps of 1/257, so that a grey stays one."""
    grey: NDArray[np.uint16] = np.rint(colours @ np.array(LUMINANCE) * 257).astype(np.uint16)
    return grey


def _opaque(path: str | Path, mode: str, pixels: NDArray[Any]) -> NDArray[Any]:
    """Return the channels of colours, or of grey with an alpha channel, that show: without alpha."""
    if mode == "RGB":
        return pixels
    if pixels[..., -1].min() < 255:
        raise UserError(f"{path} has transparent pixels; save it without an alpha channel")
    return pixels[..., :-1]


def _grey(path: str | Path, mode: str, pixels: NDArray[Any], colour: str) -> NDArray[Any]:
    if mode in COLOUR_MODES:
        channels = _opaque(path, mode, pixels)
        if colour == "luminance" and mode != "LA":
            return luminance(channels)
        if (channels == channels[..., :1]).all():
            return channels[..., 0]
    if mode not in GREY_MODES:
        fix = "; save it as 8- or 16-bit grey"
        if mode in COLOUR_MODES:
            fix += ", or set preprocessing.colour to luminance or keep"
        raise UserError(f"{path} has pixels of type {mode}{fix}")
    if mode == "I" and not (pixels.min() >= 0 and pixels.max() < GREY_LEVELS):
        raise UserError(f"{path} has grey values from {pixels.min()} to {pixels.max()}; save it as 16-bit grey")
    return pixels.astype(np.uint8 if mode == "L" else np.uint16, copy=False)


def read_labels(path: str | Path, shown: bool = False) -> NDArray[Any]:
    """Read a mask or label map as integers or bool [H, W].

    Grey of 1, 8, 16 or 32 bits, the entries of a palette, or RGB without colours.

    Args:
        path: the file.
        shown: the grey values that a viewer shows, for a threshold: those of a palette, and 0 and 255 of 1 bit.

    Raises:
        UserError: as ``read_grey``, or it has colours.
    """
    mode, pixels = _decode(path, palette=not shown)
    if mode == "RGB" and (pixels == pixels[..., :1]).all():
        return pixels[..., 0]
    if mode == "1" and shown:
        return pixels * np.uint8(255)
    if mode == "RGB" and shown:
        raise UserError(f"{path} has colours, and a threshold compares grey values; save the mask as grey, 0 and 255")
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
        if threshold := threshold_for(pixels):
            raise UserError(
                f"{path} has {len(values)} values that crowd around {values[0]} and {values[-1]}, as of a mask saved "
                "as JPEG or interpolated; import the data with a threshold (dataset.import: {from: manifest, "
                f"threshold: {threshold:g}, ...}})"
            )
        raise UserError(f"{path} has {len(values)} values ({shown}); a mask has 0 and one other")
    return np.asarray(lesion, np.uint8)


def threshold_for(values: NDArray[Any]) -> float | None:
    """Return the middle of the values of a blurred mask, or None if they look like labels.

    A mask that was saved as JPEG, interpolated or anti-aliased has many values, most of them near the two ends, and so
    most of those that are not near the lower end near the upper one. A map of many labels has not.
    """
    low, high = float(values.min()), float(values.max())
    if low == high or values.dtype.kind == "b":
        return None
    whole = values.dtype.kind != "f" or bool((values == np.rint(values)).all())
    if whole and len(np.unique(values)) < BLURRED_VALUES:
        return None
    margin = NEAR_END * (high - low)
    above = values[values > low + margin]
    return (low + high) / 2 if (above >= high - margin).mean() > 0.5 else None


def size_of(path: str | Path) -> tuple[int, int]:
    """Return (height, width) of an image file, from its header alone.

    Raises:
        UserError: the file is not a readable image, or is larger than ``pig.data.limits`` allows.
    """
    with _opened(path) as file:
        size = file.height, file.width
        return size[::-1] if file.format != "TIFF" and _orientation(file, path) > 4 else size


def orientation_of(path: str | Path) -> int:
    """Return how an image file says that its pixels are to be turned: 1, as stored, to 8 (EXIF 2.3, tag 274).

    All that reads pixels here turns them so, as viewers and annotation tools do, whatever the format.

    Raises:
        UserError: the file is not a readable image.
    """
    with _opened(path) as file:
        return _orientation(file, path)


def refuse_other_turn(image: str | Path, mask: str | Path) -> None:
    """Raise a UserError if an image and its mask say differently how their pixels are to be turned."""
    of_image, of_mask = orientation_of(image), orientation_of(mask)
    if of_image != of_mask:
        raise UserError(
            f"{image} says that its pixels are to be turned (EXIF orientation {of_image}), and {mask} does not say the "
            f"same ({of_mask}), so that it is not known how one lies on the other; save both as they are to be seen, "
            "without that tag"
        )


def _orientation(file: Image.Image, path: str | Path) -> int:
    exif = _exif_of_png(path) if file.format == "PNG" else file.getexif()
    said = exif.get(ExifTags.Base.Orientation, 1)
    return said if said in range(1, 9) else 1


def _exif_of_png(path: str | Path) -> Image.Exif:
    """Return what the chunk eXIf says, wherever it stands; Pillow would decode all pixels to look behind them."""
    exif = Image.Exif()
    with Path(path).open("rb") as file:
        file.seek(len(b"\x89PNG\r\n\x1a\n"))
        while len(head := file.read(8)) == 8:
            length, kind = int.from_bytes(head[:4], "big"), head[4:]
            if kind == b"eXIf":
                exif.load(file.read(length))
                break
            file.seek(length + 4, 1)  # and the checksum
    return exif


@contextmanager
def _opened(path: str | Path) -> Iterator[Image.Image]:
    """Open an image file; whatever is wrong with it becomes a sentence."""
    most = pixels_at_most()
    Image.MAX_IMAGE_PIXELS = most // 2  # Pillow warns from there on, and refuses twice as many
    try:
        # Opened here: given a path, Pillow 13.0 maps an uncompressed TIFF into memory, and garbles one that is to be
        # turned by a quarter.
        with Path(path).open("rb") as raw, Image.open(raw) as file:
            yield file
    except Image.DecompressionBombError:
        raise UserError(giant_image(path, most)) from None
    except UserError:
        raise
    except Exception as error:  # of a broken file Pillow raises nearly anything
        kind = "NIfTI" if ending_of(Path(path)) in NIFTI else "DICOM" if holds_dicom(Path(path)) else None
        if kind:
            raise UserError(
                f"{path} is {kind}, which is read by an import alone; in place of dataset.manifest give "
                "dataset.import: {from: manifest, root: the same table}"
            ) from None
        raise UserError(f"{path} cannot be read ({error}); it may be cut short: copy it again") from None


def _decode(path: str | Path, palette: bool = False) -> tuple[str, NDArray[Any]]:
    """Return Pillow's name of the pixel type, and the pixels; of a palette its entries, if ``palette``, or colours."""
    with _opened(path) as file:
        # Pillow gives colours of 16 bits as 8 without a word; only the name of the raw data tells.
        # The name does not either where the planes of a TIFF lie one after another.
        tags = file.tag_v2 if file.format == "TIFF" else {}  # type: ignore[attr-defined]
        raw_16 = any(";16" in str(tile.args) for tile in file.tile)
        deep = file.mode.startswith("RGB") and (raw_16 or max(np.atleast_1d(tags.get(BITS_PER_SAMPLE, 8))) > 8)
        white_is_zero = tags.get(PHOTOMETRIC) == 0
        file.load()
        frames = getattr(file, "n_frames", 1)
        # Of a TIFF Pillow turns the pixels by itself.
        turned = file.format != "TIFF" and _orientation(file, path) > 1
        shown = ImageOps.exif_transpose(file) if turned else file
        mode, pixels = shown.mode, np.asarray(shown)
        if mode == "P":
            mode, pixels = ("P", _entries(shown)) if palette else ("RGB", np.asarray(shown.convert("RGB")))
        if white_is_zero and mode.startswith("I;16"):  # of 8 bits Pillow inverts them by itself
            pixels = np.uint16(GREY_LEVELS - 1) - pixels
    if frames > 1:
        raise UserError(f"{path} holds {frames} frames; save each slice as a file of its own")
    if deep:
        raise UserError(f"{path} has colours of 16 bits; save it as 16-bit grey or 8-bit colour")
    return mode, pixels


def _entries(file: Image.Image) -> NDArray[Any]:
    """Return the pixels of a palette image as its entries, or as grey values where these run the other way.

    Entry 0 is background, unless all colours are grey and another entry is darker: a mask of black and white whose
    palette begins with white would be inverted.
    """
    pixels: NDArray[Any] = np.asarray(file)
    greys = np.array(file.getpalette("RGB"), np.uint8).reshape(-1, 3)
    entries = np.union1d(np.unique(pixels), np.arange(min(2, len(greys))))
    entries = entries[entries < len(greys)]
    grey = (greys[entries] == greys[entries][:, :1]).all()
    if grey and (greys[entries, 0] < greys[0, 0]).any():
        pixels = greys[pixels, 0]
    return pixels
