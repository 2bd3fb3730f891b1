"""A manifest of one's own, with other names of the columns or several labels in the masks."""

from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path

import pandas as pd

from pig.data.formats import NIFTI, ending_of
from pig.data.manifest import REQUIRED, faults_of, read_table, row_number, with_whole_paths
from pig.data.readers.labels import Labels
from pig.data.readers.slices import axis_errors, read_pairs
from pig.data.readers.volume import Volume, gather
from pig.system.errors import UserError
from pig.system.settings import refuse


@dataclass(frozen=True)
class Settings:
    """Which columns hold what; all others are kept.

    Attributes:
        image_path: name of the column of the images.
        mask_path: name of the column of the masks.
        patient_id: name of the column of the patients.
        labels: the values of the lesion in the masks; empty: the only one that is not background.
        background: the values of what is not lesion. A value that is neither is an error.
        threshold: for masks with more grey values than labels (JPEG, interpolated): values from here on are lesion.
        axis: what counts the slices of a NIfTI volume.
    """

    image_path: str = "image_path"
    mask_path: str = "mask_path"
    patient_id: str = "patient_id"
    labels: tuple[int, ...] = ()
    background: tuple[int, ...] = (0,)
    threshold: float | None = None
    axis: int = 2

    def __post_init__(self) -> None:
        both = self.threshold is not None and self.labels
        beside = [("threshold", "is of no use beside labels; give one of the two.")] if both else []
        refuse([*beside, *axis_errors(self.axis)], self)


def volumes(root: Path, settings: Settings) -> list[Volume]:
    """Return one volume per row of the CSV or Parquet table ``root``.

    The slices of a NIfTI file are one volume: without a ``volume_id`` its row names it by the path of the image.

    Raises:
        Incomplete: a row has faults of its own, see ``pig.data.manifest.read_manifest``. All are listed.
        UserError: a column is missing, an image stands in two rows, or a patient is spelled in two ways.
    """
    wanted = {getattr(settings, name): name for name in REQUIRED}
    table = read_table(root, text=tuple(wanted))
    for column, name in wanted.items():
        if column != name and name in table.columns:
            raise UserError(f"{root} has the column {name}, and the settings take {column} for it; remove one.")
    table = table.rename(columns=wanted).reset_index(drop=True)
    own, shared = faults_of(root, table)
    table = table[[not faults for faults in own]]
    cells = table["image_path"].tolist()
    table = with_whole_paths(root, table)
    more = table.drop(columns=["image_path", "mask_path"]).astype(object)
    records = more.where(pd.notna(more), None).to_dict("records")
    rows = [{str(key): value for key, value in record.items()} for record in records]
    labels = Labels(settings.labels, settings.background, threshold=settings.threshold)
    found = []
    columns = (table.index, cells, table["image_path"], table["mask_path"], rows)
    for index, cell, image, mask, row in zip(*columns, strict=True):
        if ending_of(Path(image)) in NIFTI and not row.get("volume_id"):
            row["volume_id"] = cell
        load = partial(read_pairs, Path(image), [Path(mask)], row, labels, settings.axis)
        found.append(Volume(f"row {row_number(index)}", load))
    return gather(root, [*chain(*shared)], found, "rows", [*chain(*own)])
