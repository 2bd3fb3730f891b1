"""Pairs from a trained generator, shard by shard; what a shard records, and the guard against leaks."""

import io
import json
import logging
import time
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pig.data.folds import read_folds, split
from pig.data.resize import resize_pairs
from pig.data.store import PairDataset, Store, to_uint16, to_unit
from pig.errors import UserError
from pig.files import atomic_path
from pig.generator import check_pairs, load_generator, own_sampling, read_description
from pig.progress import track
from pig.record import run_record
from pig.seeds import seed_of

logger = logging.getLogger("pig")


def synthesise(
    model: Path,
    name: str,
    cls: str,
    sampling: Mapping[str, Any] | None,
    seed: int,
    store: Path,
    folds: Path,
    first: int,
    last: int,
    batch_size: int,
    out: Path,
) -> None:
    """Draw the pairs of the global indices ``first <= i < last`` and write them as one shard.

    Batches lie on a grid of ``batch_size`` from index 0, whatever the shard, so that a pair is the same in every
    division into shards. A conditional generator gets masks of the fold's training patients, in turn, in an order
    that depends on seed and fold alone: the same masks for each such generator. ``sampling`` None stands for what
    the model records, as in :func:`pig.generator.load_generator`.

    Raises:
        UserError: the model is not whole, it saw a test patient of its fold, or it draws no proper pairs.
    """
    if not 0 <= first < last:
        raise UserError(f"a shard needs 0 <= first < last, got {first} and {last}.")
    description = read_description(model)
    train_pairs, test_pairs = split(Store.open(store), read_folds(folds), description["fold"])
    refuse_leak(description["patients"], test_pairs.patients, f"model {model}")
    sampling = own_sampling(description, cls) if sampling is None else sampling
    generator = load_generator(model, sampling, cls, name, seed)
    started = time.monotonic()  # all that is slow to import is in
    order = np.random.default_rng(seed_of(seed, description["fold"], "masks")).permutation(len(train_pairs))
    if generator.takes_masks:
        train_pairs = train_pairs.at(generator.image_size)

    images, masks = [], []
    starts = range(first - first % batch_size, last, batch_size)
    for start in track(starts, f"{name} {first}..{last}", len(starts), size=batch_size):
        indices = range(start, start + batch_size)
        given = _masks_for(indices, train_pairs, order) if generator.takes_masks else None
        pairs = generator.sample(indices, given)
        check_pairs(pairs, generator, batch_size)
        wanted = slice(max(first - start, 0), last - start)
        images.append(to_uint16(pairs.images[wanted, 0].detach().float().cpu()))
        if pairs.masks is not None:
            masks.append(pairs.masks[wanted, 0].bool().cpu().numpy().astype(np.uint8))

    empty = sum(int((~m.any((1, 2))).sum()) for m in masks)
    if empty:
        logger.warning("%d of %d masks of %s are empty; they are kept, as drawn.", empty, last - first, name)
    provenance = {
        "generator": name,
        "class": cls,
        "fold": description["fold"],
        "seed": seed,
        "first": first,
        "last": last,
        "patients": description["patients"],
        "masks_from": "training" if generator.takes_masks else "model" if masks else None,
        "empty_masks": empty,
        "sampling": dict(sampling),
        "model_files": description["files"],
        "record": run_record(started),
    }
    arrays = {
        "images": np.concatenate(images),
        "first": np.array(first),
        "provenance": np.array(json.dumps(provenance)),
    }
    if masks:
        arrays["masks"] = np.concatenate(masks)
    with atomic_path(out) as temporary:
        np.savez_compressed(temporary, **arrays)  # type: ignore[arg-type]


def _masks_for(indices: range, pairs: PairDataset, order: NDArray[np.int64]) -> Tensor:
    """Return the training masks of these pairs, round-robin over ``order``."""
    return pairs.batch(order[np.array(indices) % len(order)])[1]


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
        images: uint16 [n, H, W]; 0..65535 is [-1, 1].
        masks: uint8 {0, 1} [n, H, W], or None for images alone.
        provenance: what each shard says of itself.
    """

    images: NDArray[np.uint16]
    masks: NDArray[np.uint8] | None
    provenance: list[dict[str, Any]]

    def pool(self, image_size: int) -> "SyntheticPool":
        """Return the pairs as something to train on, at another size."""
        if self.masks is None:
            name = self.provenance[0]["generator"]
            raise UserError(f"'{name}' draws images without masks; a segmentation cannot learn from them.")
        if image_size != self.images.shape[-1]:
            return SyntheticPool(*resize_pairs(self.images, self.masks, image_size))
        return SyntheticPool(self.images, self.masks)


@dataclass
class SyntheticPool:
    """Synthetic pairs, asked for by position, as :class:`pig.data.store.PairDataset` is."""

    images: NDArray[np.uint16]
    masks: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.images)

    def batch(self, positions: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """Return images float32 [n, 1, H, W] in [-1, 1] and masks float32 [n, 1, H, W] in {0, 1}."""
        masks = torch.from_numpy(self.masks[positions].astype(np.float32))[:, None]
        return to_unit(self.images[positions])[:, None], masks


def read_shards(paths: Sequence[str | Path], count: int | None = None) -> Synthetic:
    """Return the first ``count`` pairs of the shards ``paths``, in any order of paths, or all of them.

    Raises:
        UserError: a shard is missing or damaged, they are not of one generator and fold, or they do not cover
            the indices 0 .. count - 1.
    """
    read = [(path, *_read_shard(Path(path))) for path in paths]
    shards = sorted(read, key=lambda shard: int(shard[3]["first"]))
    images, masks, expected = [], [], 0
    for path, shard_images, shard_masks, provenance in shards:
        if provenance["first"] != expected:
            raise UserError(f"{path} does not follow the shards before it: index {expected} is missing.")
        if any(provenance[key] != shards[0][3][key] for key in ("generator", "fold", "seed", "model_files")):
            raise UserError(f"{path} is of another generator, fold, seed or training than the shards before it.")
        expected = provenance["last"]
        images.append(shard_images)
        if shard_masks is not None:
            masks.append(shard_masks)
    if count is not None and expected < count:
        raise UserError(f"{count} pairs are asked for, and the shards hold {expected}; draw more of them.")
    return Synthetic(
        np.concatenate(images)[:count], np.concatenate(masks)[:count] if masks else None, [shard[3] for shard in shards]
    )


def read_archive(path: str | Path, *names: str) -> dict[str, NDArray[Any]]:
    """Read an npz file, all of it or the arrays named, each to its end: only then is its checksum looked at.

    Differs from ``numpy.load``, which reads as many bytes as the header of an array says: of a header that is damaged
    to a smaller shape it would return the beginning of the array.
    """
    with zipfile.ZipFile(path) as archive:
        wanted = names or [name.removesuffix(".npy") for name in archive.namelist()]
        return {name: np.load(io.BytesIO(archive.read(f"{name}.npy")), allow_pickle=False) for name in wanted}


def _read_shard(path: Path) -> tuple[NDArray[np.uint16], NDArray[np.uint8] | None, dict[str, Any]]:
    again = "delete it and draw it again."
    try:
        arrays = read_archive(path)
        provenance = json.loads(str(arrays["provenance"]))
        images, masks, count = arrays["images"], arrays.get("masks"), provenance["last"] - provenance["first"]
    except FileNotFoundError:
        raise UserError(f"shard {path} does not exist; draw it with 'pig synthesise' first.") from None
    except Exception as error:  # a damaged archive fails in NumPy, zipfile, zlib, struct or lzma, each in its own way
        raise UserError(f"shard {path} is damaged ({error}); {again}") from None
    for name, array, kind in (("images", images, np.uint16), ("masks", masks, np.uint8)):
        if array is not None and (array.dtype != kind or array.ndim != 3 or len(array) != count):
            found = f"{array.dtype} {list(array.shape)}"
            raise UserError(f"shard {path} holds {name} of {found}, not {count} of {np.dtype(kind)}; {again}")
    return images, masks, provenance
