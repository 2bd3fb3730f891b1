"""The settings of the segmentation. Nothing here imports torch, so that a plan can check them."""

import ast
import difflib
import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Literal

from pig.system.settings import Error, refuse
from pig.training.settings import TrainingSettings

Augmentation = Literal["none", "light", "strong"]
Budget = Literal["steps", "epochs"]


@dataclass(frozen=True)
class SegmentationSettings:
    """The network, the size it works at and how it is trained.

    ``augmentation`` is that of :mod:`pig.evaluation.augmentation`, of every pair, real or synthetic. ``real_share``
    null pools real and synthetic pairs, as the paper does; a number below 1 is the share of real pairs in every batch
    of an arm that has synthetic ones. ``budget`` "steps" trains every arm for as many steps; with "epochs" these are
    the steps of its real pairs alone, and an arm with more pairs is trained for longer, so that each is seen as often:
    a control, since it mixes what pairs bring with what a longer training brings.
    """

    training: TrainingSettings
    image_size: int
    architecture: Literal["Unet", "UnetPlusPlus"] = "Unet"
    encoder: str = "resnet34"
    encoder_depth: int = 5
    encoder_weights: str | None = None
    augmentation: Augmentation = "light"
    real_share: float | None = None
    budget: Budget = "steps"

    def __post_init__(self) -> None:
        refuse(self._errors(), self)

    def training_with(self, real: int, added: int) -> TrainingSettings:
        """Return the training of an arm with so many real pairs, at least one, and so many that are added."""
        if self.budget == "steps" or self.training.steps is None:
            return self.training
        return replace(self.training, steps=round(self.training.steps * (real + added) / real))

    def _errors(self) -> Iterator[Error]:
        training = self.training
        if training.steps is None:
            yield (
                "training",
                "give steps and set epochs to null, so that an arm with more data is not trained for longer.",
            )
        if training.batch_size < 2:
            yield "training.batch_size", f"must be at least 2, for batch normalisation; got {training.batch_size}."
        if training.accumulate > 1:
            yield (
                "training.accumulate",
                "must be 1, since batch normalisation and the Dice loss are of the whole batch; got "
                f"{training.accumulate}.",
            )
        if training.learning_rate_schedule == "plateau":
            yield (
                "training.learning_rate_schedule",
                "must not be 'plateau': its patience is counted in epochs, so that the rate of an arm with more data "
                "would stay up for longer.",
            )
        if not 3 <= self.encoder_depth <= 5:
            yield "encoder_depth", f"must be 3, 4 or 5, got {self.encoder_depth}."
        elif self.image_size <= 0 or self.image_size % 2**self.encoder_depth:
            yield (
                "image_size",
                f"must be a multiple of {2**self.encoder_depth} for encoder_depth {self.encoder_depth}, got "
                f"{self.image_size}.",
            )
        yield from encoder_errors(self.encoder, self.encoder_weights)
        if self.real_share is not None:
            yield from share_errors(self.real_share, training.batch_size)
            if self.budget == "epochs":
                yield "real_share", "must be null with budget 'epochs': with a fixed share pairs are not seen as often."


@dataclass(frozen=True)
class NnunetSettings:
    """How long nnU-Net is trained, and on pictures of which size; all else it plans itself.

    nnU-Net's own length is 1,000 epochs of 250 iterations. The batch is of its plan, and so is the learning rate, which
    falls over all epochs.
    """

    epochs: int
    image_size: int
    iterations: int = 250

    def __post_init__(self) -> None:
        refuse(self._errors(), self)

    def _errors(self) -> Iterator[Error]:
        for name in ("epochs", "image_size", "iterations"):
            if getattr(self, name) < 1:
                yield name, f"must be above 0, got {getattr(self, name)}."


def share_errors(real_share: float, batch_size: int) -> Iterator[Error]:
    """Yield an error if a batch has no room for this share of real pairs and for synthetic ones beside them."""
    if not 0 <= real_share < 1:
        yield "real_share", f"must be null or in [0, 1), got {real_share}."
        return
    real = round(real_share * batch_size)
    if real == batch_size or (real == 0 and real_share > 0):
        yield (
            "real_share",
            f"{real_share} of a batch of {batch_size} is {real} real and {batch_size - real} synthetic pairs; choose "
            "a share that leaves some of both, or a larger batch.",
        )


def encoder_errors(encoder: str, weights: str | None) -> Iterator[Error]:
    """Yield what segmentation-models-pytorch would refuse of an encoder and its weights.

    Of the ``tu-`` and ``timm-`` encoders that it takes from timm nothing is known here.
    """
    known = _encoders(encoder) or _encoders()
    if encoder in known:
        if weights is not None and weights not in known[encoder]:
            yield "encoder_weights", f"'{encoder}' has {' and '.join(known[encoder])}, or null; got '{weights}'."
    elif not encoder.startswith(("tu-", "timm-")):
        close = difflib.get_close_matches(encoder, known, n=1)
        hint = f"did you mean '{close[0]}'?" if close else f"it has {', '.join(sorted(known))}."
        yield "encoder", f"'{encoder}' is not an encoder of segmentation-models-pytorch; {hint}"


@cache
def _encoders(name: str = "") -> dict[str, list[str]]:
    """Return the weights of each encoder, of the files alone that mention ``name``.

    Read from the package's source, because its import takes seconds and a plan takes two.
    """
    package = importlib.util.find_spec("segmentation_models_pytorch")
    assert package is not None and package.submodule_search_locations  # a dependency of this project
    found: dict[str, list[str]] = {}
    for file in sorted(Path(package.submodule_search_locations[0], "encoders").glob("*.py")):
        text = file.read_text(encoding="utf-8")
        for node in ast.parse(text).body if f'"{name}"' in text or not name else ():
            match node:
                case ast.Assign(targets=[ast.Name(id=table)], value=ast.Dict() as entries):
                    if table.endswith("_encoders"):
                        found |= {key: _weights(entry) for key, entry in _items(entries)}
    return found


def _items(entries: ast.Dict) -> Iterator[tuple[str, ast.expr]]:
    """Yield the entries of a dictionary whose keys are text."""
    for key, value in zip(entries.keys, entries.values, strict=True):
        match key:
            case ast.Constant(value=str() as name):
                yield name, value


def _weights(entry: ast.expr) -> list[str]:
    """Return the names of the pretrained weights in an encoder's entry."""
    settings = dict(_items(entry)).get("pretrained_settings") if isinstance(entry, ast.Dict) else None
    return [name for name, _ in _items(settings)] if isinstance(settings, ast.Dict) else []
