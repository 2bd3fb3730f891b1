"""The settings of a study of one's own, derived from its data and a budget; each value with its reason.

All are functions of numbers. Nothing is derived in a run: `pig plan` writes what is found here into a file.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from pig.data.survey import SIDES, Survey
from pig.system.errors import UserError

WIDE = 6  # pixels that nine of ten lesions are wide at least, where that can be afforded
A_FEW = 3  # patients with a lesion that each fold has, where there are so many; and 2 at least
SQUARE = 0.9  # share of the pictures that are nearly square, from which on they are stretched
LEVEL = 8  # pixels: networks halve a side until it is no larger
NARROW, MIDDLE, BROAD = 32, 48, 64  # channels of the first level of a network, of those between, and of the last
ATTENDS = 16  # pixels of a side to which a network attends at most

# At 200 steps, with two seeds, the segmentation told real pairs of new patients from wrong ones, from none, and from
# strong augmentation; at 160, with half a decoder, not all of these. The generators of the default study are trained
# for 600 steps; of fewer nothing is known (docs/results/instrument.md).
SEGMENTATION_STEPS, STEPS, ADVERSARIAL_STEPS = 200, 600, 120
FACTORS = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0)  # of those, as the budget allows
EPOCHS = 128  # the paper's; a generator that sees its pairs more often is the likelier to repeat them
SEGMENTATION_FACTOR = 4.0  # at most; of more steps for so few pairs nothing is known
BATCH = 8
PIXELS = 64 * 64**2  # that are drawn at once

OF_PIXELS = ("pig", "ddpm", "segguided")
OF_LATENTS = ("ldm", "ldm_base")
TRAINED = (*OF_PIXELS, "autoencoder", *OF_LATENTS, "controlnet")
DRAWN = ("pig", "ddim", "ldm", "controlnet", "segguided")
COMPARED = ("ldm", "segguided", "controlnet")


class Budget(NamedTuple):
    """Hours that a study may take on this machine, and steps of sampling."""

    name: str
    hours: float
    sampling: int


BUDGETS = {"quick": Budget("quick", 1.0, 6), "normal": Budget("normal", 10.0, 8)}


class Derived(NamedTuple):
    """A value, where it belongs in the configuration, and why it is this one."""

    key: str
    value: Any
    reason: str


def wanted_size(data: Survey) -> tuple[int, str]:
    """Return the size at which networks see most lesions, and why; what a budget affords may be less."""
    own = max(data.side // 16 * 16, SIDES[0])
    for side in SIDES:
        if side * data.lesion >= WIDE:
            break
    share = f"a tenth of the lesions are narrower than {data.lesion:.1%} of the picture"
    if side > own:
        return own, f"the pictures' own size, {data.side} pixels; {share}, which is {own * data.lesion:.1f} pixels"
    if side * data.lesion < WIDE:
        return side, f"the largest that is planned; {share}, which is {side * data.lesion:.1f} pixels"
    return side, f"{share}, which is {side * data.lesion:.1f} pixels; {WIDE} are enough"


def image_size(data: Survey, affordable: int | None = None) -> tuple[int, str]:
    """Return the size at which a study works, and why.

    Args:
        data: what is studied.
        affordable: the largest that the budget allows; None: any.

    Raises:
        UserError: a lesion is too small for all sizes.
    """
    if data.visible is None:
        raise UserError(
            f"a lesion covers half of no pixel at {SIDES[-1]} x {SIDES[-1]} pixels, the largest size that is planned; "
            "leave such pairs out, or write image_size and what depends on it yourself (workflow/configs/paper.yaml)."
        )
    size, reason = wanted_size(data)
    if affordable is not None and affordable < size:
        size = max(affordable, SIDES[0])
        reason = (
            f"what the budget affords; a tenth of the lesions are narrower than {size * data.lesion:.1f} pixels there"
        )
    if size < data.visible:
        return data.visible, "the smallest at which every lesion covers half a pixel"
    return size, reason


def folds(data: Survey) -> tuple[int, str]:
    """Return into how many folds the patients are dealt, and why.

    Raises:
        UserError: there are too few patients with a lesion.
    """
    for count in sorted(data.tested, reverse=True):
        if data.tested[count] >= A_FEW:
            return count, f"each fold has {data.tested[count]} patients with a lesion or more, of {data.patients}"
    if data.tested.get(2, 0) >= 2:
        return 2, f"each fold has 2 patients with a lesion, of {data.patients}: too few for more folds"
    raise UserError(
        f"the data have {data.patients} patients, of whom one of two folds would have "
        f"{data.tested.get(2, 0)} with a lesion; a study needs 2 in each. Add patients, or choose another folds.seed."
    )


def levels(side: int) -> list[int]:
    """Return the sides of the levels of a network on so many pixels."""
    found = [side]
    while found[-1] > LEVEL and found[-1] % 2 == 0:
        found.append(found[-1] // 2)
    return found


def network(side: int) -> dict[str, list[Any]]:
    """Return channels and attention of the levels of a network on so many pixels; the last one attends, if small."""
    sides = levels(side)
    attends = [False] * (len(sides) - 1) + [sides[-1] <= ATTENDS]
    between = [MIDDLE] * (len(sides) - 2)
    return {"channels": [NARROW, *between, BROAD][: len(sides)], "attention": attends}


def encoder_depth(size: int) -> int:
    """Return the levels of the segmentation's encoder: the pixels of its last are 6 or more."""
    return next((depth for depth in (5, 4) if size % 2**depth == 0 and size >> depth >= 6), 3)


def learnt_pairs(data: Survey, count: int) -> int:
    """Return about how many pairs are learnt from when one of so many folds is tested."""
    return data.pairs * (count - 1) // count


def added_pairs(data: Survey, count: int) -> int:
    """Return how many pairs an arm adds: as many as a fold has real ones to learn from, as a power of two."""
    return int(min(max(2 ** round(math.log2(max(learnt_pairs(data, count), 1))), 16), 2048))


def factors(data: Survey, count: int, batch: int) -> list[float]:
    """Return by how much trainings of generators may be longer than the shortest ones: by 1, and within ``EPOCHS``."""
    most = EPOCHS * learnt_pairs(data, count) / (STEPS * batch)
    return [1.0, *(factor for factor in FACTORS if 1 < factor <= most)]


def drawn_at_once(size: int) -> int:
    """Return the pairs of a batch in drawing: a power of two, 64 at 64 pixels."""
    return int(min(max(2 ** ((PIXELS // size**2).bit_length() - 1), 4), 64))


def colour(data: Survey, breast: bool) -> tuple[str, str]:
    """Return what is done with colours, and why; with preprocessing.anatomy breast they are not kept."""
    if not data.coloured:
        return "refuse", "no picture has colours"
    if breast:
        return "luminance", f"{data.coloured} of {data.pairs} pictures have colours, and mammograms are grey"
    if 2 * data.coloured < data.pairs:
        return "luminance", f"{data.coloured} of {data.pairs} pictures have colours: taken for marks on grey ones"
    if data.deep:
        return "luminance", f"{data.coloured} pictures have colours, and {data.deep} are grey of 16 bits"
    return "keep", f"{data.coloured} of {data.pairs} pictures have colours"


def derive(
    data: Survey,
    budget: Budget,
    own: Mapping[str, Any],
    affordable: int | None = None,
    factor: float = 1.0,
    batch: int = BATCH,
) -> Iterator[Derived]:
    """Yield all that is derived, in the order of the configuration.

    Args:
        data: what is studied.
        budget: the time that there is.
        own: what the user has set; what depends on image_size and folds.count follows that.
        affordable: see :func:`image_size`.
        factor: of :data:`FACTORS`, by which trainings are longer than the shortest that make sense.
        batch: pairs of a step.

    Raises:
        UserError: no study can be made of the data.
    """
    size, why_size = (own["image_size"], "") if "image_size" in own else image_size(data, affordable)
    count, why_folds = (own["folds"]["count"], "") if "count" in own.get("folds", {}) else folds(data)
    steps, more = round(STEPS * factor), f"{factor:g} times the {STEPS} of the default study, as budget and pairs allow"
    most = min(factor, SEGMENTATION_FACTOR)
    pairs = added_pairs(data, count)

    yield Derived("image_size", size, why_size)
    yield Derived("preprocessing.size", size, "image_size, so that each picture is resized once")
    stretch = data.square >= SQUARE
    yield Derived(
        "preprocessing.aspect",
        "stretch" if stretch else "pad",
        f"{data.square:.0%} of the pictures are nearly square" + ("" if stretch else ": proportions are kept"),
    )
    yield Derived("preprocessing.colour", *colour(data, own.get("preprocessing", {}).get("anatomy") == "breast"))
    if data.empty:
        yield Derived("preprocessing.empty_masks", "keep", f"{data.empty} of {data.pairs} pairs have no lesion")
    yield Derived("folds.count", count, why_folds)

    shortest = "the shortest that was measured (docs/results/instrument.md)" if factor == 1 else more
    for name in TRAINED:
        first, model = name == "pig", f"generators.{name}.model"
        if name in OF_PIXELS:
            sides = levels(size // 2)
            why = f"pixels folded 2 x 2, then halved to {sides[-1]}; attention there alone"
            yield Derived(f"{model}.network", network(size // 2), why if first else "as PIG's")
        elif name in OF_LATENTS:
            yield Derived(f"{model}.network", network(size // 4), f"on latents of {size // 4} pixels")
        if name != "autoencoder":
            yield Derived(f"{model}.training.batch_size", batch, _of_batch(batch) if first else "as PIG's")
        yield Derived(f"{model}.training.steps", steps, shortest if first else "as PIG's")
        if name == "autoencoder":
            adversarial = round(ADVERSARIAL_STEPS * factor)
            yield Derived(f"{model}.adversarial.steps", adversarial, "a fifth of the steps before")
        if name in DRAWN:
            yield from _sampling(name, budget)
    yield from _sampling("ddim", budget)

    yield Derived("synthesis.shard_size", pairs, "the pairs of an arm: all shards are full, or shared by arms")
    yield Derived("synthesis.batch_size", drawn_at_once(size), f"{size} pixels; memory is that of 64 at 64 pixels")
    depth = encoder_depth(size)
    yield Derived("segmentation.encoder_depth", depth, f"of 5; its last level has {size >> depth} pixels a side")
    yield Derived("segmentation.training.batch_size", batch, "as the generators'")
    shortest = "as of the default study, which tells its oracle and wrong masks (docs/results/instrument.md)"
    longer = f"{most:g} times the {SEGMENTATION_STEPS} of the default study"
    yield Derived("segmentation.training.steps", round(SEGMENTATION_STEPS * most), shortest if most == 1 else longer)
    yield Derived("table1.count", pairs, "as many as an arm of table 2 adds")
    learnt = learnt_pairs(data, count)
    arms = [{"generator": name, "count": pairs} for name in COMPARED]
    arms += [{"generator": "pig", "count": many} for many in (pairs // 2, pairs, 2 * pairs)]
    yield Derived(
        "table2.arms", arms, f"about the {learnt} real pairs that a fold learns from, and for PIG half and twice"
    )
    controls = [
        {"generator": "pig", "count": pairs, "shuffle_masks": True},
        {"augmentation": "strong"},
        {"source": "copy_paste", "count": pairs},
        {"real": 0.5},
    ]
    reason = "as in the default study; and half of the patients, whom a study that can tell must miss"
    yield Derived("table2.controls", controls, reason)


def _of_batch(batch: int) -> str:
    return "as in the default study" if batch == BATCH else "as many as fit into memory, with a job on each core"


def _sampling(name: str, budget: Budget) -> Iterator[Derived]:
    reason = "few calls suffice (docs/few-steps.md)" if name == "pig" else "as PIG's"
    yield Derived(f"generators.{name}.sampling.steps", budget.sampling, reason)
