"""The U-Nets of the diffusions, built from MONAI's blocks."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pig.errors import UserError

if TYPE_CHECKING:
    from monai.networks.nets import DiffusionModelUNet


@dataclass(frozen=True)
class NetworkSettings:
    """The shape of a U-Net. The defaults are those of PIG's official network, 7.125 M parameters at 2 -> 1 channels.

    Attributes:
        channels: of each level.
        attention: whether each level has self-attention.
        res_blocks: residual blocks a level.
        head_channels: channels of one attention head.
        norm_groups: groups of each group normalisation; divides all channels.
        patch: the network works on images folded by this factor: p x p pixels become p^2 channels. 1: unfolded.
    """

    channels: tuple[int, ...] = (32, 32, 64, 64, 128, 128)
    attention: tuple[bool, ...] = (False, False, False, False, False, True)
    res_blocks: int = 2
    head_channels: int = 128
    norm_groups: int = 32
    patch: int = 1

    def __post_init__(self) -> None:
        if len(self.channels) != len(self.attention):
            raise UserError("network: channels and attention need one value for each level.")
        if any(c % self.norm_groups for c in self.channels):
            raise UserError(f"network: norm_groups {self.norm_groups} must divide each of {self.channels}.")
        if any(a and c % self.head_channels for c, a in zip(self.channels, self.attention, strict=True)):
            raise UserError(f"network: head_channels {self.head_channels} must divide each level with attention.")

    def check_size(self, size: int, where: str) -> None:
        """Raise a UserError if images of ``size`` pixels cannot pass through the levels."""
        factor = self.patch * 2 ** (len(self.channels) - 1)
        if size % factor:
            raise UserError(f"{where}: image_size {size} must be a multiple of {factor} for this network.")


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
