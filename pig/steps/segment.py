"""Train a segmentation on real pairs and what an arm adds; count its true and false pixels on the test fold."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pig.data.all_pairs import all_pairs
from pig.data.digests import digests
from pig.data.folds import read_folds, some_patients, split
from pig.data.shards import Synthetic, read_shards
from pig.data.store import PairDataset, Store
from pig.evaluation.added import new_patients, the_same_again, with_wrong_masks
from pig.evaluation.copy_paste import copy_paste
from pig.evaluation.kinds import Source
from pig.evaluation.overlap import overlap_scores
from pig.evaluation.segmentation import TESTED, run_arm
from pig.evaluation.settings import SegmentationSettings
from pig.system.errors import UserError
from pig.system.seeds import seed_of
from pig.system.settings import parse

logger = logging.getLogger("pig")


def segment(
    *,
    store: Path,
    folds: Path,
    fold: int,
    seed: int,
    settings: Mapping[str, Any],
    synthetic: Sequence[Path] | None,
    oracle: Path | None,
    source: Source | None,
    count: int | None,
    shuffle_masks: bool,
    real: float,
    leaky: bool = False,
    test: Path | None,
    work: Path,
    out: Path,
) -> None:
    """Write ``slices.csv``, the network and its record into the folder ``out``.

    Args:
        store: folder of the preprocessed pairs.
        folds: table of folds.
        fold: that is tested on.
        seed: of first weights and order.
        settings: those of :class:`SegmentationSettings`.
        synthetic: shards of a generator of this fold, whose pairs are added.
        oracle: store of patients who are not among the study's, whose real pairs are added.
        source: of ``count`` pairs that are made of the real ones that are trained on, and added.
        count: how many pairs are added, the first ones; None: all.
        shuffle_masks: whether each added pair gets the mask of another.
        real: share of the training patients whose real pairs are trained on, in [0, 1].
        leaky: whether the shards are of a leaky control, whose generator has learnt from the test fold, too.
        test: store of patients who are not among the study's, to be tested on too; writes ``new_patients.csv``.
        work: folder of rolling checkpoints.
        out: the folder.

    Raises:
        UserError: pairs of several kinds are to be added, none are to be trained on, or masks of none shuffled; or what
            :func:`run_arm` raises.
    """
    train_pairs, test_pairs = split(Store.open(store), read_folds(folds), fold)
    wanted = parse(SegmentationSettings, settings, "segmentation")
    if sum(map(bool, (synthetic, oracle, source))) > 1:
        raise UserError("of --synthetic, --oracle and --source more than one is given; an arm adds pairs of one kind.")
    if not 0 <= real <= 1 or (real == 0 and not (synthetic or oracle)):
        raise UserError(f"--real is {real:g}; give a share in [0, 1], and --synthetic or --oracle with 0.")
    if real < 1:
        train_pairs = some_patients(train_pairs, real, seed_of(seed, fold, "real patients"))
        if not (synthetic or oracle):
            _refuse_without_lesion(train_pairs, real)
    added: Synthetic | None = None
    if synthetic:
        added = read_shards(synthetic, count, wanted.image_size)
    elif oracle:
        added = new_patients(Store.open(oracle), count, fold, wanted.image_size)
    elif source:
        if count is None:
            raise UserError("--source is given without --count; say how many pairs are to be made.")
        make = {"copy_paste": copy_paste, "oversampling": the_same_again}[source]
        added = make(train_pairs, count, seed, fold, wanted.image_size)
    if shuffle_masks:
        if added is None:
            raise UserError("--shuffle-masks is of the pairs that are added; give --synthetic, --oracle or --source.")
        added = with_wrong_masks(added, seed, fold)
    counts = run_arm(
        train_pairs=train_pairs,
        synthetic=added,
        test_pairs=test_pairs,
        new_pairs=all_pairs(Store.open(test)) if test else None,
        leaky=leaky,
        settings=wanted,
        fold=fold,
        seed=seed,
        work=work,
        out=out,
        step={
            "options": {
                "store": str(store),
                "folds": str(folds),
                "synthetic": [str(path) for path in synthetic or ()],
                "oracle": str(oracle) if oracle else None,
                "source": source,
                "count": count,
                "shuffle_masks": shuffle_masks,
                "real": real,
                "leaky": leaky,
                "test": str(test) if test else None,
            },
            "inputs": digests(store, folds, *(synthetic or ()), *(path for path in (oracle, test) if path)),
        },
    )
    found = [
        f"Dice {100 * overlap_scores(rows).dice.mean():.2f} % on the {len(rows)} slices {TESTED[name]}"
        for name, rows in counts.items()
    ]
    logger.info("fold %d, seed %d: %s: %s", fold, seed, ", ".join(found), out)


def _refuse_without_lesion(pairs: PairDataset, real: float) -> None:
    """Refuse a share of the patients of whom none has a lesion: what such a network misses tells nothing of a share."""
    masks = pairs.store.masks
    if not any(masks[row].any() for row in pairs.rows):
        raise UserError(
            f"--real is {real:g}, and none of the {len(pairs.patients)} patients that are left for training has a "
            "lesion; take a larger share (real under table2.controls)."
        )
