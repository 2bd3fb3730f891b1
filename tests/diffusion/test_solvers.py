"""Solvers on processes whose solution is known in closed form, and against diffusers."""

import math
from itertools import pairwise

import pytest
import torch
from diffusers import DPMSolverMultistepScheduler
from hypothesis import given
from hypothesis import strategies as st

from pig.diffusion.mask_scale import MaskScale
from pig.diffusion.sampling import denoise_pairs, sample_images
from pig.diffusion.schedule import NoiseSchedule, log_snr
from pig.diffusion.settings import SamplingSettings
from pig.diffusion.solvers import RULES, DPMpp2MStep, Level, solve

SCHEDULE = NoiseSchedule.scaled_linear(1024, 1e-4, 0.02)
FINE = NoiseSchedule.linear(2**16, 1e-4 / 64, 0.02 / 64)  # so that t can be spaced evenly in lambda
MEAN, DEVIATION = 0.3, 0.2
DOUBLE = torch.float64


def gaussian(schedule):
    """The exact estimate for images from N(MEAN, DEVIATION^2), each pixel on its own."""

    def estimate(state, t, alpha_bar):
        found = []
        for x_t in state:
            signal, variance = alpha_bar.sqrt(), alpha_bar * DEVIATION**2 + 1 - alpha_bar
            x0_hat = MEAN + signal * DEVIATION**2 / variance * (x_t - signal * MEAN)
            found.append((x0_hat, (x_t - signal * x0_hat) / (1 - alpha_bar).sqrt()))
        return found

    return estimate


def exact(schedule, z, t):
    """Where the probability-flow ODE has brought the standard normal z at t: the density keeps its quantiles."""
    alpha_bar = schedule.alpha_bar(t)
    return alpha_bar.sqrt() * MEAN + (alpha_bar * DEVIATION**2 + 1 - alpha_bar).sqrt() * z


def even_in_lambda(steps, first, last):
    half = log_snr(FINE.alpha_bar(torch.arange(1, FINE.timesteps + 1)))
    grid = torch.linspace(float(half[first - 1]), float(half[last - 1]), steps + 1, dtype=DOUBLE)
    visited = [int((half - value).abs().argmin()) + 1 for value in grid]
    return list(pairwise(visited))


@pytest.mark.parametrize(("solver", "order"), [("ddim", 1), ("dpmpp_2m", 2)])
def test_the_order_of_convergence(solver, order):
    z = torch.linspace(-2, 2, 9, dtype=DOUBLE).view(1, 1, 3, 3)
    first, last = 50_000, 5_000
    errors = []
    for steps in (16, 32, 64, 128):
        start = exact(FINE, z, first)
        *_, end = solve(gaussian(FINE), FINE, (start,), even_in_lambda(steps, first, last), RULES[solver]())
        errors.append(float((end.state[0] - exact(FINE, z, last)).abs().max()))
    slopes = [math.log2(before / after) for before, after in pairwise(errors)]
    assert slopes == pytest.approx([order] * 3, abs=0.25)


@pytest.mark.parametrize("solver", ["ddim", "dpmpp_2m"])
@pytest.mark.parametrize("spacing", ["uniform", "trailing", "edm", "log_snr"])
@given(steps=st.integers(1, 40))
def test_one_point_is_hit_in_any_number_of_steps(solver, spacing, steps):
    """Where x0_hat is constant the linear part is all there is, and it is integrated exactly."""
    point = torch.tensor([[[[0.7]]], [[[-0.4]]]], dtype=DOUBLE)
    eps = torch.tensor([[[[1.3]]], [[[-0.2]]]], dtype=DOUBLE)
    visits = SCHEDULE.visits(steps, spacing)

    def at(t):
        alpha_bar = SCHEDULE.alpha_bar(t)
        return alpha_bar.sqrt() * point + (1 - alpha_bar).sqrt() * eps

    states = solve(lambda state, t, a: [(point, eps)], SCHEDULE, (at(visits[0][0]),), visits, RULES[solver]())
    for step, (t, t_next) in zip(states, visits, strict=True):
        assert step.t == t
        assert torch.allclose(step.state[0], at(t_next), atol=1e-12)


def test_a_step_of_2m_by_hand():
    levels = [torch.tensor(value, dtype=DOUBLE) for value in (0.1, 0.3, 0.6)]
    half = [math.log(math.sqrt(a) / math.sqrt(1 - a)) for a in (0.1, 0.3, 0.6)]
    x, first, second = (torch.full((1, 1, 1, 1), value, dtype=DOUBLE) for value in (0.5, 0.2, 0.8))
    rule = DPMpp2MStep()
    eps = (x - math.sqrt(0.1) * first) / math.sqrt(0.9)
    (x_1,) = rule((x,), [(first, eps)], Level(levels[0], levels[1]))
    assert x_1.item() == pytest.approx(math.sqrt(0.3) * 0.2 + math.sqrt(0.7) * eps.item())
    (x_2,) = rule((x_1,), [(second, eps)], Level(levels[1], levels[2]))
    h, h_before = half[2] - half[1], half[1] - half[0]
    r = h_before / h
    D = (1 + 1 / (2 * r)) * 0.8 - 1 / (2 * r) * 0.2
    assert x_2.item() == pytest.approx(
        math.sqrt(0.4) / math.sqrt(0.7) * x_1.item() - math.sqrt(0.6) * (math.exp(-h) - 1) * D
    )


def toy_network(x_t, t):
    """Any smooth estimate of x0 within bounds."""
    return torch.tanh(0.6 * x_t + 0.1 * x_t.roll(1, -1)) * (1 - t.view(-1, 1, 1, 1) / 2048)


@pytest.mark.parametrize("steps", [2, 6, 8, 25])
def test_agrees_with_the_multistep_solver_of_diffusers(steps):
    x_T = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(3))
    ours = sample_images(toy_network, SCHEDULE, x_T, SamplingSettings(steps, "dpmpp_2m", "trailing"), prediction="x0")
    scheduler = DPMSolverMultistepScheduler(
        1024, 1e-4, 0.02, "scaled_linear", prediction_type="sample", algorithm_type="dpmsolver++",
        solver_order=2, solver_type="midpoint", timestep_spacing="trailing", final_sigmas_type="zero",
    )  # fmt: skip
    scheduler.set_timesteps(steps)
    assert [int(t) + 1 for t in scheduler.timesteps] == [t for t, _ in SCHEDULE.visits(steps, "trailing")]
    x_t = x_T
    for t in scheduler.timesteps:  # 0-based
        x_t = scheduler.step(toy_network(x_t, (t + 1).expand(2)), t, x_t).prev_sample
    assert torch.allclose(ours, x_t, rtol=1e-5, atol=1e-5)


def test_parts_that_do_not_look_at_each_other_are_solved_as_if_alone():
    x_T, y_T = torch.randn(2, 2, 1, 8, 8, generator=torch.Generator().manual_seed(4))
    sampling = SamplingSettings(7, "dpmpp_2m", "edm")
    *_, state = denoise_pairs(
        lambda x_t, y_t, t: toy_network(x_t, t), lambda y_t, x0_hat, t: -toy_network(y_t, t), SCHEDULE, x_T, y_T,
        sampling, prediction="x0", scale=MaskScale(),
    )  # fmt: skip
    assert torch.equal(state.x_next, sample_images(toy_network, SCHEDULE, x_T, sampling, prediction="x0"))
    alone = sample_images(lambda y_t, t: -toy_network(y_t, t), SCHEDULE, y_T, sampling, prediction="x0")
    assert torch.equal(state.y_next, alone)


def test_the_denoiser_sees_the_estimate_as_it_was_made_and_not_extrapolated():
    x_T, y_T = torch.randn(2, 1, 1, 8, 8, generator=torch.Generator().manual_seed(5))
    shown = []

    def denoiser(y_t, x0_hat, t):
        shown.append(x0_hat)
        return torch.zeros_like(y_t)

    sampling = SamplingSettings(6, "dpmpp_2m", "trailing", clip=True)
    given = {"prediction": "x0", "scale": MaskScale()}
    states = list(
        denoise_pairs(lambda x_t, y_t, t: 2 * toy_network(x_t, t), denoiser, SCHEDULE, x_T, y_T, sampling, **given)
    )
    assert len(shown) == 6
    for x0_hat, state in zip(shown, states, strict=True):
        assert torch.equal(x0_hat, state.x0_hat)
        assert x0_hat.abs().max() <= 1


def test_on_pairs_of_a_gaussian_2m_is_nearer_than_ddim():
    """The image depends on the mask: y = x / 2 + noise of 0.1; few steps, from t = T to the clean pair."""
    x_T, y_T = torch.randn(2, 64, 1, 1, 1, generator=torch.Generator().manual_seed(6), dtype=DOUBLE)
    slope, spread = 0.5, 0.1

    def guider(x_t, y_t, t):
        """E[x | x_t, y_t] for x ~ N(0, 1)."""
        a = SCHEDULE.alpha_bar(int(t[0]))
        precision = 1 + a / (1 - a) + a * slope**2 / (a * spread**2 + 1 - a)
        return (a.sqrt() / (1 - a) * x_t + a.sqrt() * slope / (a * spread**2 + 1 - a) * y_t) / precision

    def denoiser(y_t, x0_hat, t):
        a = SCHEDULE.alpha_bar(int(t[0]))
        gain = a.sqrt() * spread**2 / (a * spread**2 + 1 - a)
        return slope * x0_hat + gain * (y_t - a.sqrt() * slope * x0_hat)

    def drawn(*sampling):
        settings = SamplingSettings(*sampling)
        *_, state = denoise_pairs(guider, denoiser, SCHEDULE, x_T, y_T, settings, prediction="x0", scale=MaskScale())
        return torch.cat([state.x_next, state.y_next])

    converged = drawn(512, "ddim", "trailing")
    errors = {solver: float((drawn(8, solver, "log_snr") - converged).square().mean().sqrt()) for solver in RULES}
    assert errors["dpmpp_2m"] < 0.5 * errors["ddim"]


# Which t are visited.


@pytest.mark.parametrize("spacing", ["uniform", "trailing", "edm", "log_snr"])
@given(steps=st.integers(1, 300), kind=st.sampled_from(["linear", "scaled_linear"]))
def test_visits_go_down_to_the_clean_image_each_t_once(spacing, steps, kind):
    schedule = getattr(NoiseSchedule, kind)(300, 1e-4, 0.05)
    visits = schedule.visits(steps, spacing)
    visited = [t for t, _ in visits]
    assert len(visited) == steps
    assert [t_next for _, t_next in visits] == [*visited[1:], 0]
    assert all(before > after for before, after in pairwise(visited))
    assert visited[-1] >= 1
    if spacing != "uniform":
        assert visited[0] == 300


def test_visits_by_hand():
    assert [t for t, _ in SCHEDULE.visits(6, "edm")] == [1024, 931, 800, 590, 275, 50]
    assert [t for t, _ in SCHEDULE.visits(4, "trailing")] == [1024, 768, 512, 256]
    half = log_snr(SCHEDULE.alpha_bar(torch.tensor([t for t, _ in SCHEDULE.visits(8, "log_snr")])))
    steps = half.diff()
    assert float(steps.min()) > 0.9 * float(steps.max())
    whole = float(log_snr(SCHEDULE.alpha_bar(1)) - half[0])
    assert float(steps.mean()) == pytest.approx(whole / 8, rel=0.02)
    for spacing in ("uniform", "trailing", "edm", "log_snr"):
        assert [t for t, _ in SCHEDULE.visits(1024, spacing)] == list(range(1024, 0, -1))
