"""Every random number is a function of where it is used: seed, fold, model, step or index of a pair."""

import hashlib

import torch
from torch import Tensor


def seed_of(*parts: int | str) -> int:
    """Return a seed of 63 bits that depends on all ``parts`` and on their order."""
    text = "\x1f".join(map(str, parts))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


class NoiseStreams:
    """Random numbers for a batch of which each item has its own stream, so that they are the same in any batch.

    They are drawn on the CPU, so that every device begins from the same.

    Args:
        seeds: one for each item.
        shape: of one item.
        device: where the numbers go.
    """

    def __init__(self, seeds: list[int], shape: tuple[int, ...], device: torch.device) -> None:
        self.generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        self.shape, self.device = shape, device

    def draw(self) -> Tensor:
        """Return the next draw of N(0, I), float32 [N, *shape]."""
        return torch.stack([torch.randn(self.shape, generator=g) for g in self.generators]).to(self.device)

    def uniform(self) -> Tensor:
        """Return the next numbers, uniform in [0, 1), float32 [N, *shape]."""
        return torch.stack([torch.rand(self.shape, generator=g) for g in self.generators]).to(self.device)

    def integers(self, low: int, high: int) -> Tensor:
        """Return the next integers, uniform in low..high - 1, long [N, *shape]."""
        drawn = [torch.randint(low, high, self.shape, generator=g) for g in self.generators]
        return torch.stack(drawn).to(self.device)
