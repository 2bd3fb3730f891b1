"""The files of a user's data, as the disk shows them: a mask that was corrected in place is another input.

Snakemake sees a manifest's date, and not those of the files that it names. So rules that read these have a hash of
their names, sizes and times of change among their parameters.
"""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from pig.data.manifest import read_table
from pig.system.errors import UserError

OWN = {"results", ".snakemake"}  # what a study writes, where the data lie in its working directory


def state_of_manifest(manifest: str | Path, columns: Iterable[str] = ("image_path", "mask_path")) -> str:
    """Return the state of the files that the ``columns`` of a manifest name.

    A manifest or a column that cannot be read counts as empty: ``pig check`` says what is wrong with it.
    """
    try:
        table = read_table(manifest, text=tuple(columns))
    except UserError:
        return _hash([])
    folder = Path(manifest).absolute().parent
    names = [name for column in columns if column in table for name in table[column].dropna().astype(str)]
    return _hash(folder / name for name in dict.fromkeys(names))


def state_of_folder(root: str | Path) -> str:
    """Return the state of all files below ``root``, but for what a study in the working directory writes there."""
    own = {Path(name).absolute() for name in OWN}
    found = []
    for name, below, files in os.walk(Path(root).absolute()):
        folder = Path(name)
        below[:] = [part for part in below if folder / part not in own]
        found += [folder / file for file in files]
    return _hash(sorted(found))


def _hash(paths: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        try:
            stat = path.stat()
            seen = f"{stat.st_size} {stat.st_mtime_ns}"
        except (OSError, ValueError):  # missing, or no name for a file: the check says so
            seen = "missing"
        digest.update(f"{path}\0{seen}\n".encode(errors="surrogatepass"))
    return digest.hexdigest()[:16]
