"""What the networks of a diffusion, single or paired, are trained to minimise.

Of a pair, x is the mask and y the image, both in [-1, 1] when clean (PIG, Algorithm 1), unless the mask has another
scale (pig.diffusion.mask_scale).
"""

from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from pig.diffusion.draws import noise_like, sample_timesteps
from pig.diffusion.mask_scale import MaskScale
from pig.diffusion.prediction import split, target
from pig.diffusion.schedule import NoiseSchedule
from pig.diffusion.settings import Prediction

Network = Callable[..., Tensor]  # (x_t [N, ...], further images, t [N] long in 1..T) -> prediction [N, ...]


def diffusion_loss(
    network: Network,
    schedule: NoiseSchedule,
    x_0: Tensor,
    rng: torch.Generator,
    *,
    prediction: Prediction,
    antithetic: bool = False,
) -> Tensor:
    """Return the mean squared error of a single diffusion's prediction (Ho et al. 2020, Eq. 14)."""
    t = sample_timesteps(len(x_0), schedule.timesteps, rng, antithetic)
    eps = noise_like(x_0, rng)
    wanted = target(prediction, x_0, eps, schedule.alpha_bar_for(t, x_0))
    return F.mse_loss(network(schedule.add_noise(x_0, eps, t), t).float(), wanted)


def guider_loss(
    guider: Network,
    schedule: NoiseSchedule,
    x_0: Tensor,
    y_0: Tensor,
    rng: torch.Generator,
    *,
    scale: MaskScale,
    prediction: Prediction,
    antithetic: bool = False,
) -> Tensor:
    """Return l_x of Algorithm 1: the guider sees x_t and the noisy y_t, at the same t.

    ``x_0`` are masks, float32 [N, 1, H, W] in {-1, 1}; what is diffused is ``scale`` of them.
    """
    x_0 = scale.encode(x_0)
    t = sample_timesteps(len(x_0), schedule.timesteps, rng, antithetic)
    eps_1, eps_2 = noise_like(x_0, rng), noise_like(y_0, rng)
    x_t, y_t = schedule.add_noise(x_0, eps_1, t), schedule.add_noise(y_0, eps_2, t)  # Eq. 9-10
    wanted = target(prediction, x_0, eps_1, schedule.alpha_bar_for(t, x_0))
    return F.mse_loss(guider(x_t, y_t, t).float(), wanted)


def denoiser_loss(
    denoiser: Network,
    schedule: NoiseSchedule,
    x_0: Tensor,
    y_0: Tensor,
    rng: torch.Generator,
    *,
    scale: MaskScale,
    guider: Network | None,
    prediction: Prediction,
    antithetic: bool = False,
    clamp: bool = False,
    weight: Literal["none", "sigmoid"] = "none",
) -> Tensor:
    """Return the loss of p_y(y_{t-1} | x_0, y_t).

    Args:
        denoiser: (y_t, condition, t) -> prediction of y.
        schedule: of both diffusions.
        x_0: masks, float32 [N, 1, H, W] in {-1, 1}.
        y_0: images, float32 [N, C, H, W] in [-1, 1].
        rng: source of t and of both noises.
        scale: of the mask's diffusion; the denoiser sees masks as -1 and 1, or estimates of these, whatever the scale.
        guider: None: the condition is the clean mask, as the paper's p_y(y_{t-1} | x_0, y_t) reads. Given: it is
            the frozen guider's one-step x0_hat from (x_t, y_t), as the official code trains.
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
        x_t = schedule.add_noise(scale.encode(x_0), eps_1, t)
        with torch.no_grad():
            x0_hat, _ = split(prediction, guider(x_t, y_t, t), x_t, alpha_bar, scale.bounds if clamp else None)
            condition = scale.decode(x0_hat)
    error = (denoiser(y_t, condition, t).float() - target(prediction, y_0, eps_2, alpha_bar)).square()
    return (error * torch.sigmoid(condition)).mean() if weight == "sigmoid" else error.mean()
