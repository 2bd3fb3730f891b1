"""What a job reports while it runs, for programs: JSON lines, and curves of a training for TensorBoard.

See docs/observing.md for the keys. Nothing is written unless :func:`recording` names a folder.
"""

import json
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pig.system.imports import without
from pig.system.run_record import peak_memory_mb

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

FILE = "events.jsonl"


class _Log:
    """The files of one job; those of an earlier try of it are added to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.curves: SummaryWriter | None = None
        folder.mkdir(parents=True, exist_ok=True)

    def write(self, event: dict[str, Any]) -> None:
        with (self.folder / FILE).open("a", encoding="utf-8") as file:
            file.write(json.dumps(event) + "\n")

    def draw(self, name: str, step: int, loss: Mapping[str, float], rate: float) -> None:
        if self.curves is None:
            with without("boto3", "botocore"):  # for curves on S3
                from torch.utils.tensorboard import SummaryWriter

            self.curves = SummaryWriter(self.folder)  # type: ignore[no-untyped-call]
        for key, value in loss.items():
            self.curves.add_scalar(f"{name}/loss/{key}", value, step)  # type: ignore[no-untyped-call]
        self.curves.add_scalar(f"{name}/images per second", rate, step)  # type: ignore[no-untyped-call]
        self.curves.flush()  # type: ignore[no-untyped-call]

    def close(self) -> None:
        if self.curves is not None:
            self.curves.close()  # type: ignore[no-untyped-call]


_log: _Log | None = None  # of the process, as the handlers of logging are


@contextmanager
def recording(folder: Path | None) -> Iterator[None]:
    """Write what :func:`report` is told while the block runs into ``folder``; None: nowhere."""
    global _log
    _log = None if folder is None else _Log(folder)
    try:
        yield
    finally:
        if _log is not None:
            _log.close()
        _log = None


def report(name: str, step: int, total: int, rate: float, loss: Mapping[str, float] | None = None) -> None:
    """Report how far a job is.

    Args:
        name: what is being done.
        step: how many of ``total`` are done.
        total: number of steps, batches or files.
        rate: images (of preprocessing volumes, of the phantom patients) a second.
        loss: mean of each loss since the report before, for a training; it becomes a curve as well.
    """
    if _log is None:
        return
    event: dict[str, Any] = {"time": round(time.time(), 3), "name": name, "step": step, "total": total}
    if loss is not None:
        event["loss"] = dict(loss)
    event |= {"rate": round(rate, 3), "memory_mb": round(peak_memory_mb(), 1)}
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        event["gpu_memory_mb"] = round(torch.cuda.max_memory_allocated() / 2**20, 1)
    _log.write(event)
    if loss is not None:
        _log.draw(name, step, loss, rate)
