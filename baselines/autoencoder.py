"""The autoencoder under the latent methods: MONAI's AutoencoderKL with the losses of latent diffusion.

Rombach et al. 2022 (arXiv 2112.10752), appendix G: L1 and perceptual reconstruction, a slight KL, and a patch
discriminator that joins later. Differs: no attention in the middle; resnet50 for LPIPS on VGG, because its weights
can be given as safetensors; no ``logvar``, and means over pixels for sums, alike for all terms, which Adam hardly
sees; Adam's usual betas for (0.5, 0.9), as in all trainings of the benchmark; the discriminator joins in a second
training, with new optimisers. It is a part, not a generator: it is trained and saved, never sampled.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.settings import AutoencoderModel as Model
from pig.data.store import PairDataset
from pig.diffusion.draws import noise_like
from pig.methods.base import Identity
from pig.methods.saved import SavedNetworks
from pig.system.device import autocast, pick_device
from pig.system.errors import UserError
from pig.system.progress import track
from pig.system.settings import parse, refuse
from pig.training.loop import train
from pig.training.run import TrainingRun
from pig.training.settings import TrainingSettings

BATCH = 16


class Autoencoder(SavedNetworks):
    """Encoder and decoder; latents are scaled to unit variance by a factor that is saved with the weights."""

    networks = ("network",)

    def __init__(self, model: Mapping[str, Any], sampling: Mapping[str, Any] | None = None) -> None:
        from monai.networks.nets import AutoencoderKL

        self.model = m = parse(Model, model, "model")
        self.identity = Identity()
        self.network: Any = AutoencoderKL(
            spatial_dims=2,
            in_channels=m.image_channels,
            out_channels=m.image_channels,
            channels=m.channels,
            num_res_blocks=m.res_blocks,
            attention_levels=[False] * len(m.channels),
            latent_channels=m.latent_channels,
            norm_num_groups=m.norm_groups,
            with_encoder_nonlocal_attn=False,
            with_decoder_nonlocal_attn=False,
        )
        self.network.register_buffer("scale", torch.ones(()))

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of a latent."""
        side = self.model.image_size // self.model.factor
        return (self.model.latent_channels, side, side)

    def fit(self, pairs: PairDataset, run: TrainingRun) -> None:
        """Train on the images of ``pairs``, then set the scale of their latents."""
        refuse(self.model.part_errors({}))
        pairs = pairs.at(self.model.image_size)
        similarity = _perceptual_loss(self.model)

        def reconstruction_loss(images: Tensor, masks: Tensor, rng: torch.Generator) -> Tensor:
            return self._reconstruction(images, rng, similarity)[0]

        players = train(
            {"autoencoder": self.network},
            {"autoencoder": reconstruction_loss},
            pairs,
            self.model.training,
            run,
            "reconstruction",
        )
        self.network = players["autoencoder"].requires_grad_(True)
        if self.model.adversarial:
            self._fit_against_discriminator(self.model.adversarial, pairs, run, similarity)
        self.network.get_buffer("scale").copy_(latent_scale(*map(torch.cat, zip(*self.encode_all(pairs), strict=True))))

    def _reconstruction(
        self, images: Tensor, rng: torch.Generator, similarity: nn.Module | None
    ) -> tuple[Tensor, Tensor]:
        """Return the loss without the discriminator, and the reconstruction."""
        m = self.model
        mean, sigma = self.network.encode(images)
        z = mean + sigma * noise_like(mean, rng)
        decoded: Tensor = self.network.decode(z).float()
        mean, sigma = mean.float(), sigma.float()
        kl = 0.5 * (mean**2 + sigma**2 - 1 - 2 * sigma.log()).sum() / images.numel()
        loss = F.l1_loss(decoded, images) + m.kl_weight * kl
        if similarity is not None:
            # similarity was trained on images in [0, 1]
            loss = loss + m.perceptual_weight * similarity((decoded + 1) / 2, (images + 1) / 2).mean()
        return loss, decoded

    def _fit_against_discriminator(
        self, settings: TrainingSettings, pairs: PairDataset, run: TrainingRun, similarity: nn.Module | None
    ) -> None:
        """Go on against a patch discriminator, with hinge losses and the adaptive weight of latent diffusion.

        Where a batch is split, over processes or in pieces, each part has an adaptive weight of its own.
        """
        from monai.networks.nets import PatchDiscriminator

        critic = PatchDiscriminator(
            spatial_dims=2,
            channels=self.model.discriminator_channels,
            in_channels=self.model.image_channels,
            num_layers_d=3,
        )
        last_layer = self.network.decoder.blocks[-1].conv.weight

        def generator_loss(images: Tensor, masks: Tensor, rng: torch.Generator) -> Tensor:
            loss, decoded = self._reconstruction(images, rng, similarity)
            fooled = -critic(decoded)[-1].float().mean()
            (g_loss,) = torch.autograd.grad(loss, last_layer, retain_graph=True)
            (g_fool,) = torch.autograd.grad(fooled, last_layer, retain_graph=True)
            adaptive = (g_loss.norm() / (g_fool.norm() + 1e-4)).clamp(0, 1e4).detach()
            total: Tensor = loss + self.model.adversarial_weight * adaptive * fooled
            return total

        def critic_loss(images: Tensor, masks: Tensor, rng: torch.Generator) -> Tensor:
            with torch.no_grad():
                decoded = self._reconstruction(images, rng, None)[1]
            real, fake = critic(images)[-1].float(), critic(decoded)[-1].float()
            return 0.5 * (F.relu(1 - real).mean() + F.relu(1 + fake).mean())

        players = train(
            {"autoencoder": self.network, "discriminator": critic},
            {"autoencoder": generator_loss, "discriminator": critic_loss},
            pairs,
            settings,
            run,
            "adversarial",
        )
        self.network = players["autoencoder"]

    @torch.no_grad()
    def encode_all(self, pairs: PairDataset) -> list[tuple[Tensor, Tensor]]:
        """Return mean and sigma of the unscaled latents of all ``pairs``, batch by batch, float32 on the CPU."""
        device, encoded = pick_device(), []
        self.network.to(device).eval()
        starts = range(0, len(pairs), BATCH)
        for start in track(starts, "encoding", len(starts)):
            images, _ = pairs.batch(np.arange(start, min(start + BATCH, len(pairs))))
            with autocast(device):
                mean, sigma = self.network.encode(images.to(device))
            encoded.append((mean.float().cpu(), sigma.float().cpu()))
        return encoded

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        """Return images float32 [N, image_channels, H, W], cut to [-1, 1], from scaled latents [N, C, h, w]."""
        with autocast(latents.device):
            images = self.network.decode(latents / self.network.get_buffer("scale"))
        clamped: Tensor = images.float().clamp(-1, 1)
        return clamped

    @property
    def scale(self) -> float:
        """What latents are multiplied with to have unit variance."""
        return float(self.network.get_buffer("scale"))


def latent_scale(mean: Tensor, sigma: Tensor) -> Tensor:
    """Return the factor that gives samples of the posteriors N(mean, sigma^2) unit variance, a scalar.

    Latent diffusion divides by the standard deviation of sampled latents (Rombach et al. 2022, appendix G). Their
    variance is that of the means plus the mean of sigma^2, so that none need be drawn. Differs: latent diffusion
    takes the first training batch; all training images give a steadier factor.

    Args:
        mean: [N, C, h, w], of the unscaled latents.
        sigma: of the same shape.
    """
    return (mean.var() + sigma.square().mean()).rsqrt()


def _perceptual_loss(model: Model) -> nn.Module | None:
    """Return MONAI's perceptual loss with the weights that the settings name, or None where they name none."""
    if model.perceptual_weights is None:
        return None
    from monai.losses import PerceptualLoss
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    loss = PerceptualLoss(spatial_dims=2, network_type="resnet50", pretrained=False)
    try:
        weights = load_file(model.perceptual_weights)
    except (OSError, SafetensorError) as error:
        raise UserError(
            f"perceptual_weights: {model.perceptual_weights} cannot be read ({error}); save torchvision's resnet50 "
            "as safetensors there, or set it to null to train without a perceptual loss."
        ) from error
    problems = loss.perceptual_function.model.load_state_dict(weights, strict=False)
    if problems.missing_keys:
        raise UserError(
            f"perceptual_weights: {model.perceptual_weights} lacks {problems.missing_keys[0]} and others; it is not "
            "torchvision's resnet50."
        )
    network: nn.Module = loss.to(pick_device())
    return network
