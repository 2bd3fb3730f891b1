"""From image files to a store: cut the blank part, window the grey values, bring every pair to one size.

The unit is a volume: the rows of one patient with the same ``volume_id``; without one, every image by itself. Its
slices are cut by one box and windowed alike, so that they still lie on each other.
"""

import logging
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from pig.data.geometry import Geometry
from pig.data.manifest import read_manifest, refuse, row_number
from pig.data.pseudonyms import pseudonymise
from pig.data.settings import PreprocessSettings
from pig.data.store import Store, allocate, complete
from pig.data.volume import Slice, prepare_volume
from pig.system.errors import UserError
from pig.system.files import atomic_directory
from pig.system.processes import mapped
from pig.system.progress import track

logger = logging.getLogger("pig")


def build_store(
    manifest_path: str | Path, settings: PreprocessSettings, out: str | Path, jobs: int = 1, salt: bytes | None = None
) -> Store:
    """Preprocess every pair of a manifest into a store; memory is that of one volume per job.

    Args:
        manifest_path: see ``pig.data.manifest.read_manifest``.
        settings: size and aspect.
        out: the folder of the store. An earlier store is replaced once the new one is complete; another folder is not.
        jobs: processes; the store is the same for any number.
        salt: None, or of pseudonyms (see ``pig.data.pseudonyms``): then nothing in the store names a patient, nor
            what is made from it.

    Raises:
        UserError: the manifest has faults, or some images or masks do. All are listed, each with its row, and
            ``out`` is left as it was.
    """
    manifest = read_manifest(manifest_path)
    if taken := [name for name in Geometry._fields if name in manifest.columns]:
        raise UserError(
            f"{manifest_path} has the column {', '.join(taken)}, which the preprocessing writes; rename or remove it."
        )
    with atomic_directory(out, "store.json", reads=[manifest_path]) as folder:
        _fill(folder, manifest_path, manifest, settings, jobs, salt)
    return Store.open(out)


def _fill(
    folder: Path,
    manifest_path: str | Path,
    manifest: pd.DataFrame,
    settings: PreprocessSettings,
    jobs: int,
    salt: bytes | None,
) -> None:
    images, masks = allocate(folder, len(manifest), settings.size, settings.channels)
    volumes = group_volumes(manifest)
    geometries: dict[int, Geometry | None] = {}
    faults = []
    prepared = mapped(partial(prepare_volume, settings=settings), volumes, jobs=jobs)
    for volume, result in zip(volumes, track(prepared, "preprocessing volumes", len(volumes)), strict=True):
        faults += result.faults
        for row, warning in result.warnings:
            logger.warning("row %d: %s", row_number(row), warning)
        if not result.faults:
            rows = [item.row for item in volume]
            images[rows], masks[rows] = result.images, result.masks
            geometries.update((row, result.geometry) for row in rows)
    refuse(manifest_path, [f"row {row_number(row)}: {fault}" for row, fault in sorted(faults)])
    geometry = pd.DataFrame([geometries[row] for row in range(len(manifest))])
    if settings.anatomy == "any":
        geometry = geometry.drop(columns="flip")
    table = pd.concat([manifest, geometry], axis=1)
    named = table if salt is None else pseudonymise(table, salt)
    complete(folder, images, masks, named, settings.aspect, settings)


def group_volumes(manifest: pd.DataFrame) -> list[list[Slice]]:
    """Return the rows of each volume, volumes in the order of their first rows.

    A volume is named by patient and ``volume_id`` together, because many data sets number volumes within the
    patient. A row without a ``volume_id`` is a volume of its own.
    """
    nameless = pd.Series("", index=manifest.index)
    names = manifest.get("volume_id", nameless).fillna("").astype(str)
    volumes: dict[tuple[Any, ...], list[Slice]] = {}
    columns = (manifest["image_path"], manifest["mask_path"], manifest["patient_id"], names)
    for row, (image_path, mask_path, patient, name) in enumerate(zip(*columns, strict=True)):
        key = (patient, name) if name else (row,)
        volumes.setdefault(key, []).append(Slice(row, image_path, mask_path))
    return list(volumes.values())
