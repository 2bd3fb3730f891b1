"""Crop, resize and store the pairs of a manifest."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pig.data.preprocess import build_store
from pig.data.pseudonyms import read_salt
from pig.data.settings import PreprocessSettings
from pig.system.settings import parse


def preprocess(*, manifest: Path, settings: Mapping[str, Any], salt: Path | None, threads: int, out: Path) -> None:
    """Write the store of a manifest's pairs into the folder ``out``.

    Args:
        manifest: table of images, masks and patients.
        settings: those of :class:`PreprocessSettings`.
        salt: file of the salt of pseudonyms; made if it does not exist. None: patients keep their names.
        threads: processes that read.
        out: the folder.
    """
    wanted = parse(PreprocessSettings, settings, "preprocessing")
    build_store(manifest, wanted, out, threads, read_salt(salt, out) if salt else None)
