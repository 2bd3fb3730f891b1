import pytest
import torch
from diffusers import DDIMScheduler, DDPMScheduler
from hypothesis import given
from hypothesis import strategies as st

from pig.diffusion.prediction import split, target
from pig.diffusion.sampling import sample_images
from pig.diffusion.schedule import NoiseSchedule
from pig.diffusion.settings import SamplingSettings
from pig.diffusion.solvers import AncestralStep, Level

SCHEDULE = NoiseSchedule.linear(1024)
PREDICTIONS = ["epsilon", "v", "x0"]


def toy_network(x_t, t):
    """A smooth function whose value depends on every pixel and on t."""
    return 0.3 * x_t + 0.1 * torch.sin(3 * x_t) + 0.05 * (t.view(-1, 1, 1, 1) / 1024)


@given(prediction=st.sampled_from(PREDICTIONS), t=st.integers(1, 900), seed=st.integers(0, 10**6))
def test_a_true_prediction_gives_back_x0_and_eps(prediction, t, seed):
    rng = torch.Generator().manual_seed(seed)
    x_0 = torch.rand(2, 1, 4, 4, generator=rng, dtype=torch.float64) * 2 - 1
    eps = torch.randn(2, 1, 4, 4, generator=rng, dtype=torch.float64)
    alpha_bar = SCHEDULE.alpha_bar(t)
    x_t = alpha_bar.sqrt() * x_0 + (1 - alpha_bar).sqrt() * eps
    output = target(prediction, x_0, eps, alpha_bar)
    x0_hat, eps_hat = split(prediction, output, x_t, alpha_bar, None)
    assert torch.allclose(x0_hat, x_0, atol=1e-8)
    assert torch.allclose(eps_hat, eps, atol=1e-6)


def ancestral(x_t, x0_hat, alpha_bar, alpha_bar_next, noise):
    (drawn,) = AncestralStep(lambda: (noise,))((x_t,), [(x0_hat, None)], Level(alpha_bar, alpha_bar_next))
    return drawn


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_clipping_keeps_x_t(prediction):
    rng = torch.Generator().manual_seed(1)
    x_t, output = torch.randn(2, 2, 1, 8, 8, generator=rng)
    alpha_bar = torch.tensor(0.3)
    free, _ = split(prediction, output, x_t, alpha_bar, None)
    x0_hat, eps_hat = split(prediction, output, x_t, alpha_bar, (-1, 1))
    assert free.abs().max() > 1
    assert torch.equal(x0_hat, free.clamp(-1, 1))
    assert torch.allclose(alpha_bar.sqrt() * x0_hat + (1 - alpha_bar).sqrt() * eps_hat, x_t, atol=1e-6)


@pytest.mark.parametrize("steps", [1, 7, 256, 1024])
def test_ddim_with_the_true_noise_recovers_the_image(steps):
    rng = torch.Generator().manual_seed(2)
    x_0 = torch.rand(3, 1, 8, 8, generator=rng) * 2 - 1
    eps = torch.randn(3, 1, 8, 8, generator=rng)
    start = SCHEDULE.visits(steps)[0][0]
    x_T = SCHEDULE.add_noise(x_0, eps, torch.full((3,), start))
    drawn = sample_images(lambda x_t, t: eps, SCHEDULE, x_T, SamplingSettings(steps), prediction="epsilon")
    tolerance = 2e-6 / float(SCHEDULE.alpha_bar(start)) ** 0.5  # Eq. 6 divides the rounding of x_T by it
    assert torch.allclose(drawn, x_0, atol=tolerance)


@pytest.mark.parametrize(("prediction", "theirs"), [("epsilon", "epsilon"), ("v", "v_prediction"), ("x0", "sample")])
@pytest.mark.parametrize("steps", [16, 256])
def test_agrees_with_the_ddim_of_diffusers(prediction, theirs, steps):
    x_T = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(3))
    ours = sample_images(toy_network, SCHEDULE, x_T, SamplingSettings(steps), prediction=prediction)
    scheduler = DDIMScheduler(1024, 1e-4, 0.02, clip_sample=False, prediction_type=theirs)
    scheduler.set_timesteps(steps)
    x_t = x_T
    for t in scheduler.timesteps:  # 0-based
        x_t = scheduler.step(toy_network(x_t, (t + 1).expand(2)), t, x_t).prev_sample
    assert torch.allclose(ours, x_t, rtol=1e-5, atol=1e-5 * float(x_t.abs().max()))


@pytest.mark.parametrize("t", [1, 2, 500, 1024])
def test_agrees_with_the_ddpm_of_diffusers(t):
    x_t, x0_hat = torch.randn(2, 2, 1, 8, 8, generator=torch.Generator().manual_seed(4))
    noise = torch.randn(x_t.shape, generator=torch.Generator().manual_seed(5))
    ours = ancestral(x_t, x0_hat, SCHEDULE.alpha_bar(t), SCHEDULE.alpha_bar(t - 1), noise)
    scheduler = DDPMScheduler(1024, 1e-4, 0.02, clip_sample=False, prediction_type="sample")  # fixed_small
    scheduler.alphas_cumprod = SCHEDULE.alpha_bar(torch.arange(1, 1025))  # its own are float32
    theirs = scheduler.step(x0_hat, t - 1, x_t, generator=torch.Generator().manual_seed(5)).prev_sample
    assert torch.allclose(ours, theirs.float(), atol=1e-5)


@pytest.mark.parametrize(("t", "t_next"), [(1021, 1017), (500, 499), (5, 1)])
def test_the_posterior_has_song_s_variance_at_eta_one(t, t_next):
    """Song et al. 2020, Eq. 12 and 16: eta = 1 is the DDPM sampler."""
    rng = torch.Generator().manual_seed(5)
    x_0, eps, noise = torch.randn(3, 2, 1, 4, 4, generator=rng, dtype=torch.float64)
    alpha_bar, following = SCHEDULE.alpha_bar(torch.tensor([t, t_next]))
    x_t = alpha_bar.sqrt() * x_0 + (1 - alpha_bar).sqrt() * eps
    sigma = ((1 - following) / (1 - alpha_bar) * (1 - alpha_bar / following)).sqrt()
    by_song = following.sqrt() * x_0 + (1 - following - sigma**2).sqrt() * eps + sigma * noise
    assert torch.allclose(by_song, ancestral(x_t, x_0, alpha_bar, following, noise), atol=1e-10)
