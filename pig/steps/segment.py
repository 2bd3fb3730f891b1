"""Train a segmentation on real and synthetic pairs, and count its true and false pixels on the test fold."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pig.data.folds import read_folds, split
from pig.data.shards import read_shards
from pig.data.store import Store
from pig.evaluation.segmentation import run_arm
from pig.evaluation.settings import SegmentationSettings
from pig.system.settings import parse


def segment(
    *,
    store: Path,
    folds: Path,
    fold: int,
    seed: int,
    settings: Mapping[str, Any],
    synthetic: Sequence[Path] | None,
    count: int | None,
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
        synthetic: shards of a generator of this fold; none: real data alone.
        count: how many pairs of them, the first ones; None: all.
        work: folder of rolling checkpoints.
        out: the folder.
    """
    train_pairs, test_pairs = split(Store.open(store), read_folds(folds), fold)
    wanted = parse(SegmentationSettings, settings, "segmentation")
    run_arm(
        train_pairs=train_pairs,
        synthetic=read_shards(synthetic, count, wanted.image_size) if synthetic else None,
        test_pairs=test_pairs,
        settings=wanted,
        fold=fold,
        seed=seed,
        work=work,
        out=out,
    )
