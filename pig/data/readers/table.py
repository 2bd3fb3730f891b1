"""A manifest of one's own, with other names of the columns or several labels in the masks."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd

from pig.data.manifest import REQUIRED, check_manifest, read_table, row_number
from pig.data.readers.slices import read_pairs
from pig.data.readers.volume import Volume
from pig.system.errors import UserError


@dataclass(frozen=True)
class Settings:
    """Which columns hold what; all others are kept.

    Attributes:
        image_path: name of the column of the images.
        mask_path: name of the column of the masks.
        patient_id: name of the column of the patients.
        labels: the values of the lesion in the masks; empty: the only one beside 0.
        axis: what counts the slices of a NIfTI volume.
    """

    image_path: str = "image_path"
    mask_path: str = "mask_path"
    patient_id: str = "patient_id"
    labels: tuple[int, ...] = ()
    axis: int = 2


def volumes(root: Path, settings: Settings) -> list[Volume]:
    """Return one volume per row of the CSV or Parquet table ``root``.

    Raises:
        UserError: the table has faults, see ``pig.data.manifest.read_manifest``.
    """
    wanted = {getattr(settings, name): name for name in REQUIRED}
    table = read_table(root, text=tuple(wanted))
    for column, name in wanted.items():
        if column != name and name in table.columns:
            raise UserError(f"{root} has the column {name}, and the settings take {column} for it; remove one.")
    table = check_manifest(root, table.rename(columns=wanted))
    more = table.drop(columns=["image_path", "mask_path"]).astype(object)
    records = more.where(pd.notna(more), None).to_dict("records")
    rows = [{str(key): value for key, value in record.items()} for record in records]
    found = []
    for index, (image, mask, row) in enumerate(zip(table["image_path"], table["mask_path"], rows, strict=True)):
        load = partial(read_pairs, Path(image), Path(mask), row, settings.labels, settings.axis)
        found.append(Volume(f"row {row_number(index)}", load))
    return found
