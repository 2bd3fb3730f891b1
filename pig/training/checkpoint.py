"""Checkpoints of a training under way: safetensors and JSON, no pickle, with a checksum; the last two are kept.

One that does not fit the settings, data and code of the training is put aside under a name that ends in ``.other``. It
is never deleted, and is used again when the settings, data and code are again those that wrote it.
"""

import contextlib
import hashlib
import json
import logging
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from pig.system.files import atomic_path

logger = logging.getLogger("pig")
KEPT = 2
OTHER = ".other"
DAMAGED = (SafetensorError, OSError, KeyError, ValueError)  # what reading a damaged checkpoint raises


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


def _digest(tensors: dict[str, Tensor], *texts: str) -> str:
    """Return the SHA-256 of everything in a checkpoint, in hexadecimal."""
    digest = hashlib.sha256("\x1f".join(texts).encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"\x1f{name} {tensor.dtype} {tuple(tensor.shape)}\x1f".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def save_checkpoint(folder: Path, step: int, fingerprint: str, state: Any) -> None:
    """Write ``state`` (nested dicts and lists of tensors and plain values) as the checkpoint after ``step``.

    Raises:
        UserError: the disk is full; the checkpoints before are whole.
    """
    tensors: dict[str, Tensor] = {}
    skeleton = json.dumps(_take_apart(state, "", tensors))
    metadata = {"step": str(step), "fingerprint": fingerprint, "state": skeleton}
    metadata["sha256"] = _digest(tensors, str(step), fingerprint, skeleton)
    with atomic_path(folder / f"step{step:09d}.safetensors") as temporary:
        save_file(tensors, temporary, metadata)
    for old in sorted(folder.glob("step*.safetensors"))[:-KEPT]:
        old.unlink()


def load_checkpoint(folder: Path, fingerprint: str) -> tuple[int, Any] | None:
    """Return (step, state) of the newest whole checkpoint, or None where there is none to go on from.

    All of other settings, data or code are named in the log and put aside first: those left in place would be
    overwritten by what is put back or written at the same step, or pruned with what is written after them. A damaged
    one is named and put aside too, and the one before it is looked at.
    """
    for path in sorted(folder.glob("step*.safetensors")):
        try:
            _, written_by, _ = _read(path)
        except DAMAGED:
            continue  # named below
        if written_by != fingerprint:
            aside = _put_aside(path, written_by)
            logger.warning(
                "%s is of other settings, data or code, and is not used. It is now %s: with those settings, data and "
                "code it is used again; otherwise delete it.",
                path,
                aside.name,
            )
    mine = f".{fingerprint[:8]}{OTHER}"
    for path in sorted(folder.glob(f"step*{mine}")):  # written before the settings were changed and changed back
        path.replace(path.with_name(path.name.removesuffix(mine) + ".safetensors"))
    for path in sorted(folder.glob("step*.safetensors"), reverse=True):
        try:
            step, _, state = _read(path)
        except DAMAGED as error:
            aside = path.replace(path.with_suffix(".damaged"))
            logger.warning("%s is damaged (%s); it is now %s, and the one before it is used.", path, error, aside.name)
            continue
        return step, state
    return None


def remove_checkpoints(work: Path, fingerprint: str) -> None:
    """Remove the checkpoints of a finished training; those of other settings, data or code stay, and are named."""
    for path in work.rglob("step*.safetensors"):  # also of phases that this training does not have
        with contextlib.suppress(SafetensorError), safe_open(path, framework="pt") as file:
            written_by = (file.metadata() or {}).get("fingerprint", "")
            if written_by != fingerprint:
                _put_aside(path, written_by)
    others = sorted(work.rglob(f"*{OTHER}"))
    if not others:
        shutil.rmtree(work, ignore_errors=True)
        return
    for file in work.rglob("*"):
        if file.is_file() and file not in others:
            file.unlink()
    logger.info("%d checkpoints of other settings, data or code stay in %s; delete them if unused.", len(others), work)


def _put_aside(path: Path, written_by: str) -> Path:
    return path.replace(path.with_suffix(f".{written_by[:8]}{OTHER}"))


def _read(path: Path) -> tuple[int, str, Any]:
    """Return step, fingerprint and state of a checkpoint; a changed bit anywhere in the file is an error."""
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata() or {}
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    step, fingerprint, skeleton = metadata["step"], metadata["fingerprint"], metadata["state"]
    if metadata["sha256"] != _digest(tensors, step, fingerprint, skeleton):
        raise ValueError("its checksum does not fit")
    return int(step), fingerprint, _put_together(json.loads(skeleton), tensors)
