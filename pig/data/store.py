"""The store: all pairs of a study at one size in memory-mapped arrays, and views of it for training.

A store is a folder with ``images.npy`` (uint16 [N, S, S], or [N, 3, S, S] of red, green and blue; 0..65535 is [-1, 1],
linearly), ``masks.npy`` (uint8 {0, 1} [N, S, S]), ``manifest.csv`` (rows in the same order) and ``store.json`` (written
last).
"""

import dataclasses
import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pig.data.layout import channels_of, images_shape
from pig.data.manifest import read_own_table, row_number
from pig.data.resize import resize_pairs
from pig.data.settings import PreprocessSettings
from pig.data.verified import Stamp
from pig.system.errors import UserError
from pig.system.files import read_json, write_json
from pig.system.settings import parse

if TYPE_CHECKING:
    import torch

ROWS_AT_ONCE = 64
ROWS_NAMED = 5


def to_unit(stored: NDArray[np.uint16]) -> "torch.Tensor":
    """Return uint16 0..65535, any shape, as a float32 tensor in [-1, 1]: x = 2 u / 65535 - 1."""
    import torch

    unit = np.empty(stored.shape, np.float32)
    _fill_unit(stored, unit)
    return torch.from_numpy(unit)


def _fill_unit(stored: NDArray[np.uint16], unit: NDArray[np.float32]) -> None:
    unit[...] = stored  # changed in place: twice as fast as one expression
    unit *= 2
    unit /= 65535
    unit -= 1


def to_uint16(images: "torch.Tensor") -> NDArray[np.uint16]:
    """Return a floating-point tensor in [-1, 1], any shape, as uint16, rounded to the nearest step.

    Raises:
        ValueError: a value is outside [-1, 1] or is not a number. Whoever wants clipping clamps before.
    """
    import torch

    if not bool((images.abs() <= 1).all()):
        if not bool(torch.isfinite(images).all()):
            raise ValueError("the images hold values that are not finite; they cannot be stored")
        low, high = images.min().item(), images.max().item()
        raise ValueError(f"the images reach from {low:.6g} to {high:.6g}; clamp them to [-1, 1] before")
    steps = ((images.detach().double() + 1) * (65535 / 2)).round()
    return steps.cpu().numpy().astype(np.uint16)


def allocate(folder: Path, count: int, size: int, channels: int = 1) -> tuple[np.memmap[Any, Any], np.memmap[Any, Any]]:
    """Make the arrays of a store in ``folder`` and return (images, masks) for writing; all zeros."""
    shape = images_shape(count, size, channels)
    images = np.lib.format.open_memmap(folder / "images.npy", "w+", np.dtype(np.uint16), shape)
    masks = np.lib.format.open_memmap(folder / "masks.npy", "w+", np.dtype(np.uint8), (count, size, size))
    for name in ("images.npy", "masks.npy"):
        _reserve(folder / name)
    return images, masks


def _reserve(path: Path) -> None:
    """Take the whole space of a file on the disk: a memory map that runs out of it ends the process (SIGBUS)."""
    if hasattr(os, "posix_fallocate"):  # not on macOS
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)


def complete(
    folder: Path,
    images: np.memmap[Any, Any],
    masks: np.memmap[Any, Any],
    manifest: pd.DataFrame,
    aspect: str,
    preprocessing: PreprocessSettings | None = None,
) -> None:
    """Write what makes the arrays of ``allocate`` a store: ``manifest.csv``, then ``store.json``.

    Args:
        folder: the folder given to ``allocate``.
        images: its images, filled.
        masks: its masks, filled.
        manifest: one row per pair in the order of the arrays.
        aspect: how the images were brought to their size ("stretch" or "pad").
        preprocessing: all of the settings that made the pairs from files, so that a new image can be made alike; None:
            they were made otherwise.
    """
    images.flush()
    masks.flush()
    manifest.to_csv(folder / "manifest.csv", index=False)
    write_json(
        folder / "store.json",
        {
            "size": images.shape[-1],
            "channels": channels_of(images),
            "aspect": aspect,
            "count": len(images),
            "fingerprint": fingerprint(images, masks, manifest["patient_id"].tolist()),
            "manifest": hashlib.sha256((folder / "manifest.csv").read_bytes()).hexdigest(),
        }
        | ({"preprocessing": dataclasses.asdict(preprocessing)} if preprocessing else {}),
    )


def fingerprint(images: NDArray[np.uint16], masks: NDArray[np.uint8], patients: list[str]) -> str:
    """Return the SHA-256 (hexadecimal) of shape, pixels and patient ids, in the order of the rows."""
    digest = hashlib.sha256(json.dumps([images.shape, patients]).encode())
    for array in (images, masks):
        for start in range(0, len(array), ROWS_AT_ONCE):
            chunk = np.asarray(array[start : start + ROWS_AT_ONCE])
            digest.update(np.ascontiguousarray(chunk, chunk.dtype.newbyteorder("<")).tobytes())
    return digest.hexdigest()


class Store:
    """The preprocessed pairs of a study, read-only.

    Attributes:
        path: its folder.
        size: height and width of every pair.
        channels: of the images: 1, or 3 for red, green and blue.
        images: uint16 [N, size, size], or [N, 3, size, size], memory-mapped.
        masks: uint8 {0, 1} [N, size, size], memory-mapped.
        manifest: one row per pair, in the same order.
        fingerprint: SHA-256 of pixels and patient ids, as written when the store was made.
        preprocessing: the settings that made the pairs from files; None: not known.
    """

    def __init__(
        self,
        path: Path,
        images: np.memmap[Any, Any],
        masks: np.memmap[Any, Any],
        manifest: pd.DataFrame,
        fingerprint: str,
        preprocessing: PreprocessSettings | None = None,
    ) -> None:
        self.path = path
        self.size = int(images.shape[-1])
        self.channels = channels_of(images)
        self.images = images
        self.masks = masks
        self.manifest = manifest
        self.fingerprint = fingerprint
        self.preprocessing = preprocessing

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """Open a store and verify that it is what was written.

        The pixels are read for this once on each machine (0.6 to 1 GB a second), and again when one of the files has
        changed: see ``pig.data.verified``. The two small files are verified each time.

        Raises:
            UserError: the folder or one of its files is missing or damaged, or they do not agree.
        """
        path = Path(path)
        fix = "delete the folder and run `pig preprocess` again."
        if not path.is_dir():
            raise UserError(f"The store {path} does not exist; run `pig preprocess` first.")
        parts = ("images.npy", "masks.npy", "manifest.csv", "store.json")
        if missing := [name for name in parts if not (path / name).is_file()]:
            raise UserError(f"The store {path} is incomplete, {', '.join(missing)} is missing; {fix}")
        description = read_json(path / "store.json")
        kinds = {"size": int, "aspect": str, "count": int, "fingerprint": str, "manifest": str}
        if not isinstance(description, dict) or any(
            not isinstance(description.get(key), kind) for key, kind in kinds.items()
        ):
            raise UserError(f"{path / 'store.json'} does not give {', '.join(kinds)}; {fix}")
        count, size = description["count"], description["size"]
        channels = description.get("channels", 1)  # stores written before there were colours do not say it
        if channels not in (1, 3):
            raise UserError(f"{path / 'store.json'} gives {channels!r} channels, not 1 or 3; {fix}")
        images = _open_array(path / "images.npy", np.uint16, images_shape(count, size, channels), fix)
        masks = _open_array(path / "masks.npy", np.uint8, (count, size, size), fix)
        if hashlib.sha256((path / "manifest.csv").read_bytes()).hexdigest() != description["manifest"]:
            raise UserError(f"{path / 'manifest.csv'} is damaged, or was changed after it was written; {fix}")
        manifest = read_own_table(path / "manifest.csv")
        stamp = Stamp.of([path / name for name in parts], description["fingerprint"])
        if not stamp.is_kept():
            if fingerprint(images, masks, manifest["patient_id"].tolist()) != description["fingerprint"]:
                raise UserError(f"The pixels of the store {path} are damaged: they are not those written; {fix}")
            stamp.keep()
        made_by = description.get("preprocessing")
        try:
            preprocessing = None if made_by is None else parse(PreprocessSettings, made_by, "preprocessing")
        except UserError as error:
            raise UserError(f"{path / 'store.json'}: {error} {fix.capitalize()}") from None
        return cls(path, images, masks, manifest, description["fingerprint"], preprocessing)


def _open_array(path: Path, dtype: type, shape: tuple[int, ...], fix: str) -> np.memmap[Any, Any]:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise UserError(f"{path} is not a readable array ({error}); {fix}") from None
    if not isinstance(array, np.memmap) or array.dtype != dtype or array.shape != shape:
        found = f"{getattr(array, 'dtype', '?')} {list(getattr(array, 'shape', []))}"
        raise UserError(f"{path} holds {found}, not {np.dtype(dtype)} {list(shape)}; {fix}")
    return array


class PairDataset:
    """Some rows of a store at one image size, served in batches.

    At the store's own size pixels are read from the memory map; at any other they are resized once, when the dataset is
    made, and kept as uint16 and uint8: 3 ``image_size``^2 bytes a pair, 7 in colour. A lesion that vanishes at that
    size raises a UserError: its pair would be learnt, or tested, as one without a lesion.

    Attributes:
        store: where the pairs come from.
        rows: int64 [n], the rows of the store, in the order of the positions that ``batch`` takes.
        image_size: height and width of the images served.
        channels: of the images.
        patients: the patients of these rows, sorted, each once.
    """

    def __init__(self, store: Store, rows: NDArray[np.integer[Any]], image_size: int) -> None:
        self.store = store
        self.rows = np.asarray(rows, np.int64)
        self.image_size = image_size
        self.channels = store.channels
        self.patients: list[str] = sorted(set(store.manifest["patient_id"].iloc[self.rows]))
        self._resized = None if image_size == store.size else self._resize()

    def __len__(self) -> int:
        return len(self.rows)

    def at(self, image_size: int) -> "PairDataset":
        """Return the same rows at another size; always from the store's pixels, never from resized ones."""
        return self if image_size == self.image_size else PairDataset(self.store, self.rows, image_size)

    def pixels(self) -> tuple[NDArray[np.uint16], NDArray[np.uint8]]:
        """Return all images uint16 [n, (3,) image_size, image_size], 0..65535 is [-1, 1], and masks uint8 {0, 1}."""
        return self._resized or (self.store.images[self.rows], self.store.masks[self.rows])

    def batch(self, positions: NDArray[np.integer[Any]]) -> tuple["torch.Tensor", "torch.Tensor"]:
        """Return the pairs at ``positions`` (0-based, into ``rows``).

        Returns:
            images float32 [n, channels, image_size, image_size] in [-1, 1]; masks float32 {0, 1} [n, 1, ...].
        """
        import torch

        images, masks = self._resized or (self.store.images, self.store.masks)
        rows = self.rows[positions] if self._resized is None else positions
        n, side = len(positions), self.image_size
        units, lesions = (np.empty((n, channels, side, side), np.float32) for channels in (self.channels, 1))
        for place, row in enumerate(rows):  # one pair stays in the processor's cache, a batch does not
            _fill_unit(images[row], units[place])
            lesions[place, 0] = masks[row]
        return torch.from_numpy(units), torch.from_numpy(lesions)

    def _resize(self) -> tuple[NDArray[np.uint16], NDArray[np.uint8]]:
        images = np.empty(images_shape(len(self.rows), self.image_size, self.channels), np.uint16)
        masks = np.empty((len(self.rows), self.image_size, self.image_size), np.uint8)
        vanished: list[int] = []
        for start in range(0, len(self.rows), ROWS_AT_ONCE):
            part = slice(start, start + ROWS_AT_ONCE)
            old = self.store.masks[self.rows[part]]
            images[part], masks[part] = resize_pairs(self.store.images[self.rows[part]], old, self.image_size)
            vanished += self.rows[part][old.any((1, 2)) & ~masks[part].any((1, 2))].tolist()
        if vanished:
            patients = self.store.manifest["patient_id"]
            named = [f"row {row_number(row)} (patient {patients.iloc[row]})" for row in vanished[:ROWS_NAMED]]
            more = ", ..." * (len(vanished) > ROWS_NAMED)
            raise UserError(
                f"{len(vanished)} of {len(self.rows)} pairs have a lesion that vanishes at {self.image_size} x "
                f"{self.image_size} pixels, where it covers half of no pixel: {', '.join(named)}{more} of "
                f"{self.store.path / 'manifest.csv'}; choose a larger image_size, or leave these rows out of the data."
            )
        return images, masks
