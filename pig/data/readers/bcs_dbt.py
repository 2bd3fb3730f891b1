"""BCS-DBT (TCIA, doi 10.7937/E4WT-CD02): tomosynthesis volumes with boxes, and the phantom's own DICOM of that layout.

A box is no outline. Each gives an ellipse in some slices, marked ``mask_source=box_ellipse``: weak masks, which are
not to be mixed with outlines, nor reported without that word.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pig.data.manifest import read_table
from pig.data.readers.dicom import display, read_frames, read_header, series_of
from pig.data.readers.volume import Pair, Volume, below, gather, inside, is_hidden
from pig.system.errors import UserError

KEY = ["PatientID", "StudyUID", "View"]
COLUMNS = {
    "file-paths": [*KEY, "descriptive_path", "classic_path"],
    "boxes": [*KEY, "Slice", "X", "Y", "Width", "Height", "Class", "AD", "VolumeSlices"],
}
VIEW = re.compile(r"[lr][a-z]+\d*", re.IGNORECASE)
# Boxes leave a margin around the lesion: its diameter is 0.7-0.8 of the side.
SHARE = 0.8


@dataclass(frozen=True)
class Settings:
    """What is taken.

    Attributes:
        architectural_distortion: take these boxes beside those of masses.
        spacing_mm: of pixels, for files that do not say.
        slice_mm: of slices, for files that do not say.
    """

    architectural_distortion: bool = False
    spacing_mm: float | None = None
    slice_mm: float | None = None


class Box(NamedTuple):
    """A box: central slice (0-based), left, top, width and height in pixels of the upright image."""

    slice: int
    x: int
    y: int
    width: int
    height: int


def volumes(root: Path, settings: Settings) -> list[Volume]:
    """Return one volume for each with boxes, sorted by patient, study and view.

    A box that does not tell its volume is a fault of the whole: a mask lacks it, and nobody knows which.

    Raises:
        Incomplete: a volume is not found, or a box has no whole numbers. All are listed.
        UserError: a table is missing or lacks columns, or a box does not tell its volume.
    """
    paths, boxes = (_tables(root, name) for name in ("file-paths", "boxes"))
    boxes["AD"] = boxes["AD"].map(lambda value: {"true": 1, "false": 0}.get(str(value).lower(), value))
    if not settings.architectural_distortion:
        boxes = boxes[pd.to_numeric(boxes["AD"], errors="coerce") != 1]
    nowhere = boxes[KEY].isna().any(axis=1)
    faults = [f"a box has no {' or no '.join(KEY)}: {', '.join(map(str, row))}" for row in boxes[nowhere].to_numpy()]
    boxes, single = boxes[~nowhere], list[str]()
    columns = [paths[name].fillna("").astype(str) for name in COLUMNS["file-paths"]]
    file_of = {(patient, study, view): names for patient, study, view, *names in zip(*columns, strict=True)}
    files = _Files(root)
    found = []
    studies = boxes.groupby("PatientID")["StudyUID"].unique().map(sorted).to_dict()
    for key, group in boxes.groupby(KEY, sort=True):
        patient, study, view = map(str, key)
        name = f"{patient} {view}"
        try:
            if (patient, study, view) not in file_of:
                raise UserError("a box, but no path in the table of file paths")
            if not VIEW.fullmatch(view):
                raise UserError("the view is no l or r with a projection")
            path = files.find(*file_of[patient, study, view])
            sides = [_whole(group[name]) for name in ("Slice", "X", "Y", "Width", "Height")]
            depths, distorted = _whole(group["VolumeSlices"]), _whole(group["AD"])
            if len({*depths}) != 1 or not {*distorted} <= {0, 1}:
                raise UserError(f"VolumeSlices is {depths} and AD {distorted}, not one number, and 0 or 1")
        except UserError as error:
            single.append(f"{name}: {error}")
            continue
        row = {
            "patient_id": patient,
            "view": re.sub(r"\d", "", view[1:]).upper(),
            "laterality": view[0].upper(),
            "volume_id": f"{studies[patient].index(study)}-{view}",
            "class": "/".join(sorted(set(group["Class"].dropna()))),
            "mask_source": "box_ellipse",
        }
        places = [Box(*values) for values in zip(*sides, strict=True)]
        found.append(Volume(name, partial(load, path, places, depths[0], row, settings)))
    return gather(root, faults, found, "boxes", single)


def _whole(column: pd.Series) -> list[int]:
    """Return a column of whole numbers; raises a UserError if one is none."""
    numbers = pd.to_numeric(column, errors="coerce")
    if not (numbers == np.rint(numbers)).all():
        raise UserError(f"{column.name} is {', '.join(map(str, column))}, and must be whole numbers")
    return [int(number) for number in numbers]


def load(path: Path, boxes: list[Box], depth: int, row: dict[str, Any], settings: Settings) -> Iterator[Pair]:
    """Read the slices of a volume that boxes reach, upright and windowed, one at a time.

    Raises:
        UserError: the file cannot be read, has another number of slices than the table says, gives no spacing, or a
            box is not within the image.
    """
    header = read_header(path)
    spacing, slice_mm = header.spacing_mm or settings.spacing_mm, header.slice_mm or settings.slice_mm
    if not spacing or not slice_mm:
        raise UserError(f"{path} gives no spacing; set spacing_mm and slice_mm")
    if header.frames != depth:
        raise UserError(f"{path} has {header.frames} slices, the table of boxes says {depth}")
    for box in boxes:
        if not (
            0 <= box.slice < header.frames
            and 0 <= box.x < box.x + box.width <= header.columns
            and 0 <= box.y < box.y + box.height <= header.rows
        ):
            raise UserError(f"{tuple(box)} is not within {path}: {header.frames} x {header.rows} x {header.columns}")
    reaches = [SHARE / 2 * math.sqrt(box.width * box.height) * spacing / slice_mm for box in boxes]
    indices = [
        index
        for index in range(header.frames)
        if any(abs(index - box.slice) <= reach for box, reach in zip(boxes, reaches, strict=True))
    ]
    turned = _is_turned(next(read_frames(path, [boxes[0].slice])), header.inverted, row["laterality"])
    for index, values in zip(indices, read_frames(path, indices), strict=True):
        image = display(values, header)
        mask = np.zeros(image.shape, bool)
        for box, reach in zip(boxes, reaches, strict=True):
            if abs(index - box.slice) <= reach:
                mask |= ellipse(box, image.shape)
        more = {"slice_index": index, "n_slices": depth, "spacing_mm": spacing, "turned": int(turned)}
        yield Pair(image[::-1, ::-1] if turned else image, mask, row | more)


def ellipse(box: Box, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return the pixels of an image [H, W] whose centres lie in the ellipse of ``SHARE`` of the box."""
    y, x = np.ogrid[: shape[0], : shape[1]]
    across = (x + 0.5 - box.x - box.width / 2) / (SHARE * box.width / 2)
    down = (y + 0.5 - box.y - box.height / 2) / (SHARE * box.height / 2)
    return np.asarray(across**2 + down**2 <= 1)


def _is_turned(values: NDArray[Any], inverted: bool, laterality: str) -> bool:
    """Return whether a slice is upside down: its chest wall is not where its view has it.

    The chest wall is at the brighter of the first and the last column; the laterality in the header is wrong in some
    files. Such files are turned by 180 degrees, not mirrored.
    """
    first, last = (float(values[:, column].sum(dtype=np.float64)) for column in (0, -1))
    right = first < last if not inverted else first > last
    return right != (laterality == "R")


def _tables(root: Path, name: str) -> pd.DataFrame:
    """Return the rows of all CSV files of one kind; each part of the data set has one, with names that vary."""
    files = [path for path in sorted(root.glob(f"*{name}*.csv")) if not is_hidden(path)]
    if not files:
        raise UserError(f"{root} has no *{name}*.csv; download the tables of BCS-DBT into it.")
    tables = []
    for file in files:
        table = read_table(file, text=(*KEY, "Class"))
        if missing := [column for column in COLUMNS[name] if column not in table.columns]:
            raise UserError(f"{file} lacks the column {', '.join(missing)}; it is not a table of BCS-DBT.")
        tables.append(table)
    return pd.concat(tables, ignore_index=True).drop_duplicates()


class _Files:
    """The DICOM files below a root; paths in the tables and on disks differ in "-NA" and in the folder on top."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._by_name: dict[tuple[str, ...], list[Path]] = {}
        self._by_patient: dict[str, list[Path]] = {}
        for path in below(root, "*.dcm"):
            parts = path.relative_to(root).parts
            self._by_name.setdefault(_plain(parts), []).append(path)
            for part in parts[:-1]:
                self._by_patient.setdefault(part, []).append(path)

    def find(self, described: str, classic: str) -> Path:
        """Return the file of the two names that the table gives it.

        Raises:
            UserError: there is none, or several.
        """
        for name in (described, classic):
            inside(self._root, name)
            if len(found := self._by_name.get(_plain(Path(name).parts), [])) == 1:
                return found[0]
        # The last folder of the classic name is the series.
        patient, series = Path(classic).parts[-4:-3], Path(classic).parent.name
        within = self._by_patient.get(patient[0], []) if patient else []
        found = [path for path in within if series in path.parts or series_of(path) == series]
        if len(found) != 1:
            raise UserError(f"{len(found) or 'no'} files for {described} below {self._root}; download the volume")
        return found[0]


def _plain(parts: tuple[str, ...]) -> tuple[str, ...]:
    """Return patient, study, series and file without "-NA"."""
    return tuple(part.replace("-NA", "") for part in parts[-4:])
