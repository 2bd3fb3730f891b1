"""Make a segmentation again from its record, and say whether it comes out the same."""

import logging
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from pig.evaluation.segmentation import CODE
from pig.report.reproduced import compare, differences
from pig.steps.segment import digest, segment
from pig.system.errors import UserError
from pig.system.files import read_sealed, sha256
from pig.system.run_record import surroundings
from pig.system.source import source_hash

logger = logging.getLogger("pig")


def reproduce(*, folder: Path) -> None:
    """Train and test in a temporary folder with the settings and inputs of the record, and print what came out.

    Args:
        folder: that ``pig segment`` has written; its inputs must still be there.

    Raises:
        UserError: the record, a result or an input was changed or is missing; or the scores are not the same.
    """
    record = _record(folder)
    options, inputs = record["step"]["options"], _inputs(folder, record["step"]["inputs"])
    torch.set_num_threads(record["threads"])
    elsewhere = [*differences(record, surroundings() | {"code": source_hash(CODE)})]
    for difference in elsewhere:
        logger.info("%s", difference)
    with TemporaryDirectory() as temporary:
        again = Path(temporary, "again")
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
            work=Path(temporary, "work"),
            out=again,
        )
        same, sentence = compare(folder, again)
    said = f"{folder} is {sentence}. " + (
        f"Not as in the record: {'; '.join(elsewhere)}."
        if elsewhere
        else "Device, threads, precision, versions and code are those of the record."
    )
    if not same:
        raise UserError(said)
    print(said)


def _record(folder: Path) -> dict[str, Any]:
    """Return the record of a segmentation whose files are those that it names."""
    record = read_sealed(folder / "record.json", "run its segmentation again.")
    if not record.get("step"):
        raise UserError(
            f"{folder / 'record.json'} does not say how the segmentation was asked for, as that of an older version; "
            "run 'pig segment' again."
        )
    written = record["tables"] | {"model.safetensors": record["sha256"]}
    if changed := [name for name in written if not (folder / name).is_file() or sha256(folder / name) != written[name]]:
        raise UserError(
            f"{folder}: {', '.join(changed)} is not as it was written; there is nothing to compare with. Run its "
            "segmentation again."
        )
    return record


def _inputs(folder: Path, digests: Mapping[str, str]) -> dict[str, Path]:
    """Return where the inputs of a record lie now, by their names there.

    A relative path began at the working directory of the study, which is a folder above the segmentation, or, if the
    segmentation was copied elsewhere, the present one.
    """
    found, faults = dict[str, Path](), list[str]()
    for name, expected in digests.items():
        places = [above / name for above in (*folder.resolve().parents, Path())]
        path = next((place for place in places if place.exists()), None)
        if path is None:
            faults.append(f"{name} does not exist")
            continue
        found[name] = path
        try:
            if digest(path) != expected:
                faults.append(f"{path} is not what the segmentation was made from: its SHA-256 is another one")
        except UserError as error:
            faults.append(str(error))
    if faults:
        heading = f"the inputs of {folder} have changed, so that it cannot be made again:"
        raise UserError("\n  ".join([heading, *faults]))
    return found
