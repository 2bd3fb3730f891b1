"""PIG: paired image generation with diffusion-guided diffusion models (Zhang et al., MICCAI 2025)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

import torch
from torch import Tensor

from pig.data.store import PairDataset
from pig.device import in_autocast, pick_device
from pig.diffusion.paired import PairState, denoise_pairs, denoiser_loss, guider_loss, last
from pig.diffusion.prediction import Prediction
from pig.generator import (
    Identity,
    Pairs,
    RunDirectory,
    ScheduleSettings,
    check_steps,
    load_weights,
    save_weights,
)
from pig.networks import ConditionalUNet, NetworkSettings
from pig.settings import parse
from pig.training import TrainingSettings, train


@dataclass(frozen=True)
class Model:
    """What is trained. Where the paper and its official code differ, the defaults are the paper's.

    Attributes:
        image_size: pixels of a side.
        training: of both networks.
        network: of both networks.
        schedule: of both diffusions.
        prediction: of both networks; the paper predicts epsilon.
        condition: what the denoiser is trained on: the clean mask, or the guider's one-step estimate of it, as in
            the official code. With the clean mask and ``sampling.clip`` off (the paper) the denoiser meets in
            sampling estimates that it never saw: at high t they are off by sqrt((1 - alpha_bar_t) / alpha_bar_t)
            times the error of the guider's epsilon, which is 178 times at t = T of the paper's schedule, and 172
            times at its first step.
        clamp_condition: keep that estimate in [-1, 1].
        loss_weight: "sigmoid" of the condition on each pixel of the denoiser's loss, as in the official code.
        antithetic: mirrored timesteps in each batch, as in the official code.
    """

    image_size: int
    training: TrainingSettings
    network: NetworkSettings = field(default_factory=NetworkSettings)
    schedule: ScheduleSettings = field(default_factory=ScheduleSettings)
    prediction: Prediction = "epsilon"
    condition: Literal["clean", "predicted"] = "clean"
    clamp_condition: bool = False
    loss_weight: Literal["none", "sigmoid"] = "none"
    antithetic: bool = False


@dataclass(frozen=True)
class Sampling:
    """How pairs are drawn; the defaults are the paper's. ``binarise`` shows the denoiser binary masks."""

    steps: int = 256
    clip: bool = False
    binarise: bool = False


class PairedDiffusion:
    """PIG as a generator: the guider draws the mask, the denoiser the image, step by step together.

    Differs: the weights kept are the last ones; the official code keeps those of the epoch with the lowest training
    loss, which depends on the timesteps that were drawn.
    """

    takes_masks = False
    makes_masks = True

    def __init__(self, model: Mapping[str, Any], sampling: Mapping[str, Any]) -> None:
        self.model = parse(Model, model, "model")
        self.sampling = parse(Sampling, sampling, "sampling")
        self.identity = Identity()
        self.image_size = self.model.image_size
        self.schedule = self.model.schedule.build()
        self.model.network.check_size(self.model.image_size, "model")
        self.guider = ConditionalUNet(self.model.network, channels=1, condition_channels=1)
        self.denoiser = ConditionalUNet(self.model.network, channels=1, condition_channels=1)

    def fit(self, pairs: PairDataset, run: RunDirectory) -> None:
        """Train the guider (Algorithm 1), then the denoiser, which may learn from the finished guider."""
        model = self.model
        pairs = pairs.at(model.image_size)

        def loss_x(images: Tensor, masks: Tensor, rng: torch.Generator) -> Tensor:
            return guider_loss(
                self.guider, self.schedule, 2 * masks - 1, images, rng, model.prediction, model.antithetic
            )

        def loss_y(images: Tensor, masks: Tensor, rng: torch.Generator) -> Tensor:
            return denoiser_loss(
                self.denoiser,
                self.guider if model.condition == "predicted" else None,
                self.schedule,
                2 * masks - 1,
                images,
                rng,
                model.prediction,
                model.antithetic,
                model.clamp_condition,
                model.loss_weight,
            )

        for name, loss in (("guider", loss_x), ("denoiser", loss_y)):
            module = getattr(self, name)
            setattr(self, name, train({name: module}, {name: loss}, pairs, model.training, run, name)[name])

    def steps(self, indices: range) -> Iterator[PairState]:
        """Return the states of Algorithm 2 for the pairs ``indices``, one after each step, as they are made."""
        check_steps(self.sampling.steps, self.schedule)
        device = pick_device()
        shape = (1, self.model.image_size, self.model.image_size)
        x_T = self.identity.noise("mask", indices, shape, device).draw()
        y_T = self.identity.noise("image", indices, shape, device).draw()
        return denoise_pairs(
            in_autocast(self.guider),
            in_autocast(self.denoiser),
            self.schedule,
            x_T,
            y_T,
            self.sampling.steps,
            self.model.prediction,
            self.sampling.clip,
            self.sampling.binarise,
        )

    def sample(self, indices: range, masks: Tensor | None = None) -> Pairs:
        """Draw the pairs of these indices. A pixel is lesion where x_0 > 0; images are cut to [-1, 1]."""
        state = last(self.steps(indices))
        return Pairs(state.y_next.clamp(-1, 1), state.x_next > 0)

    def save(self, path: Path) -> None:
        """Write the weights of both networks."""
        save_weights(path, guider=self.guider, denoiser=self.denoiser)

    @classmethod
    def load(cls, path: Path, model: Mapping[str, Any], sampling: Mapping[str, Any]) -> Self:
        """Return the generator whose weights lie in ``path``."""
        generator = cls(model, sampling)
        load_weights(path, guider=generator.guider, denoiser=generator.denoiser)
        return generator
