"""How one module is optimised: its optimiser, learning rate and moving average."""

import functools
import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR, ReduceLROnPlateau

from pig.training.average import Average
from pig.training.settings import TrainingSettings


class Player:
    """A module with its optimiser, learning rate and average.

    Args:
        module: on the device.
        settings: how it is optimised.
        total: steps of the training.
        pairs: what is trained on, for the length of an epoch.
    """

    def __init__(self, module: nn.Module, settings: TrainingSettings, total: int, pairs: int) -> None:
        self.module, self.settings = module, settings
        self.epoch = max(1, pairs // settings.batch_size)  # steps
        self.parameters = [p for p in module.parameters() if p.requires_grad]
        kind = torch.optim.Adam if settings.optimizer == "adam" else torch.optim.AdamW
        self.optimizer = kind(
            self.parameters, lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True
        )
        self.warmup = LambdaLR(self.optimizer, functools.partial(_factor, settings, total))
        plateau = settings.learning_rate_schedule == "plateau"
        self.plateau = ReduceLROnPlateau(self.optimizer, factor=0.25, patience=4) if plateau else None
        self.epoch_loss = 0.0
        self.average = Average(module, settings.ema_decay) if settings.ema_decay is not None else None

    def set_rate(self, step: int, loss: Tensor) -> None:
        """Set the learning rate of the step after ``step``, whose loss was ``loss``.

        A plateau is looked for after the warm-up alone: epochs that end within it are not compared, because
        the warm-up sets the rate itself, and would undo a reduction.
        """
        warming_up = self.warmup.last_epoch < self.settings.warmup_steps
        if self.plateau is None or warming_up:
            self.warmup.step()
        if self.plateau:
            self.epoch_loss += loss.item()
            if (step + 1) % self.epoch == 0:
                if not warming_up:
                    self.plateau.step(self.epoch_loss / self.epoch)
                self.epoch_loss = 0.0

    def state(self) -> dict[str, Any]:
        """Return everything that the next step depends on."""
        return {
            "module": self.module.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "warmup": self.warmup.state_dict(),
            "plateau": self.plateau.state_dict() if self.plateau else None,
            "epoch_loss": self.epoch_loss,
            "average": self.average.state_dict() if self.average else None,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Go back to what :meth:`state` returned."""
        self.module.load_state_dict(state["module"])
        self.optimizer.load_state_dict(state["optimizer"])
        for parameter, moments in self.optimizer.state.items():
            # Checkpoints are contiguous; the fused step takes moments to lie in memory as their parameter does.
            for name, value in moments.items():
                if value.shape == parameter.shape:
                    moments[name] = torch.empty_like(parameter).copy_(value)
        self.warmup.load_state_dict(state["warmup"])
        self.epoch_loss = state["epoch_loss"]
        if self.plateau:
            self.plateau.load_state_dict(state["plateau"])
        if self.average:
            self.average.load_state_dict(state["average"])

    @property
    def result(self) -> nn.Module:
        """The averaged module, or the module itself: all that is kept of a training that is finished."""
        return self.average.module if self.average else self.module


def _factor(settings: TrainingSettings, total: int, step: int) -> float:
    """Return what the learning rate is multiplied with at ``step``: linear warm-up, then constant or cosine.

    With "plateau" the warm-up alone is from here; :class:`ReduceLROnPlateau` takes over after it.
    """
    if step < settings.warmup_steps:
        return (step + 1) / settings.warmup_steps
    if settings.learning_rate_schedule != "cosine":
        return 1.0
    done = (step - settings.warmup_steps) / max(1, total - settings.warmup_steps)
    return 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))
