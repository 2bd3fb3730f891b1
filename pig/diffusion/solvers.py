"""Solvers of the reverse process, for a state of any number of parts: an image, or a mask and its image.

All parts have the same noise level. At a level the networks give an estimate (x0_hat, eps_hat) of each part; a solver
goes from there to the next level. alpha = sqrt(alpha_bar), sigma = sqrt(1 - alpha_bar), lambda = log(alpha / sigma), as
in Lu et al. 2022 (DPM-Solver++, arXiv 2211.01095).

The joint process of a pair is one ordinary differential equation of both parts, since each estimate is a function of
the whole state at one level; so a solver for a single diffusion holds for it as it is.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from pig.diffusion.schedule import NoiseSchedule, log_snr
from pig.diffusion.settings import Solver
from pig.system.trial import turns

State = tuple[Tensor, ...]  # the parts, each [N, ...]
Estimates = Sequence[tuple[Tensor, Tensor]]  # (x0_hat, eps_hat) of each part
Estimate = Callable[[State, Tensor, Tensor], Estimates]  # (state, t [N] long, alpha_bar_t) -> estimates


class Level(NamedTuple):
    """The noise levels of a step, from t to the next t.

    alpha_bar are float64 scalars, because 1 - alpha_bar_t / alpha_bar_next loses four digits in float32 at small t;
    products with float32 images stay float32.
    """

    alpha_bar: Tensor
    alpha_bar_next: Tensor


class Step(NamedTuple):
    """Where a solver stands after a step: the estimates that were made at t, and the state at the next t."""

    t: int
    x0_hat: State
    state: State


class StepRule(Protocol):
    """How a step is made; it may remember the steps before."""

    def __call__(self, state: State, estimates: Estimates, level: Level) -> State:
        """Return the state at the next level."""
        ...


class DDIMStep:
    """Without new noise (PIG, Eq. 7; Song et al. 2020, Eq. 12 with sigma = 0)."""

    def __call__(self, state: State, estimates: Estimates, level: Level) -> State:
        """Return alpha_next x0_hat + sigma_next eps_hat of each part."""
        signal, noise = level.alpha_bar_next.sqrt(), (1 - level.alpha_bar_next).sqrt()
        return tuple(signal * x0_hat + noise * eps_hat for x0_hat, eps_hat in estimates)


class AncestralStep:
    """A draw from q(x_next | x_t, x0_hat), the posterior of Ho et al. 2020, Eq. 6-7, with its own variance.

    For t_next = t - 1 this is the paper's; for a longer stride alpha_t is alpha_bar_t / alpha_bar_next.

    Args:
        noise: a new draw of N(0, I) for each part.
    """

    def __init__(self, noise: Callable[[], State]) -> None:
        self.noise = noise

    def __call__(self, state: State, estimates: Estimates, level: Level) -> State:
        """Return the draws."""
        alpha_bar, following = level
        alpha = alpha_bar / following
        of_x0 = following.sqrt() * (1 - alpha) / (1 - alpha_bar)
        of_x_t = alpha.sqrt() * (1 - following) / (1 - alpha_bar)
        deviation = ((1 - following) / (1 - alpha_bar) * (1 - alpha)).sqrt()
        return tuple(
            of_x0 * x0_hat + of_x_t * x_t + deviation * noise
            for x_t, (x0_hat, _), noise in zip(state, estimates, self.noise(), strict=True)
        )


class DPMpp2MStep:
    """The second-order multistep solver DPM-Solver++(2M) (Lu et al. 2022, Algorithm 2).

    The linear part is integrated exactly. Of the estimates, the one of the step before is kept, and x0_hat is
    extrapolated linearly in lambda. The first step and the last are of first order, which is DDIM: at the first nothing
    is known of a step before, and at t = 0 lambda is infinite. Clipped estimates are the ones extrapolated.
    """

    def __init__(self) -> None:
        self.before: tuple[State, Tensor] | None = None  # x0_hat and lambda

    def __call__(self, state: State, estimates: Estimates, level: Level) -> State:
        """Return sigma_next / sigma_t x_t - alpha_next (exp(-h) - 1) D of each part, D being extrapolated."""
        x0_hat, now, following = (
            tuple(x0 for x0, _ in estimates),
            log_snr(level.alpha_bar),
            log_snr(level.alpha_bar_next),
        )
        before, self.before = self.before, (x0_hat, now)
        if before is None or bool(following.isinf()):
            return DDIMStep()(state, estimates, level)
        h, h_before = following - now, now - before[1]
        weight = h / (2 * h_before)  # 1 / (2 r)
        kept = ((1 - level.alpha_bar_next) / (1 - level.alpha_bar)).sqrt()
        gain = -level.alpha_bar_next.sqrt() * torch.expm1(-h)
        return tuple(
            kept * x_t + gain * ((1 + weight) * x0 - weight * older)
            for x_t, x0, older in zip(state, x0_hat, before[0], strict=True)
        )


RULES: dict[Solver, Callable[[], StepRule]] = {"ddim": DDIMStep, "dpmpp_2m": DPMpp2MStep}


@torch.no_grad()
def solve(
    estimate: Estimate, schedule: NoiseSchedule, state: State, visits: Sequence[tuple[int, int]], rule: StepRule
) -> Iterator[Step]:
    """Yield the state after each step, from noise on; memory does not grow with the steps.

    Args:
        estimate: calls the networks.
        schedule: of all parts.
        state: noise of each part, at the first t of ``visits``.
        visits: (t, t_next) of each step.
        rule: how a step is made.
    """
    first = state[0]
    for t, t_next in turns(visits, len(visits)):
        level = Level(schedule.alpha_bar(t), schedule.alpha_bar(t_next))
        estimates = estimate(state, torch.full((len(first),), t, device=first.device), level.alpha_bar)
        state = rule(state, estimates, level)
        yield Step(t, tuple(x0_hat for x0_hat, _ in estimates), state)
