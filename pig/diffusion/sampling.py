"""One denoising step, the sampler of a single diffusion, and that of a pair (PIG, Algorithm 2).

Of a pair, x is the mask, drawn by the guider, and y the image, drawn by the denoiser.
"""

from collections import deque
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from pig.diffusion.losses import Network
from pig.diffusion.prediction import split
from pig.diffusion.schedule import NoiseSchedule
from pig.diffusion.settings import Prediction

StepNoise = Callable[[], Tensor]  # a new draw of N(0, I), of the shape of x_t


def ddim_step(x0_hat: Tensor, eps_hat: Tensor, alpha_bar_next: Tensor) -> Tensor:
    """Return x at t_next from x0_hat and eps_hat, without new noise (PIG, Eq. 7; Song et al. 2020, sigma = 0)."""
    return alpha_bar_next.sqrt() * x0_hat + (1 - alpha_bar_next).sqrt() * eps_hat


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
    *,
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


def binarise(x0_hat: Tensor) -> Tensor:
    """Return the masks [N, 1, H, W] as -1 or 1, by the official code's rule.

    Clamped to [-1, 1], averaged over 5 x 5 pixels, then cut at 3/4 of its greatest and 1/4 of its least value,
    so that a mask is never empty.
    """
    smooth = F.avg_pool2d(x0_hat.clamp(-1, 1), 5, stride=1, padding=2, count_include_pad=False)
    greatest, least = smooth.amax((-2, -1), keepdim=True), smooth.amin((-2, -1), keepdim=True)
    return torch.where(smooth >= 0.75 * greatest + 0.25 * least, 1.0, -1.0)


class PairState(NamedTuple):
    """Where Algorithm 2 stands after a step: the estimates made at t, and the pair at the next t."""

    t: int
    x0_hat: Tensor
    y0_hat: Tensor
    x_next: Tensor
    y_next: Tensor


@torch.no_grad()
def denoise_pairs(
    guider: Network,
    denoiser: Network,
    schedule: NoiseSchedule,
    x_T: Tensor,
    y_T: Tensor,
    *,
    steps: int,
    prediction: Prediction = "epsilon",
    clip: bool = False,
    binarised: bool = False,
) -> Iterator[PairState]:
    """Yield the state after each of the steps of Algorithm 2, with sigma_t = 0; nothing of past steps is kept.

    The denoiser sees x0_hat and not x_{t-1}, so that the guider's noise eps_x does not reach it (Eq. 12).
    ``binarised`` shows it :func:`binarise` of x0_hat instead, as the official code's settings do.
    """
    x_t, y_t = x_T, y_T
    for t, alpha_bar_t, alpha_bar_next in levels(schedule, steps, x_T):
        x0_hat, eps_x = split(prediction, guider(x_t, y_t, t), x_t, alpha_bar_t, clip)
        condition = binarise(x0_hat) if binarised else x0_hat
        y0_hat, eps_y = split(prediction, denoiser(y_t, condition, t), y_t, alpha_bar_t, clip)
        x_t = ddim_step(x0_hat, eps_x, alpha_bar_next)
        y_t = ddim_step(y0_hat, eps_y, alpha_bar_next)
        yield PairState(int(t[0]), x0_hat, y0_hat, x_t, y_t)


def sample_pairs(
    guider: Network,
    denoiser: Network,
    schedule: NoiseSchedule,
    x_T: Tensor,
    y_T: Tensor,
    *,
    steps: int,
    prediction: Prediction = "epsilon",
    clip: bool = False,
    binarised: bool = False,
) -> tuple[Tensor, Tensor]:
    """Return (x_0, y_0), masks and images drawn from the noises x_T and y_T (Algorithm 2).

    Args:
        guider: (x_t, y_t, t) -> prediction of x; any callable.
        denoiser: (y_t, x_0_hat, t) -> prediction of y; any callable.
        schedule: of both diffusions.
        x_T: float32 [N, 1, H, W], noise of the mask.
        y_T: float32 [N, 1, H, W], noise of the image.
        steps: evenly spaced steps out of T; the paper takes 256 of 1024.
        prediction: what both networks predict.
        clip: keep both estimates in [-1, 1]; the paper does not.
        binarised: show the denoiser a binary mask (official code).

    Raises:
        ValueError: steps is not in 1..T.
    """
    states = denoise_pairs(
        guider, denoiser, schedule, x_T, y_T, steps=steps, prediction=prediction, clip=clip, binarised=binarised
    )
    state = last(states)
    return state.x_next, state.y_next


def last(states: Iterator[PairState]) -> PairState:
    """Return the last state and keep no other: memory does not grow with the steps."""
    (state,) = deque(states, maxlen=1)
    return state
