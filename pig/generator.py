"""What PIG, every baseline and a user's own method have in common."""

import hashlib
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, Self

import torch
from torch import Tensor, nn

from pig.data.store import PairDataset
from pig.diffusion.schedule import NoiseSchedule
from pig.errors import UserError
from pig.files import read_sealed
from pig.imports import find_class as find_class
from pig.model_settings import ScheduleSettings, needs_errors, steps_errors
from pig.seeds import NoiseStreams, seed_of
from pig.settings import refuse

DESCRIPTION = "generator.json"  # written last: a model folder without it is half-written


@dataclass
class Pairs:
    """Generated images, float32 [N, 1, H, W] in [-1, 1], and masks, bool [N, 1, H, W], where there are any."""

    images: Tensor
    masks: Tensor | None = None


@dataclass
class RunDirectory:
    """Where and as what a training runs.

    Attributes:
        work: the folder of rolling checkpoints; it goes when the model is finished.
        fold: whose training patients are learnt from.
        seed: of initialisation, data order and noise.
        fingerprint: of settings, data and code; a checkpoint of another one is not resumed.
        needs: folders of the trained parts that the configuration names under ``needs``.
    """

    work: Path
    fold: int
    seed: int
    fingerprint: str = ""
    needs: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True)
class Identity:
    """Which generator of a study this is: a pair's noise depends on it and on the pair's index alone."""

    name: str = "generator"
    fold: int = 0
    seed: int = 0

    def noise(self, stream: str, indices: range, shape: tuple[int, ...], device: torch.device) -> NoiseStreams:
        """Return the noise of the pairs ``indices``, a stream for each."""
        seeds = [seed_of(self.seed, self.name, self.fold, index, stream) for index in indices]
        return NoiseStreams(seeds, shape, device)


class Generator(Protocol):
    """Learns from the pairs of a fold's training patients and draws new ones.

    Built as ``cls(model, sampling)`` from the two sections of the configuration; either may be empty.
    ``identity`` is set by who loads or trains it.
    """

    image_size: int  # pixels of a side of what it draws
    takes_masks: bool  # conditional: needs masks to draw from
    makes_masks: bool  # paired: draws the masks itself
    identity: Identity

    def __init__(self, model: Mapping[str, Any], sampling: Mapping[str, Any]) -> None: ...

    def fit(self, pairs: PairDataset, run: RunDirectory) -> None:
        """Learn from ``pairs``, which come at the size of the store: ``pairs.at(size)`` gives another one."""
        ...

    def sample(self, indices: range, masks: Tensor | None = None) -> Pairs:
        """Draw the pairs of these global indices, from ``masks`` float32 [N, 1, H, W] in {0, 1} if it takes any."""
        ...

    def save(self, path: Path) -> None:
        """Write the weights as safetensors into the folder ``path``."""
        ...

    @classmethod
    def load(cls, path: Path, model: Mapping[str, Any], sampling: Mapping[str, Any]) -> Self:
        """Return the generator whose weights :meth:`save` wrote into ``path``."""
        ...


def build_schedule(settings: ScheduleSettings) -> NoiseSchedule:
    """Return the noise schedule of these settings."""
    make = NoiseSchedule.linear if settings.kind == "linear" else NoiseSchedule.scaled_linear
    return make(settings.timesteps, settings.beta_1, settings.beta_T)


def check_steps(steps: int, schedule: NoiseSchedule) -> None:
    """Raise a UserError unless a sampler can take so many steps of ``schedule``."""
    refuse((f"sampling.{key}", sentence) for key, sentence in steps_errors(steps, schedule.timesteps))


def check_pairs(pairs: Any, generator: Generator, count: int) -> None:
    """Raise a UserError unless ``pairs`` are what ``generator.sample`` has to return for ``count`` indices.

    That is :class:`Pairs` with floating images [count, 1, H, W], H = W = ``image_size``, finite and in [-1, 1]; and
    masks of the same shape on the same device, bool or exactly 0 and 1, if and only if the class takes or makes masks.
    """
    kind = type(generator)
    who = f"{kind.__module__}.{kind.__qualname__}"

    def demand(holds: bool, found: str, wanted: str) -> None:
        if not holds:
            raise UserError(f"{who}: sample() must return {wanted}, and it returned {found}; correct the class.")

    demand(isinstance(pairs, Pairs), f"an object of type {type(pairs).__name__}", "pig.generator.Pairs")
    images, masks = pairs.images, pairs.masks
    shape = [count, 1, generator.image_size, generator.image_size]
    with_masks = generator.takes_masks or generator.makes_masks
    demand(isinstance(images, Tensor), f"images of type {type(images).__name__}", "images as a tensor")
    demand(images.is_floating_point(), f"images of {images.dtype}", "images of a floating dtype, such as float32")
    demand(list(images.shape) == shape, f"images of shape {list(images.shape)}", f"images of shape {shape}")
    bad = int((~images.isfinite()).sum())
    demand(not bad, f"{bad} values that are NaN or infinite", "finite images")
    least, greatest = (float(value) for value in images.detach().aminmax())
    demand(least >= -1 and greatest <= 1, f"images in [{least:.4g}, {greatest:.4g}]", "images in [-1, 1]")
    if not with_masks:
        demand(masks is None, "masks too", "images alone, since neither takes_masks nor makes_masks is true")
        return
    demand(masks is not None, "none", "masks, since takes_masks or makes_masks is true")
    demand(isinstance(masks, Tensor), f"masks of type {type(masks).__name__}", "masks as a tensor")
    demand(list(masks.shape) == shape, f"masks of shape {list(masks.shape)}", f"masks of shape {shape}")
    demand(masks.device == images.device, f"masks on {masks.device}, images on {images.device}", "both on one device")
    others = masks[(masks != 0) & (masks != 1)]
    found = f"masks with the value {others[0].item():.4g}" if len(others) else ""
    demand(not len(others), found, "masks of dtype bool, or of 0 and 1 alone")


def check_needs(wanted: Mapping[str, str], needs: Mapping[str, Path]) -> None:
    """Raise a UserError unless the trained parts are those that a method wants.

    Args:
        wanted: import path of the class of each part, by its role.
        needs: model folders of the parts, by their roles.
    """
    given = {role: read_description(path)["class"] for role, path in needs.items()}
    refuse(needs_errors(wanted, given, lambda cls, other: issubclass(find_class(cls), find_class(other))))


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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
        Path(path), description["model"], own_sampling(description, cls) if sampling is None else sampling
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

    from pig.device import pick_device

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
    return find_class(description["class"]).load(path, description["model"], own_sampling(description))


def copy_part(part: Path, path: Path) -> None:
    """Copy the model folder of a part into that of the model that needs it, so that this one stands alone."""
    shutil.copytree(part, path, ignore=shutil.ignore_patterns(".snakemake*"))
