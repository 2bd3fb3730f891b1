"""What a plan needs to know of a data set: how many patients and pairs, how large pictures and lesions are."""

import math
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pig.data.folds import make_folds
from pig.data.manifest import read_manifest, refuse, row_number
from pig.data.preprocess import group_volumes
from pig.data.resize import resize_mask
from pig.data.settings import PreprocessSettings
from pig.data.volume import Prepared, Slice, prepare_volume
from pig.system.processes import mapped
from pig.system.progress import track

SIDE = 512  # pixels at which masks are measured
SIDES = range(48, 257, 16)  # pixels of a side that a plan chooses from
FOLDS = range(2, 6)
SMALL = 0.1  # share of the pairs with a lesion that may have smaller ones than those a study is planned for


@dataclass(frozen=True)
class Survey:
    """A data set in numbers.

    Attributes:
        patients: how many.
        pairs: how many slices with their masks.
        empty: of those, how many without a lesion.
        side: median of the longer side of what is kept of a picture, in pixels.
        square: share of the pictures whose sides differ by a tenth at most.
        coloured: pictures with colours; 0 where the settings say what is done with them.
        deep: grey pictures of 16 bits.
        lesion: diameter of the disc of a lesion's area, as a share of the longer side; a tenth of the pairs with a
            lesion have a smaller one.
        visible: the smallest of ``SIDES`` from which on every lesion covers half a pixel; None: not at the largest.
        tested: for 2 to 5 folds, the patients with a lesion in the fold that has fewest; a count that cannot be dealt
            is left out.
    """

    patients: int
    pairs: int
    empty: int
    side: int
    square: float
    coloured: int
    deep: int
    lesion: float
    visible: int | None
    tested: dict[int, int]


class _Seen(NamedTuple):
    """One pair: sides of what is kept, colours, 16 bits, diameter (0: no lesion), and from where on it is visible."""

    row: int
    height: int
    width: int
    coloured: bool
    deep: bool
    diameter: float
    visible: float


def survey(manifest_path: Path, settings: PreprocessSettings, seed: int, jobs: int, name: str) -> Survey:
    """Read all pairs of a manifest once, those with colours twice.

    Args:
        manifest_path: see ``pig.data.manifest.read_manifest``.
        settings: of the preprocessing, but for the size; pairs without a lesion are counted, whatever is said of them.
        seed: of the folds.
        jobs: processes.
        name: of the data, for messages.

    Raises:
        UserError: the manifest or some of the files have faults; all are listed.
    """
    manifest = read_manifest(manifest_path)
    volumes = group_volumes(manifest)
    look = partial(_look, settings=replace(settings, size=SIDE, empty_masks="keep"))
    seen: list[_Seen] = []
    faults: list[tuple[int, str]] = []
    for of_volume, wrong in track(mapped(look, volumes, jobs=jobs, chunksize=4), "looking at volumes", len(volumes)):
        seen += of_volume
        faults += wrong
    refuse(name, [f"row {row_number(row)}: {fault}" for row, fault in sorted(faults)])
    lesions = [pair for pair in seen if pair.diameter > 0]
    visible = max((pair.visible for pair in lesions), default=SIDES[0])
    longer = [max(pair.height, pair.width) for pair in seen]
    square = [longest <= 1.1 * min(pair.height, pair.width) for longest, pair in zip(longer, seen, strict=True)]
    return Survey(
        patients=manifest["patient_id"].nunique(),
        pairs=len(seen),
        empty=len(seen) - len(lesions),
        side=int(np.median(longer)),
        square=float(np.mean(square)),
        coloured=sum(pair.coloured for pair in seen),
        deep=sum(pair.deep for pair in seen),
        lesion=float(np.quantile([pair.diameter for pair in lesions], SMALL)) if lesions else 0.0,
        visible=int(visible) if math.isfinite(visible) else None,
        tested=_tested(manifest, {manifest["patient_id"].iloc[pair.row] for pair in lesions}, seed),
    )


def _look(volume: list[Slice], settings: PreprocessSettings) -> tuple[list[_Seen], list[tuple[int, str]]]:
    """Return what is seen of a volume, or its faults; colours that are refused are none."""
    prepared, deep = _prepare(volume, settings)
    coloured = False
    if prepared.faults and settings.colour == "refuse":
        prepared, _ = _prepare(volume, replace(settings, colour="luminance"))
        coloured = not prepared.faults
    if prepared.faults or prepared.masks is None or prepared.geometry is None:
        return [], prepared.faults
    height, width = prepared.geometry.crop_h, prepared.geometry.crop_w
    return [
        _Seen(item.row, height, width, coloured, deep and not coloured, *_measured(mask))
        for item, mask in zip(volume, prepared.masks, strict=True)
    ], []


def _prepare(volume: list[Slice], settings: PreprocessSettings) -> tuple[Prepared, bool]:
    """Return a volume as a store of ``SIDE`` pixels would hold it, and whether its files have 16 bits."""
    types: set[np.dtype[Any]] = set()
    prepared = prepare_volume(
        volume, settings, lambda _, kind, pixels: types.add(pixels.dtype) if kind == "image" else None
    )
    return prepared, np.dtype(np.uint16) in types


def _measured(mask: NDArray[np.uint8]) -> tuple[float, float]:
    """Return the diameter of a lesion as a share of the side, and the side from which on it covers half a pixel."""
    if not mask.any():
        return 0.0, 0.0
    diameter = 2 * math.sqrt(float(np.count_nonzero(mask)) / math.pi) / len(mask)
    visible = math.inf
    for side in reversed(SIDES):
        if not resize_mask(mask, side, side).any():
            break
        visible = side
    return diameter, visible


def _tested(manifest: pd.DataFrame, with_lesion: set[str], seed: int) -> dict[int, int]:
    found = {}
    for count in FOLDS:
        if count <= manifest["patient_id"].nunique():
            table = make_folds(manifest, count, seed)
            found[count] = int(table["patient_id"].isin(with_lesion).groupby(table["fold"]).sum().min())
    return found
