"""From any layout to a folder with a manifest: the part that all readers share."""

import dataclasses
import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from PIL import Image

from pig.data.images import ONE_OF_TWO, orientation_of, read_plain, size_of
from pig.data.manifest import spellings
from pig.data.pseudonyms import pseudonymise
from pig.data.readers import bcs_dbt, cbis_ddsm, coco, folders, inbreast, nnunet, t_synth, table
from pig.data.readers.volume import FIX_OR_SKIP, Incomplete, Pair, Volume, heading
from pig.system.errors import UserError
from pig.system.files import atomic_directory, write_json
from pig.system.processes import mapped
from pig.system.progress import track
from pig.system.settings import Error, SettingsError, parse, refuse

logger = logging.getLogger("pig")

# Each has a dataclass `Settings` and `volumes(root, settings) -> list[Volume]`.
SOURCES = {
    "manifest": table,
    "folders": folders,
    "nnunet": nnunet,
    "coco": coco,
    "bcs-dbt": bcs_dbt,
    "t-synth": t_synth,
    "cbis-ddsm": cbis_ddsm,
    "inbreast": inbreast,
}


@dataclasses.dataclass(frozen=True)
class Import:
    """What of a data set is taken.

    Attributes:
        without_lesion: "leave" out pairs with an empty mask, as the log then says, or "keep" them.
        faults: "stop" and list all that cannot be read, or "skip" them, as the log and skipped.csv then say.
    """

    without_lesion: Literal["leave", "keep"] = "leave"
    faults: Literal["stop", "skip"] = "stop"


class Written(NamedTuple):
    """What became of a volume: the rows of its pairs, how many had no lesion, or what is wrong; see :class:`Pair`."""

    rows: list[dict[str, Any]]
    without_lesion: int
    fault: str | None
    guessed: frozenset[float] = frozenset()


def read_settings(source: str, settings: Mapping[str, Any]) -> tuple[Any, Import]:
    """Return the settings of a reader, and those that all readers share.

    Raises:
        UserError: there is no such source, or a setting is unknown, missing or of another type.
    """
    if source not in SOURCES:
        raise UserError(f"There is no source {source!r}; the sources are {', '.join(SOURCES)}.")
    shared, where = {field.name for field in dataclasses.fields(Import)}, "dataset.import"
    read: list[Any] = []
    errors: list[Error] = []
    for cls, keys in ((SOURCES[source].Settings, settings.keys() - shared), (Import, settings.keys() & shared)):
        try:
            read.append(parse(cls, {key: settings[key] for key in settings if key in keys}, where))
        except SettingsError as error:
            errors += error.errors
    refuse(errors)
    return read[0], read[1]


def import_data(
    source: str,
    root: str | Path,
    settings: Mapping[str, Any],
    out: str | Path,
    jobs: int = 1,
    salt: bytes | None = None,
) -> Path:
    """Read a data set and write a folder that ``pig preprocess`` takes.

    Args:
        source: a key of ``SOURCES``.
        root: where the data set lies; for "manifest", the table.
        settings: those of the reader, and those of ``Import``.
        out: a folder with ``manifest.csv``, ``masks/`` (PNG, 0 and 255), ``images/`` (PNG of 8 or 16 bits, where the
            source has no image files of its own), ``import.json``, and ``skipped.csv`` if faults are skipped. An
            earlier import is replaced once all is written; another folder is not.
        jobs: processes; each holds one volume in memory. The result is the same for any number.
        salt: None, or of pseudonyms (see ``pig.data.pseudonyms``): then nothing in ``out`` names a patient, and images
            that are files are copied, pixels alone.

    Returns:
        The path of the manifest.

    Raises:
        UserError: the source or a setting is unknown, or data cannot be read. All faults are listed, and ``out`` is
            left as it was.
    """
    own, common = read_settings(source, settings)
    root = Path(root).absolute()
    if not root.exists():
        raise UserError(f"{root} does not exist; give the place where the data set lies.")
    faults: list[str] = []
    try:
        volumes = SOURCES[source].volumes(root, own)
    except Incomplete as error:
        if common.faults == "stop":
            raise
        volumes, faults = error.volumes, error.faults
    with atomic_directory(out, "import.json", reads=[root]) as folder:
        rows, without_lesion, guessed = [], 0, set[float]()
        found = [*track(_write(volumes, folder, common, jobs, copy=salt is not None), "import", len(volumes))]
        if common.faults == "skip":
            found = _without_odd_labels(found, folder)
        for volume, written in zip(volumes, found, strict=True):
            rows += written.rows
            without_lesion += written.without_lesion
            guessed |= written.guessed
            if written.fault:
                faults.append(f"{volume.name}: {written.fault}")
        _refuse(root, rows, faults, without_lesion, guessed, common)
        _report(rows, faults, without_lesion, common)
        table = pd.DataFrame(rows)
        if salt is not None:
            names = {"image_path": table["mask_path"].str.replace("masks/", "images/"), "mask_path": table["mask_path"]}
            table = pseudonymise(table, salt).assign(**names)
        elif faults:  # with a salt they are in the log alone, since they name patients
            pd.DataFrame({"fault": faults}).to_csv(folder / "skipped.csv", index=False)
        table.to_csv(folder / "manifest.csv", index=False)
        (folder / "masks").mkdir(exist_ok=True)
        write_json(
            folder / "import.json",
            {
                "source": source,
                "settings": dataclasses.asdict(own) | dataclasses.asdict(common),
                "pairs": len(rows),
                "patients": len({row["patient_id"] for row in rows}),
                "without_lesion": without_lesion,
                "faults": len(faults),
            },
        )
    return Path(out) / "manifest.csv"


def _write(volumes: list[Volume], folder: Path, common: Import, jobs: int, copy: bool) -> Iterable[Written]:
    for name in ("images", "masks"):
        (folder / name).mkdir()
    keep, skip = common.without_lesion == "keep", common.faults == "skip"
    write = partial(write_volume, folder=folder, keep=keep, copy=copy, decode=copy or skip)
    return mapped(write, range(len(volumes)), volumes, jobs=jobs)


def write_volume(number: int, volume: Volume, folder: Path, keep: bool, copy: bool, decode: bool) -> Written:
    """Write the masks of one volume, and the images that are not files, or all if ``copy``.

    With ``decode`` images that stay where they are are read, too: one that is cut short is a fault of its pair, which
    can be skipped. Without, ``pig check`` finds it, with all else.

    File names are numbers, so that they hold neither a patient's name nor a letter that a file system lacks.
    """
    rows: list[dict[str, Any]] = []
    without_lesion, guessed = 0, frozenset[float]()
    try:
        for position, pair in enumerate(volume.load()):
            _check(pair)
            guessed |= pair.guessed
            if not pair.mask.any():
                without_lesion += 1
                if not keep:
                    continue
            name = f"{number:06d}-{position:03d}.png"
            mask_path, image_path = f"masks/{name}", f"images/{name}"
            _save(np.where(pair.mask, np.uint8(255), np.uint8(0)), folder / mask_path)
            if isinstance(pair.image, Path):
                turned = orientation_of(pair.image) > 1  # the mask that is written here does not say so
                pixels = read_plain(pair.image) if decode or turned else None
                if pixels is not None and (copy or turned):
                    _save(pixels, folder / image_path)
                image_path = image_path if turned and not copy else str(pair.image)
            else:
                _save(pair.image, folder / image_path)
            rows.append({"image_path": image_path, "mask_path": mask_path, **pair.row})
    except UserError as error:
        _remove(number, folder)
        return Written([], 0, str(error))
    return Written(rows, without_lesion, None, guessed)


def _remove(number: int, folder: Path) -> None:
    for kind in ("images", "masks"):
        for path in (folder / kind).glob(f"{number:06d}-*.png"):
            path.unlink()


def _without_odd_labels(found: Sequence[Written], folder: Path) -> list[Written]:
    """Return what became of the volumes, with a fault of each whose only label is not what most have, if most agree."""
    labels = [{1.0 if label in ONE_OF_TWO else label for label in written.guessed} for written in found]
    counts = Counter(label for of in labels for label in of)
    usual, count = max(counts.items(), key=lambda item: item[1], default=(0.0, 0))
    if 2 * count <= counts.total():
        return [*found]
    kept = list[Written]()
    for number, (written, of) in enumerate(zip(found, labels, strict=True)):
        if odd := of - {usual}:
            _remove(number, folder)
            said = f"its mask has the label {min(odd):g} alone, and those of most others {usual:g}"
            written = Written([], 0, f"{said}; say in the setting 'labels' which are the lesion")
        kept.append(written)
    return kept


def _check(pair: Pair) -> None:
    height, width = size_of(pair.image) if isinstance(pair.image, Path) else pair.image.shape
    if pair.mask.shape != (height, width):
        raise UserError(
            f"the mask is {pair.mask.shape[1]} x {pair.mask.shape[0]} pixels, its image {width} x {height}; "
            "they must match"
        )


def _save(pixels: np.ndarray[Any, Any], path: Path) -> None:
    # Level 1 is many times as fast as the default, for files a few percent larger.
    Image.fromarray(np.ascontiguousarray(pixels)).save(path, compress_level=1)


def _refuse(
    root: Path,
    rows: list[dict[str, Any]],
    faults: list[str],
    without_lesion: int,
    guessed: set[float],
    common: Import,
) -> None:
    patients = [str(row["patient_id"]) for row in rows]
    wrong = [f"patients {patients[a]!r} and {patients[b]!r} are one in two spellings" for a, b in spellings(patients)]
    images = [row["image_path"] for row in rows]
    wrong += [f"{image} stands in several pairs" for image, count in Counter(images).items() if count > 1]
    if len(guessed) > 1 and not guessed <= ONE_OF_TWO:
        values = ", ".join(f"{value:g}" for value in sorted(guessed))
        wrong.append(
            f"the masks have one label each beside background, but not all the same ({values}); say in the setting "
            f"'labels' which are the lesion: labels: [{values}] takes all of them; what is none goes into background"
        )
    stopping = (faults if common.faults == "stop" else []) + wrong
    if stopping:
        raise UserError(heading(root, stopping, "fix the data" if wrong else FIX_OR_SKIP), stopping)
    if not rows:
        raise UserError(
            f"{root} gives no pairs: {len(faults)} cannot be read, {without_lesion} have no lesion "
            "(without_lesion: keep takes those)."
        )


def _report(rows: list[dict[str, Any]], faults: list[str], without_lesion: int, common: Import) -> None:
    logger.info("%d pairs of %d patients", len(rows), len({row["patient_id"] for row in rows}))
    if without_lesion:
        done = "kept" if common.without_lesion == "keep" else "left out"
        logger.info("%d pairs without a lesion were %s", without_lesion, done)
    for fault in faults:
        logger.warning("skipped: %s", fault)
