"""CBIS-DDSM (TCIA, doi 10.7937/K9/TCIA.2016.7O02S9CY): scanned films with masks of masses, as DICOM."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pig.data.manifest import read_table
from pig.data.readers.dicom import read_frames, read_header, read_single
from pig.data.readers.volume import Pair, Volume, below, gather
from pig.data.resize import resize_mask
from pig.system.errors import UserError

COLUMNS = (
    "patient_id", "breast_density", "left_or_right_breast", "image_view", "abnormality_id", "mass_shape",
    "mass_margins", "pathology", "image_file_path", "ROI_mask_file_path",
)  # fmt: skip
ASPECT = 0.01  # by which the proportions of a mask may differ from those of its image


@dataclass(frozen=True)
class Settings:
    """Nothing to set: masses of both parts, training and test, which share no patient with each other."""


def volumes(root: Path, settings: Settings) -> list[Volume]:
    """Return one volume per mammogram with masses, in the order of the tables.

    Paths in the tables are not those on a disk. Only their first part is used, the name of a folder: each download
    keeps it somewhere below the root.

    Raises:
        Incomplete: a folder is not found, or a mammogram has no patient or several. All are listed.
        UserError: a table is missing or lacks columns.
    """
    files = below(root, "mass_case_description_*_set.csv")
    if not files:
        raise UserError(f"{root} has no mass_case_description_*_set.csv; download the tables of CBIS-DDSM into it.")
    table = pd.concat([_table(file) for file in files], ignore_index=True)
    folders: dict[str, list[Path]] = {}
    for path in below(root, "*.dcm"):
        for part in path.relative_to(root).parts[:-1]:
            folders.setdefault(part, []).append(path)
    single, found = [], []
    for name, group in table.groupby("image_file_path", sort=False):
        lesions = group["ROI_mask_file_path"].tolist()
        if lacking := [folder for folder in (str(name), *lesions) if folder not in folders]:
            single.append(f"{', '.join(lacking) or 'no name'}: no such folder with DICOM files below {root}")
            continue
        first = group.iloc[0]
        if pd.isna(first["patient_id"]) or group["patient_id"].nunique(dropna=False) != 1:
            single.append(f"{name} has the patients {', '.join(map(str, group['patient_id']))}, and must have one")
            continue
        row = {
            "patient_id": first["patient_id"],
            "view": first["image_view"],
            "laterality": {"LEFT": "L", "RIGHT": "R"}.get(str(first["left_or_right_breast"]).strip().upper()),
            "volume_id": name,
            "density": {"1": "a", "2": "b", "3": "c", "4": "d"}.get(str(first["breast_density"])),
            "shape": _joined(group["mass_shape"]),
            "margin": _joined(group["mass_margins"]),
            "pathology": _joined(group["pathology"]),
            "mask_source": "outline",
        }
        load_it = partial(load, folders[str(name)], [folders[lesion] for lesion in lesions], row)
        found.append(Volume(str(name), load_it))
    return gather(root, [], found, "mammograms", single)


def load(image_files: list[Path], lesions: list[list[Path]], row: dict[str, Any]) -> Iterator[Pair]:
    """Read a mammogram and unite the masks of its lesions.

    Raises:
        UserError: a file cannot be read, a lesion's folder has no mask, or a mask has other proportions than its image.
    """
    if len(image_files) != 1:
        raise UserError(f"{len(image_files)} DICOM files in the folder of one mammogram: {image_files[0].parent}")
    image, header = read_single(image_files[0])
    mask = np.zeros(image.shape, np.uint8)
    for files in lesions:
        mask |= _mask(files, mask.shape)
    yield Pair(image, mask, row | {"spacing_mm": header.spacing_mm})


def _mask(files: list[Path], shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Return the mask of one lesion as {0, 1} ``shape``.

    Mask and cropped image lie side by side and change places from one to the next: the mask is the one with two values.
    """
    masks = []
    for path in files:
        read_header(path)  # which refuses what is too large or has colours
        values = next(read_frames(path, [0]))
        if values.min() == 0 and values.max() > 0 and ((values == 0) | (values == values.max())).all():
            masks.append((values > 0, path))
    if len(masks) != 1:
        raise UserError(f"{len(masks) or 'no'} files with two values, so no mask, among {', '.join(map(str, files))}")
    mask, path = masks[0]
    if mask.shape == shape:
        return mask.astype(np.uint8)
    if abs(mask.shape[0] * shape[1] / (mask.shape[1] * shape[0]) - 1) > ASPECT:
        raise UserError(
            f"{path} is {mask.shape[1]} x {mask.shape[0]} pixels and its image {shape[1]} x {shape[0]}: "
            "other proportions, so it is not known where the mask lies"
        )
    return resize_mask(mask, shape[0], shape[1])


def _table(path: Path) -> pd.DataFrame:
    """Return a table with paths cut to their folder's name; columns are spelled with spaces in part of the tables."""
    spelled = [name.replace("_", " ") for name in COLUMNS]
    table = read_table(path, text=(*COLUMNS, *spelled, "image file path", "ROI mask file path"))
    table.columns = pd.Index([name.strip().replace(" ", "_") for name in table.columns])
    if missing := [name for name in COLUMNS if name not in table.columns]:
        raise UserError(f"{path} lacks the column {', '.join(missing)}; it is not a table of CBIS-DDSM.")
    for name in ("image_file_path", "ROI_mask_file_path"):
        # Some paths are quoted and end in a newline.
        table[name] = table[name].fillna("").str.strip(" \"'\r\n").str.split("/").str[0]
    return table


def _joined(values: pd.Series) -> str:
    return "/".join(sorted({str(value).lower() for value in values.dropna()}))
