"""Measure the quality of a generator's pairs beside that of real pairs that it never saw."""

import logging
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pig.data.folds import read_folds, split
from pig.data.shards import read_shards, refuse_leak
from pig.data.store import Store
from pig.evaluation.arm_pairs import check_no_leak
from pig.evaluation.features import Extractor, Features
from pig.evaluation.predict import masks_found
from pig.evaluation.quality import Pairs, measure_quality, real_pairs
from pig.evaluation.segmenter import load_segmenter
from pig.report.figures import draw_closest
from pig.report.quality import write_quality
from pig.system.errors import UserError
from pig.system.run_record import run_record
from pig.system.seeds import seed_of

logger = logging.getLogger("pig")


def quality(
    *,
    store: Path,
    folds: Path,
    fold: int,
    synthetic: Sequence[Path],
    count: int | None,
    segmentation: Path,
    features: Features,
    weights: Path | None,
    cache: Path | None,
    figure: Path,
    out: Path,
) -> None:
    """Write what was measured as JSON, for quality.csv, and the pairs that lie nearest to training images as a figure.

    All pairs are brought to the size at which the segmentation works. Differs from the FID of table 1, where the
    network of features gets them from their own size.

    Args:
        store: folder of the preprocessed pairs.
        folds: table of folds.
        fold: whose training and held-out pairs are the real ones.
        synthetic: shards of a generator of this fold.
        count: how many pairs of them, the first ones; None: all.
        segmentation: the folder that ``pig segment`` wrote for this fold from real pairs alone.
        features: the extractor, see :mod:`pig.evaluation.features.extractor`.
        weights: of the features, as for ``pig fid``.
        cache: folder for the features of the training images; None keeps nothing.
        figure: the PNG file.
        out: the JSON file.

    Raises:
        UserError: the generator or the segmentation saw a patient of the held-out fold, or the segmentation saw
            generated pairs; or as :func:`pig.evaluation.frechet.frechet_distance`.
    """
    train_pairs, test_pairs = split(Store.open(store), read_folds(folds), fold)
    network, settings, record = load_segmenter(segmentation)
    if record["synthetic_pairs"]:
        raise UserError(
            f"{segmentation} was trained on {record['synthetic_pairs']} synthetic pairs too, so that it would find "
            "what their generator draws; give the segmentation of the arm of real data alone."
        )
    refuse_leak(record["train_patients"], test_pairs.patients, f"segmentation {segmentation}")
    drawn = read_shards(synthetic, count, settings.image_size)
    check_no_leak(drawn.provenance, test_pairs.patients, fold)
    started = time.monotonic()  # all that is slow to import is in
    extract = Extractor(features, weights)
    training, held_out = (real_pairs(of, settings.image_size) for of in (train_pairs, test_pairs))

    def features_of(images: NDArray[np.uint16]) -> NDArray[np.float64]:
        return extract(images, cache if images is training.images else None).numpy().astype(np.float64)

    def found_in(images: NDArray[np.uint16]) -> NDArray[np.bool_]:
        return np.stack([*masks_found(network, images, settings)])

    first = drawn.provenance[0]
    own = first.get("masks_from") == "model"
    masks = None if drawn.masks is None else drawn.masks[:]
    pairs = Pairs(drawn.images, masks, np.arange(len(drawn.images)))
    found = measure_quality(
        pairs, training, held_out, features_of, found_in,
        own_masks=own, seed=seed_of(first["seed"], fold, "quality"),
    )  # fmt: skip
    draw_closest(pairs, training, found.nearest, first["generator"], figure)
    write_quality(
        out,
        found.table,
        generator=first["generator"],
        fold=fold,
        features=features,
        pairs=len(drawn.images),
        training=len(train_pairs),
        held_out=len(test_pairs),
        record=run_record(started, segmentation=str(segmentation), weights=str(weights), weights_sha256=extract.sha256),
    )
    logger.info(
        "%d measures of %d pairs of %s beside %d held-out ones, fold %d: %s",
        len(found.table), len(drawn.images), first["generator"], len(test_pairs), fold, out,
    )  # fmt: skip
