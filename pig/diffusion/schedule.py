"""The noise schedule of the forward process (PIG, Eq. 1-3, 8-10)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from pig.diffusion.settings import ScheduleSettings, Spacing, steps_errors
from pig.system.settings import refuse

EDM_RHO = 7


@dataclass(frozen=True)
class NoiseSchedule:
    """How much noise x_t holds at each t = 0..T; t = 0 is the clean image.

    Attributes:
        beta: float64 [T + 1], the variance added at each step; ``beta[0]`` = 0.
    """

    beta: Tensor

    def __post_init__(self) -> None:
        if self.beta.ndim != 1 or len(self.beta) < 2 or self.beta[0] != 0:
            raise ValueError("beta must be a vector of T + 1 values, the first of them 0.")
        if not bool(((self.beta[1:] > 0) & (self.beta[1:] < 1)).all()):
            raise ValueError("each beta_t must lie between 0 and 1.")
        object.__setattr__(self, "_alpha_bar", torch.cumprod(1 - self.beta.double(), dim=0))
        object.__setattr__(self, "_tables", {})

    @classmethod
    def linear(cls, timesteps: int = 1024, beta_1: float = 1e-4, beta_T: float = 0.02) -> "NoiseSchedule":
        """Return the schedule whose beta_t grows linearly from beta_1 to beta_T (Ho et al. 2020, sec. 4)."""
        beta = torch.linspace(beta_1, beta_T, timesteps, dtype=torch.float64)
        return cls(torch.cat([torch.zeros(1, dtype=torch.float64), beta]))

    @classmethod
    def scaled_linear(cls, timesteps: int, beta_1: float, beta_T: float) -> "NoiseSchedule":
        """Return the schedule whose sqrt(beta_t) grows linearly: what latent diffusion calls linear."""
        root = torch.linspace(beta_1**0.5, beta_T**0.5, timesteps, dtype=torch.float64)
        return cls(torch.cat([torch.zeros(1, dtype=torch.float64), root**2]))

    @property
    def timesteps(self) -> int:
        """T, the number of noise levels besides the clean image."""
        return len(self.beta) - 1

    def alpha_bar(self, t: int | Tensor) -> Tensor:
        """Return alpha_bar_t = prod_{i<=t} (1 - beta_i) in float64, for t in 0..T; alpha_bar_0 = 1.

        Raises:
            ValueError: a t lies outside 0..T.
        """
        index = torch.as_tensor(t, dtype=torch.long)
        if index.numel() and not (int(index.min()) >= 0 and int(index.max()) <= self.timesteps):
            raise ValueError(f"t must lie in 0..{self.timesteps}, got {t}.")
        table: Tensor = self.__dict__["_alpha_bar"]
        return table[index.cpu()].to(index.device)

    def alpha_bar_for(self, t: Tensor, like: Tensor) -> Tensor:
        """Return alpha_bar_t of t [N] as float32 [N, 1, ...], to be multiplied with ``like`` [N, ...].

        The table lies on the device of ``like``, so that a step of training does not wait for the device.
        """
        tables: dict[torch.device, Tensor] = self.__dict__["_tables"]
        if like.device not in tables:
            tables[like.device] = self.__dict__["_alpha_bar"].to(like.device, torch.float32)
        return tables[like.device][t].view(-1, *[1] * (like.ndim - 1))

    def add_noise(self, x_0: Tensor, eps: Tensor, t: Tensor) -> Tensor:
        """Return x_t = sqrt(alpha_bar_t) x_0 + sqrt(1 - alpha_bar_t) eps (Eq. 3), t [N] in 0..T."""
        alpha_bar = self.alpha_bar_for(t, x_0)
        return alpha_bar.sqrt() * x_0 + (1 - alpha_bar).sqrt() * eps

    def visits(self, steps: int, spacing: Spacing = "uniform") -> list[tuple[int, int]]:
        """Return the pairs (t, t_next) that a sampler walks, downwards, ending at t_next = 0.

        uniform: evenly spaced. 256 steps of T = 1024 visit t = 1021, 1017, ..., 5, 1, which are the official code's
        0-based 1020, ..., 0. Differs for a single step: it starts at t = T, because the official rule would visit
        t = 1 alone, where x_T counts as an almost clean image and is returned as the noise that it is.

        The others start at t = T, whose noise is what is sampled from. trailing: evenly spaced from there (Lin et al.
        2023, arXiv 2305.08891, Table 2). edm: evenly in the 7th root of sigma / alpha (Karras et al. 2022, arXiv
        2206.00364, Eq. 5). log_snr: evenly in lambda = log(alpha / sigma) (Lu et al. 2022, arXiv 2206.00927). The last
        two divide what lies between T and 1 by ``steps``, and take the nearest t, each once.

        Raises:
            ValueError: ``steps`` is not in 1..T.
        """
        last = self.timesteps
        if not 1 <= steps <= last:
            raise ValueError(f"steps must lie in 1..{last}, got {steps}.")
        if spacing == "uniform":
            visited = [i * last // steps + 1 for i in reversed(range(steps))] if steps > 1 else [last]
        elif spacing == "trailing":
            visited = [round(last * (steps - i) / steps) for i in range(steps)]
        else:
            half = log_snr(self.alpha_bar(torch.arange(1, last + 1)))  # decreases with t
            scale = torch.exp(-half) ** (1 / EDM_RHO) if spacing == "edm" else half
            grid = scale[-1] + torch.arange(steps) / steps * (scale[0] - scale[-1])
            place = torch.exp(-half) if spacing == "edm" else half  # where "nearest" is meant
            wanted = grid**EDM_RHO if spacing == "edm" else grid
            visited = []
            for i, value in enumerate(wanted):
                nearest = int((place - value).abs().argmin()) + 1
                visited.append(max(min(nearest, visited[-1] - 1) if visited else last, steps - i))
        return list(zip(visited, [*visited[1:], 0], strict=True))


def log_snr(alpha_bar: Tensor) -> Tensor:
    """Return lambda = log(alpha / sigma), half the logarithm of the signal-to-noise ratio; infinite at t = 0."""
    return 0.5 * torch.log(alpha_bar / (1 - alpha_bar))


def build_schedule(settings: ScheduleSettings) -> NoiseSchedule:
    """Return the noise schedule of these settings."""
    make = NoiseSchedule.linear if settings.kind == "linear" else NoiseSchedule.scaled_linear
    return make(settings.timesteps, settings.beta_1, settings.beta_T)


def check_steps(steps: int, schedule: NoiseSchedule) -> None:
    """Raise a UserError unless a sampler can take so many steps of ``schedule``."""
    refuse((f"sampling.{key}", sentence) for key, sentence in steps_errors(steps, schedule.timesteps))
