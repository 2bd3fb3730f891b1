"""The network of the downstream task: its settings, and how it is built and loaded."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from pig.errors import UserError
from pig.files import read_sealed
from pig.generator import load_weights, sha256
from pig.settings import parse
from pig.training import TrainingSettings

DECODER_CHANNELS = (256, 128, 64, 32, 16)  # segmentation-models-pytorch's, for an encoder of depth 5


@dataclass(frozen=True)
class SegmentationSettings:
    """The network, the size it works at and how it is trained.

    ``real_share`` null pools real and synthetic pairs, as the paper does; a number below 1 is the share of
    real pairs in every batch of an arm that has synthetic ones.
    """

    training: TrainingSettings
    image_size: int
    architecture: Literal["Unet", "UnetPlusPlus"] = "Unet"
    encoder: str = "resnet34"
    encoder_depth: int = 5
    encoder_weights: str | None = None
    real_share: float | None = None

    def __post_init__(self) -> None:
        if self.training.steps is None:
            raise UserError(
                "segmentation.training: give steps and set epochs to null, so that an arm with more data is "
                "not trained for longer."
            )
        if not 3 <= self.encoder_depth <= 5:
            raise UserError(f"segmentation.encoder_depth: must be 3, 4 or 5, got {self.encoder_depth}.")
        if self.image_size <= 0 or self.image_size % 2**self.encoder_depth:
            raise UserError(
                f"segmentation.image_size: must be a multiple of {2**self.encoder_depth} with encoder_depth "
                f"{self.encoder_depth}, got {self.image_size}."
            )
        if self.training.accumulate > 1:
            raise UserError(
                "segmentation.training.accumulate: must be 1, since batch normalisation and the Dice loss are of the "
                "whole batch."
            )
        if self.real_share is not None and not 0 <= self.real_share < 1:
            raise UserError(f"segmentation.real_share: must be null or in [0, 1), got {self.real_share}.")


def build_network(settings: SegmentationSettings, seed: int) -> nn.Module:
    """Return the network with first weights that depend on ``seed`` alone (or pretrained ones, if asked for).

    It takes float32 [N, 1, H, W] in [-1, 1] and returns logits [N, 1, H, W].

    Raises:
        UserError: the encoder or its weights are unknown or cannot be had.
    """
    import segmentation_models_pytorch as smp

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            network: nn.Module = getattr(smp, settings.architecture)(
                settings.encoder,
                encoder_depth=settings.encoder_depth,
                encoder_weights=settings.encoder_weights,
                decoder_channels=DECODER_CHANNELS[-settings.encoder_depth :],
                in_channels=1,
                classes=1,
            )
        except (KeyError, ValueError, RuntimeError, OSError) as error:
            raise UserError(
                f"segmentation: encoder '{settings.encoder}' of depth {settings.encoder_depth} with "
                f"encoder_weights {settings.encoder_weights!r} cannot be built ({error}); choose an encoder "
                "of segmentation-models-pytorch, or set encoder_weights to null."
            ) from error
    # Of a shallower ResNet the deep stages stay in memory, in checkpoints and in the average, unused: 13 of the
    # 22 million parameters of resnet34 at depth 4.
    for stage in ("layer3", "layer4")[settings.encoder_depth - 3 :]:
        if hasattr(network.encoder, stage):
            setattr(network.encoder, stage, nn.Identity())
    return network


def load_segmenter(path: str | Path) -> tuple[nn.Module, SegmentationSettings, dict[str, Any]]:
    """Load what :func:`segment` wrote.

    Returns:
        The network (float32 [N, 1, H, W] in [-1, 1] to logits; on the device at hand, in eval mode), its
        settings and its record.

    Raises:
        UserError: the folder is missing, half-written or damaged.
    """
    path = Path(path)
    again = f"run 'pig segment' for {path} again."
    record = read_sealed(path / "record.json", again)
    weights = path / "model.safetensors"
    if not weights.is_file() or sha256(weights) != record["sha256"]:
        raise UserError(f"{weights} is missing or damaged; {again}")
    settings = parse(SegmentationSettings, record["settings"], f"{path / 'record.json'}: settings")
    network = build_network(dataclasses.replace(settings, encoder_weights=None), seed=0)
    load_weights(path, model=network)
    return network, settings, record
