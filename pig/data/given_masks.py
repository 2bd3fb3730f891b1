"""The masks that a conditional generator draws images for: of training pairs, those jittered, or of generated pairs.

Training masks are what the conditional methods are given in the paper. With them, new images have known outlines. The
other two tell apart what new masks bring, and what new images do.
"""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from pig.data.shards import read_provenance, read_shards
from pig.data.store import PairDataset
from pig.system.errors import UserError
from pig.system.seeds import seed_of

Given = Callable[[range], Tensor]  # global indices of n pairs -> their masks, float32 [n, 1, H, W] in {0, 1}

# The largest changes of a jittered mask, which are those of strong augmentation.
DEGREES, SCALE, SHIFT = 40, 0.25, 0.1  # SHIFT: of the picture's side


def of_training_pairs(pairs: PairDataset, seed: int, fold: int) -> Given:
    """Return the masks of these pairs in turn, in an order of seed and fold alone: the same for each generator."""
    order = np.random.default_rng(seed_of(seed, fold, "masks")).permutation(len(pairs))
    return lambda indices: pairs.batch(order[np.array(indices) % len(order)])[1]


def jittered(given: Given, seed: int, fold: int) -> Given:
    """Return these masks, each changed by :func:`jitter`; how, depends on seed, fold and the index of the pair."""

    def changed(indices: range) -> Tensor:
        masks = given(indices)
        rngs = [np.random.default_rng(seed_of(seed, fold, index, "jitter")) for index in indices]
        moved = [jitter(mask.numpy() > 0.5, rng) for mask, rng in zip(masks[:, 0], rngs, strict=True)]
        return torch.from_numpy(np.stack(moved)[:, None].astype(np.float32))

    return changed


def jitter(mask: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.bool_]:
    """Return a mask with its lesions mirrored or not, turned, scaled and shifted: geometric augmentation of it alone.

    They turn about their own centre and not about that of the picture, so that they stay near the tissue in which a
    lesion was. The shift is drawn from what leaves all of them in the picture, where there is such a shift.

    Args:
        mask: bool [H, W].
        rng: of the change.

    Returns:
        bool [H, W]; a pixel belongs to the lesion from one half on. Without a lesion it is the mask itself.
    """
    lesion = np.argwhere(mask)
    mirrored = rng.choice([-1.0, 1.0])
    angle, scale = math.radians(rng.uniform(-DEGREES, DEGREES)), 1 + rng.uniform(-SCALE, SCALE)
    if not len(lesion):
        return mask
    cosine, sine = math.cos(angle), math.sin(angle)
    forward = scale * np.array([[cosine, -sine], [sine, cosine]]) @ np.diag([1.0, mirrored])
    centre, side = lesion.mean(0), np.array(mask.shape)
    turned = (lesion - centre) @ forward.T + centre
    inside = -turned.min(0), side - 1 - turned.max(0)  # the least and the greatest shift that cut nothing off
    shift = rng.uniform(*np.sort(np.clip(inside, -SHIFT * side, SHIFT * side), axis=0))
    back = np.linalg.inv(forward)
    soft = ndimage.affine_transform(mask.astype(np.float64), back, centre - back @ (centre + shift), order=1)
    return np.asarray(soft >= 0.5)


def of_shards(paths: Sequence[Path], first: int, last: int, image_size: int) -> tuple[Given, dict[str, Any]]:
    """Return the masks of the generated pairs of the same indices, and what the first shard says of itself.

    Args:
        paths: shards of one generator and fold.
        first: index of the first pair that a mask is wanted of.
        last: index after the last. What a batch draws beyond ``first`` and ``last``, to lie on its grid, is thrown
            away, and is given the mask of the nearest.
        image_size: of the masks.

    Raises:
        UserError: a shard is missing or damaged, the shards lack a pair, or they have no masks.
    """
    begin = min(int(read_provenance(path)["first"]) for path in paths)
    pairs = read_shards(paths, None, image_size, begin)
    name, end = pairs.provenance[0]["generator"], begin + len(pairs.images)
    if not begin <= first < last <= end:
        raise UserError(
            f"masks of the pairs {first} to {last - 1} are needed, and the shards of '{name}' hold those from {begin} "
            f"to {end - 1}; give the shards that hold them."
        )
    if pairs.masks is None:
        raise UserError(f"'{name}' draws images without masks, so that it has none to give to another generator.")
    masks = pairs.masks[first - begin : last - begin]

    def given(indices: range) -> Tensor:
        places = np.clip(np.array(indices) - first, 0, len(masks) - 1)
        return torch.from_numpy(masks[places].astype(np.float32))[:, None]

    return given, pairs.provenance[0]
