"""All pairs of a store, whichever fold their patients are in."""

import numpy as np

from pig.data.store import PairDataset, Store


def all_pairs(store: Store) -> PairDataset:
    """Return all pairs at the store's size.

    Of the study's own store they are what a leaky control learns from, and nothing else: test patients are among them.
    """
    return PairDataset(store, np.arange(len(store.images)), store.size)
