"""Settings of a diffusion: noise schedule, what its network predicts, how it is sampled. Nothing here imports torch."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from pig.system.settings import Error, not_positive, refuse

Prediction = Literal["epsilon", "v", "x0"]  # what a network predicts
Solver = Literal["ddim", "dpmpp_2m"]  # how a step is made, see pig.diffusion.solvers
Spacing = Literal["uniform", "trailing", "edm", "log_snr"]  # which t are visited, see NoiseSchedule.visits


@dataclass(frozen=True)
class ScheduleSettings:
    """The noise schedule; the defaults are the paper's."""

    timesteps: int = 1024
    beta_1: float = 1e-4
    beta_T: float = 0.02
    kind: Literal["linear", "scaled_linear"] = "linear"

    def __post_init__(self) -> None:
        refuse(self._errors(), self)

    def _errors(self) -> Iterator[Error]:
        if self.timesteps < 2:
            yield "timesteps", f"must be at least 2, got {self.timesteps}."
        for name in ("beta_1", "beta_T"):
            if not 0 < getattr(self, name) < 1:
                yield name, f"must be between 0 and 1, got {getattr(self, name)}."
        if self.beta_1 > self.beta_T:
            yield "beta_1", f"must be at most beta_T, {self.beta_T}, since the noise grows with t; got {self.beta_1}."


@dataclass(frozen=True)
class SamplingSettings:
    """How a sampler goes from noise to an image. The defaults are the paper's.

    Attributes:
        steps: calls of each network.
        solver: ddim, or dpmpp_2m, of second order.
        spacing: uniform, as the paper and its code; the others start at t = T.
        clip: keep the estimates in [-1, 1].
    """

    steps: int = 256
    solver: Solver = "ddim"
    spacing: Spacing = "uniform"
    clip: bool = False

    def __post_init__(self) -> None:
        refuse(not_positive(self, "steps"), self)


def steps_errors(steps: int, timesteps: int) -> Iterator[Error]:
    """Yield an error if a sampler cannot take so many steps of a schedule with T = ``timesteps``."""
    if not 1 <= steps <= timesteps:
        yield "steps", f"must be in 1..{timesteps}, the timesteps of the noise schedule, got {steps}."
