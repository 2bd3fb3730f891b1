"""The network of the downstream task: how it is built and loaded."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pig.evaluation.settings import SegmentationSettings as SegmentationSettings
from pig.methods.model_folder import load_weights
from pig.system.device import pick_device
from pig.system.errors import UserError
from pig.system.files import read_sealed, sha256
from pig.system.settings import parse

DECODER_CHANNELS = (256, 128, 64, 32, 16)  # segmentation-models-pytorch's, for an encoder of depth 5


def build_network(settings: SegmentationSettings, seed: int, channels: int = 1) -> nn.Module:
    """Return the network with first weights that depend on ``seed`` alone (or pretrained ones, if asked for).

    It takes float32 [N, channels, H, W] in [-1, 1] and returns logits [N, 1, H, W].

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
                in_channels=channels,
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
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # a sixth faster: docs/devices.md
    return network


@torch.inference_mode()
def find_lesions(network: nn.Module, images: Tensor) -> NDArray[np.bool_]:
    """Segment images, as the network is set (in eval mode, unless it is being trained), at threshold 0.5.

    Args:
        network: on the device at hand.
        images: float32 [N, C, H, W] in [-1, 1].

    Returns:
        bool [N, H, W].
    """
    found: NDArray[np.bool_] = (torch.sigmoid(network(images.to(pick_device())))[:, 0] >= 0.5).cpu().numpy()
    return found


def load_segmenter(path: str | Path) -> tuple[nn.Module, SegmentationSettings, dict[str, Any]]:
    """Load what :func:`segment` wrote.

    Returns:
        The network (float32 [N, C, H, W] in [-1, 1], C the record's ``image_channels``, to logits; on the device at
        hand, in eval mode), its settings and its record.

    Raises:
        UserError: the folder is missing, half-written or damaged, or of nnU-Net.
    """
    path = Path(path)
    again = f"run 'pig segment' for {path} again."
    record = read_sealed(path / "record.json", again)
    if record.get("engine") == "nnunet":
        raise UserError(
            f"{path} is of nnU-Net, which reads it by itself: nnUNetv2_predict_from_modelfolder -m {path / 'model'} "
            "-f 0."
        )
    weights = path / "model.safetensors"
    if not weights.is_file() or sha256(weights) != record["sha256"]:
        raise UserError(f"{weights} is missing or damaged; {again}")
    settings = parse(SegmentationSettings, record["settings"], f"{path / 'record.json'}: settings")
    channels = record.get("image_channels", 1)  # those written before there were colours do not say it
    network = build_network(dataclasses.replace(settings, encoder_weights=None), seed=0, channels=channels)
    load_weights(path, model=network)
    return network, settings, record
