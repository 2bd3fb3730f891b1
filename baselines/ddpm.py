"""DDPM: an unconditional diffusion of the images alone (Ho et al. 2020, arXiv 2006.11239).

Its steps have the posterior's variance, as theirs for large images have. Differs: no dropout and no flipped images;
optimisation as the settings say, so that the table compares methods.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from baselines.settings import AncestralSampling as Sampling
from pig.data.store import PairDataset
from pig.device import in_autocast, pick_device
from pig.diffusion.paired import diffusion_loss
from pig.diffusion.steps import sample_images
from pig.generator import Identity, Pairs, RunDirectory, build_schedule, load_weights, save_weights
from pig.model_settings import ImageModel as Model
from pig.networks import ConditionalUNet
from pig.settings import parse
from pig.training import train


class DDPM:
    """Images without masks, drawn by the ancestral sampler."""

    takes_masks = False
    makes_masks = False

    def __init__(self, model: Mapping[str, Any], sampling: Mapping[str, Any]) -> None:
        self.model = parse(Model, model, "model")
        self.sampling = parse(Sampling, sampling, "sampling")
        self.prepare()

    def prepare(self) -> None:
        """Build the schedule and the network, once the settings are there."""
        self.identity = Identity()
        self.image_size = self.model.image_size
        self.schedule = build_schedule(self.model.schedule)
        self.network = ConditionalUNet(self.model.network, channels=1, condition_channels=0)

    def fit(self, pairs: PairDataset, run: RunDirectory) -> None:
        """Train on the images of ``pairs``."""

        def loss(images: Tensor, masks: Tensor, rng: torch.Generator) -> Tensor:
            return diffusion_loss(
                self.network, self.schedule, images, rng, self.model.prediction, self.model.antithetic
            )

        pairs = pairs.at(self.model.image_size)
        self.network = train({"network": self.network}, {"network": loss}, pairs, self.model.training, run, "network")[
            "network"
        ]  # type: ignore[assignment]

    def sample(self, indices: range, masks: Tensor | None = None) -> Pairs:
        """Draw the images of these indices, cut to [-1, 1]."""
        shape = (1, self.model.image_size, self.model.image_size)
        noise = self.identity.noise("image", indices, shape, pick_device())
        images = sample_images(
            in_autocast(self.network),
            self.schedule,
            noise.draw(),
            self.schedule.timesteps,
            self.model.prediction,
            self.sampling.clip,
            ancestral_noise=noise.draw,
        )
        return Pairs(images.clamp(-1, 1))

    def save(self, path: Path) -> None:
        """Write the weights."""
        save_weights(path, network=self.network)

    @classmethod
    def load(cls, path: Path, model: Mapping[str, Any], sampling: Mapping[str, Any]) -> Self:
        """Return the generator whose weights lie in ``path``."""
        generator = cls(model, sampling)
        load_weights(path, network=generator.network)
        return generator
