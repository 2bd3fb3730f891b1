"""Train nnU-Net on real pairs and what an arm adds; count its true and false pixels on the test fold."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pig.data.folds import read_folds, split
from pig.data.store import Store
from pig.evaluation.arm_pairs import Asked
from pig.evaluation.kinds import Source
from pig.evaluation.nnunet import run_nnunet
from pig.evaluation.settings import NnunetSettings
from pig.steps.segment import said_of
from pig.system.settings import parse

logger = logging.getLogger("pig")


def nnunet(
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
    leaky: bool,
    test: Path | None,
    work: Path,
    out: Path,
) -> None:
    """Write ``slices.csv``, nnU-Net's model and the record into the folder ``out``.

    The arguments are those of :func:`pig.steps.segment.segment`, but for ``settings``, which are those of
    :class:`NnunetSettings`, and ``work``, the folder of nnU-Net's files.

    Raises:
        UserError: what :meth:`pig.evaluation.arm_pairs.Asked.pairs` and :func:`run_nnunet` raise.
    """
    wanted = parse(NnunetSettings, settings, "nnunet")
    asked = Asked(store, folds, synthetic, oracle, source, count, shuffle_masks, real, leaky, test)
    planned, _ = split(Store.open(store), read_folds(folds), fold)
    pairs = asked.pairs(fold, seed, wanted.image_size)
    counts = run_nnunet(pairs, planned, wanted, fold=fold, seed=seed, work=work, out=out, step=asked.for_record())
    logger.info("fold %d, seed %d: %s: %s", fold, seed, said_of(counts), out)
