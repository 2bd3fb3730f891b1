"""The samplers of a single diffusion and of a pair (PIG, Algorithm 2).

Of a pair, x is the mask, drawn by the guider, and y the image, drawn by the denoiser.
"""

from collections import deque
from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from pig.diffusion.losses import Network
from pig.diffusion.mask_scale import SIGNED, Bounds, MaskScale
from pig.diffusion.prediction import split
from pig.diffusion.schedule import NoiseSchedule
from pig.diffusion.settings import Prediction, SamplingSettings, Solver, Spacing
from pig.diffusion.solvers import RULES, AncestralStep, Estimate, Estimates, State, solve

StepNoise = Callable[[], Tensor]  # a new draw of N(0, I), of the shape of x_t
T = TypeVar("T")


def sample_images(
    network: Network,
    schedule: NoiseSchedule,
    x_T: Tensor,
    sampling: SamplingSettings,
    *,
    prediction: Prediction,
    bounds: Bounds = SIGNED,
) -> Tensor:
    """Return x_0 [N, ...] drawn from noise x_T in a choice of the T steps, without new noise.

    ``bounds`` of clean data, broadcast over [N, ...], are what ``sampling.clip`` keeps estimates in.
    """
    visits = schedule.visits(sampling.steps, sampling.spacing)
    estimate = _of_images(network, prediction, bounds if sampling.clip else None)
    return last(solve(estimate, schedule, (x_T,), visits, RULES[sampling.solver]())).state[0]


def sample_ancestrally(
    network: Network, schedule: NoiseSchedule, x_T: Tensor, noise: StepNoise, *, prediction: Prediction, clip: bool
) -> Tensor:
    """Return x_0 [N, ...] drawn from noise x_T in all T steps, each with new noise (Ho et al. 2020, Algorithm 2)."""
    visits = schedule.visits(schedule.timesteps)
    estimate = _of_images(network, prediction, SIGNED if clip else None)
    return last(solve(estimate, schedule, (x_T,), visits, AncestralStep(lambda: (noise(),)))).state[0]


def _of_images(network: Network, prediction: Prediction, within: Bounds | None) -> Estimate:
    def estimate(state: State, t: Tensor, alpha_bar: Tensor) -> Estimates:
        (x_t,) = state
        return [split(prediction, network(x_t, t), x_t, alpha_bar, within)]

    return estimate


def binarise(x0_hat: Tensor) -> Tensor:
    """Return the masks [N, 1, H, W] as -1 or 1, by the official code's rule.

    Clamped to [-1, 1] and averaged over 5 x 5 pixels; lesion is what lies above 3/4 of the greatest and 1/4 of the
    least average. So a mask is never empty, unless the estimate is clipped to one value everywhere, as at -1; flat
    otherwise, rounding decides.
    """
    smooth = F.avg_pool2d(x0_hat.clamp(-1, 1), 5, stride=1, padding=2, count_include_pad=False)
    greatest, least = smooth.amax((-2, -1), keepdim=True), smooth.amin((-2, -1), keepdim=True)
    return torch.where(smooth > 0.75 * greatest + 0.25 * least, 1.0, -1.0)


class PairState(NamedTuple):
    """Where Algorithm 2 stands after a step: the estimates made at t, and the pair at the next t.

    Masks are as they were before :meth:`MaskScale.encode`, those of noisy pairs too.
    """

    t: int
    x0_hat: Tensor
    y0_hat: Tensor
    x_next: Tensor
    y_next: Tensor


def denoise_pairs(
    guider: Network,
    denoiser: Network,
    schedule: NoiseSchedule,
    x_T: Tensor,
    y_T: Tensor,
    sampling: SamplingSettings,
    *,
    prediction: Prediction,
    scale: MaskScale,
    binarised: bool = False,
) -> Iterator[PairState]:
    """Yield the state after each of the steps of Algorithm 2, with sigma_t = 0; nothing of past steps is kept.

    The denoiser sees x0_hat and not x_{t-1}, so that the guider's noise eps_x does not reach it (Eq. 12).
    It sees masks of -1 and 1, whatever their ``scale`` in the guider's diffusion, of which x_T is the noise.
    ``binarised`` shows it :func:`binarise` of x0_hat instead, as the official code's settings do. A solver that
    extrapolates estimates does so for the state alone: the denoiser sees x0_hat as the guider gave it.
    """

    def estimate(state: State, t: Tensor, alpha_bar: Tensor) -> Estimates:
        x_t, y_t = state
        of_x = split(prediction, guider(x_t, y_t, t), x_t, alpha_bar, of_masks)
        mask = scale.decode(of_x[0])
        condition = binarise(mask) if binarised else mask
        return [of_x, split(prediction, denoiser(y_t, condition, t), y_t, alpha_bar, of_images)]

    of_masks, of_images = (scale.bounds, SIGNED) if sampling.clip else (None, None)
    visits = schedule.visits(sampling.steps, sampling.spacing)
    for step in solve(estimate, schedule, (x_T, y_T), visits, RULES[sampling.solver]()):
        (x0_hat, y0_hat), (x_next, y_next) = step.x0_hat, step.state
        yield PairState(step.t, scale.decode(x0_hat), y0_hat, scale.decode(x_next), y_next)


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
    solver: Solver = "ddim",
    spacing: Spacing = "uniform",
    scale: MaskScale | None = None,
) -> tuple[Tensor, Tensor]:
    """Return (x_0, y_0), masks and images drawn from the noises x_T and y_T (Algorithm 2).

    Args:
        guider: (x_t, y_t, t) -> prediction of x; any callable.
        denoiser: (y_t, x_0_hat, t) -> prediction of y; any callable.
        schedule: of both diffusions.
        x_T: float32 [N, 1, H, W], noise of the mask.
        y_T: float32 [N, C, H, W], noise of the image.
        steps: how many of the T steps; the paper takes 256 of 1024.
        prediction: what both networks predict.
        clip: keep both estimates in [-1, 1]; the paper does not.
        binarised: show the denoiser a binary mask (official code).
        solver: how a step is made; the paper's is ddim.
        spacing: which t are visited; the paper's are evenly spaced.
        scale: of the mask in its diffusion; None: -1 and 1, as in the paper.

    Raises:
        UserError: steps is 0 or less.
        ValueError: steps is above T.
    """
    sampling = SamplingSettings(steps, solver, spacing, clip)
    states = denoise_pairs(
        guider, denoiser, schedule, x_T, y_T, sampling,
        prediction=prediction, scale=scale or MaskScale(), binarised=binarised,
    )  # fmt: skip
    state = last(states)
    return state.x_next, state.y_next


def last(states: Iterator[T]) -> T:
    """Return the last state and keep no other: memory does not grow with the steps."""
    (state,) = deque(states, maxlen=1)
    return state
