"""The rate of each step, clipping, averaging, accumulation, and what a training returns, on a module of one number."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from spies import Memory
from torch import Tensor, nn

from pig.system.events import recording
from pig.training.loop import train
from pig.training.run import TrainingRun
from pig.training.settings import TrainingSettings


class Number(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.zeros(()))


def steps(
    tmp_path: Path, total: int = 12, gradient: Any = lambda step: 1.0, **settings: Any
) -> tuple[list[float], Number]:
    """Train one number whose gradient at each step is given; return its values before each step, and the result.

    With a constant gradient and no weight decay, Adam moves by exactly the learning rate.
    """
    module, values = Number(), []

    def loss(images: Tensor, masks: Tensor, rng: torch.Generator) -> Tensor:
        values.append(module.w.item())
        return gradient(len(values) - 1) * module.w

    given = {"batch_size": 2, "learning_rate": 0.1, "steps": total, "optimizer": "adam", "weight_decay": 0.0}
    run = TrainingRun(tmp_path / "work", 0, 0)
    done = train({"n": module}, {"n": loss}, Memory(), TrainingSettings(**given | settings), run, "numbers")["n"]
    return values, done  # type: ignore[return-value]


def rates(values: list[float], last: Number) -> list[float]:
    return [round(a - b, 6) for a, b in zip(values, [*values[1:], last.w.item()], strict=True)]


def test_a_constant_rate(tmp_path: Path) -> None:
    assert rates(*steps(tmp_path)) == pytest.approx([0.1] * 12, abs=1e-5)


def test_the_warm_up_rises_evenly_and_then_stays(tmp_path: Path) -> None:
    expected = [0.025, 0.05, 0.075] + [0.1] * 9
    assert rates(*steps(tmp_path, warmup_steps=4)) == pytest.approx(expected, abs=1e-5)


def test_the_cosine_ends_near_nothing(tmp_path: Path) -> None:
    found = rates(*steps(tmp_path, total=12, warmup_steps=2, learning_rate_schedule="cosine"))
    expected = [0.05, 0.1] + [0.05 * (1 + math.cos(math.pi * k / 10)) for k in range(10)]
    assert found == pytest.approx(expected, abs=1e-5)
    assert found[-1] < 0.003


def test_a_gradient_is_clipped_to_its_norm(tmp_path: Path) -> None:
    """Adam's step does not depend on the gradient's size, but on how sizes change: held against a plain loop."""

    def gradient(step: int) -> float:
        return 100.0 if step == 3 else 0.5

    def plain(clip: float | None) -> list[float]:
        module, values = Number(), []
        adam = torch.optim.Adam(module.parameters(), lr=0.1)
        for step in range(12):
            values.append(module.w.item())
            size = gradient(step)
            module.w.grad = torch.tensor(min(size, clip) if clip else size)
            adam.step()
        return values

    for clip in (None, 1.0):
        found, _ = steps(tmp_path / str(clip), gradient=gradient, clip_norm=clip)
        assert found == pytest.approx(plain(clip), abs=1e-4)
    assert plain(None)[-1] != pytest.approx(plain(1.0)[-1], abs=0.01)


def test_what_is_returned_is_the_average(tmp_path: Path) -> None:
    """An average of decay min(0.9, (1 + n) / (10 + n)) after update n, from the first weights on."""
    values, averaged = steps(tmp_path / "average", ema_decay=0.9)
    _, last = steps(tmp_path / "last")
    after = [*values[1:], last.w.item()]
    average = 0.0
    for n, value in enumerate(after):
        decay = min(0.9, (1 + n) / (10 + n))
        average = decay * average + (1 - decay) * value
    assert averaged.w.item() == pytest.approx(average, abs=1e-5)
    assert last.w.item() == pytest.approx(-1.2, abs=1e-4)
    assert abs(average + 1.2) > 0.1
    assert not averaged.w.requires_grad
    assert not averaged.training


@pytest.mark.parametrize("accumulate", [1, 2, 4])
def test_pieces_of_a_batch_have_the_loss_and_the_gradient_of_the_whole(tmp_path: Path, accumulate: int) -> None:
    module, pairs = Number(), Memory(4)

    def loss(images: Tensor, masks: Tensor, rng: torch.Generator) -> Tensor:
        return ((module.w - images.mean((1, 2, 3))) ** 2).mean()

    settings = TrainingSettings(batch_size=4, learning_rate=0.1, steps=1, accumulate=accumulate)
    with recording(tmp_path / "events"):
        train({"n": module}, {"n": loss}, pairs, settings, TrainingRun(tmp_path / "work", 0, 0), "numbers")
    (event,) = map(json.loads, (tmp_path / "events/events.jsonl").read_text().splitlines())
    means = pairs.images.mean((1, 2, 3))
    assert event["loss"]["n"] == pytest.approx((means**2).mean().item(), rel=1e-5)
    assert module.w.grad is not None
    assert module.w.grad.item() == pytest.approx(-2 * means.mean().item(), rel=1e-5)


def test_the_optimum_is_the_mean_of_what_is_shown(tmp_path: Path) -> None:
    """Squared error of one number: training ends at the mean of the images, not beyond it and not at its negative."""
    module, pairs = Number(), Memory(8)

    def loss(images: Tensor, masks: Tensor, rng: torch.Generator) -> Tensor:
        return ((module.w - images.mean((1, 2, 3))) ** 2).mean()

    settings = TrainingSettings(
        batch_size=8, learning_rate=0.05, steps=200, optimizer="adam", weight_decay=0.0, learning_rate_schedule="cosine"
    )
    trained = train({"n": module}, {"n": loss}, pairs, settings, TrainingRun(tmp_path, 0, 0), "mean")["n"]
    assert trained.w.item() == pytest.approx(pairs.images.mean().item(), abs=1e-3)


def batches(tmp_path: Path, fold: int = 0, seed: int = 0, name: str = "a", length: int = 4) -> list[list[int]]:
    """The positions that each step was given."""
    asked: list[list[int]] = []

    class Asked(Memory):
        def batch(self, positions: np.ndarray) -> tuple[Tensor, Tensor]:
            asked.append([int(p) for p in positions])
            return super().batch(positions)

    module = Number()
    run = TrainingRun(tmp_path / f"{fold}{seed}{name}", fold, seed)
    settings = TrainingSettings(batch_size=4, learning_rate=0.1, steps=length)
    train({"n": module}, {"n": lambda images, masks, rng: module.w}, Asked(16), settings, run, name)
    return asked


def test_the_order_of_the_data_is_that_of_seed_fold_and_name(tmp_path: Path) -> None:
    base = batches(tmp_path)
    assert sorted(position for batch in base for position in batch) == list(range(16))  # an epoch
    assert batches(tmp_path / "again") == base
    for other in ({"fold": 1}, {"seed": 1}, {"name": "b"}):
        assert batches(tmp_path, **other) != base


def test_each_step_has_noise_of_its_own(tmp_path: Path) -> None:
    def noises(fold: int, seed: int) -> list[float]:
        module, drawn = Number(), []

        def loss(images: Tensor, masks: Tensor, rng: torch.Generator) -> Tensor:
            drawn.append(torch.rand((), generator=rng).item())
            return module.w

        settings = TrainingSettings(batch_size=2, learning_rate=0.1, steps=3)
        train({"n": module}, {"n": loss}, Memory(), settings, TrainingRun(tmp_path / f"{fold}{seed}", fold, seed), "a")
        return drawn

    drawn = noises(0, 0) + noises(1, 0) + noises(0, 1)
    assert len(set(drawn)) == 9


def test_players_are_updated_in_turn_on_the_same_batch(tmp_path: Path) -> None:
    """The second of two sees the first as it is after its update."""
    one, two, seen = Number(), Number(), []

    def second(images: Tensor, masks: Tensor, rng: torch.Generator) -> Tensor:
        seen.append(one.w.item())
        return two.w

    settings = TrainingSettings(batch_size=2, learning_rate=0.1, steps=2, optimizer="adam", weight_decay=0.0)
    losses = {"one": lambda images, masks, rng: one.w, "two": second}
    train({"one": one, "two": two}, losses, Memory(), settings, TrainingRun(tmp_path, 0, 0), "both")
    assert seen == pytest.approx([-0.1, -0.2], abs=1e-5)
