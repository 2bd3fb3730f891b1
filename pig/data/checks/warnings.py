"""What in a data set may be a mistake, or may be as it should: said by ``pig check``, and no reason to stop."""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pig.data.images import ONE_OF_TWO
from pig.data.manifest import spellings

LARGE_MASK = 0.5  # share of the image; more is rather the background than a lesion
MANY = 10  # images; of fewer it is no wonder if each is another patient's
SATURATED = 0.02  # share of the pixels at the greatest grey value
WEAK = {"box_ellipse": "ellipses drawn into boxes, not outlines"}  # what a ``mask_source`` means


def grey_warnings(image: NDArray[Any], low: int, high: int) -> list[str]:
    """Return the warnings about an image of uint8 or uint16 with the grey values ``low`` to ``high``.

    Args:
        image: [H, W], or colours [H, W, 3], of which each channel counts.
        low: the smallest value.
        high: the greatest.
    """
    warnings = []
    if image.dtype == np.uint16 and high < 256:
        warnings.append(f"a 16-bit image without a grey value above {high}; were 8 bits saved as 16?")
    border = np.concatenate([image[0], image[-1], image[1:-1, 0], image[1:-1, -1]])
    if low < high and (border == high).mean() > 0.5:
        warnings.append("most of the border has the greatest grey value; is the image inverted (MONOCHROME1)?")
    elif low < high and (share := float((image == high).mean())) > SATURATED:
        warnings.append(f"{share:.0%} of the pixels have the greatest grey value, {high}; is the image clipped?")
    return warnings


def mask_warnings(area: int, pixels: int) -> list[str]:
    """Return the warnings about a mask that covers ``area`` of ``pixels``."""
    large = area > LARGE_MASK * pixels
    return [f"the mask covers {area / pixels:.0%} of the image; is it inverted?"] * large


def spelling(name: str) -> tuple[str, ...]:
    """Return what stays of a name without case, separators, accents' encodings and leading zeros."""
    parts = re.findall(r"\d+|[^\W\d_]+", unicodedata.normalize("NFKC", name).casefold())
    return tuple(part.lstrip("0") or "0" if part.isdigit() else part for part in parts)


def name_warnings(patients: Iterable[str]) -> list[str]:
    """Return the warnings about the ids of patients: those that differ in separators and leading zeros alone."""
    alike: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for name in filter(None, patients):
        alike[spelling(name)].add(name)
    return [
        f"patients {' and '.join(map(repr, sorted(names)))}: one patient in several spellings?"
        for names in alike.values()
        if len(names) - len(spellings(sorted(names))) > 1  # the manifest has refused those that differ in case alone
    ]


def one_image_each(images: int, patients: int) -> list[str]:
    """Return the warning about a data set of which each image is said to be of another patient, given their numbers."""
    warning = (
        f"each of the {images} images is a patient of its own; if several show one person, that person is trained on "
        "and tested on, and all scores are too good: give them one patient_id"
    )
    return [warning] * (images >= MANY and patients == images)


def mixed_types(types: Iterable[str | None]) -> list[str]:
    """Return the warning about a data set whose images have several pixel types."""
    kinds = sorted(set(filter(None, types)))
    return [f"images of {' and of '.join(kinds)} are mixed; were some saved with fewer grey values?"] * (len(kinds) > 1)


def mixed_labels(values: Iterable[str | None]) -> list[str]:
    """Return the warning about a data set whose masks have one value each beside 0, but not all the same.

    Args:
        values: of each mask, as text with spaces between them; None where it cannot be read.
    """
    lesions = Counter(value for of in filter(None, values) for value in of.split() if value != "0")
    counts = ", ".join(f"{value} in {count}" for value, count in sorted(lesions.items()))
    warning = (
        f"what is not 0 is lesion, and it is not one value in all masks ({counts}); if these are classes of which some "
        "are no lesion, import the data with labels (dataset.import: {from: manifest, labels: [...], ...})"
    )
    return [warning] * (len(lesions) > 1 and not set(map(int, lesions)) <= ONE_OF_TWO)


def without_colours(coloured: Iterable[bool | None]) -> list[str]:
    """Return the warning about a data set whose colours are kept, and which has none.

    Args:
        coloured: of each image, whether it has colours; None where they are not kept or the image cannot be read.
    """
    known = [of for of in coloured if of is not None]
    warning = (
        "no image has colours, and with preprocessing.colour keep each is stored, learnt and drawn as three equal "
        "channels; leave colour out, or set it to luminance"
    )
    return [warning] * (bool(known) and not any(known))


def weak_masks(sources: Iterable[Any]) -> list[str]:
    """Return the warnings about masks that are no outlines, given the column ``mask_source``."""
    return [
        f"weak masks, {WEAK[source]} (mask_source {source}, {count} rows): say so beside every number made with them"
        for source, count in sorted(Counter(source for source in sources if source in WEAK).items())
    ]
