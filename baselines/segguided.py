"""SegGuidedDif: an image diffusion given the mask as a channel (Konz et al., MICCAI 2024, arXiv 2402.05210).

Differs: the mask is fed as {0, 1}; the published code feeds 1/255 for a mask stored as 0 and 1, which hardly
conditions. Differs: the network is the benchmark's own, so that the table compares methods, not networks.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from baselines.settings import FewStepSampling as Sampling
from baselines.settings import MaskedImageModel as Model
from pig.data.store import PairDataset
from pig.diffusion.draws import uniform
from pig.diffusion.losses import diffusion_loss
from pig.diffusion.sampling import sample_images
from pig.diffusion.schedule import build_schedule, check_steps
from pig.methods.base import Identity, Pairs
from pig.methods.saved import SavedNetworks
from pig.methods.unet import ConditionalUNet
from pig.system.device import in_autocast, pick_device
from pig.system.errors import UserError
from pig.system.settings import parse
from pig.training.loop import train
from pig.training.run import TrainingRun


class SegGuidedDif(SavedNetworks):
    """Images drawn for given masks."""

    takes_masks = True
    makes_masks = False
    networks = ("network",)

    def __init__(self, model: Mapping[str, Any], sampling: Mapping[str, Any]) -> None:
        self.model = parse(Model, model, "model")
        self.sampling = parse(Sampling, sampling, "sampling")
        self.identity = Identity()
        self.image_size = self.model.image_size
        self.schedule = build_schedule(self.model.schedule)
        self.network = ConditionalUNet(self.model.network, channels=self.model.image_channels, condition_channels=1)

    def fit(self, pairs: PairDataset, run: TrainingRun) -> None:
        """Train on ``pairs``."""
        model = self.model

        def loss(images: Tensor, masks: Tensor, rng: torch.Generator) -> Tensor:
            if model.ablate_masks:
                kept = uniform(len(masks), rng).view(-1, 1, 1, 1) < 0.5
                masks = masks * kept
            return diffusion_loss(
                lambda x_t, t: self.network(x_t, masks, t),
                self.schedule,
                images,
                rng,
                prediction=model.prediction,
                antithetic=model.antithetic,
            )

        pairs = pairs.at(model.image_size)
        modules = train({"network": self.network}, {"network": loss}, pairs, model.training, run, "network")
        self.network = modules["network"]  # type: ignore[assignment]

    def sample(self, indices: range, masks: Tensor | None = None) -> Pairs:
        """Draw the images of these indices for ``masks``, float32 [N, 1, H, W] in {0, 1}; cut to [-1, 1]."""
        if masks is None:
            raise UserError("SegGuidedDif draws images for masks; give them.")
        check_steps(self.sampling.steps, self.schedule)
        device = pick_device()
        condition = masks.to(device)
        network = in_autocast(lambda x_t, t: self.network(x_t, condition, t))
        images = sample_images(
            network,
            self.schedule,
            self.identity.noise("image", indices, self.model.image_shape, device).draw(),
            self.sampling,
            prediction=self.model.prediction,
        )
        return Pairs(images.clamp(-1, 1), condition > 0.5)
