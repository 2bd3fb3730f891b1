"""nnU-Net raw data, v2 or v1: imagesTr/CASE_0000.png, labelsTr/CASE.png, dataset.json."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pig.data.formats import FLAT, NIFTI
from pig.data.manifest import read_table
from pig.data.readers.labels import Labels
from pig.data.readers.slices import axis_errors, read_pairs
from pig.data.readers.volume import (
    OF_A_USER,
    Patients,
    Volume,
    composed,
    folder_of,
    gather,
    heading,
    is_export,
    is_hidden,
)
from pig.system.errors import UserError
from pig.system.files import name_fault, read_json
from pig.system.settings import refuse

logger = logging.getLogger("pig")


@dataclass(frozen=True)
class Settings:
    """Which part of the data is taken.

    Attributes:
        patient: a regular expression with one group, searched in the name of a case; nnU-Net knows no patients.
        labels: names of the labels that are the lesion; empty: the only one beside background.
        channel: the input channel that is the image.
        axis: what counts the slices of a NIfTI volume, turned to LPS: 0 sagittal, 1 coronal, 2 axial.
    """

    patient: str
    labels: tuple[str, ...] = ()
    channel: int = 0
    axis: int = 2

    def __post_init__(self) -> None:
        refuse(axis_errors(self.axis), self)


def volumes(root: Path, settings: Settings) -> list[Volume]:
    """Return one volume per training case, sorted by name.

    Raises:
        UserError: dataset.json or a folder is missing or says what cannot be, a case lacks a file, or its name tells
            no patient. All are listed.
    """
    description = _as_v2(root / "dataset.json", read_json(root / "dataset.json", OF_A_USER))
    ending, values = _endings_and_values(root / "dataset.json", description, settings.labels)
    patients = Patients(settings.patient, "dataset.import.patient")
    images, labels = folder_of(root, "imagesTr", "images"), folder_of(root, "labelsTr", "labels")
    channel = f"_{settings.channel:04d}{ending}"
    channels = description.get("channel_names", {"0": ""})
    if not isinstance(channels, Mapping) or str(settings.channel) not in channels:
        raise UserError(f"{root / 'dataset.json'} has no channel {settings.channel}; see its channel_names.")
    if others := [f"{number} ({name})" for number, name in channels.items() if number != str(settings.channel)]:
        logger.warning(
            "%s: channel %d (%s) is read, and %s left out; the setting 'channel' takes another one",
            root, settings.channel, channels[str(settings.channel)], ", ".join(others),
        )  # fmt: skip
    single, found = [], []
    image_of, mask_of = _cases(images, channel), _cases(labels, ending)
    have, want = {*image_of}, {*mask_of}
    single += [f"{mask_of[name]} has no image {name}{channel}" for name in sorted(want - have)]
    single += [f"{image_of[name]} has no label {name}{ending}" for name in sorted(have - want)]
    own = _exported(root) if is_export(root) else {}
    if own:
        drawn = {name for name in have if own.get(name) is None}
        logger.warning(
            "%d cases that a generator drew (cases.csv) are left out: they belong to no patient.", len(drawn)
        )
        have -= drawn
    for name in sorted(have & want):
        try:
            row = {"patient_id": own.get(name) or patients.find(name), "volume_id": name}
        except UserError as error:
            single.append(str(error))
            continue
        load = partial(read_pairs, image_of[name], [mask_of[name]], row, values, settings.axis)
        found.append(Volume(name, load))
    return gather(root, [], found, f"training cases *{channel}", single)


def _cases(folder: Path, ending: str) -> dict[str, Path]:
    """Return the files of a folder with this ending, by the name of their case.

    Raises:
        UserError: a name is not in UTF-8.
    """
    files = [path for path in folder.iterdir() if path.name.endswith(ending) and not is_hidden(path)]
    if faults := [*filter(None, map(name_fault, files))]:
        raise UserError(heading(folder, faults), faults)
    return {composed(path.name.removesuffix(ending)): path for path in files}


def _as_v2(path: Path, description: Any) -> Any:
    """Return dataset.json as v2 writes it, also if it is of v1: labels by value, a modality, always .nii.gz."""
    v1 = isinstance(description, dict) and "modality" in description and "file_ending" not in description
    labels = description.get("labels") if v1 else None
    if not isinstance(labels, dict) or not all(value.isdecimal() and len(value) < 10 for value in labels):
        return description
    names = [*map(str, labels.values())]
    if repeated := {name for name in names if names.count(name) > 1}:
        raise UserError(f"{path} (of nnU-Net v1) has several labels named {min(repeated)}; rename them.")
    return {
        "channel_names": description["modality"],
        "labels": {name: int(value) for name, value in zip(names, labels, strict=True)},
        "file_ending": ".nii.gz",
    }


def _exported(root: Path) -> dict[str, str | None]:
    """Return the patient of each case of a data set that ``pig export`` has written; None: a generator drew it."""
    path = root / "cases.csv"
    table = read_table(path, text=("case", "patient"))
    if missing := {"case", "patient"} - {*table}:
        raise UserError(f"{path} lacks the column {', '.join(sorted(missing))}; export the data again.")
    patients = table["patient"].astype(object).where(table["patient"].notna(), None)
    return dict(zip(table["case"], patients, strict=True))


def _endings_and_values(path: Path, description: Any, names: tuple[str, ...]) -> tuple[str, Labels]:
    """Return the ending of the files, and what dataset.json says of the values of the labels."""
    if not isinstance(description, dict) or not isinstance(description.get("labels"), Mapping):
        raise UserError(f"{path} gives no labels; this is not nnU-Net v2 raw data.")
    if "dataset" in description:
        raise UserError(f"{path} lists its files under 'dataset'; only imagesTr and labelsTr are read.")
    ending = description.get("file_ending")
    if ending not in (*NIFTI, *FLAT):
        raise UserError(f"{path}: files ending in {ending!r} are not read; these are: {', '.join((*NIFTI, *FLAT))}.")
    said = description["labels"].items()
    values = {name: tuple(value) if isinstance(value, list) else (value,) for name, value in said}
    for name, of in values.items():
        if not all(type(value) is int and 0 <= value < 2**31 for value in of):
            raise UserError(f"{path}: the label {name} is {str(of)[:80]}; a label is a whole number, or several.")
    background, ignore = values.pop("background", (0,)), values.pop("ignore", (None,))
    if len(ignore) != 1:
        raise UserError(f"{path}: the label ignore is {ignore}; it is a single number.")
    if unknown := [name for name in names if name not in values]:
        raise UserError(f"{path} has no label {', '.join(unknown)}; it has {', '.join(values)}.")
    if not names and len(values) != 1:
        raise UserError(f"{path} has the labels {', '.join(values)}; say in the setting 'labels' which are the lesion.")
    lesion = {value for name in names or values for value in values[name]}
    others = {value for of in values.values() for value in of} - lesion
    labels = Labels(tuple(sorted(lesion)), tuple(sorted({*background, *others})), *ignore, can_threshold=False)
    return ending, labels
