"""Joint: one diffusion of image and mask together, as channels of one picture.

The plain way to draw pairs, with which PIG's paper does not compare itself: one network and one noise level for both,
where PIG has a guider for the mask and a denoiser for the image. So it has half of PIG's parameters and updates.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from baselines.settings import FewStepSampling as Sampling
from pig.data.store import PairDataset
from pig.diffusion.losses import diffusion_loss
from pig.diffusion.mask_scale import SIGNED, Bounds, MaskScale
from pig.diffusion.sampling import sample_images
from pig.diffusion.schedule import build_schedule, check_steps
from pig.methods.base import Identity, Pairs
from pig.methods.saved import SavedNetworks
from pig.methods.settings import PairModel as Model
from pig.methods.unet import ConditionalUNet
from pig.system.device import in_autocast, pick_device
from pig.system.settings import parse
from pig.training.loop import train
from pig.training.run import TrainingRun


class Joint(SavedNetworks):
    """Pairs drawn from noise by one network."""

    takes_masks = False
    makes_masks = True
    networks = ("network", "mask_scale")

    def __init__(self, model: Mapping[str, Any], sampling: Mapping[str, Any]) -> None:
        self.model = parse(Model, model, "model")
        self.sampling = parse(Sampling, sampling, "sampling")
        self.identity = Identity()
        self.image_size = self.model.image_size
        self.schedule = build_schedule(self.model.schedule)
        self.network = ConditionalUNet(self.model.network, channels=self.model.image_channels + 1, condition_channels=0)
        self.mask_scale = MaskScale()

    def fit(self, pairs: PairDataset, run: TrainingRun) -> None:
        """Train on ``pairs``, the masks as -1 and 1, or standardised."""
        model = self.model
        pairs = pairs.at(model.image_size)
        if model.standardise_masks:
            self.mask_scale.standardise(pairs)
        self.mask_scale.to(pick_device())

        def loss(images: Tensor, masks: Tensor, rng: torch.Generator) -> Tensor:
            both = torch.cat([images, self.mask_scale.encode(2 * masks - 1)], dim=1)
            return diffusion_loss(
                self.network, self.schedule, both, rng, prediction=model.prediction, antithetic=model.antithetic
            )

        modules = train({"network": self.network}, {"network": loss}, pairs, model.training, run, "network")
        self.network = modules["network"]  # type: ignore[assignment]

    def sample(self, indices: range, masks: Tensor | None = None) -> Pairs:
        """Draw the pairs of these indices: images cut to [-1, 1]; a pixel is lesion above 0, the scale taken back."""
        check_steps(self.sampling.steps, self.schedule)
        shape = (self.model.image_channels + 1, self.model.image_size, self.model.image_size)
        x_T = self.identity.noise("pair", indices, shape, pick_device()).draw()
        network = in_autocast(self.network)
        both = sample_images(
            network, self.schedule, x_T, self.sampling, prediction=self.model.prediction, bounds=self._bounds()
        )
        return Pairs(both[:, :-1].clamp(-1, 1), self.mask_scale.decode(both[:, -1:]) > 0)

    def _bounds(self) -> Bounds:
        """Return the bounds of each channel, [C, 1, 1]: those of the image, and last that of the mask."""
        low, high = (
            torch.cat([of_mask.new_full((self.model.image_channels,), end), of_mask[None]])[:, None, None]
            for end, of_mask in zip(SIGNED, self.mask_scale.bounds, strict=True)
        )
        return low, high
