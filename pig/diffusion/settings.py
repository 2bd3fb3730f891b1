"""Settings of a diffusion: its noise schedule and what its network predicts. Nothing here imports torch."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from pig.system.settings import Error, refuse

Prediction = Literal["epsilon", "v", "x0"]  # what a network predicts


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


def steps_errors(steps: int, timesteps: int) -> Iterator[Error]:
    """Yield an error if a sampler cannot take so many steps of a schedule with T = ``timesteps``."""
    if not 1 <= steps <= timesteps:
        yield "steps", f"must be in 1..{timesteps}, the timesteps of the noise schedule, got {steps}."
