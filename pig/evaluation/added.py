"""What an arm adds to the real pairs of a fold: of a generator, of new patients, the same again, with wrong masks.

All of them, and those of :mod:`pig.evaluation.copy_paste`, are :class:`pig.data.shards.Synthetic`: pixels, and a
provenance that names the patients behind them, by which a leak is found.
"""

import dataclasses

import numpy as np

from pig.data.bits import BitMasks
from pig.data.shards import Synthetic
from pig.data.store import PairDataset, Store
from pig.system.errors import UserError
from pig.system.seeds import seed_of
from pig.training.batches import shuffled


def new_patients(store: Store, count: int | None, fold: int, image_size: int) -> Synthetic:
    """Return the first ``count`` real pairs of a store of patients who are not among the study's: the oracle.

    No generator can be expected to help more than as many real pairs of new patients do.

    Args:
        store: of the new patients.
        count: how many pairs, at least 1; None: all.
        fold: that is tested on; these patients may be added to any.
        image_size: of the pairs that are returned.

    Raises:
        UserError: the store holds fewer pairs.
    """
    wanted = len(store.images) if count is None else count
    if wanted > len(store.images):
        raise UserError(
            f"{wanted} pairs of new patients are asked for, and {store.path} holds {len(store.images)}; ask for fewer, "
            "or make more patients."
        )
    pairs = PairDataset(store, np.arange(wanted), image_size)
    images, masks = pairs.pixels()
    provenance = {"generator": "new patients", "fold": fold, "patients": pairs.patients, "store": store.fingerprint}
    return Synthetic(images, BitMasks.of(masks), [provenance])


def the_same_again(pairs: PairDataset, count: int, seed: int, fold: int, image_size: int) -> Synthetic:
    """Return ``count`` of the real pairs, all of them before any is there once more: oversampling.

    Nothing is new in them. An arm whose pairs help no more than these do has added nothing but their number.

    Args:
        pairs: the real pairs that are trained on.
        count: how many, at least 1.
        seed: of their order.
        fold: likewise; that is tested on.
        image_size: of the pairs that are returned.

    Raises:
        UserError: there are no pairs.
    """
    order = shuffled(len(pairs), count, seed_of(seed, fold, "oversampling"))(0)
    again = PairDataset(pairs.store, pairs.rows[order], image_size)
    images, masks = again.pixels()
    rows = again.rows.tolist()
    provenance = {"generator": "oversampling", "fold": fold, "patients": pairs.patients, "rows": rows}
    return Synthetic(images, BitMasks.of(masks), [provenance | {"data": pairs.store.fingerprint}])


def with_wrong_masks(added: Synthetic, seed: int, fold: int) -> Synthetic:
    """Return the pairs, each with the mask of another: the negative control.

    Images and masks by themselves stay what they are; only which belongs to which is lost. An instrument by which
    such pairs help as much as right ones does not measure what the pairs are worth.

    Args:
        added: pairs with masks, at least two.
        seed: of the order in which the masks go round.
        fold: likewise.

    Raises:
        UserError: the pairs have no masks, or there is one pair alone.
    """
    if added.masks is None or len(added.masks) < 2:
        raise UserError("to exchange masks, two or more pairs with masks are needed; ask for more pairs.")
    order = np.random.default_rng(seed_of(seed, fold, "wrong masks")).permutation(len(added.masks))
    bits = np.empty_like(added.masks.bits)
    bits[order] = added.masks.bits[np.roll(order, 1)]
    provenance = [{**shard, "masks": "shuffled"} for shard in added.provenance]
    return dataclasses.replace(added, masks=BitMasks(bits, added.masks.width), provenance=provenance)
