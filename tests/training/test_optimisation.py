"""The learning rate at each step."""

import math
from pathlib import Path

import pytest
import torch
from torch import nn

from pig.training.checkpoint import load_checkpoint, save_checkpoint
from pig.training.optimiser import Player
from pig.training.settings import TrainingSettings

EPOCH = 2  # steps
WARMUP = 3
# Epochs end after steps 2, 4, 6, ...: the first within the warm-up, the second is the best, and four worse ones are
# borne. The fifth, after step 14, makes it a quarter; five more, after step 24, a sixteenth.
PLATEAU = [1 / 3, 2 / 3] + 12 * [1.0] + 10 * [0.25] + 4 * [0.0625]


def player(schedule: str, warmup: int = WARMUP) -> Player:
    settings = TrainingSettings(
        batch_size=1, learning_rate=0.8, steps=28, warmup_steps=warmup, learning_rate_schedule=schedule
    )
    return Player(nn.Linear(1, 1), settings, total=28, pairs=EPOCH)


def rates(of: Player, losses: list[float], steps: range = range(28)) -> list[float]:
    """The multiples of the learning rate that each of these steps is made with, if these are its losses."""
    found = []
    for step in steps:
        found.append(of.optimizer.param_groups[0]["lr"] / 0.8)
        of.optimizer.step()
        of.set_rate(step, torch.tensor(losses[step]))
    return found


def test_a_plateau_comes_after_the_warm_up() -> None:
    assert rates(player("plateau"), 28 * [1.0]) == pytest.approx(PLATEAU)


def test_a_loss_that_falls_keeps_the_rate() -> None:
    falling = [1 / (1 + step) for step in range(28)]
    assert rates(player("plateau"), falling) == pytest.approx([1 / 3, 2 / 3] + 26 * [1.0])


def test_a_plateau_is_of_the_mean_of_an_epoch() -> None:
    """The last loss of each epoch is the same; the mean falls."""
    falling = [1.0 if step % EPOCH == EPOCH - 1 else 10 / (1 + step) for step in range(28)]
    assert rates(player("plateau"), falling) == pytest.approx([1 / 3, 2 / 3] + 26 * [1.0])


def test_without_a_warm_up_the_first_epoch_counts() -> None:
    found = rates(player("plateau", warmup=0), 28 * [1.0])
    assert found == pytest.approx(12 * [1.0] + 10 * [0.25] + 6 * [0.0625])


def test_losses_of_the_warm_up_are_not_the_ones_to_beat() -> None:
    """The epoch that ends within the warm-up is better than all others, and is not compared."""
    assert rates(player("plateau"), 2 * [0.1] + 26 * [1.0]) == pytest.approx(PLATEAU)


@pytest.mark.parametrize("cut", [1, 2, 3, 7, 13, 14, 23])
def test_a_plateau_goes_on_after_a_checkpoint(cut: int, tmp_path: Path) -> None:
    first = player("plateau")
    before = rates(first, 28 * [1.0], range(cut))
    save_checkpoint(tmp_path, cut, "f", first.state())
    second = player("plateau")
    loaded = load_checkpoint(tmp_path, "f")
    assert loaded is not None
    second.load_state(loaded[1])
    assert before + rates(second, 28 * [1.0], range(cut, 28)) == pytest.approx(PLATEAU)


@pytest.mark.parametrize(("optimizer", "moved"), [("adam", 0.8), ("adamw", 0.4)])
def test_adamw_decays_weights_by_themselves_and_adam_by_the_gradient(optimizer: str, moved: float) -> None:
    """Without a gradient of the loss, from 1, at a rate of 0.8 and a decay of 0.5: AdamW goes down by 0.8 * 0.5; Adam
    takes 0.5 for the gradient, and its first step is as long as the rate."""
    module = nn.Linear(1, 1)
    torch.nn.init.ones_(module.weight)
    settings = TrainingSettings(batch_size=1, learning_rate=0.8, steps=1, optimizer=optimizer, weight_decay=0.5)
    of = Player(module, settings, total=1, pairs=1)
    (0 * module.weight.sum()).backward()
    of.optimizer.step()
    assert module.weight.item() == pytest.approx(1 - moved, abs=1e-5)


def test_the_other_schedules_by_hand() -> None:
    assert rates(player("constant"), 28 * [1.0]) == pytest.approx([1 / 3, 2 / 3] + 26 * [1.0])
    assert rates(player("cosine"), 28 * [1.0]) == pytest.approx(
        [1 / 3, 2 / 3, 1] + [0.5 * (1 + math.cos(math.pi * (step - 3) / 25)) for step in range(3, 28)]
    )
