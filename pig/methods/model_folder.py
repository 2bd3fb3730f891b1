"""The folder of a trained model: weights as safetensors, its parts, and ``generator.json``, which says what it is."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from pig.methods.base import Generator, Identity, with_channels
from pig.methods.settings import needs_errors
from pig.system.device import pick_device
from pig.system.errors import UserError
from pig.system.files import read_json, read_sealed, sha256
from pig.system.imports import find_class
from pig.system.settings import refuse

DESCRIPTION = "generator.json"  # written last: a model folder without it is half-written


def read_description(path: str | Path) -> dict[str, Any]:
    """Return what ``generator.json`` of a model folder says, after a check that the folder is whole.

    Raises:
        UserError: the folder is missing, half-written, or a file of it was changed.
    """
    path = Path(path)
    if not (path / DESCRIPTION).exists():
        state = "is only half-written" if path.exists() and any(path.iterdir()) else "is missing or empty"
        raise UserError(f"model folder {path} {state} (no {DESCRIPTION}); delete it and run the training again.")
    again = f"delete {path} and run the training again."
    description = read_sealed(path / DESCRIPTION, again)
    for name, digest in description["files"].items():
        if not (path / name).exists() or sha256(path / name) != digest:
            raise UserError(f"{path / name} is missing or damaged; {again}")
    return description


def classes_in(part: Path) -> list[str]:
    """Return the import paths of the classes in the model folder of a part: its own and those of its parts."""
    return sorted(read_json(file)["class"] for file in part.rglob(DESCRIPTION))


def load_generator(
    path: str | Path,
    sampling: Mapping[str, Any] | None = None,
    cls: str | None = None,
    name: str | None = None,
    seed: int | None = None,
) -> Generator:
    """Return the trained generator of a model folder.

    Args:
        path: the folder, as ``results/models/pig/fold0``.
        sampling: settings of sampling, all of them: what is not given has the default of the class. None: those that
            the model folder records, or with another ``cls`` the defaults of that class.
        cls: import path of another class that samples from the same weights, as DDIM does from DDPM's.
        name: under which its noise is drawn; by default that of the model.
        seed: of the noise; by default that of the training.

    Raises:
        UserError: the folder is not a whole model, or its class does not import.
    """
    description = read_description(path)
    generator: Generator = find_class(cls or description["class"]).load(
        Path(path), _model(description), own_sampling(description, cls) if sampling is None else sampling
    )
    generator.identity = Identity(
        name or description["name"], description["fold"], description["seed"] if seed is None else seed
    )
    return generator


def own_sampling(description: Mapping[str, Any], cls: str | None = None) -> dict[str, Any]:
    """Return the settings of sampling that a model folder records, or none if another class draws from it.

    Model folders written before they recorded any have none.
    """
    own: dict[str, Any] = description.get("sampling", {})
    return own if cls in (None, description["class"]) else {}


def save_weights(path: Path, **modules: nn.Module) -> None:
    """Write each module as ``<name>.safetensors`` into the folder ``path``."""
    from safetensors.torch import save_file

    for name, module in modules.items():
        state = {key: value.detach().cpu().contiguous() for key, value in module.state_dict().items()}
        save_file(state, path / f"{name}.safetensors")


def load_weights(path: Path, **modules: nn.Module) -> None:
    """Read what :func:`save_weights` wrote, and make each module ready for use on the device at hand.

    Raises:
        UserError: a file is missing or does not fit the module.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    for name, module in modules.items():
        file = path / f"{name}.safetensors"
        try:
            module.load_state_dict(load_file(file))
        except (OSError, SafetensorError, RuntimeError) as error:
            message = str(error).splitlines()[0]
            raise UserError(f"{file} cannot be read as this model ({message}); train it again.") from error
        module.to(pick_device()).eval().requires_grad_(False)


def load_part(path: Path) -> Any:
    """Return a trained part - an autoencoder, a base - from its model folder, with the sampling recorded there."""
    description = read_description(path)
    return find_class(description["class"]).load(path, _model(description), own_sampling(description))


def _model(description: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the settings of a trained model; model folders written before there were colours are of grey images."""
    return with_channels(description["model"], description.get("image_channels", 1))


def copy_part(part: Path, path: Path) -> None:
    """Copy the model folder of a part into that of the model that needs it, so that this one stands alone."""
    shutil.copytree(part, path, ignore=shutil.ignore_patterns(".snakemake*"))


def check_needs(wanted: Mapping[str, str], needs: Mapping[str, Path]) -> None:
    """Raise a UserError unless the trained parts are those that a method wants.

    Args:
        wanted: import path of the class of each part, by its role.
        needs: model folders of the parts, by their roles.
    """
    given = {role: read_description(path)["class"] for role, path in needs.items()}
    refuse(needs_errors(wanted, given, lambda cls, other: issubclass(find_class(cls), find_class(other))))
