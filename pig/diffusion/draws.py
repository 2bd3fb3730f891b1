"""Random draws of a batch, the same whether it is worked through at once or in parts."""

import torch
from torch import Tensor


class BatchDraws(torch.Generator):
    """A source of random numbers for one part of a batch: draws are made for all of it, and the part is cut out.

    So the parts of a batch, in one process or in several, get the noise that the whole would get.

    Attributes:
        whole: items of the batch.
        part: those that are being worked on.
    """

    whole: int
    part: slice


def _items(n: int, rng: torch.Generator) -> tuple[int, slice]:
    """Return for how many items to draw, and which of them to keep."""
    return (rng.whole, rng.part) if isinstance(rng, BatchDraws) else (n, slice(None))


def sample_timesteps(n: int, timesteps: int, rng: torch.Generator, antithetic: bool = False) -> Tensor:
    """Draw t [n] long, uniform in 1..T; antithetic: the second half mirrors the first, t and T + 1 - t."""
    whole, part = _items(n, rng)
    if not antithetic:
        return torch.randint(1, timesteps + 1, (whole,), generator=rng, device=rng.device)[part]
    first = torch.randint(1, timesteps + 1, ((whole + 1) // 2,), generator=rng, device=rng.device)
    return torch.cat([first, timesteps + 1 - first])[:whole][part]


def noise_like(x: Tensor, rng: torch.Generator) -> Tensor:
    """Draw eps ~ N(0, I), float32 of the shape of x [N, ...], from ``rng``, on its device."""
    whole, part = _items(len(x), rng)
    return torch.randn((whole, *x.shape[1:]), generator=rng, device=rng.device)[part]


def uniform(n: int, rng: torch.Generator) -> Tensor:
    """Draw n numbers [n], uniform in [0, 1)."""
    whole, part = _items(n, rng)
    return torch.rand(whole, generator=rng, device=rng.device)[part]
