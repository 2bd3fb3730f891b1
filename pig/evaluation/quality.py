"""What generated pairs are worth by themselves: their distances to real pairs, faithfulness, masks, and copies.

Each number stands beside its floor, which is the same of real pairs that no generator saw. A Frechet distance to the
training images alone rewards copying: held-out patients lie farther from them than a copy does. No number here says
whether pairs help a segmentation; table 2 does.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pig.data.store import PairDataset
from pig.evaluation.copies import Nearest, memorised, nearest_masks
from pig.evaluation.crops import lesion_crops
from pig.evaluation.distances import Comparison, Reference
from pig.evaluation.draws import Measured, means_over_draws, over_draws
from pig.evaluation.overlap import confusion_counts, overlap_scores
from pig.evaluation.shapes import shapes

TRAINING, HELD_OUT = "training", "held-out"
COLUMNS = ("of", "against", "measure", "value", "low", "high", "floor", "n")
AT_ONCE = 512  # images of a draw, at most
LOOKED_AT = 2048  # images whose distances to each other are held, at most

Extract = Callable[[NDArray[np.uint16]], NDArray[np.float64]]
Segment = Callable[[NDArray[np.uint16]], NDArray[np.bool_]]


class Pairs(NamedTuple):
    """Pairs at one size.

    Attributes:
        images: uint16 [N, (3,) S, S]; 0..65535 is [-1, 1].
        masks: uint8 {0, 1} [N, S, S]; None: images alone.
        patients: int64 [N], equal for equal patients; all different of generated pairs.
    """

    images: NDArray[np.uint16]
    masks: NDArray[np.uint8] | None
    patients: NDArray[np.int64]


def real_pairs(pairs: PairDataset, size: int) -> Pairs:
    """Return real pairs at a size, with the codes of their patients."""
    patients = pd.factorize(pairs.store.manifest["patient_id"].to_numpy()[pairs.rows])[0]
    return Pairs(*pairs.at(size).pixels(), patients.astype(np.int64))


class Quality(NamedTuple):
    """What was measured, a row for each measure, with the columns ``COLUMNS``; and what is nearest to each image."""

    table: pd.DataFrame
    nearest: Nearest


def measure_quality(
    drawn: Pairs,
    training: Pairs,
    held_out: Pairs,
    extract: Extract,
    segment: Segment,
    *,
    own_masks: bool,
    seed: int,
) -> Quality:
    """Hold generated pairs against those that their generator learnt from, and against those of held-out patients.

    Args:
        drawn: by a generator.
        training: of all patients that it learnt from.
        held_out: of patients that neither the generator nor ``segment`` learnt from.
        extract: gives the features float64 [n, D] of images.
        segment: gives the masks bool [n, S, S] that a network that was trained on real pairs alone finds in images.
        own_masks: whether the generator draws its masks; if they were given to it, their shapes tell nothing of it.
        seed: of the draws.

    Returns:
        ``of``: image, crop (of the lesions), pair, or mask. ``against``: the set that is held against. ``value`` with
        ``low`` and ``high`` as in :mod:`pig.evaluation.draws`; of a mean, ``value`` is that of all pairs. ``floor``: of
        distances to a set and of what is nearest, that of the other real set (of held-out pairs to the training pairs,
        of training pairs to the held-out ones); of faithfulness and shapes, which are of each pair by itself, that of
        the set. ``n``: pairs of a draw, and at most of those that the floor is of. Measures that need more images than
        there are, or masks where there are none, are left out.
    """
    sets = (drawn, training, held_out)
    patients = [of.patients for of in sets]
    rows = list(_distances("image", [extract(of.images) for of in sets], patients, seed))
    if drawn.masks is not None:
        crops = [lesion_crops(of.images, of.masks) for of in sets if of.masks is not None]
        if all(map(len, crops)):
            filled = [of.patients[of.masks.any((1, 2))] for of in sets if of.masks is not None]
            rows += _distances("crop", [extract(of) for of in crops], filled, seed)
        rows += _by_set("pair", [faithfulness(of, segment) for of in sets], seed)
        if own_masks:
            rows += _by_set("mask", [shapes(of.masks) for of in sets if of.masks is not None], seed)
    ours, theirs, near = memorised(drawn.images, held_out.images, training.images, training.patients)
    rows += _beside("image", ours, theirs, seed)
    if own_masks and drawn.masks is not None and held_out.masks is not None and training.masks is not None:
        dice = [nearest_masks(masks, training.masks) for masks in (drawn.masks, held_out.masks)]
        ours, theirs = (pd.DataFrame({"nearest": of}) for of in dice)
        rows += _beside("mask", ours, theirs, seed)
    return Quality(pd.DataFrame(rows, columns=list(COLUMNS)), near)


def faithfulness(pairs: Pairs, segment: Segment) -> pd.DataFrame:
    """Return the Dice of each mask and of what ``segment`` sees in its image, as ``faithfulness``."""
    assert pairs.masks is not None
    dice = overlap_scores(confusion_counts(segment(pairs.images), pairs.masks.astype(bool))).dice
    return pd.DataFrame({"faithfulness": dice})


def _distances(
    of: str, features: Sequence[NDArray[np.float64]], patients: Sequence[NDArray[np.int64]], seed: int
) -> Iterator[tuple[object, ...]]:
    """Yield the rows of distances: of drawn to training and held-out features, and of these to each other."""
    looked_at = [slice(None, None, -(-len(some) // LOOKED_AT)) for some in features]
    sets = [(some[rows], own[rows]) for some, own, rows in zip(features, patients, looked_at, strict=True)]
    n = min(AT_ONCE, *(len(some) for some, _ in sets))
    if n < 2:
        return
    drawn, training, held_out = sets
    for against, real, other in ((TRAINING, training, held_out), (HELD_OUT, held_out, training)):
        reference = Reference(*real)
        found, floor = (
            over_draws(Comparison(some, reference, own).of, len(some), n, seed) for some, own in (drawn, other)
        )
        yield from _rows(of, against, found, {measure: of_floor.value for measure, of_floor in floor.items()}, n)


def _by_set(of: str, tables: Sequence[pd.DataFrame], seed: int) -> Iterator[tuple[object, ...]]:
    """Yield the rows of what each pair has by itself: of drawn, training and held-out ones."""
    drawn, training, held_out = tables
    for against, real in ((TRAINING, training), (HELD_OUT, held_out)):
        n = min(AT_ONCE, len(drawn), len(held_out))
        yield from _rows(of, against, means_over_draws(drawn, n, seed), real.mean(), n)


def _beside(of: str, drawn: pd.DataFrame, held_out: pd.DataFrame, seed: int) -> Iterator[tuple[object, ...]]:
    """Yield the rows of what each image has in common with the training images: of drawn and of held-out ones."""
    n = min(AT_ONCE, len(drawn), len(held_out))
    yield from _rows(of, TRAINING, means_over_draws(drawn, n, seed), held_out.mean(), n)


def _rows(
    of: str, against: str, found: Mapping[str, Measured], floor: Mapping[str, float] | pd.Series, n: int
) -> Iterator[tuple[object, ...]]:
    for measure, own in found.items():
        yield of, against, measure, *own, floor.get(measure, np.nan), n
