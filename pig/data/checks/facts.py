"""What one row of a manifest is found to be: its image, its mask, and what the preprocessing says of them."""

import hashlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pig.data.checks.likeness import difference_hash
from pig.data.checks.warnings import grey_warnings, mask_warnings
from pig.data.settings import PreprocessSettings
from pig.data.volume import Slice, prepare_volume

VALUES_SHOWN = 6


@dataclass
class Facts:
    """What one row of the manifest was found to be.

    Attributes:
        row: 0-based.
        height, width, dtype, low, high: of the image; None where it cannot be read.
        mask_height, mask_width, mask_area: of the mask, in pixels; the area of all that is not 0.
        mask_values: the grey values of the mask, the first six.
        coloured: whether red, green and blue differ anywhere; None where colours are not kept.
        digest: of the image's pixels, equal for equal images; None for one that is blank.
        hash: see ``pig.data.checks.likeness``; None where the pair has faults, or the image is blank.
        faults: what stops a run.
        warnings: what may be a mistake.
    """

    row: int
    height: int | None = None
    width: int | None = None
    dtype: str | None = None
    low: int | None = None
    high: int | None = None
    mask_height: int | None = None
    mask_width: int | None = None
    mask_area: int | None = None
    mask_values: str | None = None
    coloured: bool | None = None
    digest: str | None = None
    hash: NDArray[np.uint64] | None = None
    faults: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def look_at_volume(volume: list[Slice], settings: PreprocessSettings) -> list[Facts]:
    """Return the facts of the slices of one volume: each by itself, and what the preprocessing says of them."""
    found = {item.row: Facts(item.row) for item in volume}
    prepared = prepare_volume(volume, settings, lambda row, kind, pixels: LOOKS[kind](found[row], pixels))
    for row, fault in prepared.faults:
        found[row].faults.append(fault)
    for row, warning in prepared.warnings:
        found[row].warnings.append(warning)
    if prepared.images is not None:
        for fact, image in zip(found.values(), prepared.images, strict=True):
            fact.hash = difference_hash(image) if fact.digest else None
    return list(found.values())


def _look_at_image(fact: Facts, image: NDArray[Any]) -> None:
    fact.height, fact.width = image.shape[:2]
    fact.dtype, fact.low, fact.high = str(image.dtype), int(image.min()), int(image.max())
    if image.ndim == 3:
        fact.coloured = bool((image != image[..., :1]).any())
    if fact.low == fact.high:
        return  # blank slices of a volume are all alike, and nobody's
    content = f"{image.shape}{image.dtype}".encode() + np.ascontiguousarray(image).tobytes()
    fact.digest = hashlib.blake2b(content, digest_size=16).hexdigest()
    fact.warnings += grey_warnings(image, fact.low, fact.high)


def _look_at_mask(fact: Facts, labels: NDArray[Any]) -> None:
    # Counting is many times as fast as the sorting of np.unique.
    few = labels.dtype.itemsize < 4
    values = np.flatnonzero(np.bincount(labels.ravel())) if few else np.unique(labels)
    fact.mask_values = " ".join(map(str, values[:VALUES_SHOWN])) + " ..." * (len(values) > VALUES_SHOWN)
    fact.mask_height, fact.mask_width = labels.shape
    fact.mask_area = int(np.count_nonzero(labels))
    fact.warnings += mask_warnings(fact.mask_area, labels.size)


LOOKS = {"image": _look_at_image, "mask": _look_at_mask}
