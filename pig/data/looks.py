"""What pairs look like in a few numbers, beside what the pairs of real patients look like: noise and copies are seen.

A generator that has learnt nothing draws noise, masks of hundreds of pieces, or one picture for all; one that has
learnt by heart draws its training pictures. Neither need show in a distance between distributions, or in Dice.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage

from pig.data.checks.likeness import ALIKE, bits_to_nearest, difference_hash, nearest_stranger
from pig.data.store import PairDataset

MEASURES = {  # of a pair; all but the pieces are shares: of the picture, of its side, of the range of grey values
    "area": "the lesion covers",
    "pieces": "its pieces are",
    "row": "its middle lies below the top",
    "column": "its middle lies right of the edge",
    "contrast": "it is brighter than its surroundings by",
    "grey": "the mean grey value is",
    "grain": "neighbouring pixels differ by",
    "copies": "pictures like one of another patient are",
}
RIM = 24  # surroundings reach as far as this part of the picture's side: 2 of 48 pixels
LOOKED_AT = 512  # real pairs, evenly spread
AT_ONCE = 32  # pairs
FEW_COPIES = 0.01  # of all pictures may be like a training picture by chance
WHITE = 65535

Looks = dict[str, dict[str, float | None]]


def measures(images: NDArray[np.uint16], masks: NDArray[np.uint8] | None) -> pd.DataFrame:
    """Return the measures of each pair but the copies; those of a lesion are NaN where there is none.

    Args:
        images: [n, H, W], or [n, 3, H, W]; of colours the mean of the channels counts.
        masks: {0, 1} [n, H, W]; None: images alone.
    """
    grey = (images if images.ndim == 3 else images.mean(axis=1)).astype(np.float64) / WHITE
    steps = [np.abs(np.diff(grey, axis=axis)).mean((1, 2)) for axis in (1, 2)]
    table = pd.DataFrame({"grey": grey.mean((1, 2)), "grain": (steps[0] + steps[1]) / 2})
    if masks is None:
        return table
    columns = ["area", "pieces", "row", "column", "contrast"]
    return pd.DataFrame(map(_lesion, grey, masks.astype(bool)), columns=columns).join(table)


def _lesion(grey: NDArray[np.float64], mask: NDArray[np.bool_]) -> tuple[float, float, float, float, float]:
    if not mask.any():
        return (np.nan,) * 5
    side = len(mask)
    around = ndimage.binary_dilation(mask, np.ones((3, 3)), iterations=max(1, round(side / RIM))) & ~mask
    contrast = grey[mask].mean() - grey[around].mean() if around.any() else np.nan
    row, column = (float(np.mean(at) + 0.5) / side for at in np.nonzero(mask))
    return float(mask.mean()), float(ndimage.label(mask, np.ones((3, 3)))[1]), row, column, float(contrast)


def beside_real(images: NDArray[np.uint16], masks: NDArray[np.uint8] | None, pairs: PairDataset) -> Looks:
    """Hold what a generator drew against the pairs of its training patients.

    Args:
        images: uint16 [n, (3,) S, S].
        masks: uint8 {0, 1} [n, S, S], or None.
        pairs: those it learnt from.

    Returns:
        For each of ``MEASURES`` that there is: ``drawn``, the mean over the pairs (of a lesion, those that have one;
        None if none has), and ``least`` and ``greatest``, the least and the greatest mean of a training patient. Copies
        are pictures whose difference hash is that of a training picture but for ``ALIKE`` bits; of a training patient,
        that of another one.
    """
    rows = pairs.rows[:: -(-len(pairs) // LOOKED_AT)]
    patients = pairs.store.manifest["patient_id"].to_numpy()[rows]
    real, hashes_of_real = _all_measured(
        PairDataset(pairs.store, rows[start : start + AT_ONCE], images.shape[-1]).pixels()
        for start in range(0, len(rows), AT_ONCE)
    )
    drawn, hashes_of_drawn = _all_measured(
        (images[start : start + AT_ONCE], None if masks is None else masks[start : start + AT_ONCE])
        for start in range(0, len(images), AT_ONCE)
    )
    of_patients = real.groupby(patients).mean()
    looks: Looks = {
        name: {"drawn": _known(drawn[name]), "least": _known(of_patients[name], "min"),
               "greatest": _known(of_patients[name], "max")}
        for name in MEASURES if name in drawn
    }  # fmt: skip
    codes = pd.factorize(patients)[0]
    of_drawn = bits_to_nearest(hashes_of_drawn, hashes_of_real)
    among_real = pd.Series(nearest_stranger(hashes_of_real, codes)[1] <= ALIKE).groupby(patients).mean()
    greatest = max(FEW_COPIES, float(among_real.max()))
    return looks | {"copies": {"drawn": float((of_drawn <= ALIKE).mean()), "least": 0.0, "greatest": greatest}}


def _known(values: pd.Series, which: str = "mean") -> float | None:
    found = values.agg(which)
    return None if pd.isna(found) else float(found)


def _all_measured(
    parts: Iterable[tuple[NDArray[np.uint16], NDArray[np.uint8] | None]],
) -> tuple[pd.DataFrame, NDArray[np.uint64]]:
    """Return the measures and the difference hashes of pairs that come some at a time."""
    tables, hashes = list[pd.DataFrame](), list[NDArray[np.uint64]]()
    for images, masks in parts:
        tables.append(measures(images, masks))
        hashes += map(difference_hash, images)
    return pd.concat(tables, ignore_index=True), np.stack(hashes)


def joined(parts: Sequence[Looks], counts: Sequence[int]) -> Looks:
    """Return the looks of several shards of one generator and fold, with so many pairs each, as of one."""
    first = parts[0]
    means = {name: [(part[name]["drawn"], count) for part, count in zip(parts, counts, strict=True)] for name in first}
    known = {name: [(mean, n) for mean, n in found if mean is not None] for name, found in means.items()}
    return {
        name: first[name] | {"drawn": sum(m * n for m, n in of) / sum(n for _, n in of) if of else None}
        for name, of in known.items()
    }


def unlike(looks: Looks) -> dict[str, str]:
    """Return the measures whose mean lies outside those of all training patients, each with what it is in words.

    If all masks are empty, that is the area; other measures of a lesion are not known then.
    """
    odd = {}
    for name, of in looks.items():
        drawn, least, greatest = of["drawn"], of["least"], of["greatest"]
        if least is None or greatest is None:
            continue
        if drawn is not None and not least <= drawn <= greatest:
            odd[name] = f"{MEASURES[name]} {_shown(name, drawn)} ({_shown(name, least)} to {_shown(name, greatest)})"
        elif drawn is None and name == "area":
            odd[name] = "all masks are empty"
    return odd


def odd_looks(shards: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the names of the measures in which the pairs of some shards of a fold are odd; [] if they do not say.

    Args:
        shards: what each says of itself, with its ``looks`` (see :func:`beside_real`).
    """
    if not shards or not all("looks" in shard for shard in shards):
        return []
    return [*unlike(joined([shard["looks"] for shard in shards], [s["last"] - s["first"] for s in shards]))]


def _shown(name: str, value: float) -> str:
    return f"{value:.1f}" if name == "pieces" else f"{100 * value:.1f} %"
