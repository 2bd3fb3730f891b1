"""A part of a batch gets the draws that it would get within the whole; antithetic timesteps mirror each other."""

import pytest
import torch

from pig.diffusion.draws import BatchDraws, noise_like, sample_timesteps, uniform


def part_of(whole: int, part: slice, seed: int = 3) -> BatchDraws:
    rng = BatchDraws()
    rng.manual_seed(seed)
    rng.whole, rng.part = whole, part
    return rng


def plain(seed: int = 3) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("part", [slice(0, 2), slice(2, 4), slice(4, 6)])
def test_a_part_is_cut_out_of_the_whole(part: slice) -> None:
    x = torch.zeros(2, 3, 4)
    assert torch.equal(noise_like(x, part_of(6, part)), noise_like(torch.zeros(6, 3, 4), plain())[part])
    assert torch.equal(uniform(2, part_of(6, part)), uniform(6, plain())[part])
    for antithetic in (False, True):
        found = sample_timesteps(2, 50, part_of(6, part), antithetic)
        assert torch.equal(found, sample_timesteps(6, 50, plain(), antithetic)[part])


@pytest.mark.parametrize("n", [1, 2, 5, 8])
def test_antithetic_timesteps(n: int) -> None:
    t = sample_timesteps(n, 50, plain(), antithetic=True)
    first = (n + 1) // 2
    assert t.shape == (n,)
    assert torch.equal(t[first:], 51 - t[: n - first])
    assert torch.equal(t[:first], torch.randint(1, 51, (first,), generator=plain()))


def test_draws_cover_their_range() -> None:
    t = sample_timesteps(4000, 5, plain())
    assert torch.equal(t.unique(), torch.arange(1, 6))
    assert t.dtype == torch.long
    assert torch.equal(sample_timesteps(4000, 5, plain(), True).unique(), torch.arange(1, 6))
    u = uniform(4000, plain())
    assert 0 <= u.min() < 0.01 and 0.99 < u.max() < 1
    assert noise_like(torch.zeros(4000), plain()).std().item() == pytest.approx(1, abs=0.05)
