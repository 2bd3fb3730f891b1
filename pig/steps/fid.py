"""Measure the Frechet distance of synthetic images to a fold's training images."""

import logging
from collections.abc import Sequence
from pathlib import Path

from pig.data.folds import read_folds, split
from pig.data.shards import read_shards
from pig.data.store import Store
from pig.evaluation.features import Features
from pig.evaluation.frechet import write_fid

logger = logging.getLogger("pig")


def fid(
    *,
    store: Path,
    folds: Path,
    fold: int,
    synthetic: Sequence[Path],
    count: int | None,
    features: Features,
    weights: Path | None,
    cache: Path | None,
    out: Path,
) -> None:
    """Write the FID as JSON, for table 1.

    Args:
        store: folder of the preprocessed pairs.
        folds: table of folds.
        fold: whose training images, as the store holds them, are the real ones.
        synthetic: shards of a generator of this fold.
        count: how many images of them, the first ones; None: all.
        features: the extractor, see :mod:`pig.evaluation.features.extractor`.
        weights: of the extractor.
        cache: folder for the features of the real images; None keeps nothing.
        out: the JSON file.
    """
    train_pairs, _ = split(Store.open(store), read_folds(folds), fold)
    found = write_fid(read_shards(synthetic, count), train_pairs, features, weights, cache, out)
    logger.info(
        "FID %.4g (%s) of %d images of %s to %d real ones, fold %d: %s",
        found["fid"], features, found["generated"], found["generator"], found["real"], fold, out,
    )  # fmt: skip
