"""One training step and one sampling call of the same work by this project, by diffusers and by MONAI.

The work is p(image | mask), the mask concatenated: PIG's denoiser, and SegGuidedDif. Two channels in and one out (or
p^2 times as many, folded), epsilon, the paper's schedule, AdamW without clipping or average, DDIM. The channels are
those of this project's network; MONAI's U-Net is the very network that this project builds on, so that with MONAI what
is around it is compared. Each library is used as in its own examples: its scheduler adds noise and steps, the optimiser
is PyTorch's with its defaults. Where this project folds pixels (``patch``), the libraries do the work twice: folded,
which is the same network, and on pixels, which is theirs as it comes, with the same channels.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pig.diffusion.losses import denoiser_loss
from pig.diffusion.mask_scale import MaskScale
from pig.diffusion.sampling import sample_images
from pig.diffusion.schedule import build_schedule
from pig.diffusion.settings import SamplingSettings, ScheduleSettings
from pig.methods.settings import NetworkSettings
from pig.methods.unet import ConditionalUNet, monai_unet
from pig.training.optimiser import Player
from pig.training.settings import TrainingSettings

SCHEDULE = ScheduleSettings()  # the paper's


@dataclass(frozen=True)
class Work:
    """What is to be done: images of ``size`` pixels, ``batch`` at once, drawn in ``steps`` calls of the network.

    The rate is that of learning.
    """

    network: NetworkSettings
    size: int
    batch: int
    steps: int
    device: torch.device
    dtype: torch.dtype = torch.float32
    rate: float = 1e-5

    def autocast(self) -> AbstractContextManager[None]:
        """Return the context of the network's calls."""
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.dtype == torch.bfloat16)

    def draw(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return images and masks in [-1, 1] and noise, float32 [N, 1, H, W], the same at each call."""
        rng = torch.Generator().manual_seed(0)
        images, masks, noise = (torch.randn(self.batch, 1, self.size, self.size, generator=rng) for _ in range(3))
        return images.clamp(-1, 1).to(self.device), masks.sign().to(self.device), noise.to(self.device)


@dataclass(frozen=True)
class Peer:
    """A way of doing the work; images, masks and noise are as :meth:`Work.draw` gives them, of any number."""

    network: nn.Module
    learn: Callable[[Tensor, Tensor], Tensor]  # (images, masks) -> the loss of a training step on them
    predict: Callable[[Tensor, Tensor, Tensor], Tensor]  # (noisy images, masks, t [N] in 1..T) -> eps
    sample: Callable[[], Tensor]  # -> images
    given: tuple[Tensor, Tensor]  # images and masks of :meth:`train`

    def train(self) -> Tensor:
        """Make a training step on the same pairs at each call, and return its loss."""
        return self.learn(*self.given)

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
    scale = MaskScale().to(work.device)  # as in the paper
    settings = TrainingSettings(batch_size=work.batch, learning_rate=work.rate, steps=1)
    player = Player(network, settings, total=1, pairs=work.batch)
    for group in player.optimizer.param_groups:
        group["fused"], group["foreach"] = fused, not fused

    def learn(images: Tensor, masks: Tensor) -> Tensor:
        player.optimizer.zero_grad(set_to_none=True)
        with work.autocast():
            loss = denoiser_loss(call, schedule, masks, images, rng, scale=scale, guider=None, prediction="epsilon")
        loss.backward()
        player.optimizer.step()
        return loss.detach()

    def predict(x_t: Tensor, masks: Tensor, t: Tensor) -> Tensor:
        with work.autocast():
            predicted: Tensor = call(x_t, masks, t)
        return predicted

    def sample() -> Tensor:
        sampling = SamplingSettings(work.steps)
        return sample_images(lambda x_t, t: predict(x_t, masks, t), schedule, noise, sampling, prediction="epsilon")

    return Peer(network, learn, predict, sample, (images, masks))


def diffusers(work: Work) -> Peer:
    """Return the way of diffusers' example of unconditional training, and of its DDIMPipeline."""
    from diffusers import DDIMScheduler, UNet2DModel

    shape = work.network
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

    def call(x_t: Tensor, masks: Tensor, t: Tensor) -> Tensor:
        predicted: Tensor = network(torch.cat([x_t, masks], dim=1), t).sample
        return predicted

    @torch.no_grad()
    def draw(x_t: Tensor, masks: Tensor) -> Tensor:
        for t in scheduler.timesteps:
            with work.autocast():
                eps = call(x_t, masks, t)
            x_t = scheduler.step(eps, t, x_t).prev_sample
        return x_t

    return _peer(network, call, scheduler.add_noise, draw, work)


def monai(work: Work) -> Peer:
    """Return the way of MONAI's tutorials: its DiffusionInferer trains and samples."""
    from monai.inferers import DiffusionInferer
    from monai.networks.schedulers import DDIMScheduler

    fold = work.network.patch**2
    network = _filled(monai_unet(work.network, 2 * fold, fold), work)
    betas = {"beta_start": SCHEDULE.beta_1, "beta_end": SCHEDULE.beta_T}
    scheduler = DDIMScheduler(SCHEDULE.timesteps, "linear_beta", clip_sample=False, **betas)
    scheduler.set_timesteps(work.steps)
    inferer = DiffusionInferer(scheduler)

    def call(x_t: Tensor, masks: Tensor, t: Tensor) -> Tensor:
        predicted: Tensor = network(torch.cat([x_t, masks], dim=1), timesteps=t)
        return predicted

    def draw(noise: Tensor, masks: Tensor) -> Tensor:
        with work.autocast():
            drawn: Tensor = inferer.sample(noise, network, conditioning=masks, mode="concat", verbose=False)
        return drawn

    return _peer(network, call, scheduler.add_noise, draw, work)


PEERS: Mapping[str, Callable[[Work], Peer]] = {"pig": pig, "diffusers": diffusers, "monai": monai}


def build_peers(work: Work) -> dict[str, Peer]:
    """Return all of them, and where the work is on folded pixels, the libraries on pixels too.

    Raises:
        ValueError: a network has more than 2 % more or fewer parameters than this project's.
    """
    peers = {name: make(work) for name, make in PEERS.items()}
    if work.network.patch > 1:
        unfolded = replace(work, network=replace(work.network, patch=1))
        peers |= {f"{name} on pixels": PEERS[name](unfolded) for name in ("diffusers", "monai")}
    check_parameters(peers)
    return peers


def check_parameters(peers: Mapping[str, Peer], within: float = 0.02) -> None:
    """Raise a ValueError if a network has more than 2 % more or fewer parameters than this project's."""
    wanted = peers["pig"].parameters
    for name, peer in peers.items():
        if abs(peer.parameters / wanted - 1) > within:
            raise ValueError(f"{name} has {peer.parameters} parameters, {wanted} are wanted within {within:.0%}.")


def _peer(
    network: nn.Module,
    call: Callable[[Tensor, Tensor, Tensor], Tensor],
    add_noise: Callable[[Tensor, Tensor, Tensor], Tensor],
    draw: Callable[[Tensor, Tensor], Tensor],
    work: Work,
) -> Peer:
    """Return a library's peer, which learns by PyTorch's AdamW with its defaults, as the libraries' examples do.

    Args:
        network: what learns.
        call: (x_t, masks, t [N] in 0..T - 1, or a scalar) -> eps, all folded by ``work.network.patch``.
        add_noise: (images, eps, t) -> x_t.
        draw: (noise, masks) -> images, folded.
        work: what is to be done.
    """
    images, masks, noise = work.draw()
    optimizer = torch.optim.AdamW(network.parameters(), lr=work.rate)
    patch = work.network.patch

    def learn(images: Tensor, masks: Tensor) -> Tensor:
        images, masks = F.pixel_unshuffle(images, patch), F.pixel_unshuffle(masks, patch)
        t, eps = torch.randint(0, SCHEDULE.timesteps, (len(images),), device=work.device), torch.randn_like(images)
        with work.autocast():
            loss = F.mse_loss(call(add_noise(images, eps, t), masks, t).float(), eps)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss.detach()

    def predict(x_t: Tensor, masks: Tensor, t: Tensor) -> Tensor:
        with work.autocast():
            return F.pixel_shuffle(call(F.pixel_unshuffle(x_t, patch), F.pixel_unshuffle(masks, patch), t - 1), patch)

    def sample() -> Tensor:
        return F.pixel_shuffle(draw(F.pixel_unshuffle(noise, patch), F.pixel_unshuffle(masks, patch)), patch)

    return Peer(network, learn, predict, sample, (images, masks))


def _filled(network: Any, work: Work) -> Any:
    """Return the network on the device, without a layer of zeros, whose gradients would be zeros too."""
    rng = torch.Generator().manual_seed(1)
    for parameter in network.parameters():
        if parameter.ndim > 1 and not parameter.any():
            nn.init.normal_(parameter, std=0.02, generator=rng)
    return network.to(work.device)
