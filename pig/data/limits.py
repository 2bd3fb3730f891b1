"""How large an image may be: a damaged size could ask for any memory, so that it is refused before the pixels."""

import math
import os
from pathlib import Path

from pig.system.errors import UserError

PIXELS_AT_MOST = 178_956_970  # of an image, twice Pillow's MAX_IMAGE_PIXELS
VOXELS_AT_MOST = 2**29  # of a volume
OF_IMAGE, OF_VOLUME = "PIG_PIXELS_AT_MOST", "PIG_VOXELS_AT_MOST"  # the environment variables that set others


def refuse_giant(path: str | Path, *shape: int) -> None:
    """Raise a UserError if the size that a file declares, [H, W] or [X, Y, Z], is beyond all images; read it before."""
    limit, default = (OF_IMAGE, PIXELS_AT_MOST) if len(shape) == 2 else (OF_VOLUME, VOXELS_AT_MOST)
    most = _at_most(limit, default)
    if math.prod(shape) > most:
        raise UserError(_giant(path, " x ".join(map(str, shape)), most, limit))


def pixels_at_most() -> int:
    """Return how many pixels an image may have: ``PIXELS_AT_MOST``, or what the environment variable says.

    Raises:
        UserError: it says no whole number above 0.
    """
    return _at_most(OF_IMAGE, PIXELS_AT_MOST)


def giant_image(path: str | Path, most: int) -> str:
    """Return the sentence about an image file that declares more pixels than are read."""
    return _giant(path, "too many", most, OF_IMAGE)


def _at_most(limit: str, default: int) -> int:
    said = os.environ.get(limit, str(default))
    if not said.isascii() or not said.isdigit() or int(said) == 0:
        raise UserError(f"the environment variable {limit} is {said!r}; give a whole number above 0, or none.")
    return int(said)


def _giant(path: str | Path, size: str, most: int, limit: str) -> str:
    return (
        f"{path} declares {size} pixels, and at most {most} are read; it may be damaged: copy it again; if it has that "
        f"size, set the environment variable {limit} to a larger number"
    )
