"""The scale of a mask in its diffusion, against its definition, and that samplers and losses keep to it."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pig.diffusion.losses import denoiser_loss, guider_loss
from pig.diffusion.mask_scale import AT_ONCE, MaskScale
from pig.diffusion.sampling import denoise_pairs, sample_pairs
from pig.diffusion.schedule import NoiseSchedule
from pig.diffusion.settings import SamplingSettings
from pig.system.errors import UserError

SCHEDULE = NoiseSchedule.linear(64)


class Pairs:
    def __init__(self, masks):
        self.masks, self.asked = torch.as_tensor(masks, dtype=torch.float32), []

    def __len__(self):
        return len(self.masks)

    def batch(self, positions):
        self.asked.append(len(positions))
        return None, self.masks[torch.from_numpy(positions)]


def scaled(masks):
    scale = MaskScale()
    scale.standardise(Pairs(masks))
    return scale


@given(lesion=st.integers(1, 575), seed=st.integers(0, 10**6))
def test_the_training_masks_get_mean_0_and_variance_1_and_come_back(lesion, seed):
    pixels = np.zeros(4 * 144, np.float32)
    pixels[np.random.default_rng(seed).permutation(len(pixels))[:lesion]] = 1
    masks = pixels.reshape(4, 1, 12, 12)
    scale, signed = scaled(masks), torch.from_numpy(2 * masks - 1)
    x = scale.encode(signed)
    assert x.double().mean().item() == pytest.approx(0, abs=1e-4)
    assert x.double().var(correction=0).item() == pytest.approx(1, rel=1e-4)
    assert torch.allclose(scale.decode(x), signed, atol=1e-5)
    low, high = scale.bounds
    assert (low, high) == (x.min(), x.max())


def test_all_masks_count_however_many_there_are():
    masks = np.zeros((AT_ONCE + 2, 1, 4, 4), np.float32)
    masks[-1] = 1  # in the second batch alone
    pairs, scale = Pairs(masks), MaskScale()
    scale.standardise(pairs)
    assert pairs.asked == [AT_ONCE, 2]
    assert scale.mean.item() == pytest.approx(2 / (AT_ONCE + 2) - 1)


@pytest.mark.parametrize(("value", "said"), [(0, "0%"), (1, "100%")])
def test_masks_that_do_not_vary_are_refused(value, said):
    with pytest.raises(UserError, match=f"standardise_masks: {said} of the training pixels.*leave the setting out"):
        scaled(np.full((3, 1, 4, 4), value))


def test_as_made_it_changes_nothing():
    masks = torch.tensor([-1.0, -0.3, 1.0])
    assert torch.equal(MaskScale().encode(masks), masks)
    assert torch.equal(MaskScale().decode(masks), masks)
    assert MaskScale().bounds == (-1, 1)


@pytest.fixture
def pairs():
    rng = torch.Generator().manual_seed(1)
    masks = (torch.rand(4, 1, 8, 8, generator=rng) > 0.9).float()
    return 2 * masks - 1, torch.rand(4, 1, 8, 8, generator=rng) * 2 - 1, scaled(masks)


def eps_of(clean):
    """What a network answers that knows the clean ones: the noise."""

    def answer(x_t, *more):
        alpha_bar = SCHEDULE.alpha_bar_for(more[-1], clean)
        return (x_t - alpha_bar.sqrt() * clean) / (1 - alpha_bar).sqrt()

    return answer


def test_the_guider_learns_scaled_masks(pairs):
    x_0, y_0, scale = pairs
    given = {"scale": scale, "prediction": "epsilon"}
    losses = [
        guider_loss(eps_of(clean), SCHEDULE, x_0, y_0, torch.Generator().manual_seed(0), **given)
        for clean in (scale.encode(x_0), x_0)
    ]
    assert losses[0] < 1e-6 < 0.1 < losses[1]


@pytest.mark.parametrize("clamp", [False, True])
def test_the_denoiser_learns_from_masks_of_minus_one_and_one(pairs, clamp):
    """The clean ones, or what a guider estimates that takes x_t, the noisy scaled mask, for a noisy one of 3 x_0."""
    x_0, y_0, scale = pairs
    shown, noise = [], []

    def denoiser(y_t, condition, t):
        shown.append(condition)
        return torch.zeros_like(y_t)

    def guiding(x_t, y_t, t):
        noise.append(eps_of(scale.encode(x_0))(x_t, t))
        return eps_of(scale.encode(3 * x_0))(x_t, t)

    for guider in (None, guiding):
        denoiser_loss(
            denoiser, SCHEDULE, x_0, y_0, torch.Generator().manual_seed(0),
            scale=scale, guider=guider, prediction="epsilon", clamp=clamp,
        )  # fmt: skip
    assert torch.equal(shown[0], x_0)
    assert torch.allclose(shown[1], (1 if clamp else 3) * x_0, atol=1e-3)
    (eps,) = noise
    assert abs(eps.mean()) < 0.1
    assert 0.9 < eps.std() < 1.1


@pytest.mark.parametrize("solver", ["ddim", "dpmpp_2m"])
def test_pairs_of_scaled_masks_are_drawn_as_they_were(pairs, solver):
    """Networks that know the pair lead to it; the denoiser is shown the mask, and states are of masks."""
    x_0, y_0, scale = pairs
    shown = []

    def denoiser(y_t, condition, t):
        shown.append(condition)
        return y_0

    x_T, y_T = torch.randn(2, 4, 1, 8, 8, generator=torch.Generator().manual_seed(2))
    given = {"steps": 5, "solver": solver, "prediction": "x0", "scale": scale}
    mask, image = sample_pairs(lambda *_: scale.encode(x_0), denoiser, SCHEDULE, x_T, y_T, **given)
    assert torch.allclose(mask, x_0, atol=1e-5)
    assert torch.allclose(image, y_0, atol=1e-5)
    assert len(shown) == 5
    assert all(torch.allclose(condition, x_0, atol=1e-5) for condition in shown)


@pytest.mark.parametrize("clip", [False, True])
def test_estimates_are_clipped_where_the_scaled_masks_end(pairs, clip):
    x_0, _, scale = pairs
    x_T, y_T = torch.randn(2, 4, 1, 8, 8, generator=torch.Generator().manual_seed(3))
    states = denoise_pairs(
        lambda *_: scale.encode(3 * x_0), lambda y_t, condition, t: 3 * x_0, SCHEDULE, x_T, y_T,
        SamplingSettings(4, clip=clip), prediction="x0", scale=scale,
    )  # fmt: skip
    for state in states:
        assert torch.allclose(state.x0_hat, (1 if clip else 3) * x_0, atol=1e-5)
        assert torch.allclose(state.y0_hat, (1 if clip else 3) * x_0, atol=1e-5)
