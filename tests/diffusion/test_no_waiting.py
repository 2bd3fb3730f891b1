"""A step of training or sampling asks the device for no number, so that the host does not wait for it."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from pig.diffusion.losses import denoiser_loss, diffusion_loss, guider_loss
from pig.diffusion.mask_scale import MaskScale
from pig.diffusion.sampling import denoise_pairs, sample_ancestrally, sample_images
from pig.diffusion.schedule import NoiseSchedule
from pig.diffusion.settings import SamplingSettings

SCHEDULE = NoiseSchedule.linear(16, 1e-3, 0.2)


class Waits(TorchDispatchMode):
    """Counts the numbers that are read from tensors, and the copies to another device."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if "_local_scalar_dense" in str(func):
            self.seen.append(str(func))
        if "_to_copy" in str(func) and (kwargs or {}).get("device") is not None:
            self.seen.append(f"{func} to {kwargs['device']}")
        return func(*args, **(kwargs or {}))


def network(x_t, *more):
    return 0.5 * x_t


@pytest.mark.parametrize("weight", ["none", "sigmoid"])
@pytest.mark.parametrize("guider", [None, network])
def test_a_loss_waits_for_nothing(guider, weight):
    x_0, y_0 = torch.randn(2, 4, 1, 8, 8)
    rng = torch.Generator().manual_seed(0)
    given = {"prediction": "v", "antithetic": True}
    diffusion_loss(network, SCHEDULE, x_0, rng, **given)  # the table goes to the device once
    with Waits() as waits:
        diffusion_loss(network, SCHEDULE, x_0, rng, **given)
        guider_loss(network, SCHEDULE, x_0, y_0, rng, scale=MaskScale(), **given)
        denoiser_loss(
            network, SCHEDULE, x_0, y_0, rng, scale=MaskScale(), guider=guider, weight=weight, clamp=True, **given
        )
    assert waits.seen == []


@pytest.mark.parametrize("solver", ["ddim", "dpmpp_2m"])
def test_a_sampler_waits_for_nothing(solver):
    """On the device "meta" tensors have no numbers, and whoever reads one raises. The schedule's own are on the CPU."""
    x_T, y_T = torch.empty(2, 4, 1, 8, 8, device="meta")
    sampling = SamplingSettings(5, solver, "uniform", clip=True)
    given = {"prediction": "v", "scale": MaskScale().to("meta"), "binarised": True}
    drawn = [
        sample_images(network, SCHEDULE, x_T, sampling, prediction="v"),
        sample_ancestrally(network, SCHEDULE, x_T, lambda: torch.empty_like(x_T), prediction="v", clip=True),
        *(
            part
            for state in denoise_pairs(network, network, SCHEDULE, x_T, y_T, sampling, **given)
            for part in state[1:]
        ),
    ]
    assert all(part.device.type == "meta" and part.shape == x_T.shape for part in drawn)
    with pytest.raises((RuntimeError, NotImplementedError)):
        float(drawn[0].mean())


def test_a_number_that_is_read_is_seen():
    with Waits() as waits:
        float(torch.ones(3).sum())
        torch.ones(3).to("meta")
    assert len(waits.seen) == 2
