"""``encoder``: the encoder of a segmentation network that was trained on real data alone, so that it needs no file.

It knows the modality, and the training patients: it tells these from all others.
"""

from pathlib import Path
from typing import Any

from torch import Tensor
from torch_fidelity.registry import register_feature_extractor

from pig.evaluation.features.one_layer import OneLayer
from pig.evaluation.segmenter import load_segmenter
from pig.system.errors import UserError

NAME = "pig-segmentation-encoder"


class SegmentationEncoder(OneLayer):
    """Global average of the deepest feature map of a segmentation network's encoder."""

    def load(self, weights: str) -> None:
        """Build the network with its weights."""
        segmenter = load_segmenter(weights)
        self.encoder: Any = segmenter[0].encoder
        self.channels: int = segmenter[2].get("image_channels", 1)

    def forward(self, images: Tensor) -> tuple[Tensor]:
        """Return the features, float32 [N, D], of uint8 images [N, 3, H, W]; of grey all channels are equal."""
        deepest: Tensor = self.encoder(images[:, : self.channels].float() / 127.5 - 1)[-1]
        return (deepest.mean(dim=(2, 3)),)


register_feature_extractor(NAME, SegmentationEncoder)


def encoder_weights(folder: str | Path | None) -> tuple[Path, str, int]:
    """Return the folder of the segmentation network, the SHA-256 of its weights and its image size.

    Raises:
        UserError: there is no folder, it is damaged, or the network has learnt from synthetic pairs.
    """
    if folder is None:
        raise UserError(
            "FID: features 'encoder' need weights: the folder of a segmentation trained on real data alone."
        )
    _, settings, record = load_segmenter(folder)
    if record["synthetic_pairs"]:
        raise UserError(
            f"{folder} was trained on {record['synthetic_pairs']} synthetic pairs too, so that its features "
            "would favour their generator; give the segmentation of the arm of real data alone."
        )
    return Path(folder), str(record["sha256"]), settings.image_size
