"""LDM: a diffusion of latents, given the mask (Rombach et al. 2022, arXiv 2112.10752), and its unconditional twin.

Differs: the mask enters as its area average over each latent pixel; the published model learns the reduction, and
nearest-neighbour reduction would lose small lesions. Differs: squared error in place of L1, because all diffusions
of the benchmark share a loss, so that the table compares methods. Differs: a KL autoencoder for the published VQ one;
the benchmark's U-Net, whose attention at the paper's settings works on 4 x 4 latent pixels alone.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from baselines.autoencoder import Autoencoder
from baselines.settings import FewStepSampling as Sampling
from baselines.settings import LatentModel as Model
from pig.data.store import PairDataset
from pig.diffusion.draws import noise_like
from pig.diffusion.losses import diffusion_loss
from pig.diffusion.sampling import sample_images
from pig.diffusion.schedule import build_schedule, check_steps
from pig.methods.base import Identity, Pairs
from pig.methods.saved import OnTrainedPart
from pig.methods.unet import ConditionalUNet
from pig.system.device import in_autocast, pick_device
from pig.system.errors import UserError
from pig.system.settings import parse, refuse
from pig.training.loop import train
from pig.training.run import TrainingRun


class LatentPool:
    """The latents of a set of pairs, encoded once: mean and sigma stand where images stood."""

    def __init__(self, autoencoder: Autoencoder, pairs: PairDataset) -> None:
        self.pairs = pairs
        self.latents = torch.cat([torch.cat(both, dim=1) for both in autoencoder.encode_all(pairs)])

    def __len__(self) -> int:
        return len(self.latents)

    def batch(self, positions: np.ndarray) -> tuple[Tensor, Tensor]:
        """Return mean and sigma [n, 2C, h, w] of unscaled latents, and masks [n, 1, H, W] in {0, 1}."""
        return self.latents[torch.from_numpy(positions)], self.pairs.batch(positions)[1]


def draw_latents(mean_and_sigma: Tensor, scale: float, rng: torch.Generator) -> Tensor:
    """Draw scaled latents [n, C, h, w] from the autoencoder's posterior."""
    mean, sigma = mean_and_sigma.chunk(2, dim=1)
    return scale * (mean + sigma * noise_like(mean, rng))


class LDM(OnTrainedPart):
    """Images drawn, in latent space, for given masks."""

    takes_masks = True
    makes_masks = False
    condition_channels = 1
    networks = ("network",)
    role = "autoencoder"

    def __init__(self, model: Mapping[str, Any], sampling: Mapping[str, Any]) -> None:
        self.model = parse(Model, model, "model")
        self.sampling = parse(Sampling, sampling, "sampling")
        self.identity = Identity()
        self.schedule = build_schedule(self.model.schedule)
        self.autoencoder: Autoencoder  # comes with fit or load

    def build_on(self, part: Autoencoder) -> None:
        """Build the network for the latents of a trained autoencoder."""
        self.autoencoder = autoencoder = part
        self.image_size = autoencoder.model.image_size
        refuse(self.model.part_errors({"autoencoder": autoencoder.model}))
        self.network = ConditionalUNet(self.model.network, autoencoder.model.latent_channels, self.condition_channels)

    def condition(self, masks: Tensor) -> tuple[Tensor, ...]:
        """Return what the network is given beside x_t: the share of lesion in each latent pixel."""
        return (F.adaptive_avg_pool2d(masks, self.autoencoder.latent_shape[-2:]),)

    def fit(self, pairs: PairDataset, run: TrainingRun) -> None:
        """Train on the latents of ``pairs``, by the autoencoder that the configuration names as ``autoencoder``."""
        self.start(run.needs)
        pool = LatentPool(self.autoencoder, pairs.at(self.image_size))
        scale = self.autoencoder.scale

        def loss(latents: Tensor, masks: Tensor, rng: torch.Generator) -> Tensor:
            condition = self.condition(masks)
            return diffusion_loss(
                lambda x_t, t: self.network(x_t, *condition, t),
                self.schedule,
                draw_latents(latents, scale, rng),
                rng,
                prediction=self.model.prediction,
                antithetic=self.model.antithetic,
            )

        modules = train({"network": self.network}, {"network": loss}, pool, self.model.training, run, "network")
        self.network = modules["network"]  # type: ignore[assignment]

    def sample(self, indices: range, masks: Tensor | None = None) -> Pairs:
        """Draw the images of these indices for ``masks``, float32 [N, 1, H, W] in {0, 1}; cut to [-1, 1]."""
        check_steps(self.sampling.steps, self.schedule)
        device = pick_device()
        if masks is None:
            if self.takes_masks:
                raise UserError("LDM draws images for masks; give them.")
            masks = torch.zeros(len(indices), 1, 1, 1)
        masks = masks.to(device)
        condition = self.condition(masks)
        latents = sample_images(
            in_autocast(lambda x_t, t: self.network(x_t, *condition, t)),
            self.schedule,
            self.identity.noise("image", indices, self.autoencoder.latent_shape, device).draw(),
            self.sampling,
            prediction=self.model.prediction,
        )
        return Pairs(self.autoencoder.decode(latents), masks > 0.5 if self.takes_masks else None)


class UnconditionalLDM(LDM):
    """Images without masks: the base that a ControlNet steers."""

    takes_masks = False
    condition_channels = 0

    def condition(self, masks: Tensor) -> tuple[Tensor, ...]:
        """Return nothing: the network sees x_t alone."""
        return ()
