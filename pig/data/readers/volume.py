"""What a reader gives: volumes, each read by itself into pairs."""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pig.data.manifest import leaves
from pig.system.errors import UserError
from pig.system.files import name_fault, read_json

FIX_OR_SKIP = "fix the data, or set faults to skip to go on without"
OF_A_USER = "correct it, or export it again."  # what to do about a file that no step of ours has written


class Pair(NamedTuple):
    """An image with its mask.

    Attributes:
        image: grey, uint8 or uint16 [H, W]; or the path of an image file, which stays where it is.
        mask: [H, W]; what is not 0 is lesion.
        row: the columns of its row in the manifest: ``patient_id`` and whatever else is known.
        guessed: the values of its label maps that were taken for lesion, because each is the only one of its map.
    """

    image: NDArray[Any] | Path
    mask: NDArray[Any]
    row: dict[str, Any]
    guessed: frozenset[float] = frozenset()


@dataclass(frozen=True)
class Volume:
    """What is read at once; an image is a volume of one slice.

    Attributes:
        name: for messages.
        load: gives its pairs, one after the other; raises UserError. Can be sent to another process.
    """

    name: str
    load: Callable[[], Iterable[Pair]]


def composed(name: str) -> str:
    """Return a name with its letters composed (NFC): macOS stores "e" and an accent where others store one letter."""
    return unicodedata.normalize("NFC", name)


class Patients:
    """A regular expression, given by the user, that finds the patient in a name."""

    def __init__(self, pattern: str, where: str) -> None:
        """Take the pattern and its place in the settings.

        Raises:
            UserError: the pattern is empty, no regular expression, or has no group, or several and none ``patient``.
        """
        help_text = "a regular expression with one group around the patient, such as '(.+)_[0-9]+'"
        try:
            self._pattern = re.compile(composed(pattern))
        except re.error as error:
            raise UserError(f"{where}: {pattern!r} is no regular expression ({error}); give {help_text}.") from None
        named = "patient" in self._pattern.groupindex
        if not named and self._pattern.groups != 1:
            raise UserError(f"{where}: {pattern!r} has {self._pattern.groups} groups; give {help_text}.")
        self._group: str | int = "patient" if named else 1

    def find(self, name: str) -> str:
        """Return the patient of ``name``.

        Raises:
            UserError: the pattern is not in ``name``, or its group is empty, or begins or ends with a space.
        """
        match = self._pattern.search(composed(name))
        found = match[self._group] if match else None
        if not found or found != found.strip():
            raise UserError(f"no patient in {name!r}: the pattern {self._pattern.pattern!r} finds {found!r}")
        return found


def is_hidden(path: Path) -> bool:
    """Return whether a file or folder is one that systems put beside the data: .DS_Store, ._name, Thumbs.db."""
    return path.name.startswith(".") or path.name.casefold() in ("thumbs.db", "desktop.ini", "__macosx")


def files_below(folder: Path, faults: list[str], above: tuple[Path, ...] = ()) -> Iterator[Path]:
    """Yield all files below ``folder``, also below folders that are links; those that :func:`is_hidden` are left out.

    A link that leads back up, or to nothing, a folder that cannot be read, and a name that is not in UTF-8 are faults:
    what they hide may be the mask of an image, which without it would seem to have no lesion.
    """
    here = folder.resolve()
    if here in above:
        faults.append(f"{folder} is a link to a folder above it; remove it")
        return
    try:
        inside = [path for path in folder.iterdir() if not is_hidden(path)]
    except OSError as error:
        faults.append(f"{folder} cannot be read as a folder ({error.strerror})")
        return
    for path in inside:
        if fault := name_fault(path):
            faults.append(fault)
        elif path.is_dir():
            yield from files_below(path, faults, (*above, here))
        elif path.is_file():
            yield path
        elif path.is_symlink():
            faults.append(f"{path} is a link to a file that is not there; fetch that file, or remove the link")


def below(root: Path, pattern: str) -> list[Path]:
    """Return those of :func:`files_below` whose name has the pattern, in capitals or not, sorted.

    Raises:
        UserError: there is a link that leads back up, or to nothing.
    """
    faults: list[str] = []
    found = sorted(path for path in files_below(root, faults) if fnmatchcase(path.name.casefold(), pattern.casefold()))
    if faults:
        raise UserError(heading(root, faults), faults)
    return found


def inside(root: Path, relative: str) -> Path:
    """Return ``root / relative``, a path that a data set itself names.

    Raises:
        UserError: it is absolute, leads out of ``root`` by ".." or through a link, or has a character that no path has.
    """
    try:
        out = Path(relative).is_absolute() or leaves(root, relative)
    except ValueError as error:
        raise UserError(f"{relative!r} is no path ({error})") from None
    if out:
        raise UserError(f"{relative} leaves the folder {root}")
    return root / relative


def folder_of(root: Path, name: str, what: str) -> Path:
    """Return the folder ``name`` of ``root``.

    Raises:
        UserError: there is none.
    """
    folder = root / name
    if not folder.is_dir():
        raise UserError(f"{folder}, the folder of {what}, does not exist; check the root and the settings.")
    return folder


def is_export(root: Path) -> bool:
    """Return whether a folder is one that ``pig export`` has written, with pairs that a generator drew."""
    written = root / "provenance.json"
    if not written.is_file():
        return False
    content = read_json(written, OF_A_USER)
    return isinstance(content, list) and all(isinstance(entry, dict) and "generator" in entry for entry in content)


class Incomplete(UserError):
    """Some files give no pair, each for a reason of its own; the others can be read.

    Attributes:
        faults: a sentence for each.
        volumes: of the others.
    """

    def __init__(self, root: Path, faults: Sequence[str], volumes: Sequence[Volume]) -> None:
        self.volumes = [*volumes]
        super().__init__(heading(root, faults, FIX_OR_SKIP), faults)


def gather(root: Path, faults: list[str], volumes: list[Volume], what: str, single: Sequence[str] = ()) -> list[Volume]:
    """Return ``volumes``, or raise what stands against them: all ``faults`` at once, or that there is nothing.

    Args:
        root: of the data set.
        faults: of the whole of it.
        volumes: that can be read.
        what: was looked for.
        single: faults of single files, without which the others are what they are.

    Raises:
        Incomplete: there are single faults alone.
        UserError: there are other faults, or neither faults nor volumes.
    """
    if faults:
        found = [*faults, *single]
        raise UserError(heading(root, found), found)
    if single:
        raise Incomplete(root, single, volumes)
    if not volumes:
        raise UserError(f"{root} holds no {what}; check the root and the settings.")
    return volumes


def heading(root: Path, faults: Sequence[str], fix: str = "") -> str:
    """Return how many faults a data set has and what to do about them, to stand above them."""
    count = f"{root} has {len(faults)} error{'s' * (len(faults) > 1)}"
    return f"{count}; {fix}:" if fix else f"{count}:"


def to_uint16(values: NDArray[Any], name: str | Path) -> tuple[NDArray[Any], dict[str, float]]:
    """Return grey values as uint8 or uint16, and how they were scaled.

    8- and 16-bit unsigned values stay as they are, as does any integer that fits. All else is scaled linearly, the
    smallest value to 0 and the largest to 65535; the two are returned as ``grey_low`` and ``grey_high``.

    Raises:
        UserError: a value is not finite, or they are too far apart for a number.
    """
    if values.dtype in (np.uint8, np.uint16):
        return values, {}
    if not np.isfinite(values).all():
        raise UserError(f"{name} holds NaN or infinite values; replace them, and mask what they mark")
    low, high = float(values.min()), float(values.max())
    if values.dtype.kind in "iu" and low >= 0 and high < 2**16:
        return values.astype(np.uint16), {}
    if not np.isfinite(high - low):
        raise UserError(f"{name} holds values from {low:g} to {high:g}, which is no range of grey values; correct them")
    scaled = (values.astype(np.float64) - low) * (65535 / (high - low or 1))
    return np.rint(scaled).astype(np.uint16), {"grey_low": low, "grey_high": high}
