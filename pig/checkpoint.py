"""Checkpoints of a training under way: safetensors and JSON, no pickle; the last two are kept."""

import fcntl
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from pig.errors import UserError
from pig.files import atomic_path

logger = logging.getLogger("pig")
KEPT = 2


def _take_apart(state: Any, path: str, tensors: dict[str, Tensor]) -> Any:
    """Return ``state`` as JSON can hold it, its tensors moved to ``tensors`` under their paths."""
    if isinstance(state, Tensor):
        tensors[path] = state.detach().cpu().contiguous()
        return {"tensor": path}
    if isinstance(state, dict):
        return {"dict": [[key, _take_apart(value, f"{path}/{key}", tensors)] for key, value in state.items()]}
    if isinstance(state, list | tuple):
        return {"list": [_take_apart(value, f"{path}/{i}", tensors) for i, value in enumerate(state)]}
    return {"value": state}


def _put_together(skeleton: Any, tensors: dict[str, Tensor]) -> Any:
    """Undo :func:`_take_apart`; tuples come back as lists."""
    kind, content = next(iter(skeleton.items()))
    if kind == "tensor":
        return tensors[content]
    if kind == "dict":
        return {key: _put_together(value, tensors) for key, value in content}
    if kind == "list":
        return [_put_together(value, tensors) for value in content]
    return content


def save_checkpoint(folder: Path, step: int, fingerprint: str, state: Any) -> None:
    """Write ``state`` (nested dicts and lists of tensors and plain values) as the checkpoint after ``step``."""
    tensors: dict[str, Tensor] = {}
    skeleton = _take_apart(state, "", tensors)
    metadata = {"step": str(step), "fingerprint": fingerprint, "state": json.dumps(skeleton)}
    with atomic_path(folder / f"step{step:09d}.safetensors") as temporary:
        save_file(tensors, temporary, metadata)
    for old in sorted(folder.glob("step*.safetensors"))[:-KEPT]:
        old.unlink()


def load_checkpoint(folder: Path, fingerprint: str) -> tuple[int, Any] | None:
    """Return (step, state) of the newest readable checkpoint, or None where there is none to go on from.

    One that is damaged is named in the log and the one before it is used; one of other settings, data or code
    is named and removed, because the training that wrote it is not the one that runs now.
    """
    for path in sorted(folder.glob("step*.safetensors"), reverse=True):
        try:
            with safe_open(path, framework="pt") as file:
                metadata = file.metadata() or {}
                tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            step, skeleton = int(metadata["step"]), json.loads(metadata["state"])
        except (SafetensorError, OSError, KeyError, ValueError) as error:
            logger.warning("%s is damaged (%s); trying the checkpoint before it.", path, error)
            continue
        if metadata.get("fingerprint") != fingerprint:
            logger.warning("%s is of other settings, data or code; it is removed, training starts anew.", path)
            path.unlink()
            continue
        return step, _put_together(skeleton, tensors)
    return None


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a work folder; the system releases it however the process ends.

    Raises:
        UserError: another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"{folder} is in use by another run; wait for it, or stop it first.") from None
        yield
