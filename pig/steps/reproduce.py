"""Make a segmentation, a model or a shard again from its record, and say whether it comes out the same."""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import torch

from pig.data.digests import digest
from pig.data.shards import read_provenance
from pig.evaluation.segmentation import CODE
from pig.methods.model_folder import DESCRIPTION, read_description
from pig.report.reproduced import compare_models, compare_segmentations, compare_shards, differences
from pig.steps.fit import fit
from pig.steps.segment import segment
from pig.steps.synthesise import synthesise
from pig.system.errors import UserError
from pig.system.files import read_sealed, sha256
from pig.system.run_record import surroundings
from pig.system.source import module_of, source_hash

logger = logging.getLogger("pig")


Make = Callable[[Mapping[str, Path], Path, Path], None]  # (where the inputs lie now, by their names; work; out)
Compare = Callable[[Path, Path], tuple[bool, str]]  # (before, again) -> whether they are the same, and a sentence


class Result(NamedTuple):
    """What was found at a path, and how it is made again.

    Attributes:
        what: it is, for messages.
        record: of the run that made it, with the hash of its code.
        step: how it was asked for; None if it does not say.
        code: the hash of the present code.
        make: makes it again.
        compare: holds both against each other.
    """

    what: str
    record: Mapping[str, Any]
    step: Mapping[str, Any] | None
    code: str
    make: Make
    compare: Compare


def reproduce(*, path: Path) -> None:
    """Make what lies at a path again in a temporary folder, from the settings and inputs of its record.

    Args:
        path: folder that ``pig segment`` or ``pig fit`` has written, or a shard of ``pig synthesise``; what it was made
            from must still be there.

    Raises:
        UserError: the record, the result or an input was changed or is missing; or another result comes out.
    """
    kind = _shard if path.suffix == ".npz" else _model if (path / DESCRIPTION).exists() else _segmentation
    result = kind(path)
    if not result.step:
        raise UserError(
            f"{path} does not say how the {result.what} was asked for, as that of an older version; make it again."
        )
    inputs = _inputs(path, result.step["inputs"], result.what)
    torch.set_num_threads(result.record["threads"])
    elsewhere = [*differences(result.record, surroundings() | {"code": result.code})]
    for difference in elsewhere:
        logger.info("%s", difference)
    with TemporaryDirectory() as temporary:
        again = Path(temporary, "again" + path.suffix)
        result.make(inputs, Path(temporary, "work"), again)
        same, sentence = result.compare(path, again)
    said = f"{path} is {sentence}. " + (
        f"Not as in the record: {'; '.join(elsewhere)}."
        if elsewhere
        else "Device, threads, precision, versions and code are those of the record."
    )
    if not same:
        raise UserError(said)
    print(said)


def _segmentation(folder: Path) -> Result:
    """Return a segmentation whose files are those that its record names."""
    record = read_sealed(folder / "record.json", "run its segmentation again.")
    if record.get("engine") == "nnunet":
        raise UserError(f"{folder} is of nnU-Net; what `pig segment`, `pig fit` and `pig synthesise` made is compared.")
    written = record["tables"] | {"model.safetensors": record["sha256"]}
    if changed := [name for name in written if not (folder / name).is_file() or sha256(folder / name) != written[name]]:
        raise UserError(
            f"{folder}: {', '.join(changed)} is not as it was written; there is nothing to compare with. Run its "
            "segmentation again."
        )

    def make(inputs: Mapping[str, Path], work: Path, out: Path) -> None:
        segment_again(record, inputs, work, out)

    return Result("segmentation", record, record.get("step"), source_hash(CODE), make, compare_segmentations)


def segment_again(record: Mapping[str, Any], inputs: Mapping[str, Path], work: Path, out: Path) -> None:
    """Train and test a segmentation as its record says.

    Args:
        record: of ``pig segment``.
        inputs: where its inputs lie now, by their names there.
        work: folder of rolling checkpoints.
        out: the folder.
    """
    options = record["step"]["options"]
    segment(
        store=inputs[options["store"]],
        folds=inputs[options["folds"]],
        fold=record["fold"],
        seed=record["seed"],
        settings=record["settings"],
        synthetic=[inputs[path] for path in options["synthetic"]],
        oracle=inputs.get(options["oracle"]),
        source=options["source"],
        count=options["count"],
        shuffle_masks=options["shuffle_masks"],
        real=options["real"],
        leaky=options.get("leaky", False),  # of a record from before there were leaky controls
        test=inputs.get(options["test"]),
        work=work,
        out=out,
    )


def _model(folder: Path) -> Result:
    described = read_description(folder)
    step = described.get("step")

    def make(inputs: Mapping[str, Path], work: Path, out: Path) -> None:
        options = described["step"]["options"]
        fit(
            store=inputs[options["store"]],
            folds=inputs[options["folds"]],
            fold=described["fold"],
            name=described["name"],
            cls=described["class"],
            model=described["model"],
            sampling=described["sampling"],
            seed=described["seed"],
            needs=[(role, inputs[file].parent) for role, file in options["needs"].items()],
            leaky=described["leaky"],
            work=work,
            out=out,
        )

    return Result("model", described["record"], step, _code("fit", step), make, compare_models)


def _shard(file: Path) -> Result:
    said = read_provenance(file)
    step = said.get("step")

    def make(inputs: Mapping[str, Path], work: Path, out: Path) -> None:
        options = said["step"]["options"]
        synthesise(
            model=inputs[options["model"]].parent,
            name=said["generator"],
            cls=said["class"],
            sampling=said["sampling"],
            seed=said["seed"],
            store=inputs[options["store"]],
            folds=inputs[options["folds"]],
            first=said["first"],
            last=said["last"],
            batch_size=options["batch_size"],
            masks_of=[inputs[path] for path in options["masks_of"]],
            jitter_masks=options["jitter_masks"],
            leaky=said.get("leaky", False),
            out=out,
        )

    return Result("shard", said["record"], step, _code("synthesise", step), make, compare_shards)


def _code(name: str, step: Mapping[str, Any] | None) -> str:
    """Return the hash of the present code of a step and of the classes that it used."""
    return source_hash(f"pig.steps.{name}", *map(module_of, step["classes"])) if step else ""


def _inputs(path: Path, digests: Mapping[str, str], what: str) -> dict[str, Path]:
    """Return where the inputs of a record lie now, by their names there.

    A relative path began at the working directory of the study, which is a folder above the result, or, if the result
    was copied elsewhere, the present one.
    """
    found, faults = dict[str, Path](), list[str]()
    for name, expected in digests.items():
        places = [above / name for above in (*path.resolve().parents, Path())]
        place = next((place for place in places if place.exists()), None)
        if place is None:
            faults.append(f"{name} does not exist")
            continue
        found[name] = place
        try:
            if digest(place) != expected:
                faults.append(f"{place} is not what the {what} was made from: its SHA-256 is another one")
        except UserError as error:
            faults.append(str(error))
    if faults:
        heading = f"the inputs of {path} have changed, so that it cannot be made again:"
        raise UserError(heading, faults)
    return found
