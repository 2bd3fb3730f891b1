"""Spies in the place of networks and of the training loop, and pairs that are held in memory."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from discs import discs
from torch import Tensor, nn

from pig.training.run import TrainingRun

SIZE = 16
QUIET = {"timesteps": 4, "beta_1": 1e-4, "beta_T": 2e-4}  # hardly any noise: what is shown is nearly what is clean
NOISY = {"timesteps": 32, "beta_1": 0.003, "beta_T": 0.5}
TRAINING = {"batch_size": 4, "learning_rate": 1e-3, "steps": 2}


class Memory:
    """Pairs in memory, as a method is given them: images in [-1, 1] and masks in {0, 1}."""

    def __init__(self, count: int = 8, seed: int = 0, size: int = SIZE) -> None:
        images, masks = discs(count, seed, size)
        self.images = torch.from_numpy(images.astype(np.float32) / 32767.5 - 1)[:, None]
        self.masks = torch.from_numpy(masks.astype(np.float32))[:, None]
        self.patients = [f"p{i}" for i in range(count)]

    def __len__(self) -> int:
        return len(self.images)

    def at(self, size: int) -> "Memory":
        assert size == self.images.shape[-1]
        return self

    def batch(self, positions: np.ndarray) -> tuple[Tensor, Tensor]:
        chosen = torch.as_tensor(np.asarray(positions))
        return self.images[chosen], self.masks[chosen]


class Spy(nn.Module):
    """A network that writes down what it is shown and answers as it is told; its one weight multiplies the answer."""

    def __init__(self, answer: Callable[..., Tensor] = lambda x_t, *more: torch.zeros_like(x_t)) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))
        self.answer = answer
        self.seen: list[tuple[Tensor, ...]] = []

    def forward(self, *arguments: Tensor) -> Tensor:
        self.seen.append(tuple(argument.detach().clone() for argument in arguments))
        return self.weight * self.answer(*arguments)


class Trainings:
    """In the place of ``train``: keeps the losses and the pool of each training, and trains nothing.

    Attributes:
        result: what is returned in the place of a module.
    """

    def __init__(self) -> None:
        self.losses: dict[str, Callable[..., Tensor]] = {}
        self.pools: dict[str, Any] = {}
        self.modules: dict[str, nn.Module] = {}
        self.orders: dict[str, Any] = {}
        self.runs: dict[str, TrainingRun] = {}
        self.result: Callable[[nn.Module], nn.Module] = lambda module: module

    def __call__(
        self, modules: dict[str, nn.Module], losses: Mapping[str, Callable[..., Tensor]], pairs: Any,
        settings: object, run: TrainingRun, name: str, order: object = None,
    ) -> dict[str, nn.Module]:  # fmt: skip
        self.losses |= losses
        self.modules |= modules
        self.pools[name], self.orders[name], self.runs[name] = pairs, order, run
        return {key: self.result(module) for key, module in modules.items()}


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
