"""One denoising step, and the sampler of a single diffusion."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from pig.diffusion.prediction import Prediction, split
from pig.diffusion.schedule import NoiseSchedule

Network = Callable[[Tensor, Tensor], Tensor]  # (x_t [N, ...], t [N] long in 1..T) -> [N, ...]
StepNoise = Callable[[], Tensor]  # a new draw of N(0, I), of the shape of x_t


def ddim_sigma(eta: float, alpha_bar_t: Tensor, alpha_bar_next: Tensor) -> Tensor:
    """Return sigma_t of Song et al. 2020 (DDIM), Eq. 16: 0 at eta = 0, the ancestral sampler's at eta = 1."""
    variance = (1 - alpha_bar_next) / (1 - alpha_bar_t) * (1 - alpha_bar_t / alpha_bar_next)
    return eta * variance.sqrt()


def ddim_step(
    x0_hat: Tensor, eps_hat: Tensor, alpha_bar_next: Tensor, sigma: Tensor | float = 0.0, noise: Tensor | None = None
) -> Tensor:
    """Return x at t_next from x0_hat and eps_hat (PIG, Eq. 7); ``noise`` is needed where sigma is not 0."""
    variance_left = torch.as_tensor(1 - alpha_bar_next - torch.as_tensor(sigma) ** 2).clamp(min=0)
    x_next = alpha_bar_next.sqrt() * x0_hat + variance_left.sqrt() * eps_hat
    return x_next if noise is None else x_next + sigma * noise


def ddpm_step(x_t: Tensor, x0_hat: Tensor, alpha_bar_t: Tensor, alpha_bar_next: Tensor, noise: Tensor) -> Tensor:
    """Draw from q(x_next | x_t, x0_hat), the posterior of Ho et al. 2020, Eq. 6-7, with its own variance.

    For t_next = t - 1 this is the paper's; for a longer stride alpha_t is alpha_bar_t / alpha_bar_next.
    """
    alpha = alpha_bar_t / alpha_bar_next
    mean = (
        alpha_bar_next.sqrt() * (1 - alpha) / (1 - alpha_bar_t) * x0_hat
        + alpha.sqrt() * (1 - alpha_bar_next) / (1 - alpha_bar_t) * x_t
    )
    variance = (1 - alpha_bar_next) / (1 - alpha_bar_t) * (1 - alpha)
    return mean + variance.sqrt() * noise


def levels(schedule: NoiseSchedule, steps: int, like: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Yield (t [N] long, alpha_bar_t, alpha_bar_next) for each step of a sampler.

    The last two are float64 scalars, because 1 - alpha_bar_t / alpha_bar_next loses four digits in float32 at
    small t; products with float32 images stay float32.
    """
    for t, t_next in schedule.uniform_steps(steps):
        yield torch.full((len(like),), t, device=like.device), schedule.alpha_bar(t), schedule.alpha_bar(t_next)


@torch.no_grad()
def sample_images(
    network: Network,
    schedule: NoiseSchedule,
    x_T: Tensor,
    steps: int,
    prediction: Prediction,
    clip: bool,
    ancestral_noise: StepNoise | None = None,
) -> Tensor:
    """Return x_0 [N, ...] drawn from noise x_T: DDIM with sigma = 0, or the DDPM posterior if noise is given."""
    x_t = x_T
    for t, alpha_bar_t, alpha_bar_next in levels(schedule, steps, x_T):
        x0_hat, eps_hat = split(prediction, network(x_t, t), x_t, alpha_bar_t, clip)
        if ancestral_noise is None:
            x_t = ddim_step(x0_hat, eps_hat, alpha_bar_next)
        else:
            x_t = ddpm_step(x_t, x0_hat, alpha_bar_t, alpha_bar_next, ancestral_noise())
    return x_t
