"""Pairs from a trained generator, drawn shard by shard, and what a shard records; ``pig.data.shards`` reads them."""

import json
import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pig.data.all_pairs import all_pairs
from pig.data.digests import digests
from pig.data.folds import read_folds, split
from pig.data.given_masks import jittered, of_shards, of_training_pairs
from pig.data.looks import beside_real, unlike
from pig.data.shards import refuse_leak
from pig.data.store import Store, to_uint16
from pig.methods.base import check_pairs
from pig.methods.model_folder import DESCRIPTION, classes_in, load_generator, own_sampling, read_description
from pig.system.errors import UserError
from pig.system.files import atomic_path
from pig.system.progress import track
from pig.system.run_record import run_record
from pig.system.source import module_of, source_hash

logger = logging.getLogger("pig")


def synthesise(
    *,
    model: Path,
    name: str,
    cls: str,
    sampling: Mapping[str, Any] | None,
    seed: int,
    store: Path,
    folds: Path,
    first: int,
    last: int,
    batch_size: int,
    masks_of: Sequence[Path] = (),
    jitter_masks: bool = False,
    leaky: bool = False,
    out: Path,
) -> None:
    """Draw the pairs of the global indices ``first <= i < last`` and write them as one shard.

    Batches lie on a grid of ``batch_size`` from index 0, whatever the shard, so that a pair is the same in every
    division into shards. A conditional generator gets masks of the fold's training patients, in turn, in an order
    that depends on seed and fold alone: the same masks for each such generator. With ``jitter_masks`` each of them is
    moved at random; with ``masks_of``, shards of another generator, pair i gets the mask of that one's pair i
    (:mod:`pig.data.given_masks`). ``sampling`` None stands for what the model records, as in
    :func:`pig.methods.model_folder.load_generator`. ``leaky``: this is a leaky control; its model, or what draws its
    masks, was trained as such, and the shard says so.

    Raises:
        UserError: the model, or what draws its masks, is not whole, is of other data, or saw a test patient of its
            fold and is no leaky control; neither is one, and this is to be one; it draws no proper pairs; or masks are
            given that it does not take.
    """
    if not 0 <= first < last:
        raise UserError(f"a shard needs 0 <= first < last, got {first} and {last}.")
    if masks_of and jitter_masks:
        raise UserError("--masks-of and --jitter-masks exclude each other; give one of them.")
    description = read_description(model)
    opened = Store.open(store)
    if description["data"] != opened.fingerprint:
        raise UserError(f"model {model} was trained on other data than those of {store}; train it on these first.")
    fold = description["fold"]
    train_pairs, test_pairs = split(opened, read_folds(folds), fold)
    if leaky and description.get("leaky"):
        train_pairs = all_pairs(opened)
    else:
        refuse_leak(description["patients"], test_pairs.patients, f"model {model}")
    sampling = own_sampling(description, cls) if sampling is None else sampling
    generator = load_generator(model, sampling, cls, name, seed)
    started = time.monotonic()  # all that is slow to import is in
    if generator.takes_masks:
        train_pairs = train_pairs.at(generator.image_size)
        given = of_training_pairs(train_pairs, seed, fold)
    elif masks_of or jitter_masks:
        raise UserError(f"model {model} takes no masks to draw from; leave out --masks-of and --jitter-masks.")
    masks_from, source = "training" if generator.takes_masks else "model", dict[str, Any]()
    if jitter_masks:
        given, masks_from = jittered(given, seed, fold), "jittered"
    if masks_of:
        given, source = of_shards(masks_of, first, last, generator.image_size)
        _check_source(source, description, [] if leaky and source.get("leaky") else test_pairs.patients)
        masks_from = "generator"
    if leaky and not (description.get("leaky") or source.get("leaky")):
        raise UserError(f"--leaky is given, and model {model} was not trained as a leaky control; leave it out.")

    images, masks = [], []
    starts = range(first - first % batch_size, last, batch_size)
    for start in track(starts, f"{name} {first}..{last}", len(starts), size=batch_size):
        indices = range(start, start + batch_size)
        pairs = generator.sample(indices, given(indices) if generator.takes_masks else None)
        check_pairs(pairs, generator, batch_size, opened.channels)
        wanted = slice(max(first - start, 0), last - start)
        images.append(to_uint16(pairs.images[wanted].squeeze(1).detach().float().cpu()))  # grey has no axis of channels
        if pairs.masks is not None:
            masks.append(pairs.masks[wanted, 0].bool().cpu().numpy().astype(np.uint8))

    empty = sum(int((~m.any((1, 2))).sum()) for m in masks)
    if empty:
        logger.warning("%d of %d masks of %s are empty; they are kept, as drawn.", empty, last - first, name)
    arrays: dict[str, NDArray[Any]] = {"images": np.concatenate(images)}
    if masks:
        arrays["masks"] = np.concatenate(masks)
    looks = beside_real(arrays["images"], arrays.get("masks"), train_pairs)
    if odd := unlike(looks):
        logger.warning(
            "what %s draws looks like the pairs of no training patient: %s (theirs are in brackets). Look at its "
            "gallery, and train it for longer or at another rate.",
            name, "; ".join(odd.values()),
        )  # fmt: skip
    classes = sorted({cls, *classes_in(model)})
    provenance = {
        "generator": name,
        "class": cls,
        "fold": description["fold"],
        "seed": seed,
        "first": first,
        "last": last,
        "patients": sorted({*description["patients"], *source.get("patients", ())}),
        "data": description["data"],
        "masks_from": masks_from if masks else None,
        "empty_masks": empty,
        "looks": looks,
        "sampling": dict(sampling),
        "model_files": description["files"],
        "step": {
            "options": {
                "model": str(model / DESCRIPTION),
                "store": str(store),
                "folds": str(folds),
                "batch_size": batch_size,
                "masks_of": [str(path) for path in masks_of],
                "jitter_masks": jitter_masks,
            },
            "inputs": digests(store, folds, model / DESCRIPTION, *masks_of),
            "classes": classes,
        },
        "record": run_record(
            started, code=source_hash("pig.steps.synthesise", *map(module_of, classes)), images=last - first
        ),
    }
    if source:
        provenance["masks_of"] = {key: source[key] for key in ("generator", "class", "seed", "sampling", "model_files")}
    if leaky:
        provenance["leaky"] = True
    arrays |= {"first": np.array(first), "provenance": np.array(json.dumps(provenance))}
    with atomic_path(out) as temporary:
        np.savez_compressed(temporary, **arrays)  # type: ignore[arg-type]


def _check_source(source: Mapping[str, Any], description: Mapping[str, Any], tested: Sequence[str]) -> None:
    """Raise a UserError unless the pairs whose masks are given are of the model's fold and data, and leak nothing."""
    name, fold = f"generator '{source['generator']}', whose masks are given,", description["fold"]
    if source["fold"] != fold:
        raise UserError(f"{name} is of fold {source['fold']}, and the model of fold {fold}; give those of that fold.")
    if source["data"] != description["data"]:
        raise UserError(f"{name} learnt from other data than the model; train it on these, and draw its pairs again.")
    refuse_leak(source["patients"], tested, name)
