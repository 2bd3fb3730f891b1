"""The moving average of a module's weights."""

import copy
from typing import Any

from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn


class Average:
    """An exponential moving average of a module's parameters and buffers; counters are copied.

    Its decay warms up as (1 + n) / (10 + n), as latent diffusion's does (LitEma), so that the average of a short
    training forgets its start. ``AveragedModel`` would collect the tensors again at each step, which costs a tenth of
    a small network's training.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.module, self.decay, self.updates = copy.deepcopy(module).requires_grad_(False), decay, 0
        tensors = [
            (mine, theirs.detach())
            for mine, theirs in zip(
                [*self.module.parameters(), *self.module.buffers()],
                [*module.parameters(), *module.buffers()],
                strict=True,
            )
        ]
        self.averaged = [pair for pair in tensors if pair[0].is_floating_point()]
        self.copied = [pair for pair in tensors if not pair[0].is_floating_point()]

    def update(self) -> None:
        """Take the module as it is now into the average."""
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        mine, theirs = map(list, zip(*self.averaged, strict=True))
        get_ema_multi_avg_fn(decay)(mine, theirs, None)
        for counter, value in self.copied:
            counter.copy_(value)
        self.updates += 1

    def state_dict(self) -> dict[str, Any]:
        """Return the average and how often it was updated."""
        return {"module": self.module.state_dict(), "updates": self.updates}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go back to what :meth:`state_dict` returned."""
        self.module.load_state_dict(state["module"])
        self.updates = state["updates"]
