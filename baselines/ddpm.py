"""DDPM: an unconditional diffusion of the images alone (Ho et al. 2020, arXiv 2006.11239).

Its steps have the posterior's variance, as theirs for large images have. Differs: no dropout and no flipped images;
optimisation as the settings say, so that the table compares methods.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from baselines.settings import AncestralSampling as Sampling
from pig.data.store import PairDataset
from pig.diffusion.losses import diffusion_loss
from pig.diffusion.sampling import sample_ancestrally
from pig.diffusion.schedule import build_schedule
from pig.methods.base import Identity, Pairs
from pig.methods.saved import SavedNetworks
from pig.methods.settings import ImageModel as Model
from pig.methods.unet import ConditionalUNet
from pig.system.device import in_autocast, pick_device
from pig.system.settings import parse
from pig.training.loop import train
from pig.training.run import TrainingRun


class DDPM(SavedNetworks):
    """Images without masks, drawn by the ancestral sampler."""

    takes_masks = False
    makes_masks = False
    networks = ("network",)

    def __init__(self, model: Mapping[str, Any], sampling: Mapping[str, Any]) -> None:
        self.model = parse(Model, model, "model")
        self.sampling = parse(Sampling, sampling, "sampling")
        self.prepare()

    def prepare(self) -> None:
        """Build the schedule and the network, once the settings are there."""
        self.identity = Identity()
        self.image_size = self.model.image_size
        self.schedule = build_schedule(self.model.schedule)
        self.network = ConditionalUNet(self.model.network, channels=self.model.image_channels, condition_channels=0)

    def fit(self, pairs: PairDataset, run: TrainingRun) -> None:
        """Train on the images of ``pairs``."""

        def loss(images: Tensor, masks: Tensor, rng: torch.Generator) -> Tensor:
            return diffusion_loss(
                self.network,
                self.schedule,
                images,
                rng,
                prediction=self.model.prediction,
                antithetic=self.model.antithetic,
            )

        pairs = pairs.at(self.model.image_size)
        modules = train({"network": self.network}, {"network": loss}, pairs, self.model.training, run, "network")
        self.network = modules["network"]  # type: ignore[assignment]

    def sample(self, indices: range, masks: Tensor | None = None) -> Pairs:
        """Draw the images of these indices, cut to [-1, 1]."""
        noise = self.identity.noise("image", indices, self.model.image_shape, pick_device())
        images = sample_ancestrally(
            in_autocast(self.network),
            self.schedule,
            noise.draw(),
            noise.draw,
            prediction=self.model.prediction,
            clip=self.sampling.clip,
        )
        return Pairs(images.clamp(-1, 1))
