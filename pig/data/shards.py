"""Shards of synthetic pairs are read here: as many pairs as are asked for, with each pixel held once.

``pig.steps.synthesise`` writes them. A shard is an npz file with ``images`` (uint16 [n, H, W], or [n, 3, H, W] of red,
green and blue; 0..65535 is [-1, 1]), ``masks`` (uint8 {0, 1} [n, H, W]; none if the generator draws images alone),
``first`` and ``provenance`` (JSON).
"""

import io
import json
import logging
import math
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pig.data.bits import BitMasks
from pig.data.layout import with_channel_axis
from pig.data.resize import resize_images, resize_masks, resize_pairs
from pig.data.store import to_unit
from pig.system.errors import UserError

logger = logging.getLogger("pig")

KINDS = {"images": np.uint16, "masks": np.uint8}
ROWS_AT_ONCE = 32
AGAIN = "delete it and draw it again."


def refuse_leak(seen: Sequence[str], tested: Sequence[str], what: str) -> None:
    """Raise a UserError if a patient that is tested on was seen.

    Args:
        seen: patients that a generator and its parts learnt from.
        tested: patients of the test fold.
        what: names the culprit in the message.
    """
    both = sorted(set(seen) & set(tested))
    if both:
        raise UserError(
            f"{what} learnt from patient {both[0]} ({len(both)} in all) of the fold it would be tested on; use the "
            "model of this fold, and do not change the folds after training."
        )


@dataclass
class Synthetic:
    """The first pairs of a generator, from its shards.

    Attributes:
        images: uint16 [n, (3,) H, W]; 0..65535 is [-1, 1].
        masks: {0, 1} [n, H, W], or None for images alone.
        provenance: what each shard that was read says of itself.
    """

    images: NDArray[np.uint16]
    masks: BitMasks | None
    provenance: list[dict[str, Any]]

    def pool(self, image_size: int) -> "SyntheticPool":
        """Return the pairs as something to train on, at another size."""
        if self.masks is None:
            name = self.provenance[0]["generator"]
            raise UserError(f"'{name}' draws images without masks; a segmentation cannot learn from them.")
        if self.masks.shape[1:] != (image_size, image_size):
            drawn = self.masks[:]
            images, masks = resize_pairs(self.images, drawn, image_size)
            _warn_of_vanished(_vanished(drawn, masks), len(masks), image_size)
            return SyntheticPool(images, BitMasks.of(masks))
        return SyntheticPool(self.images, self.masks)


@dataclass
class SyntheticPool:
    """Synthetic pairs, asked for by position, as :class:`pig.data.store.PairDataset` is."""

    images: NDArray[np.uint16]
    masks: BitMasks

    def __len__(self) -> int:
        return len(self.images)

    def batch(self, positions: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """Return images float32 [n, C, H, W] in [-1, 1] and masks float32 [n, 1, H, W] in {0, 1}."""
        masks = torch.from_numpy(self.masks[positions].astype(np.float32))[:, None]
        return with_channel_axis(to_unit(self.images[positions])), masks


def read_shards(
    paths: Sequence[str | Path], count: int | None = None, image_size: int | None = None, first: int = 0
) -> Synthetic:
    """Return the first ``count`` pairs of the shards ``paths``, in any order of paths.

    Memory is that of the pairs returned and of a few more. Of shards that lie beyond ``count`` only the provenance is
    read.

    Args:
        paths: shards of one generator and fold.
        count: how many pairs, at least 1; None: all.
        image_size: height and width to which the pairs are resized as they are read; None: as they were drawn.
        first: global index of the first of these pairs, with which a shard begins.

    Raises:
        UserError: a shard is missing or damaged, holds mask values other than 0 and 1, they are not of one generator
            and fold, or they do not cover the indices first .. first + count - 1.
    """
    shards = sorted(((Path(path), read_provenance(path)) for path in paths), key=lambda shard: shard[1]["first"])
    expected = first
    for path, provenance in shards:
        if provenance["first"] != expected:
            raise UserError(f"{path} does not follow the shards before it: index {expected} is missing.")
        if any(provenance[key] != shards[0][1][key] for key in ("generator", "fold", "seed", "model_files")):
            raise UserError(f"{path} is of another generator, fold, seed or training than the shards before it.")
        expected = provenance["last"]
    held = expected - first
    wanted = held if count is None else count
    if wanted < 1:
        raise UserError(f"{wanted} synthetic pairs are asked for; ask for 1 or more, or give no count for all of them.")
    if held < wanted:
        raise UserError(f"{wanted} pairs are asked for, and the shards hold {held}; draw more of them.")

    used = [shard for shard in shards if shard[1]["first"] - first < wanted]
    arrays: dict[str, Any] = {}
    vanished = 0
    for path, provenance in used:
        begin, number = provenance["first"] - first, provenance["last"] - provenance["first"]
        with _opened(path) as archive:
            names = [name for name in KINDS if f"{name}.npy" in archive.namelist()]
            if "images" not in names:
                raise ValueError("it holds no images")
            if begin and names != list(arrays):
                raise UserError(f"shard {path} holds {' and '.join(names)}, but others {' and '.join(arrays)}; {AGAIN}")
            for name in names:
                for start, rows in _rows(path, archive, name, number):
                    kept = rows[: max(wanted - begin - start, 0)]  # the rest is read for the checksum alone
                    if image_size is not None and rows.shape[-2:] != (image_size, image_size):
                        resize = resize_images if name == "images" else resize_masks
                        drawn, kept = kept, resize(kept, image_size)
                        vanished += _vanished(drawn, kept) if name == "masks" else 0
                    if name not in arrays:
                        shape = (wanted, *kept.shape[1:])
                        arrays[name] = np.empty(shape, KINDS[name]) if name == "images" else BitMasks.empty(shape)
                    like = arrays["images"].shape
                    like = like[1:] if name == "images" else like[-2:]
                    if kept.shape[1:] != like:
                        sizes = f"{list(kept.shape[1:])} pixels, not of {list(like)}"
                        raise UserError(f"shard {path} holds {name} of {sizes} as the images before them; {AGAIN}")
                    arrays[name][begin + start : begin + start + len(kept)] = kept
    if image_size is not None:
        _warn_of_vanished(vanished, wanted, image_size)
    return Synthetic(arrays["images"], arrays.get("masks"), [provenance for _, provenance in used])


def _vanished(drawn: NDArray[Any], resized: NDArray[Any]) -> int:
    """Return how many masks have a lesion as they were drawn, and none at another size."""
    return int((drawn.any((1, 2)) & ~resized.any((1, 2))).sum())


def _warn_of_vanished(vanished: int, count: int, image_size: int) -> None:
    if vanished:
        logger.warning("%d synthetic lesions of %d vanish at %d pixels.", vanished, count, image_size)


def read_provenance(path: str | Path) -> dict[str, Any]:
    """Return what a shard says of itself; none of its pixels is read.

    Raises:
        UserError: the shard is missing or damaged.
    """
    with _opened(Path(path)) as archive:
        text = np.load(io.BytesIO(archive.read("provenance.npy")), allow_pickle=False)
        provenance: dict[str, Any] = json.loads(str(text))
        if missing := {"generator", "fold", "seed", "model_files", "first", "last"} - set(provenance):
            raise ValueError(f"its provenance lacks {', '.join(sorted(missing))}")
        if not 0 <= int(provenance["first"]) < int(provenance["last"]):
            raise ValueError("its provenance names no pairs")
    return provenance


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open a shard; whatever fails while it is read becomes a sentence."""
    try:
        with zipfile.ZipFile(path) as archive:
            if strange := set(archive.namelist()) - {f"{name}.npy" for name in (*KINDS, "first", "provenance")}:
                raise ValueError(f"it holds '{min(strange)}'")
            yield archive
    except FileNotFoundError:
        raise UserError(f"shard {path} does not exist; draw it with 'pig synthesise' first.") from None
    except (UserError, MemoryError):
        raise
    except Exception as error:  # a damaged archive fails in NumPy, zipfile, zlib, struct or lzma, each in its own way
        raise UserError(f"shard {path} is damaged ({error}); {AGAIN}") from None


def _rows(path: Path, archive: zipfile.ZipFile, name: str, count: int) -> Iterator[tuple[int, NDArray[Any]]]:
    """Yield an array of a shard some rows at a time, each with the index of its first, to the end of the file.

    The checksum is compared when the last is read. Differs from ``numpy.load``, which reads as many bytes as the
    header of an array says: of a header that is damaged to a smaller shape it would return the beginning of the array.
    """
    kind = np.dtype(KINDS[name])
    with archive.open(f"{name}.npy") as member:
        if np.lib.format.read_magic(member) != (1, 0):
            raise ValueError(f"{name} are in another version of NumPy's format")
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(member)
        colours = name == "images" and len(shape) == 4 and shape[1] == 3
        if dtype != kind or fortran or not (len(shape) == 3 or colours) or shape[0] != count:
            raise UserError(f"shard {path} holds {name} of {dtype} {list(shape)}, not {count} of {kind}; {AGAIN}")
        size = archive.getinfo(f"{name}.npy").file_size - member.tell()
        row = math.prod(shape[1:]) * kind.itemsize
        if size != count * row:
            raise ValueError(f"{name} of {list(shape)} are said to take {size} bytes")
        for start in range(0, count, ROWS_AT_ONCE):
            length = min(ROWS_AT_ONCE, count - start)
            rows = np.frombuffer(member.read(length * row), kind).reshape(length, *shape[1:])
            if name == "masks" and rows.size and rows.max() > 1:
                values = ", ".join(map(str, np.unique(rows)[:6]))
                raise UserError(f"shard {path} holds masks with the values {values}, not 0 and 1 alone; {AGAIN}")
            yield start, rows
