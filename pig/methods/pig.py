"""PIG: paired image generation with diffusion-guided diffusion models (Zhang et al., MICCAI 2025)."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from pig.data.store import PairDataset
from pig.diffusion.losses import denoiser_loss, guider_loss
from pig.diffusion.mask_scale import MaskScale
from pig.diffusion.sampling import PairState, denoise_pairs, last
from pig.diffusion.schedule import build_schedule, check_steps
from pig.methods.base import Identity, Pairs
from pig.methods.pig_settings import Model as Model
from pig.methods.pig_settings import Sampling as Sampling
from pig.methods.saved import SavedNetworks
from pig.methods.unet import ConditionalUNet
from pig.system.device import in_autocast, pick_device
from pig.system.settings import parse
from pig.training.loop import train
from pig.training.run import TrainingRun


class PIG(SavedNetworks):
    """PIG as a generator: the guider draws the mask, the denoiser the image, step by step together.

    Differs: the weights kept are the last ones, because the training loss depends on the timesteps that were drawn; the
    official code means to keep those of the epoch with the lowest (in effect it does not: docs/methods.md). The mask is
    x_0 > 0 also with ``binarise``, where the official code writes one by that rule, too: docs/methods.md says why.
    Differs, if asked for: the masks are standardised in their diffusion, because else many are drawn empty.
    """

    takes_masks = False
    makes_masks = True
    networks = ("guider", "denoiser", "mask_scale")

    def __init__(self, model: Mapping[str, Any], sampling: Mapping[str, Any]) -> None:
        self.model = parse(Model, model, "model")
        self.sampling = parse(Sampling, sampling, "sampling")
        self.identity = Identity()
        self.image_size = self.model.image_size
        self.schedule = build_schedule(self.model.schedule)
        colours = self.model.image_channels
        self.guider = ConditionalUNet(self.model.network, channels=1, condition_channels=colours)
        self.denoiser = ConditionalUNet(self.model.network, channels=colours, condition_channels=1)
        self.mask_scale = MaskScale()

    def fit(self, pairs: PairDataset, run: TrainingRun) -> None:
        """Train the guider (Algorithm 1), then the denoiser, which may learn from the finished guider."""
        model = self.model
        pairs = pairs.at(model.image_size)
        if model.standardise_masks:
            self.mask_scale.standardise(pairs)
        self.mask_scale.to(pick_device())

        def loss_x(images: Tensor, masks: Tensor, rng: torch.Generator) -> Tensor:
            return guider_loss(
                self.guider,
                self.schedule,
                x_0=2 * masks - 1,
                y_0=images,
                rng=rng,
                scale=self.mask_scale,
                prediction=model.prediction,
                antithetic=model.antithetic,
            )

        def loss_y(images: Tensor, masks: Tensor, rng: torch.Generator) -> Tensor:
            return denoiser_loss(
                self.denoiser,
                self.schedule,
                x_0=2 * masks - 1,
                y_0=images,
                rng=rng,
                scale=self.mask_scale,
                guider=self.guider if model.condition == "predicted" else None,
                prediction=model.prediction,
                antithetic=model.antithetic,
                clamp=model.clamp_condition,
                weight=model.loss_weight,
            )

        for name, loss in (("guider", loss_x), ("denoiser", loss_y)):
            module = getattr(self, name)
            setattr(self, name, train({name: module}, {name: loss}, pairs, model.training, run, name)[name])

    def steps(self, indices: range) -> Iterator[PairState]:
        """Return the states of Algorithm 2 for the pairs ``indices``, one after each step, as they are made."""
        check_steps(self.sampling.steps, self.schedule)
        device = pick_device()
        shape = self.model.image_shape
        x_T = self.identity.noise("mask", indices, (1, *shape[1:]), device).draw()
        y_T = self.identity.noise("image", indices, shape, device).draw()
        return denoise_pairs(
            in_autocast(self.guider),
            in_autocast(self.denoiser),
            self.schedule,
            x_T,
            y_T,
            self.sampling,
            prediction=self.model.prediction,
            scale=self.mask_scale,
            binarised=self.sampling.binarise,
        )

    def sample(self, indices: range, masks: Tensor | None = None) -> Pairs:
        """Draw the pairs of these indices. A pixel is lesion where x_0 > 0; images are cut to [-1, 1]."""
        state = last(self.steps(indices))
        return Pairs(state.y_next.clamp(-1, 1), state.x_next > 0)
