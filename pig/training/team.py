"""Training on several devices: processes that ``torchrun`` started share each batch.

Gradients are averaged after the backward pass, by one reduction of all of them. Differs from PyTorch's
DistributedDataParallel, which reduces during it: a loss here is any function of its networks, and some take gradients
themselves, which DDP's hooks do not allow for.
"""

import os
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from pig.system.signals import SIGNALS, Stopped

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn


@dataclass(frozen=True)
class Team:
    """The processes of a training, as one of them sees it.

    Attributes:
        rank: of this process; 0 alone writes files.
        size: number of processes.
    """

    rank: int = 0
    size: int = 1

    def mean(self, tensor: "Tensor") -> "Tensor":
        """Return the mean of the processes' tensors, the same in each."""
        if self.size == 1:
            return tensor
        from accelerate.utils import reduce

        averaged: Tensor = reduce(tensor, "mean")
        return averaged

    def average_gradients(self, parameters: "Iterable[nn.Parameter]") -> None:
        """Put the mean of the processes' gradients in place of each one's own."""
        if self.size > 1:
            from torch.nn.utils import parameters_to_vector, vector_to_parameters

            gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
            averaged = self.mean(parameters_to_vector(gradients))
            vector_to_parameters(averaged, gradients)

    def any(self, flag: bool, device: "torch.device") -> bool:
        """Tell, the same in each process, whether ``flag`` is set in one of them."""
        if self.size == 1:
            return flag
        import torch

        return bool(self.mean(torch.tensor(float(flag), device=device)) > 0)

    def first_then_others(self) -> AbstractContextManager[None]:
        """Return a context in which process 0 is through before the others begin."""
        if self.size == 1:
            return nullcontext()
        from accelerate import PartialState

        turn: AbstractContextManager[None] = PartialState().main_process_first()
        return turn


def processes() -> int:
    """Return how many processes the launcher started, by the variable that it sets; 1 without a launcher."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_first() -> bool:
    """Tell whether this process is the one that writes files and logs."""
    return processes() == 1 or os.environ.get("RANK") == "0"


def launch(count: int, arguments: Sequence[str]) -> int:
    """Do as ``torchrun`` does: run ``pig`` with these arguments in so many processes, and pass signals on to them.

    Returns:
        The exit status: 0, that of the process that failed first, or 75 if a signal asked them to end.
    """
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.run import parse_args, run

    signals = f"--signals-to-handle={','.join(number.name for number in SIGNALS)}"
    words = ["--standalone", f"--nproc-per-node={count}", signals, "--module", "pig.cli", *arguments]
    try:
        run(parse_args(words))
    except SignalException as error:
        raise Stopped(f"all processes were stopped by {error.sigval.name}") from None
    except ChildFailedError as error:
        return int(error.get_first_failure()[1].exitcode)
    return 0


@cache
def team() -> Team:
    """Join the other processes, and take the device of this one; alone, nothing is imported."""
    if processes() == 1:
        return Team()
    import torch
    from accelerate import PartialState

    state = PartialState(cpu=not torch.cuda.is_available())
    return Team(state.process_index, state.num_processes)
