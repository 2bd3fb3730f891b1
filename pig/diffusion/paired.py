"""Paired image generation: two diffusions that guide each other (PIG, Algorithms 1 and 2).

x is the mask, made by the guider; y is the image, made by the denoiser. Both are in [-1, 1] when clean.
"""

from collections import deque
from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from pig.diffusion.draws import noise_like, sample_timesteps
from pig.diffusion.prediction import Prediction, split, target
from pig.diffusion.schedule import NoiseSchedule
from pig.diffusion.steps import ddim_step, levels

Guider = Callable[[Tensor, Tensor, Tensor], Tensor]  # (x_t, y_t, t) -> prediction of x, [N, 1, H, W]
Denoiser = Callable[[Tensor, Tensor, Tensor], Tensor]  # (y_t, x_0_hat, t) -> prediction of y, [N, 1, H, W]


def diffusion_loss(
    network: Callable[[Tensor, Tensor], Tensor],
    schedule: NoiseSchedule,
    x_0: Tensor,
    rng: torch.Generator,
    prediction: Prediction,
    antithetic: bool = False,
) -> Tensor:
    """Return the mean squared error of a single diffusion's prediction (Ho et al. 2020, Eq. 14)."""
    t = sample_timesteps(len(x_0), schedule.timesteps, rng, antithetic)
    eps = noise_like(x_0, rng)
    wanted = target(prediction, x_0, eps, schedule.alpha_bar_for(t, x_0))
    return F.mse_loss(network(schedule.add_noise(x_0, eps, t), t).float(), wanted)


def guider_loss(
    guider: Guider,
    schedule: NoiseSchedule,
    x_0: Tensor,
    y_0: Tensor,
    rng: torch.Generator,
    prediction: Prediction,
    antithetic: bool = False,
) -> Tensor:
    """Return l_x of Algorithm 1: the guider sees x_t and the noisy y_t, at the same t."""
    t = sample_timesteps(len(x_0), schedule.timesteps, rng, antithetic)
    eps_1, eps_2 = noise_like(x_0, rng), noise_like(y_0, rng)
    x_t, y_t = schedule.add_noise(x_0, eps_1, t), schedule.add_noise(y_0, eps_2, t)  # Eq. 9-10
    wanted = target(prediction, x_0, eps_1, schedule.alpha_bar_for(t, x_0))
    return F.mse_loss(guider(x_t, y_t, t).float(), wanted)


def denoiser_loss(
    denoiser: Denoiser,
    guider: Guider | None,
    schedule: NoiseSchedule,
    x_0: Tensor,
    y_0: Tensor,
    rng: torch.Generator,
    prediction: Prediction,
    antithetic: bool = False,
    clamp: bool = False,
    weight: Literal["none", "sigmoid"] = "none",
) -> Tensor:
    """Return the loss of p_y(y_{t-1} | x_0, y_t).

    Args:
        denoiser: (y_t, condition, t) -> prediction of y.
        guider: None: the condition is the clean mask, as the paper's p_y(y_{t-1} | x_0, y_t) reads. Given: it is
            the frozen guider's one-step x0_hat from (x_t, y_t), as the official code trains.
        schedule: of both diffusions.
        x_0: masks, float32 [N, 1, H, W] in {-1, 1}.
        y_0: images, float32 [N, 1, H, W] in [-1, 1].
        rng: source of t and of both noises.
        prediction: of both networks.
        antithetic: mirrored timesteps (official code).
        clamp: keep the guider's x0_hat in [-1, 1]; near t = T it is divided by sqrt(alpha_bar_T) = 0.006.
        weight: "sigmoid" weighs each pixel by sigmoid(condition), as the official code does.
    """
    t = sample_timesteps(len(x_0), schedule.timesteps, rng, antithetic)
    eps_1, eps_2 = noise_like(x_0, rng), noise_like(y_0, rng)
    alpha_bar = schedule.alpha_bar_for(t, y_0)
    y_t = schedule.add_noise(y_0, eps_2, t)
    condition = x_0
    if guider is not None:
        x_t = schedule.add_noise(x_0, eps_1, t)
        with torch.no_grad():
            condition, _ = split(prediction, guider(x_t, y_t, t), x_t, alpha_bar, clip=clamp)
    error = (denoiser(y_t, condition, t).float() - target(prediction, y_0, eps_2, alpha_bar)).square()
    return (error * torch.sigmoid(condition)).mean() if weight == "sigmoid" else error.mean()


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
    guider: Guider,
    denoiser: Denoiser,
    schedule: NoiseSchedule,
    x_T: Tensor,
    y_T: Tensor,
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
    guider: Guider,
    denoiser: Denoiser,
    schedule: NoiseSchedule,
    x_T: Tensor,
    y_T: Tensor,
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
    state = last(denoise_pairs(guider, denoiser, schedule, x_T, y_T, steps, prediction, clip, binarised))
    return state.x_next, state.y_next


def last(states: Iterator[PairState]) -> PairState:
    """Return the last state and keep no other: memory does not grow with the steps."""
    (state,) = deque(states, maxlen=1)
    return state
