"""ControlNet: a trainable copy of a frozen diffusion's encoder, steered by the mask (Zhang et al. 2023, 2302.05543).

Differs: the base is the benchmark's own unconditional LDM, of the same autoencoder and schedule as its LDM, because
Stable Diffusion needs its weights, three channels and a prompt. Without a prompt there is none to drop in training,
and no classifier-free guidance in sampling.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from baselines.ldm import LatentPool, UnconditionalLDM, draw_latents
from baselines.settings import ControlModel as Model
from baselines.settings import FewStepSampling as Sampling
from pig.data.store import PairDataset
from pig.diffusion.losses import diffusion_loss
from pig.diffusion.sampling import sample_images
from pig.diffusion.schedule import check_steps
from pig.methods.base import Identity, Pairs
from pig.methods.saved import OnTrainedPart
from pig.system.device import in_autocast, pick_device
from pig.system.errors import UserError
from pig.system.settings import parse, refuse
from pig.training.loop import train
from pig.training.run import TrainingRun


class ControlNet(OnTrainedPart):
    """Images drawn, in latent space, for given masks, by a frozen base and its control network."""

    takes_masks = True
    makes_masks = False
    networks = ("control",)
    role = "base"

    def __init__(self, model: Mapping[str, Any], sampling: Mapping[str, Any]) -> None:
        self.model = parse(Model, model, "model")
        self.sampling = parse(Sampling, sampling, "sampling")
        self.identity = Identity()
        self.base: UnconditionalLDM  # comes with fit or load

    def build_on(self, part: UnconditionalLDM) -> None:
        """Build the control network on a trained base, from its encoder."""
        from monai.networks.nets import ControlNet as Control

        self.base = base = part
        self.image_size = base.image_size
        refuse(self.model.part_errors({"base": base.model, "base.autoencoder": base.autoencoder.model}))
        shape = base.model.network
        self.control: nn.Module = Control(
            spatial_dims=2,
            in_channels=base.autoencoder.model.latent_channels,
            channels=shape.channels,
            attention_levels=shape.attention,
            num_res_blocks=shape.res_blocks,
            num_head_channels=shape.head_channels,
            norm_num_groups=shape.norm_groups,
            conditioning_embedding_in_channels=1,
            conditioning_embedding_num_channels=self.model.embedding_channels,
        )
        self.control.load_state_dict(base.network.unet.state_dict(), strict=False)  # encoder and middle of the base
        base.network.to(pick_device()).eval().requires_grad_(False)

    def steered(self, x_t: Tensor, masks: Tensor, t: Tensor) -> Tensor:
        """Return the base's prediction with the control network's residuals added.

        Args:
            x_t: [N, C, h, w], noisy latents.
            masks: [N, 1, H, W] in {0, 1}, at the size of the image.
            t: [N] long.
        """
        down, middle = self.control(x_t, t, controlnet_cond=masks)
        output: Tensor = self.base.network.unet(
            x_t, t, down_block_additional_residuals=down, mid_block_additional_residual=middle
        )
        return output

    def fit(self, pairs: PairDataset, run: TrainingRun) -> None:
        """Train the control network on the base that the configuration names under ``needs`` as ``base``."""
        self.start(run.needs)
        pool = LatentPool(self.base.autoencoder, pairs.at(self.image_size))
        scale = self.base.autoencoder.scale

        def loss(latents: Tensor, masks: Tensor, rng: torch.Generator) -> Tensor:
            return diffusion_loss(
                lambda x_t, t: self.steered(x_t, masks, t),
                self.base.schedule,
                draw_latents(latents, scale, rng),
                rng,
                prediction=self.base.model.prediction,
                antithetic=self.model.antithetic,
            )

        modules = train({"control": self.control}, {"control": loss}, pool, self.model.training, run, "control")
        self.control = modules["control"]

    def sample(self, indices: range, masks: Tensor | None = None) -> Pairs:
        """Draw the images of these indices for ``masks``, float32 [N, 1, H, W] in {0, 1}; cut to [-1, 1]."""
        if masks is None:
            raise UserError("ControlNet draws images for masks; give them.")
        check_steps(self.sampling.steps, self.base.schedule)
        device = pick_device()
        masks = masks.to(device)
        latents = sample_images(
            in_autocast(lambda x_t, t: self.steered(x_t, masks, t)),
            self.base.schedule,
            self.identity.noise("image", indices, self.base.autoencoder.latent_shape, device).draw(),
            self.sampling,
            prediction=self.base.model.prediction,
        )
        return Pairs(self.base.autoencoder.decode(latents), masks > 0.5)
