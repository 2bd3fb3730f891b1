"""``dinov2``: the class token of a DINOv2 vision transformer (Oquab et al. 2023, arXiv 2304.07193), from a file.

Of the networks that Stein et al. 2023 (arXiv 2306.04675) compared, distances of these features agree best with what
people think of generated photographs; they take the class token of the large network for images of 224 pixels. The
network is timm's, with patches of 14 pixels and without registers: small, base or large, as the shapes in the file say.

Differs from torch-fidelity's extractor of that name, because that runs code that it downloads (torch.hub) and takes no
file. Differs from Meta's code, because timm is what is installed: the embeddings of 37 x 37 positions are brought to
16 x 16 with antialiasing and without an offset of 0.1, so that features are near the published ones, not equal to them.
"""

import math
import pickle
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch_fidelity.registry import register_feature_extractor

from pig.evaluation.features.one_layer import OneLayer
from pig.system.errors import UserError
from pig.system.files import sha256

NAME = "pig-dinov2"
SIZE, PATCH = 224, 14
SIZES = {384: "small", 768: "base", 1024: "large"}  # by the length of the class token
MEAN, SD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, in [0, 1]
WANTED = (
    "set table1.feature_weights to timm's model.safetensors of vit_small_patch14_dinov2.lvd142m (or base, large), or "
    "to Meta's dinov2_vits14_pretrain.pth (or vitb14, vitl14)"
)


class DinoV2(OneLayer):
    """The class token after the last norm: 384 numbers of the small network, 768 of base, 1024 of large."""

    def load(self, weights: str) -> None:
        """Build the network with its weights."""
        self.network = transformer(Path(weights))
        self.register_buffer("mean", torch.tensor(MEAN).view(3, 1, 1))
        self.register_buffer("sd", torch.tensor(SD).view(3, 1, 1))

    def forward(self, images: Tensor) -> tuple[Tensor]:
        """Return the features, float32 [N, D], of uint8 images [N, 3, 224, 224]; of grey all channels are equal."""
        return (self.network((images.float() / 255 - self.mean) / self.sd),)


register_feature_extractor(NAME, DinoV2)


def dinov2_weights(file: str | Path | None) -> tuple[Path, str]:
    """Return the file of weights and its SHA-256.

    Raises:
        UserError: there is none.
    """
    if file is None:
        raise UserError(f"FID: features 'dinov2' need a file of weights; {WANTED}.")
    if not Path(file).is_file():
        raise UserError(f"DINOv2 weights {file} do not exist; {WANTED}.")
    return Path(file), sha256(Path(file))


def transformer(file: Path) -> Any:
    """Return the network of a file, in eval mode: float32 [N, 3, 224, 224] to class tokens, float32 [N, D].

    Raises:
        UserError: the file is damaged, or of another network.
    """
    import timm
    from timm.layers import resample_abs_pos_embed

    weights = _read(file)
    weights.pop("mask_token", None)  # Meta's, of the training
    token, patches, positions = (weights.get(name) for name in ("cls_token", "patch_embed.proj.weight", "pos_embed"))
    if token is None or patches is None or positions is None or positions.ndim != 3:
        raise UserError(f"{file} holds no vision transformer; {WANTED}.")
    size, side = SIZES.get(token.shape[-1]), math.isqrt(positions.shape[1] - 1)
    if size is None or tuple(patches.shape[2:]) != (PATCH, PATCH) or 1 + side**2 != positions.shape[1]:
        raise UserError(
            f"{file} is another vision transformer (token {[*token.shape]}, patches {[*patches.shape]}, positions "
            f"{[*positions.shape]}); {WANTED}."
        )
    weights["pos_embed"] = resample_abs_pos_embed(positions, [SIZE // PATCH] * 2)
    network = timm.create_model(f"vit_{size}_patch14_dinov2", pretrained=False, img_size=SIZE, num_classes=0)
    try:
        network.load_state_dict(weights, strict=True)
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{file} does not fit a {size} DINOv2 without registers ({reason[:200]}); {WANTED}.") from None
    return network.eval()


def _read(file: Path) -> dict[str, Tensor]:
    """Return the weights by name; a file of torch may hold nothing but tensors, so that no code in it runs."""
    from safetensors.torch import load_file

    try:
        if file.suffix == ".safetensors":
            found = load_file(file)
        else:
            found = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # there is no end to what a broken pickle raises
        code = isinstance(error, pickle.UnpicklingError)  # whose words advise to load it without a check
        reason = "it holds more than tensors" if code else str(error).partition("\n")[0]
        raise UserError(f"DINOv2 weights {file} cannot be read ({reason}); {WANTED}.") from None
    if not isinstance(found, dict) or not all(isinstance(value, Tensor) for value in found.values()):
        raise UserError(f"{file} holds something else than weights by name; {WANTED}.")
    return found
