"""Images of which no mask is known: found in a folder or a table, and read slice by slice as an import reads them."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pig.data.formats import ENDINGS, NIFTI, ending_of, holds_dicom, is_image, without_ending
from pig.data.images import read_plain
from pig.data.manifest import leaves, read_table, refuse, row_number
from pig.data.readers.dicom import display, read_frames, read_header
from pig.data.readers.folders import say_left
from pig.data.readers.nifti import read_nifti
from pig.data.readers.volume import files_below, heading, to_uint16
from pig.system.errors import UserError

TABLES = (".csv", ".parquet")


class NewFile(NamedTuple):
    """A file of one image, or of a volume.

    Attributes:
        path: of the file.
        name: its path without folders above the data and without ending.
        alone: whether it is all of its volume; if not, it may be blank.
    """

    path: Path
    name: str
    alone: bool = True


class NewSlice(NamedTuple):
    """A slice of a new image.

    Attributes:
        source: the file that it is from.
        number: of the slice in its file, from 0; None: the file is one image.
        name: of its mask, without ending.
        path: an image file with its pixels; None: a slice of a volume that is blank.
        shape: (height, width) of a blank slice, which has no file.
    """

    source: Path
    number: int | None
    name: str
    path: Path | None
    shape: tuple[int, int] = (0, 0)


def find_images(place: Path) -> list[list[NewFile]]:
    """Return the files of each volume: of one ``volume_id`` of a table, of one DICOM series, or a file by itself.

    Args:
        place: a folder, of which all images are taken, also those in folders below; or a table (CSV or Parquet) with
            the column ``image_path`` and, if there are any, ``patient_id`` and ``volume_id``. A relative path in it
            starts at its folder.

    Raises:
        UserError: there are none, or a row or link is wrong. All are listed.
    """
    if place.is_dir():
        return _in_folder(place)
    if not place.exists():
        raise UserError(f"{place} does not exist; give a folder of images, or a table with the column image_path.")
    if place.suffix.lower() not in TABLES:
        raise UserError(f"{place} is neither a folder nor a table ({' or '.join(TABLES)}); give one of the two.")
    return _in_table(place)


def _in_folder(folder: Path) -> list[list[NewFile]]:
    faults: list[str] = []
    found = sorted(files_below(folder, faults))
    paths = [path for path in found if is_image(path)]
    say_left(folder, sorted({*found} - {*paths}))
    if faults:
        raise UserError(heading(folder, faults), faults)
    if not paths:
        raise UserError(f"{folder} holds no files with the ending {', '.join(ENDINGS)}; give the folder of the images.")
    return _together([NewFile(path, without_ending(path.relative_to(folder))) for path in paths])


def _in_table(path: Path) -> list[list[NewFile]]:
    table, folder = read_table(path), path.absolute().parent
    if "image_path" not in table.columns or table.empty:
        raise UserError(f"{path} needs a column image_path and a row for each image.")
    faults: list[str] = []
    files, first_row = list[Path](), dict[Path, int]()
    for index, cell in enumerate(table["image_path"].fillna("").tolist()):
        files.append(Path(os.path.normpath(folder / cell)))
        if leaves(folder, cell):
            faults.append(
                f"row {row_number(index)}: image_path {cell} leaves the table's folder; write the whole path from the "
                "root, if that is meant"
            )
        elif not files[-1].is_file():
            faults.append(f"row {row_number(index)}: image_path {cell!r} is not a file")
        elif not is_image(files[-1]):
            faults.append(
                f"row {row_number(index)}: image_path {cell} ends in none of {', '.join(ENDINGS)}, and is no DICOM"
            )
        elif first_row.setdefault(files[-1], index) < index:
            earlier = row_number(first_row[files[-1]])
            faults.append(f"row {row_number(index)}: the same image as row {earlier}: {cell}")
    refuse(path, faults)
    above = Path(os.path.commonpath([file.parent for file in files]))
    nothing = [""] * len(table)
    patients, names = (
        table[key].fillna("").astype(str).tolist() if key in table else nothing for key in ("patient_id", "volume_id")
    )
    found = [NewFile(file, without_ending(file.relative_to(above))) for file in files]
    return _together(found, patients, names)


def _together(
    files: Sequence[NewFile], patients: Sequence[str] | None = None, names: Sequence[str] | None = None
) -> list[list[NewFile]]:
    """Return the files of each volume, as an import has it: by patient and name, or, without one, by DICOM series."""
    nothing = [""] * len(files)
    volumes: dict[tuple[Any, ...], list[NewFile]] = {}
    for index, (one, patient, name) in enumerate(zip(files, patients or nothing, names or nothing, strict=True)):
        name = name or _stack(one.path)
        volumes.setdefault((patient, name) if name else (index,), []).append(one)
    return [[one._replace(alone=len(volume) == 1) for one in volume] for volume in volumes.values()]


def _stack(path: Path) -> str:
    try:
        return read_header(path).stack if holds_dicom(path) else ""
    except UserError:  # said where the file is read
        return ""


def slices_of(file: NewFile, folder: Path, axis: int) -> Iterator[NewSlice]:
    """Yield the slices of a file; those of a volume are written into ``folder`` as PNG, as ``pig import`` writes them.

    Args:
        file: of :func:`find_images`.
        folder: an empty folder for the slices of this file.
        axis: 0, 1 or 2: what counts the slices of NIfTI, turned to LPS: 2 gives axial slices.

    Raises:
        UserError: the file cannot be read, or all of a volume of one file is blank.
    """
    is_nifti, is_dicom = ending_of(file.path) in NIFTI, holds_dicom(file.path)
    if not is_nifti and not is_dicom:
        pixels = None if file.alone else read_plain(file.path)
        if pixels is not None and pixels.min() == pixels.max():
            yield NewSlice(file.path, None, file.name, None, (pixels.shape[0], pixels.shape[1]))
        else:
            yield NewSlice(file.path, None, file.name, file.path)
        return
    blank, single = True, is_dicom and read_header(file.path).frames == 1
    for index, pixels in enumerate(_nifti(file.path, axis) if is_nifti else _dicom(file.path)):
        number, name = (None, file.name) if single else (index, f"{file.name}_{index:03d}")
        if pixels.min() == pixels.max():
            yield NewSlice(file.path, number, name, None, (pixels.shape[0], pixels.shape[1]))
            continue
        blank = False
        written = folder / f"{index:06d}.png"
        Image.fromarray(np.ascontiguousarray(pixels)).save(written, compress_level=1)
        yield NewSlice(file.path, number, name, written)
    if blank and file.alone:
        raise UserError(f"{file.path} is blank: each of its slices has one grey value")


def _nifti(path: Path, axis: int) -> Iterator[NDArray[Any]]:
    grey, _ = to_uint16(read_nifti(path).voxels, path)
    for index in range(grey.shape[axis]):
        yield np.take(grey, index, axis).T  # NIfTI counts x first; an image has y as rows


def _dicom(path: Path) -> Iterator[NDArray[Any]]:
    header = read_header(path)
    for values in read_frames(path, range(header.frames)):
        yield display(values, header)
