"""A segmentation beside the same one made again: are they the same, and what else is not?"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pig.evaluation.overlap import COUNTS, overlap_scores
from pig.evaluation.segmentation import TESTED
from pig.report.slices import read_slices


def compare(before: Path, again: Path) -> tuple[bool, str]:
    """Compare the counts of pixels and the weights of two segmentations of one fold and seed.

    Args:
        before: folder that ``pig segment`` has written.
        again: that of the same segmentation, made again.

    Returns:
        Whether all counts, and so all scores, are the same; and a sentence that says so of them and of the weights.

    Raises:
        UserError: a table of counts cannot be read.
    """
    far, counted = list[str](), list[str]()
    for name, whose in TESTED.items():
        if not (before / name).is_file():
            continue
        one, other = (read_slices([folder / name]).set_index("slice") for folder in (before, again))
        counted.append(f"{len(one)} slices {whose}")
        if not one[list(COUNTS)].equals(other[list(COUNTS)]):
            dice, dice_again = (100 * overlap_scores(rows).dice for rows in (one, other))
            apart = (dice_again - dice).abs()
            far.append(
                f"the Dice of a slice {whose} differs by up to {apart.max():.3g} points (slice {apart.idxmax()}), "
                f"their mean by {abs(dice_again.mean() - dice.mean()):.3g} points ({dice.mean():.2f} in the record, "
                f"{dice_again.mean():.2f} now)"
            )
    weights = [folder / "model.safetensors" for folder in (before, again)]
    same_weights = weights[0].read_bytes() == weights[1].read_bytes()
    of_weights = "" if same_weights else f"a weight differs by up to {_farthest(*weights):.3g}"
    if far:
        return False, "not the same: " + "; ".join([*far, of_weights or "the weights are the same"])
    counts = " and ".join(counted)
    if same_weights:
        return True, f"the same, bit for bit: the weights, and the counts of {counts}"
    return True, f"the same scores, from the same counts of {counts}; {of_weights}"


def _farthest(one: Path, other: Path) -> float:
    """Return the largest difference of a weight, in the unit of the weights."""
    from safetensors.torch import load_file

    weights, again = load_file(one), load_file(other)
    return max(float((weights[name].double() - again[name].double()).abs().max()) for name in weights)


def differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is not as in a record: machine, threads, precision, versions, code.

    Args:
        then: the record.
        now: ``code`` and :func:`pig.system.run_record.surroundings` of the present.
    """
    for key, name in (("device", "the device"), ("threads", "threads"), ("precision", "the precision of training")):
        if then[key] != now[key]:
            yield f"{name}: {then[key]} in the record, {now[key]} here"
    for package in sorted({*then["versions"], *now["versions"]}):
        versions = [of["versions"].get(package, "unknown") for of in (then, now)]
        if versions[0] != versions[1]:
            yield f"{package}: {versions[0]} in the record, {versions[1]} here"
    if then["code"] != now["code"]:
        yield "the code of the segmentation is another one"
