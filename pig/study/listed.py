"""The files of a user's data, as the disk shows them: a mask that was corrected in place is another input.

Snakemake sees a manifest's date, and not those of the files that it names. So rules that read these have a hash of
their names, sizes and times of change among their parameters.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator, Set
from pathlib import Path

from pig.data.manifest import read_table
from pig.data.readers.volume import is_hidden
from pig.system.errors import UserError

OWN = ("results",)  # what a study writes, where the data lie in its working directory; all else there is hidden
CONFIGURATIONS = (".yaml", ".yml")


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


def state_of_folder(root: str | Path, parts: Iterable[str] = (), left_out: Iterable[str | Path] = ()) -> str:
    """Return the state of all files that a reader may take from ``root``.

    Links to folders are followed, as readers do. What systems put beside the data, configurations in YAML, which no
    reader takes, and what a study in the working directory writes is no data.

    Args:
        root: the folder.
        parts: places of the data below ``root`` or outside, by the settings of their layout.
        left_out: further files that are no data, as that of a salt.
    """
    folder, out = Path(root).absolute(), {_place(Path(name)) for name in (*OWN, *left_out)}
    return _hash(sorted({file for part in ("", *parts) for file in _files(folder / part, out)}))


def _place(path: Path) -> Path:
    """Return where a file lies, whatever links lead there; one that is a link itself stays one."""
    return Path(os.path.realpath(path.absolute().parent), path.name)  # unlike resolve(), it bears links in a circle


def _files(folder: Path, left_out: Set[Path], above: tuple[Path, ...] = ()) -> Iterator[Path]:
    """Yield the files below ``folder``, or itself if it is one; a link that leads back up is left to the reader."""
    here = Path(os.path.realpath(folder))
    if here in (*above, *left_out):
        return
    try:
        with os.scandir(folder) as found:
            entries = [*found]
    except NotADirectoryError:
        yield folder
        return
    except OSError:  # missing, or not to be read: the reader says so
        return
    for entry in entries:
        path = folder / entry.name
        if is_hidden(path) or path.suffix in CONFIGURATIONS or here / path.name in left_out:
            continue
        if _is_folder(entry):
            yield from _files(path, left_out, (*above, here))
        else:
            yield path


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link in a circle, or to where nobody may look
        return False


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
