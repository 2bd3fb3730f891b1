"""The settings of PIG: what is trained, and how pairs are drawn. Nothing here imports torch."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pig.diffusion.settings import SamplingSettings, steps_errors
from pig.methods.settings import PairModel
from pig.system.settings import Error


@dataclass(frozen=True)
class Model(PairModel):
    """What is trained. Where the paper and its official code differ, the defaults are the paper's.

    The paper predicts epsilon; antithetic timesteps are the official code's.

    Attributes:
        condition: what the denoiser is trained on: the clean mask, or the guider's one-step estimate of it, as in
            the official code. With the clean mask and ``sampling.clip`` off (the paper) the denoiser meets in
            sampling estimates that it never saw: at high t they are off by sqrt((1 - alpha_bar_t) / alpha_bar_t)
            times the error of the guider's epsilon, which is 178 times at t = T of the paper's schedule, and 172
            times at its first step.
        clamp_condition: keep that estimate in [-1, 1].
        loss_weight: "sigmoid" of the condition on each pixel of the denoiser's loss, as in the official code.
    """

    condition: Literal["clean", "predicted"] = "clean"
    clamp_condition: bool = False
    loss_weight: Literal["none", "sigmoid"] = "none"


@dataclass(frozen=True)
class Sampling(SamplingSettings):
    """How pairs are drawn. ``binarise`` shows the denoiser binary masks, as the official code's settings do."""

    binarise: bool = False

    def model_errors(self, model: Model, parts: Mapping[str, Any]) -> Iterator[Error]:
        """Yield what does not fit the model that is drawn from."""
        yield from steps_errors(self.steps, model.schedule.timesteps)
