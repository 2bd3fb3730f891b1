"""Train a segmentation on real pairs and what an arm adds; count its true and false pixels on the test fold."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from pig.evaluation.arm_pairs import Asked
from pig.evaluation.kinds import Source
from pig.evaluation.overlap import has_lesion, overlap_scores
from pig.evaluation.segmentation import TESTED, run_arm
from pig.evaluation.settings import SegmentationSettings
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

    Its pairs are asked for by the options of :class:`pig.evaluation.arm_pairs.Asked`. ``fold`` is tested on, ``seed``
    is of first weights and order, ``settings`` are those of :class:`SegmentationSettings`, and ``work`` is the folder
    of rolling checkpoints. With ``test`` there is a ``new_patients.csv`` beside the ``slices.csv``.

    Raises:
        UserError: what :meth:`pig.evaluation.arm_pairs.Asked.pairs` and :func:`run_arm` raise.
    """
    wanted = parse(SegmentationSettings, settings, "segmentation")
    asked = Asked(store, folds, synthetic, oracle, source, count, shuffle_masks, real, leaky, test)
    counts = run_arm(
        **asked.pairs(fold, seed, wanted.image_size)._asdict(),
        settings=wanted, fold=fold, seed=seed, work=work, out=out, step=asked.for_record(),
    )  # fmt: skip
    logger.info("fold %d, seed %d: %s: %s", fold, seed, said_of(counts), out)


def said_of(counts: Mapping[str, pd.DataFrame]) -> str:
    """Return the mean Dice of the slices with a lesion, in words, from the counts by file."""
    dice = {name: 100 * overlap_scores(rows[has_lesion(rows)]).dice for name, rows in counts.items()}
    return ", ".join(
        f"Dice {values.mean():.2f} % on the {len(values)} slices with a lesion {TESTED[name]}"
        if len(values)
        else f"no slice with a lesion {TESTED[name]}"
        for name, values in dice.items()
    )
