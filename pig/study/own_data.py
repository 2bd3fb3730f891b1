"""What a configuration says of data and files of one's own: whether it fits together, and whether they are there."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pig.study.arms import studies_phantom
from pig.study.populations import population_errors
from pig.system.errors import UserError
from pig.system.settings import SettingsError

Config = Mapping[str, Any]


def data_errors(config: Config) -> Iterator[str]:
    """Yield what is wrong between the keys of ``dataset``, and with names of files."""
    dataset = config["dataset"]
    manifest, layout, salt = dataset["manifest"], dataset["import"], dataset["salt"]
    if manifest is not None and layout is not None:
        yield "dataset.manifest and dataset.import are both set; set one of them to null."
    if salt is not None and manifest is layout is None:
        yield "dataset.salt is of no use with the phantom, which has no patients to hide; set it to null."
    if salt is not None and Path(salt).parts[:1] == ("results",):
        yield "dataset.salt lies in results, and would undo the pseudonyms there; keep it elsewhere."
    if salt is not None and manifest is not None and "://" in manifest:
        yield (
            f"dataset.salt cannot be used with the manifest '{manifest}', since nothing is imported from a storage; "
            "copy the data to this machine, or set salt to null."
        )
    if studies_phantom(dataset):
        yield from population_errors(dataset)
    if layout is not None:
        yield from _layout_errors(layout)
    yield from _feature_errors(config["table1"])
    for where, file in _inputs(config):
        if _has_braces(file):
            yield f"{where}: '{file}' has braces, which Snakemake takes for wildcards; rename the file or its folder."


def missing_files(config: Config) -> Iterator[str]:
    """Yield which files that a configuration names are not there; those in a storage Snakemake looks for."""
    for where, file in _inputs(config):
        if _has_braces(file):
            continue
        if where == "dataset.import.root":
            if not Path(file).exists():
                yield f"{where}: nothing is at '{file}' (seen from the working directory)."
        elif "://" not in file and not Path(file).is_file():
            yield f"{where}: there is no file '{file}' (a relative path starts at the working directory)."


def _inputs(config: Config) -> Iterator[tuple[str, str]]:
    """Yield what of one's own is the input of a job, with its key."""
    dataset = config["dataset"]
    if dataset["manifest"] is not None:
        yield "dataset.manifest", dataset["manifest"]
    if dataset["import"] is not None:
        yield "dataset.import.root", dataset["import"]["root"]
    if config["table1"]["feature_weights"] is not None:
        yield "table1.feature_weights", config["table1"]["feature_weights"]


def _feature_errors(table1: Config) -> Iterator[str]:
    """Yield whether a file of weights is missing or too many."""
    features, file = table1["features"], table1["feature_weights"]
    if features == "dinov2" and file is None:
        yield (
            "table1.features is dinov2, which needs a file; set table1.feature_weights to timm's model.safetensors of "
            "vit_small_patch14_dinov2.lvd142m (or base, large)."
        )
    if features in ("encoder", "general") and file is not None:
        yield f"table1.feature_weights is '{file}', and {features} takes no file; set it to null."


def _has_braces(file: str) -> bool:
    return "{" in file or "}" in file


def _layout_errors(layout: Config) -> Iterator[str]:
    """Yield what the reader of a layout would refuse of its settings."""
    from pig.data.readers import read_settings
    from pig.data.readers.volume import Patients

    try:
        settings, _ = read_settings(layout["from"], {key: layout[key] for key in layout if key not in ("from", "root")})
        if hasattr(settings, "patient"):
            Patients(settings.patient, "dataset.import.patient")
    except SettingsError as error:
        for key, sentence in error.errors:
            yield f"{key}: {sentence}"
    except UserError as error:
        yield str(error)
