"""The U-Nets of the diffusions, built from MONAI's blocks."""

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pig.methods.settings import NetworkSettings as NetworkSettings

if TYPE_CHECKING:
    from monai.networks.nets import DiffusionModelUNet


def monai_unet(settings: NetworkSettings, in_channels: int, out_channels: int) -> "DiffusionModelUNet":
    """Return MONAI's U-Net.

    Differs from the official code's network: [cos, sin] in the time embedding, symmetric padding, zero-initialised
    last convolutions and no dropout, because MONAI's blocks are maintained and tested; the parameter count agrees.
    """
    from monai.networks.nets import DiffusionModelUNet

    return DiffusionModelUNet(
        spatial_dims=2,
        in_channels=in_channels,
        out_channels=out_channels,
        channels=settings.channels,
        attention_levels=settings.attention,
        num_res_blocks=settings.res_blocks,
        num_head_channels=settings.head_channels,
        norm_num_groups=settings.norm_groups,
    )


class ConditionalUNet(nn.Module):
    """A U-Net that is given its conditions by concatenation of channels (PIG, sec. 3.1)."""

    def __init__(self, settings: NetworkSettings, channels: int, condition_channels: int) -> None:
        super().__init__()
        self.patch = settings.patch
        fold = self.patch**2
        self.unet = monai_unet(settings, (channels + condition_channels) * fold, channels * fold)

    def forward(self, x_t: Tensor, *conditions_and_t: Tensor) -> Tensor:
        """Predict from x_t [N, C, H, W], further images [N, ., H, W] and, last, t [N] long."""
        *conditions, t = conditions_and_t
        stacked = F.pixel_unshuffle(torch.cat([x_t, *conditions], dim=1), self.patch)
        output: Tensor = F.pixel_shuffle(self.unet(stacked, t), self.patch)
        return output
