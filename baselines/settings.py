"""The settings of the baselines: what each trains, and how it draws. Nothing here imports torch.

The module of a method imports its own as ``Model`` and ``Sampling``.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from pig.diffusion.settings import Prediction, SamplingSettings, ScheduleSettings, steps_errors
from pig.methods.settings import ImageModel, NetworkSettings, norm_errors
from pig.system.settings import Error, negative, not_positive, refuse
from pig.training.settings import TrainingSettings


@dataclass(frozen=True)
class MaskedImageModel(ImageModel):
    """A diffusion of images, given the mask.

    Attributes:
        ablate_masks: drop the mask of half the training images. Differs: each image has its own draw, where the
            published code has one a batch; and masks are never dropped in sampling.
    """

    ablate_masks: bool = False


@dataclass(frozen=True)
class AutoencoderModel:
    """An autoencoder of images.

    Attributes:
        image_size: pixels of a side.
        training: of the autoencoder with reconstruction and KL.
        adversarial: of autoencoder and discriminator together, afterwards; null: without a discriminator.
        channels: of each level; each but the first halves the side.
        latent_channels: of the latents.
        res_blocks: residual blocks a level.
        norm_groups: groups of each group normalisation.
        kl_weight: of the KL divergence from N(0, I); 1e-6 in latent diffusion.
        adversarial_weight: of the generator's loss, before the adaptive weight; 0.5 in latent diffusion.
        discriminator_channels: of the first layer of the patch discriminator.
        perceptual_weight: of the perceptual loss; 1 in latent diffusion.
        perceptual_weights: a safetensors file of torchvision's resnet50; null: no perceptual loss.
        image_channels: of the images, as the data have them: 1, or 3 for red, green and blue; not to be configured.
    """

    needs: ClassVar[Mapping[str, str]] = {}

    image_size: int
    training: TrainingSettings
    adversarial: TrainingSettings | None = None
    channels: tuple[int, ...] = (128, 256, 512)
    latent_channels: int = 3
    res_blocks: int = 2
    norm_groups: int = 32
    kl_weight: float = 1e-6
    adversarial_weight: float = 0.5
    discriminator_channels: int = 64
    perceptual_weight: float = 1.0
    perceptual_weights: str | None = None
    image_channels: int = 1

    def __post_init__(self) -> None:
        refuse(self._errors(), self)

    @property
    def factor(self) -> int:
        """How many pixels of the image one side of a latent stands for."""
        return int(2 ** (len(self.channels) - 1))

    def _errors(self) -> Iterator[Error]:
        yield from not_positive(
            self,
            "image_size",
            "image_channels",
            "channels",
            "latent_channels",
            "res_blocks",
            "norm_groups",
            "discriminator_channels",
        )
        yield from negative(self, "kl_weight", "adversarial_weight", "perceptual_weight")
        yield from norm_errors(self.channels, self.norm_groups)
        if not self.channels:
            yield "channels", "needs a value for each level, and at least one."
        elif self.image_size % self.factor:
            levels = f"an autoencoder of {len(self.channels)} levels"
            yield "image_size", f"must be a multiple of {self.factor} for {levels}, got {self.image_size}."
        if self.adversarial is None:
            return
        if self.image_size < 32:
            yield "image_size", f"must be at least 32 for the patch discriminator, got {self.image_size}."
        if self.adversarial.accumulate > 0 and self.adversarial.batch_size // self.adversarial.accumulate < 2:
            yield (
                "adversarial.batch_size",
                f"must be at least {2 * self.adversarial.accumulate}, for two images at a time (accumulate "
                f"{self.adversarial.accumulate}): the discriminator has batch normalisation.",
            )

    def part_errors(self, parts: Mapping[str, Any]) -> Iterator[Error]:
        """Yield what is wrong with the files that the training reads."""
        if self.perceptual_weights is not None and not Path(self.perceptual_weights).is_file():
            yield (
                "perceptual_weights",
                f"there is no file '{self.perceptual_weights}'; save torchvision's resnet50 as safetensors there, or "
                "set it to null to train without a perceptual loss.",
            )


def latent_schedule() -> ScheduleSettings:
    """Return the schedule of latent diffusion's mask-conditional model, with T of the benchmark."""
    return ScheduleSettings(1024, 0.0015, 0.0205, "scaled_linear")


@dataclass(frozen=True)
class LatentModel:
    """A diffusion of the latents of a trained autoencoder, which alone sees the ``image_channels``."""

    needs: ClassVar[Mapping[str, str]] = {"autoencoder": "baselines.autoencoder.Autoencoder"}

    training: TrainingSettings
    network: NetworkSettings = field(default_factory=NetworkSettings)
    schedule: ScheduleSettings = field(default_factory=latent_schedule)
    prediction: Prediction = "epsilon"
    antithetic: bool = False
    image_channels: int = 1

    def part_errors(self, parts: Mapping[str, Any]) -> Iterator[Error]:
        """Yield what does not fit the autoencoder."""
        autoencoder: AutoencoderModel = parts["autoencoder"]
        side = autoencoder.image_size // autoencoder.factor
        latents = f" (latents: {autoencoder.image_size} pixels at 1/{autoencoder.factor})"
        for _, sentence in self.network.size_errors(side, "", latents):
            yield "network", f"the side of the latents {sentence}"


@dataclass(frozen=True)
class ControlModel:
    """A control network; schedule, prediction and shape are those of its base.

    Attributes:
        training: of the control network alone; the base is frozen.
        embedding_channels: of the convolutions that bring the mask to the size of the latents; each but the first
            halves the side, so that there is one for each level of the autoencoder.
        image_channels: of the images, which the autoencoder alone sees.
    """

    needs: ClassVar[Mapping[str, str]] = {"base": "baselines.ldm.UnconditionalLDM"}

    training: TrainingSettings
    embedding_channels: tuple[int, ...] = (16, 32, 96)
    antithetic: bool = False
    image_channels: int = 1

    def __post_init__(self) -> None:
        refuse(not_positive(self, "embedding_channels"), self)

    def part_errors(self, parts: Mapping[str, Any]) -> Iterator[Error]:
        """Yield what does not fit the base, or the autoencoder under it."""
        base: LatentModel = parts["base"]
        if base.network.patch != 1:
            yield "", f"ControlNet needs a base with network.patch 1, got {base.network.patch}."
        levels, given = len(parts["base.autoencoder"].channels), len(self.embedding_channels)
        if given != levels:
            yield "embedding_channels", f"needs {levels} values, one for each level of the autoencoder, got {given}."


@dataclass(frozen=True)
class AncestralSampling:
    """Over all T steps, ancestrally; ``clip`` keeps x0_hat in [-1, 1], as Ho et al. do."""

    clip: bool = True


@dataclass(frozen=True)
class FewStepSampling(SamplingSettings):
    """In a choice of the T steps; Song et al. do not clip x0_hat."""

    def model_errors(self, model: Any, parts: Mapping[str, Any]) -> Iterator[Error]:
        """Yield what does not fit the model that is drawn from; a ControlNet's schedule is that of its base."""
        schedule: ScheduleSettings = (parts["base"] if isinstance(model, ControlModel) else model).schedule
        yield from steps_errors(self.steps, schedule.timesteps)
