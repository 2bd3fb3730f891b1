"""Import a data set in another layout: write a manifest."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pig.data import readers
from pig.data.pseudonyms import read_salt


def import_data(
    *, source: str, root: Path, settings: Mapping[str, Any], salt: Path | None, threads: int, out: Path
) -> None:
    """Write the manifest of a data set, and what of its images must be converted, into the folder ``out``.

    Args:
        source: the layout, a key of :data:`pig.data.readers.SOURCES`.
        root: folder or table of the data.
        settings: of the reader.
        salt: file of the salt of pseudonyms; made if it does not exist. None: patients keep their names.
        threads: processes that convert.
        out: the folder.
    """
    readers.import_data(source, root, settings, out, threads, read_salt(salt, out) if salt else None)
