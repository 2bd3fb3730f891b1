import gc
import math

import numpy as np
import pytest
import torch

import pig
from pig.diffusion.draws import sample_timesteps
from pig.diffusion.losses import denoiser_loss, diffusion_loss, guider_loss
from pig.diffusion.mask_scale import MaskScale
from pig.diffusion.sampling import binarise, denoise_pairs
from pig.diffusion.settings import SamplingSettings

SCHEDULE = pig.NoiseSchedule.linear(1024)


def toy_guider(x_t, y_t, t):
    return 0.8 * x_t - 0.3 * y_t + 0.1 * math.sin(int(t[0]))


def toy_denoiser(y_t, x_0_hat, t):
    return 0.6 * y_t + 0.2 * np.tanh(x_0_hat) if isinstance(y_t, np.ndarray) else 0.6 * y_t + 0.2 * torch.tanh(x_0_hat)


def test_agrees_with_algorithm_2_written_out():
    """Algorithm 2 of the paper, line by line, in NumPy float64, over t = 1021, 1017, ..., 1."""
    rng = np.random.default_rng(0)
    x_t, y_t = rng.normal(size=(2, 3, 1, 5, 5))
    x_T, y_T = (torch.tensor(a, dtype=torch.float64) for a in (x_t, y_t))
    alpha_bar = np.concatenate([[1.0], np.cumprod(1 - np.linspace(1e-4, 0.02, 1024))])
    for t in range(1021, 0, -4):
        t_next = max(t - 4, 0)
        eps_x = toy_guider(x_t, y_t, [t])
        x0_hat = (x_t - math.sqrt(1 - alpha_bar[t]) * eps_x) / math.sqrt(alpha_bar[t])
        x_next = math.sqrt(alpha_bar[t_next]) * x0_hat + math.sqrt(1 - alpha_bar[t_next]) * eps_x
        eps_y = toy_denoiser(y_t, x0_hat, [t])
        y0_hat = (y_t - math.sqrt(1 - alpha_bar[t]) * eps_y) / math.sqrt(alpha_bar[t])
        y_t = math.sqrt(alpha_bar[t_next]) * y0_hat + math.sqrt(1 - alpha_bar[t_next]) * eps_y
        x_t = x_next
    x_0, y_0 = pig.sample_pairs(
        toy_guider, toy_denoiser, SCHEDULE, x_T, y_T, steps=256, prediction="epsilon", clip=False
    )
    assert np.abs(x_0.numpy() - x_t).max() / np.abs(x_t).max() < 1e-5
    assert np.abs(y_0.numpy() - y_t).max() / np.abs(y_t).max() < 1e-5


def test_true_networks_recover_the_pair():
    rng = torch.Generator().manual_seed(1)
    x_0, y_0 = torch.rand(2, 2, 1, 6, 6, generator=rng) * 2 - 1
    x_T, y_T = torch.randn(2, 2, 1, 6, 6, generator=rng)
    drawn = pig.sample_pairs(lambda x, y, t: x_0, lambda y, x, t: y_0, SCHEDULE, x_T, y_T, steps=32, prediction="x0")
    assert torch.allclose(drawn[0], x_0, atol=1e-5)
    assert torch.allclose(drawn[1], y_0, atol=1e-5)


def test_the_denoiser_sees_the_estimate_of_this_step_and_the_old_image():
    seen = []
    x_T, y_T = torch.randn(2, 1, 1, 6, 6, generator=torch.Generator().manual_seed(2))

    def denoiser(y_t, x_0_hat, t):
        seen.append((y_t, x_0_hat, int(t[0])))
        return torch.zeros_like(y_t)

    given = {"prediction": "epsilon", "scale": MaskScale()}
    states = list(denoise_pairs(toy_guider, denoiser, SCHEDULE, x_T, y_T, SamplingSettings(4), **given))
    assert [t for _, _, t in seen] == [state.t for state in states] == [769, 513, 257, 1]
    assert torch.equal(seen[0][0], y_T)
    for before, (y_t, x_0_hat, _), after in zip([None, *states], seen, states, strict=False):
        assert torch.equal(x_0_hat, after.x0_hat)
        if before:
            assert torch.equal(y_t, before.y_next)


@pytest.mark.parametrize("binarised", [False, True])
def test_only_a_binarised_condition_is_binary(binarised):
    values = set()

    def denoiser(y_t, condition, t):
        values.update(condition.unique().tolist())
        return y_t

    x_T, y_T = torch.randn(2, 1, 1, 8, 8, generator=torch.Generator().manual_seed(3))
    pig.sample_pairs(toy_guider, denoiser, SCHEDULE, x_T, y_T, steps=4, binarised=binarised)
    assert (values == {-1.0, 1.0}) is binarised


def test_binarised_masks_by_hand():
    x0_hat = torch.full((1, 1, 11, 11), -1.0)
    x0_hat[..., 3:8, 3:8] = 5.0  # clamped to 1: the middle's 5 x 5 mean is 1, the greatest; the least is -1
    mask = binarise(x0_hat)
    smooth = torch.full((11, 11), -1.0)
    for i in range(11):
        for j in range(11):
            window = x0_hat[0, 0, max(i - 2, 0) : i + 3, max(j - 2, 0) : j + 3].clamp(-1, 1)
            smooth[i, j] = window.mean()
    assert torch.equal(mask[0, 0] == 1, smooth >= 0.5)  # 3/4 of 1 and 1/4 of -1
    assert 0 < int((mask == 1).sum()) < 25
    assert bool((binarise(torch.randn(4, 1, 9, 9)) == 1).any((-2, -1)).all())


def test_losses_vanish_for_networks_that_know_and_only_for_them():
    rng = torch.Generator().manual_seed(4)
    x_0, y_0 = torch.rand(2, 4, 1, 8, 8, generator=rng) * 2 - 1

    def knows_x(x_t, y_t, t):
        alpha_bar = SCHEDULE.alpha_bar_for(t, x_t)
        return (x_t - alpha_bar.sqrt() * x_0) / (1 - alpha_bar).sqrt()

    def knows_y(y_t, condition, t):
        alpha_bar = SCHEDULE.alpha_bar_for(t, y_t)
        return (y_t - alpha_bar.sqrt() * y_0) / (1 - alpha_bar).sqrt()

    new, given = torch.Generator, {"prediction": "epsilon", "scale": MaskScale()}
    assert guider_loss(knows_x, SCHEDULE, x_0, y_0, new().manual_seed(0), **given) < 1e-6
    assert denoiser_loss(knows_y, SCHEDULE, x_0, y_0, new().manual_seed(0), guider=None, **given) < 1e-6
    assert (
        diffusion_loss(lambda y_t, t: knows_y(y_t, None, t), SCHEDULE, y_0, new().manual_seed(0), prediction="epsilon")
        < 1e-6
    )
    assert guider_loss(knows_y, SCHEDULE, x_0, y_0, new().manual_seed(0), **given) > 0.1


@pytest.mark.parametrize("weight", ["none", "sigmoid"])
def test_the_denoiser_is_given_the_clean_mask_or_the_estimate(weight):
    rng = torch.Generator().manual_seed(5)
    x_0 = torch.where(torch.rand(4, 1, 8, 8, generator=rng) > 0.7, 1.0, -1.0)
    y_0 = torch.rand(4, 1, 8, 8, generator=rng) * 2 - 1
    seen = {}

    def denoiser_named(name):
        def denoiser(y_t, condition, t):
            seen[name] = condition
            return torch.zeros_like(y_t)

        return denoiser

    def guider(x_t, y_t, t):
        return torch.zeros_like(x_t)  # so that x0_hat = x_t / sqrt(alpha_bar), large near t = T

    def loss(name, given, clamp):
        rng = torch.Generator().manual_seed(6)
        return denoiser_loss(
            denoiser_named(name),
            SCHEDULE,
            x_0,
            y_0,
            rng,
            scale=MaskScale(),
            guider=given,
            prediction="epsilon",
            clamp=clamp,
            weight=weight,
        )

    values = [loss("clean", None, False), loss("predicted", guider, False), loss("clamped", guider, True)]
    assert torch.equal(seen["clean"], x_0)
    assert seen["predicted"].abs().max() > 1
    assert torch.equal(seen["clamped"], seen["predicted"].clamp(-1, 1))
    if weight == "none":
        assert values[0] == values[1] == values[2]  # the same noises, and a denoiser that ignores its condition
    else:
        eps = torch.Generator().manual_seed(6)
        sample_timesteps(4, 1024, eps)
        torch.randn(x_0.shape, generator=eps)
        eps_2 = torch.randn(y_0.shape, generator=eps)
        assert torch.allclose(values[0], (eps_2**2 * torch.sigmoid(x_0)).mean())


def test_timesteps_are_uniform_or_mirrored():
    t = sample_timesteps(100_000, 10, torch.Generator().manual_seed(7))
    shares = torch.bincount(t, minlength=11) / len(t)
    assert shares[0] == 0
    assert torch.allclose(shares[1:], torch.tensor(0.1), atol=0.005)
    t = sample_timesteps(7, 1024, torch.Generator().manual_seed(8), antithetic=True)
    assert len(t) == 7
    assert torch.equal(t[4:], 1025 - t[:3])


def test_memory_does_not_grow_with_the_steps():
    """A sampler that kept its states would hold four more tensors a step: count the living ones at each step."""
    alive = []

    def counting_guider(x_t, y_t, t):
        gc.collect()
        alive.append(sum(type(o) is torch.Tensor and o.shape == x_t.shape for o in gc.get_objects()))
        return toy_guider(x_t, y_t, t)

    x_T, y_T = torch.randn(2, 1, 1, 4, 7)
    pig.sample_pairs(counting_guider, toy_denoiser, SCHEDULE, x_T, y_T, steps=32)
    assert len(alive) == 32
    assert max(alive[2:]) == alive[2]
