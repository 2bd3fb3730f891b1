import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import pig
from pig.diffusion.sampling import sample_images
from pig.diffusion.schedule import NoiseSchedule, build_schedule
from pig.diffusion.settings import SamplingSettings, ScheduleSettings


def test_alpha_bar_is_the_product_of_the_paper():
    schedule = pig.NoiseSchedule.linear(timesteps=1024, beta_1=1e-4, beta_T=0.02)
    betas = np.linspace(1e-4, 0.02, 1024)
    assert schedule.alpha_bar(0) == 1
    for t in (1, 2, 512, 1024):
        assert float(schedule.alpha_bar(t)) == pytest.approx(math.prod(1 - betas[:t]), rel=1e-12)


def test_scaled_linear_is_linear_in_the_root():
    beta = NoiseSchedule.scaled_linear(5, 0.01, 0.09).beta[1:]
    assert beta.sqrt().tolist() == pytest.approx([0.1, 0.15, 0.2, 0.25, 0.3])


@pytest.mark.parametrize(("kind", "middle"), [("linear", 0.05), ("scaled_linear", 0.04)])
def test_the_kind_of_a_schedule_is_the_one_asked_for(kind, middle):
    schedule = build_schedule(ScheduleSettings(timesteps=3, beta_1=0.01, beta_T=0.09, kind=kind))
    assert schedule.beta[1:].tolist() == pytest.approx([0.01, middle, 0.09])


def test_moments_of_q_given_x0():
    schedule = pig.NoiseSchedule.linear()
    rng = torch.Generator().manual_seed(0)
    x_0 = torch.full((200_000,), 0.7)
    for t in (1, 300, 1024):
        eps = torch.randn(x_0.shape, generator=rng)
        x_t = schedule.add_noise(x_0, eps, torch.full(x_0.shape, t))
        alpha_bar = float(schedule.alpha_bar(t))
        sigma = math.sqrt(1 - alpha_bar)
        assert float(x_t.mean()) == pytest.approx(math.sqrt(alpha_bar) * 0.7, abs=5 * sigma / math.sqrt(len(x_t)))
        assert float(x_t.std()) == pytest.approx(sigma, rel=0.01)


def test_many_small_steps_make_the_one_large_step():
    """Eq. 2, repeated, is Eq. 3: the coefficients of x_0 and of the noise agree."""
    schedule = pig.NoiseSchedule.linear(timesteps=50)
    signal, variance = 1.0, 0.0
    for t in range(1, 51):
        beta = float(schedule.beta[t])
        signal, variance = math.sqrt(1 - beta) * signal, (1 - beta) * variance + beta
        assert signal == pytest.approx(math.sqrt(float(schedule.alpha_bar(t))), rel=1e-12)
        assert variance == pytest.approx(1 - float(schedule.alpha_bar(t)), rel=1e-9)


def test_256_steps_visit_the_official_timesteps():
    pairs = pig.NoiseSchedule.linear(1024).visits(256)
    assert [t - 1 for t, _ in pairs] == list(range(1020, -1, -4))
    assert pairs[0] == (1021, 1017)
    assert pairs[-1] == (1, 0)


@given(timesteps=st.integers(1, 2000), data=st.data())
def test_visits_go_down_to_the_clean_image(timesteps, data):
    steps = data.draw(st.integers(1, timesteps))
    pairs = NoiseSchedule.linear(timesteps, 1e-5, 1e-3).visits(steps)
    visited = [t for t, _ in pairs]
    assert len(pairs) == steps
    assert all(1 <= t <= timesteps for t in visited)
    assert visited == sorted(set(visited), reverse=True)
    assert [t_next for _, t_next in pairs] == [*visited[1:], 0]


@pytest.mark.parametrize("timesteps", [1, 16, 1024])
def test_a_single_step_starts_from_noise(timesteps):
    assert NoiseSchedule.linear(timesteps).visits(1) == [(timesteps, 0)]


def test_a_single_step_of_a_network_that_knows_the_noise_gives_the_image():
    """From x_T = sqrt(abar_T) x_0 + sqrt(1 - abar_T) eps and eps, x_0 follows at t = T, and at no other t."""
    schedule = NoiseSchedule.linear(16, 0.01, 0.2)
    rng = torch.Generator().manual_seed(0)
    x_0, eps = torch.rand(3, 1, 4, 4, generator=rng) * 2 - 1, torch.randn(3, 1, 4, 4, generator=rng)
    x_T = schedule.add_noise(x_0, eps, torch.full((3,), 16))
    seen = []

    def knowing(x_t, t):
        seen.append(t.tolist())
        return eps

    drawn = sample_images(knowing, schedule, x_T, SamplingSettings(1), prediction="epsilon")
    assert seen == [[16, 16, 16]]
    assert torch.allclose(drawn, x_0, atol=1e-5)


@pytest.mark.parametrize("t", [-1, 1025])
def test_a_t_outside_the_schedule_is_refused(t):
    with pytest.raises(ValueError, match="0..1024"):
        pig.NoiseSchedule.linear(1024).alpha_bar(t)


@pytest.mark.parametrize("steps", [0, 1025])
def test_too_few_or_too_many_steps_are_refused(steps):
    with pytest.raises(ValueError, match="1..1024"):
        pig.NoiseSchedule.linear(1024).visits(steps)


@pytest.mark.parametrize("betas", [(0.0, 0.02), (1e-4, 1.0)])
def test_a_beta_outside_zero_to_one_is_refused(betas):
    with pytest.raises(ValueError, match="between 0 and 1"):
        NoiseSchedule.linear(10, *betas)
