"""A segmentation, a model or a shard beside the same one made again: are they the same, and what else is not?"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pig.data.shards import read_provenance, read_shards
from pig.evaluation.overlap import COUNTS, overlap_scores
from pig.evaluation.segmentation import TESTED
from pig.methods.model_folder import DESCRIPTION
from pig.report.slices import read_slices

SURROUNDINGS = {
    "device": "the device",
    "instruction_set": "the instruction set",
    "threads": "threads",
    "precision": "the precision of training",
}


def compare_segmentations(before: Path, again: Path) -> tuple[bool, str]:
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


def compare_models(before: Path, again: Path) -> tuple[bool, str]:
    """Compare the files of two model folders, but for ``generator.json``, which holds the time.

    Returns:
        Whether all files are the same; and a sentence that says so, or how far weights are apart.
    """
    names = {
        str(file.relative_to(folder))
        for folder in (before, again)
        for file in folder.rglob("*")
        if file.is_file() and file.name != DESCRIPTION
    }
    far = []
    for name in sorted(names):
        one, other = before / name, again / name
        if not (one.exists() and other.exists()):
            far.append(f"{name} is in one of them alone")
        elif one.read_bytes() != other.read_bytes():
            by = f" in a weight by up to {_farthest(one, other):.3g}" if one.suffix == ".safetensors" else ""
            far.append(f"{name} differs{by}")
    if far:
        return False, "not the same: " + "; ".join(far)
    return True, f"the same, bit for bit: {', '.join(sorted(names))}"


def compare_shards(before: Path, again: Path) -> tuple[bool, str]:
    """Compare the pairs of two shards.

    Returns:
        Whether all pixels are the same; and a sentence that says so, or how many images and masks differ, and by what.

    Raises:
        UserError: a shard is damaged.
    """
    first = read_provenance(before)["first"]
    (one, other), far = [read_shards([path], first=first) for path in (before, again)], []
    count = len(one.images)
    apart = np.abs(one.images.astype(np.int32) - other.images).reshape(count, -1).max(axis=1)
    if apart.any():
        far.append(f"{(apart > 0).sum()} of {count} images differ, by up to {apart.max()} of 65535 grey values")
    if one.masks is not None and other.masks is not None:
        pixels = (one.masks[:] != other.masks[:]).reshape(count, -1).sum(axis=1)
        if pixels.any():
            far.append(f"{(pixels > 0).sum()} of {count} masks differ, by up to {pixels.max()} pixels")
    if far:
        return False, "not the same: " + "; ".join(far)
    return True, f"the same, bit for bit: {count} {'images' if one.masks is None else 'pairs'}"


def _farthest(one: Path, other: Path) -> float:
    """Return the largest difference of a weight, in the unit of the weights."""
    from safetensors.torch import load_file

    weights, again = load_file(one), load_file(other)
    return max(float((weights[name].double() - again[name].double()).abs().max()) for name in weights)


def differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is not as in a record: machine, instruction set, threads, processes, precision, versions, code.

    Args:
        then: the record.
        now: ``code`` and :func:`pig.system.run_record.surroundings` of the present.
    """
    for key, name in SURROUNDINGS.items():
        if (before := then.get(key, "unknown")) != now[key]:
            yield f"{name}: {before} in the record, {now[key]} here"
    if (processes := then.get("processes", 1)) != 1:  # what is made again is made in one
        yield f"processes: {processes} in the record, 1 here"
    for package in sorted({*then["versions"], *now["versions"]}):
        versions = [of["versions"].get(package, "unknown") for of in (then, now)]
        if versions[0] != versions[1]:
            yield f"{package}: {versions[0]} in the record, {versions[1]} here"
    if then["code"] != now["code"]:  # another commit may have the same code, and "-dirty" says little
        commits = [of.get("commit") or "unknown" for of in (then, now)]
        named = f": commit {commits[0]} in the record, {commits[1]} here"
        yield "the code is another one" + named * (commits[0] != commits[1])
