"""What a method is: PIG, every baseline and a user's own class learn from pairs and draw new ones."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

import torch
from torch import Tensor

from pig.data.store import PairDataset
from pig.system.errors import UserError
from pig.system.seeds import NoiseStreams, seed_of
from pig.training.run import TrainingRun


@dataclass
class Pairs:
    """Generated images, float32 [N, C, H, W] in [-1, 1], and masks, bool [N, 1, H, W], where there are any."""

    images: Tensor
    masks: Tensor | None = None


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

    Built as ``cls(model, sampling)`` from the two sections of the configuration; either may be empty. Where images have
    colours, ``model`` holds ``image_channels`` too, which is 3 (see :func:`with_channels`).
    ``identity`` is set by who loads or trains it.
    """

    image_size: int  # pixels of a side of what it draws
    takes_masks: bool  # conditional: needs masks to draw from
    makes_masks: bool  # paired: draws the masks itself
    identity: Identity

    def __init__(self, model: Mapping[str, Any], sampling: Mapping[str, Any]) -> None: ...

    def fit(self, pairs: PairDataset, run: TrainingRun) -> None:
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


def with_channels(model: Mapping[str, Any], channels: int) -> Mapping[str, Any]:
    """Return the settings of a method for images of so many channels: of colours with ``image_channels``, which is 3.

    Raises:
        UserError: the settings give another number.
    """
    if model.get("image_channels", channels) != channels:
        raise UserError(
            f"model.image_channels: is {model['image_channels']!r}, and the images have {channels} "
            f"channel{'s' * (channels > 1)}; leave it out, it comes from the data."
        )
    return {**model, "image_channels": channels} if channels > 1 else model


def check_pairs(pairs: Any, generator: Generator, count: int, channels: int = 1) -> None:
    """Raise a UserError unless ``pairs`` are what ``generator.sample`` has to return for ``count`` indices.

    That is :class:`Pairs` with floating images [count, channels, H, W], H = W = ``image_size``, finite and in [-1, 1];
    and masks [count, 1, H, W] on the same device, bool or exactly 0 and 1, if and only if the class takes or makes
    masks.
    """
    kind = type(generator)
    who = f"{kind.__module__}.{kind.__qualname__}"

    def demand(holds: bool, found: str, wanted: str) -> None:
        if not holds:
            raise UserError(f"{who}: sample() must return {wanted}, and it returned {found}; correct the class.")

    demand(isinstance(pairs, Pairs), f"an object of type {type(pairs).__name__}", "pig.methods.base.Pairs")
    images, masks = pairs.images, pairs.masks
    shape = [count, channels, generator.image_size, generator.image_size]
    of_masks = [count, 1, *shape[2:]]
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
    demand(list(masks.shape) == of_masks, f"masks of shape {list(masks.shape)}", f"masks of shape {of_masks}")
    demand(masks.device == images.device, f"masks on {masks.device}, images on {images.device}", "both on one device")
    others = masks[(masks != 0) & (masks != 1)]
    found = f"masks with the value {others[0].item():.4g}" if len(others) else ""
    demand(not len(others), found, "masks of dtype bool, or of 0 and 1 alone")
