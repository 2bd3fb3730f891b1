"""INbreast (Moreira 2012): mammograms as DICOM, outlines as Apple property lists."""

import plistlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pig.data.readers.dicom import read_single
from pig.data.readers.volume import Pair, Volume, below, folder_of, gather
from pig.system.errors import UserError

NAME = re.compile(r"^(?P<image>\d+)_(?P<patient>[0-9a-fA-F]+)_MG_(?P<side>[LR])_(?P<view>[A-Z]+)_ANON\.(?i:dcm)$")
BEYOND = 2  # pixels that a contour may lie outside of its image


@dataclass(frozen=True)
class Settings:
    """What is taken.

    Attributes:
        findings: names of the outlines that are lesions, in any case.
    """

    findings: tuple[str, ...] = ("mass",)


def volumes(root: Path, settings: Settings) -> list[Volume]:
    """Return one volume per image, sorted by name; an image without XML has no findings.

    Raises:
        Incomplete: a file has another name than INbreast gives. All are listed.
        UserError: a folder is missing.
    """
    densities = _densities(root)
    images, outlines = folder_of(root, "AllDICOMs", "images"), folder_of(root, "AllXML", "outlines")
    findings = tuple(name.casefold() for name in settings.findings)
    single, found = [], []
    for path in below(images, "*.dcm"):
        match = NAME.match(path.name)
        if not match:
            single.append(f"{path} is not named NUMBER_PATIENT_MG_SIDE_VIEW_ANON.dcm")
            continue
        row = {
            # The second part of the name is the patient; the patient in the table is the same for all.
            "patient_id": match["patient"],
            "view": "MLO" if match["view"] == "ML" else match["view"],
            "laterality": match["side"],
            "volume_id": match["image"],
            "density": densities.get(match["image"]),
        }
        xml = outlines / f"{match['image']}.xml"
        found.append(Volume(path.name, partial(load, path, xml if xml.is_file() else None, row, findings)))
    return gather(root, [], found, "AllDICOMs/*.dcm", single)


def load(path: Path, xml: Path | None, row: dict[str, Any], findings: tuple[str, ...]) -> Iterator[Pair]:
    """Read an image and unite the outlines of its findings.

    Raises:
        UserError: a file cannot be read, or an outline has no points or is not on the image.
    """
    image, header = read_single(path)
    mask = np.zeros(image.shape, bool)
    for points in _outlines(xml, findings) if xml else []:
        low, high = points.min(axis=0), points.max(axis=0)
        if not (min(low) >= -BEYOND and high[0] <= header.columns - 1 + BEYOND and high[1] <= header.rows - 1 + BEYOND):
            raise UserError(f"{xml}: an outline from {low} to {high} is not on {header.columns} x {header.rows} pixels")
        mask |= draw(points, mask.shape)
    yield Pair(image, mask, row | {"spacing_mm": header.spacing_mm, "mask_source": "outline"})


def draw(points: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return the pixels [H, W] in a polygon of (x, y), pixel centres at whole numbers, and those under its corners.

    Some findings are marked with one or two points.
    """
    from matplotlib.path import Path as Polygon

    mask = np.zeros(shape, bool)
    corners = np.clip(np.rint(points).astype(int), 0, [shape[1] - 1, shape[0] - 1])
    mask[corners[:, 1], corners[:, 0]] = True
    if len(points) > 2:
        (x0, y0), (x1, y1) = corners.min(axis=0), corners.max(axis=0) + 1
        y, x = np.mgrid[y0:y1, x0:x1]
        centres = np.column_stack([x.ravel(), y.ravel()])
        mask[y0:y1, x0:x1] |= Polygon(points).contains_points(centres).reshape(y.shape)
    return mask


def _outlines(xml: Path, findings: tuple[str, ...]) -> Iterator[NDArray[np.float64]]:
    """Yield the points (x, y) [n, 2] of each finding."""
    try:
        with xml.open("rb") as file:
            content = plistlib.load(file, fmt=plistlib.FMT_XML)
        for roi in content["Images"][0]["ROIs"]:
            if str(roi.get("Name", "")).strip().casefold() in findings:
                points = [[float(value) for value in point.strip(" ()").split(",")] for point in roi["Point_px"]]
                if not points or {len(point) for point in points} != {2} or not np.isfinite(points).all():
                    raise UserError(f"the points of {roi['Name']} are {str(points)[:80]}, not (x, y)")
                yield np.array(points)
    except Exception as error:  # a broken list raises errors of the XML parser, of its own, or of what is missing
        raise UserError(f"{xml} is no readable list of outlines ({type(error).__name__}: {error})") from None


def _densities(root: Path) -> dict[str, str]:
    """Return the density (a to d) of each image that INbreast.csv gives; without the table, none."""
    path = root / "INbreast.csv"
    if not path.is_file():
        return {}
    try:
        table = pd.read_csv(path, sep=";", dtype="str", keep_default_na=False).rename(columns=str.strip)
    except ValueError as error:  # no Unicode, or no table
        raise UserError(f"{path} is not a readable table ({error}); export it again") from None
    if missing := [name for name in ("File Name", "ACR") if name not in table.columns]:
        raise UserError(f"{path} lacks the column {', '.join(missing)}; it is separated by semicolons.")
    letters = {"1": "a", "2": "b", "3": "c", "4": "d"}
    return {
        image.strip(): letters[acr.strip()]
        for image, acr in zip(table["File Name"], table["ACR"], strict=True)
        if acr.strip() in letters
    }
