"""How large an image may be: a damaged size could ask for any memory, so that it is refused before the pixels."""

import math
import os
from pathlib import Path

from pig.system.errors import UserError

PIXELS_AT_MOST = 178_956_970  # of an image, twice Pillow's MAX_IMAGE_PIXELS
LIMIT = "PIG_PIXELS_AT_MOST"  # the environment variable that sets another
VOXELS_AT_MOST = 2**29  # of a volume


def refuse_giant(path: str | Path, *shape: int) -> None:
    """Raise a UserError if the size that a file declares, [H, W] or [X, Y, Z], is beyond all images; read it before."""
    most = pixels_at_most() if len(shape) == 2 else VOXELS_AT_MOST
    if math.prod(shape) > most:
        raise UserError(giant(path, " x ".join(map(str, shape)), most, len(shape) == 2))


def pixels_at_most() -> int:
    """Return how many pixels an image may have: ``PIXELS_AT_MOST``, or what the environment variable ``LIMIT`` says.

    Raises:
        UserError: it says no whole number above 0.
    """
    said = os.environ.get(LIMIT, str(PIXELS_AT_MOST))
    if not said.isascii() or not said.isdigit() or int(said) == 0:
        raise UserError(f"the environment variable {LIMIT} is {said!r}; give a whole number above 0, or none.")
    return int(said)


def giant(path: str | Path, size: str, most: int, of_image: bool) -> str:
    """Return the sentence about a file that declares more pixels, or voxels, than are read."""
    raised = f"; if it has that size, set the environment variable {LIMIT} to a larger number" if of_image else ""
    return f"{path} declares {size} pixels, and at most {most} are read; it may be damaged: copy it again{raised}"
