"""One training step and one sampling call of the same work by this project, by diffusers and by MONAI.

The work is p(image | mask), the mask concatenated: PIG's denoiser, and SegGuidedDif. Two channels in and one out (or
p^2 times as many, folded), epsilon, the paper's schedule, AdamW without clipping or average, DDIM. The channels are
those of this project's network; MONAI's U-Net is the very network that this project builds on, so that with MONAI what
is around it is compared. Each library is used as in its own examples: its scheduler adds noise and steps, the optimiser
is PyTorch's with its defaults.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pig.diffusion.losses import denoiser_loss
from pig.diffusion.sampling import sample_images
from pig.diffusion.schedule import build_schedule
from pig.diffusion.settings import SamplingSettings, ScheduleSettings
from pig.methods.settings import NetworkSettings
from pig.methods.unet import ConditionalUNet, monai_unet
from pig.training.optimiser import Player
from pig.training.settings import TrainingSettings

SCHEDULE = ScheduleSettings()  # the paper's
RATE = 1e-5


@dataclass(frozen=True)
class Work:
    """What is to be done: images of ``size`` pixels, ``batch`` at once, drawn in ``steps`` calls of the network."""

    network: NetworkSettings
    size: int
    batch: int
    steps: int
    device: torch.device
    dtype: torch.dtype = torch.float32

    def autocast(self) -> AbstractContextManager[None]:
        """Return the context of the network's calls."""
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.dtype == torch.bfloat16)

    def draw(self, patch: int = 1) -> tuple[Tensor, Tensor, Tensor]:
        """Return images and masks in [-1, 1] and noise, float32 [N, p^2, H / p, W / p], the same at each call."""
        rng = torch.Generator().manual_seed(0)
        images, masks, noise = (torch.randn(self.batch, 1, self.size, self.size, generator=rng) for _ in range(3))
        drawn = (images.clamp(-1, 1), masks.sign(), noise)
        images, masks, noise = (F.pixel_unshuffle(tensor, patch).to(self.device) for tensor in drawn)
        return images, masks, noise


@dataclass(frozen=True)
class Peer:
    """A way of doing the work."""

    network: nn.Module
    train: Callable[[], Tensor]  # a step -> its loss
    sample: Callable[[], Tensor]  # -> images, of the shape of the noise

    @property
    def parameters(self) -> int:
        """How many numbers the network learns."""
        return sum(parameter.numel() for parameter in self.network.parameters())


def pig(work: Work, *, compiled: str | None = None, channels_last: bool = False, fused: bool = True) -> Peer:
    """Return this project's way; ``compiled`` is a mode of torch.compile, ``fused`` is said of the optimiser."""
    torch.manual_seed(0)  # the same weights in every variant
    images, masks, noise = work.draw()
    network = _filled(ConditionalUNet(work.network, channels=1, condition_channels=1), work)
    if channels_last:
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        images, masks, noise = (x.to(memory_format=torch.channels_last) for x in (images, masks, noise))
    call = network if compiled is None else torch.compile(network, mode=compiled)
    schedule, rng = build_schedule(SCHEDULE), torch.Generator(work.device).manual_seed(0)
    settings = TrainingSettings(batch_size=work.batch, learning_rate=RATE, steps=1)
    player = Player(network, settings, total=1, pairs=work.batch)
    for group in player.optimizer.param_groups:
        group["fused"], group["foreach"] = fused, not fused

    def train() -> Tensor:
        player.optimizer.zero_grad(set_to_none=True)
        with work.autocast():
            loss = denoiser_loss(call, schedule, masks, images, rng, guider=None, prediction="epsilon")
        loss.backward()
        player.optimizer.step()
        return loss.detach()

    def estimate(x_t: Tensor, t: Tensor) -> Tensor:
        with work.autocast():
            predicted: Tensor = call(x_t, masks, t)
        return predicted

    def sample() -> Tensor:
        return sample_images(estimate, schedule, noise, SamplingSettings(work.steps), prediction="epsilon")

    return Peer(network, train, sample)


def diffusers(work: Work) -> Peer:
    """Return the way of diffusers' example of unconditional training, and of its DDIMPipeline."""
    from diffusers import DDIMScheduler, UNet2DModel

    shape = work.network
    images, masks, noise = work.draw(shape.patch)
    down = tuple("AttnDownBlock2D" if attention else "DownBlock2D" for attention in shape.attention)
    up = tuple("AttnUpBlock2D" if attention else "UpBlock2D" for attention in reversed(shape.attention))
    network = UNet2DModel(
        in_channels=2 * shape.patch**2,
        out_channels=shape.patch**2,
        layers_per_block=shape.res_blocks,
        block_out_channels=shape.channels,
        down_block_types=down,
        up_block_types=up,
        attention_head_dim=shape.head_channels,
        norm_num_groups=shape.norm_groups,
    )
    network = _filled(network, work)
    betas = {"beta_start": SCHEDULE.beta_1, "beta_end": SCHEDULE.beta_T}
    scheduler = DDIMScheduler(SCHEDULE.timesteps, **betas, clip_sample=False)
    scheduler.set_timesteps(work.steps)

    def loss(t: Tensor) -> Tensor:
        eps = torch.randn_like(images)
        noisy = scheduler.add_noise(images, eps, t)
        return F.mse_loss(network(torch.cat([noisy, masks], dim=1), t).sample.float(), eps)

    @torch.no_grad()
    def sample() -> Tensor:
        x_t = noise
        for t in scheduler.timesteps:
            with work.autocast():
                eps = network(torch.cat([x_t, masks], dim=1), t).sample
            x_t = scheduler.step(eps, t, x_t).prev_sample
        return x_t

    return Peer(network, _trainer(network, loss, work), sample)


def monai(work: Work) -> Peer:
    """Return the way of MONAI's tutorials: its DiffusionInferer trains and samples."""
    from monai.inferers import DiffusionInferer
    from monai.networks.schedulers import DDIMScheduler

    fold = work.network.patch**2
    images, masks, noise = work.draw(work.network.patch)
    network = _filled(monai_unet(work.network, 2 * fold, fold), work)
    betas = {"beta_start": SCHEDULE.beta_1, "beta_end": SCHEDULE.beta_T}
    scheduler = DDIMScheduler(SCHEDULE.timesteps, "linear_beta", clip_sample=False, **betas)
    scheduler.set_timesteps(work.steps)
    inferer = DiffusionInferer(scheduler)

    def loss(t: Tensor) -> Tensor:
        eps = torch.randn_like(images)
        predicted = inferer(images, network, eps, t, condition=masks, mode="concat")
        return F.mse_loss(predicted.float(), eps)

    def sample() -> Tensor:
        with work.autocast():
            drawn: Tensor = inferer.sample(noise, network, conditioning=masks, mode="concat", verbose=False)
        return drawn

    return Peer(network, _trainer(network, loss, work), sample)


PEERS: Mapping[str, Callable[[Work], Peer]] = {"pig": pig, "diffusers": diffusers, "monai": monai}


def check_parameters(peers: Mapping[str, Peer], within: float = 0.02) -> None:
    """Raise a ValueError if a network has more than 2 % more or fewer parameters than this project's."""
    wanted = peers["pig"].parameters
    for name, peer in peers.items():
        if abs(peer.parameters / wanted - 1) > within:
            raise ValueError(f"{name} has {peer.parameters} parameters, {wanted} are wanted within {within:.0%}.")


def _trainer(network: nn.Module, loss_at: Callable[[Tensor], Tensor], work: Work) -> Callable[[], Tensor]:
    """Return a step of PyTorch's AdamW with its defaults; the loss is given t [N] long in 0..T - 1."""
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE)

    def train() -> Tensor:
        t = torch.randint(0, SCHEDULE.timesteps, (work.batch,), device=work.device)
        with work.autocast():
            loss = loss_at(t)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss.detach()

    return train


def _filled(network: Any, work: Work) -> Any:
    """Return the network on the device, without a layer of zeros, whose gradients would be zeros too."""
    rng = torch.Generator().manual_seed(1)
    for parameter in network.parameters():
        if parameter.ndim > 1 and not parameter.any():
            nn.init.normal_(parameter, std=0.02, generator=rng)
    return network.to(work.device)
