"""The values that a mask has in its diffusion: -1 and 1, or standardised to mean 0 and variance 1.

Lesion is some per cent of the pixels, so that masks of -1 and 1 deviate from their mean by 0.2 to 0.4, and are lost in
noise that leaves an image visible: where a lesion is to be is decided late, and at times not at all, and the mask that
is drawn is empty (docs/few-steps.md). Latents are divided by their standard deviation for the same reason (Rombach et
al. 2022, arXiv 2112.10752, appendix G), and all data of a diffusion by sigma_data (Karras et al. 2022, arXiv
2206.00364, section 5).
"""

from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from pig.system.errors import UserError

Bounds = tuple[Tensor, Tensor] | tuple[float, float]  # the least and greatest value that clean data can have
SIGNED = (-1.0, 1.0)
AT_ONCE = 256  # pairs


class HasMasks(Protocol):
    """Pairs that can be asked for by position."""

    def __len__(self) -> int: ...

    def batch(self, positions: np.ndarray) -> tuple[Any, Tensor]:
        """Return images, and masks float32 [n, 1, H, W] in {0, 1}."""
        ...


class MaskScale(nn.Module):
    """x = (mask - mean) / deviation of a mask in {-1, 1}, and back; until :meth:`standardise` x is the mask itself.

    Mean and deviation are float32 scalars on the module's device, saved with the networks that learnt from such masks.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("deviation", torch.ones(()))

    def standardise(self, pairs: HasMasks) -> None:
        """Take mean and deviation of all pixels of these masks.

        Raises:
            UserError: the masks are all empty, or all full.
        """
        starts = range(0, len(pairs), AT_ONCE)
        masks = (pairs.batch(np.arange(start, min(start + AT_ONCE, len(pairs))))[1] for start in starts)
        counts = [(mask.sum(dtype=torch.float64).item(), mask.numel()) for mask in masks]
        share = sum(lesion for lesion, _ in counts) / sum(pixels for _, pixels in counts)
        if not 0 < share < 1:
            raise UserError(
                f"model.standardise_masks: {share:.0%} of the training pixels are lesion, so that the masks do not "
                "vary; train on pairs with lesions that do not fill them, or leave the setting out."
            )
        self.mean.fill_(2 * share - 1)
        self.deviation.fill_(2 * (share * (1 - share)) ** 0.5)

    def encode(self, masks: Tensor) -> Tensor:
        """Return x of masks in [-1, 1]."""
        return (masks - self.mean) / self.deviation

    def decode(self, x: Tensor) -> Tensor:
        """Return the masks that :meth:`encode` was given, or estimates of them."""
        return x * self.deviation + self.mean

    @property
    def bounds(self) -> tuple[Tensor, Tensor]:
        """What -1 and 1 become."""
        low, high = ((end - self.mean) / self.deviation for end in SIGNED)
        return low, high
