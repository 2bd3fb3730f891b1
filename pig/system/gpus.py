"""Which GPUs there are, and one of its own for each process. It runs before torch is loaded; nothing slow is imported.

Schedulers of one machine count GPUs and do not choose among them, so that two jobs would both take the first. GPUs are
known by their UUIDs, from NVIDIA's management library (NVML): in a container that was given the host's GPU 5, the file
is /dev/nvidia5, but CUDA's number for it is 0.
"""

import logging
import os
import random
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from pig.system.errors import UserError

logger = logging.getLogger("pig")

ON_CPU = "Set PIG_GPUS=0 to run on the CPU."


def installed() -> list[list[str]]:
    """Return the UUIDs of each GPU of this machine or container, in the order of the PCI bus; empty without a driver.

    A GPU in MIG mode cannot be used as a whole: in its place stand its MIG devices, of which there may be none.

    Raises:
        UserError: there is a driver, and it does not answer.
    """
    import pynvml

    try:
        pynvml.nvmlInit()
    except (pynvml.NVMLError_LibraryNotFound, pynvml.NVMLError_DriverNotLoaded):
        return []
    except pynvml.NVMLError as error:
        raise UserError(f"The NVIDIA driver does not answer ({error}); see what `nvidia-smi` says. {ON_CPU}") from None
    try:
        handles = _each(pynvml.nvmlDeviceGetHandleByIndex, pynvml.nvmlDeviceGetCount(), pynvml.NVMLError_NoPermission)
        return [_usable(handle) for handle in handles]
    except pynvml.NVMLError as error:
        raise UserError(f"The NVIDIA driver cannot list its GPUs ({error}); see `nvidia-smi`. {ON_CPU}") from None
    finally:
        pynvml.nvmlShutdown()


def _usable(gpu: Any) -> list[str]:
    """Return the UUID of a GPU, or those of its MIG devices if it is in MIG mode."""
    import pynvml

    try:
        mig = pynvml.nvmlDeviceGetMigMode(gpu)[0] == pynvml.NVML_DEVICE_MIG_ENABLE
    except pynvml.NVMLError_NotSupported:  # most GPUs
        mig = False
    if not mig:
        return [str(pynvml.nvmlDeviceGetUUID(gpu))]
    places = pynvml.nvmlDeviceGetMaxMigDeviceCount(gpu)
    devices = _each(lambda i: pynvml.nvmlDeviceGetMigDeviceHandleByIndex(gpu, i), places, pynvml.NVMLError_NotFound)
    return [str(pynvml.nvmlDeviceGetUUID(device)) for device in devices]


def _each(handle_of: Any, count: int, absent: type[Exception]) -> Iterator[Any]:
    for index in range(count):
        try:
            yield handle_of(index)
        except absent:
            continue


def visible() -> dict[str, str]:
    """Return the GPUs that this process may use: the name of each in ``CUDA_VISIBLE_DEVICES``, and its UUID.

    CUDA's rules hold: that variable, if set, lists indices, UUIDs or unique beginnings of UUIDs, and ends at the first
    entry that is none. Indices are left as they are, since CUDA orders GPUs by speed unless CUDA_DEVICE_ORDER says
    PCI_BUS_ID; their UUIDs here are those of the latter order. Without a driver nothing can be looked up: each entry
    then stands for itself.

    Raises:
        UserError: the first entry names a GPU that is not here.
    """
    gpus = installed()
    listed = os.environ.get("CUDA_VISIBLE_DEVICES")
    if listed is None:
        return {uuid: uuid for gpu in gpus for uuid in gpu}
    chosen: dict[str, str] = {}
    for entry in (entry.strip() for entry in listed.split(",")):
        found = _find(entry, gpus)
        if found is None:
            if not chosen and (entry.isdecimal() or entry.startswith(("GPU-", "MIG-"))):
                here = ", ".join(uuid for gpu in gpus for uuid in gpu) or "none that can be used"
                raise UserError(
                    f"CUDA_VISIBLE_DEVICES={listed}: '{entry}' is not a GPU of this machine or container, which has: "
                    f"{here}. Correct it, or unset it to use all. {ON_CPU}"
                )
            if entry not in ("", "-1"):
                logger.warning("CUDA_VISIBLE_DEVICES=%s: '%s' is no GPU here; the list ends before it.", listed, entry)
            break
        chosen.update([found])
    return chosen


def _find(entry: str, gpus: list[list[str]]) -> tuple[str, str] | None:
    """Return the name and the UUID of the GPU that an entry of ``CUDA_VISIBLE_DEVICES`` stands for, if any."""
    if entry in ("", "-1"):
        return None
    if not gpus:
        return entry, entry
    if entry.isdecimal():
        index = int(entry)
        return (entry, gpus[index][0]) if index < len(gpus) and gpus[index] else None
    found = [uuid for gpu in gpus for uuid in gpu if uuid.startswith(entry)]
    return (found[0], found[0]) if len(found) == 1 else None


def gpu_count() -> int:
    """Return the number of GPUs that jobs may use: PIG_GPUS if set, else how many are visible here.

    Raises:
        UserError: PIG_GPUS is not a count, or see :func:`visible`.
    """
    asked = os.environ.get("PIG_GPUS")
    if asked is None:
        return len(visible())
    if not asked.isdecimal():
        raise UserError(f"PIG_GPUS must be a number of GPUs, 0 or more, not '{asked}'.")
    return int(asked)


class Promise(NamedTuple):
    """So many GPUs are this process's own, and what says so."""

    gpus: int
    source: str


def _take(gpus: Mapping[str, str], count: int) -> dict[str, socket.socket] | None:
    """Take ``count`` free GPUs, or none where there are fewer; the sockets, by the GPUs' names, hold them.

    A name in Linux's abstract namespace of sockets belongs to one process at a time on the whole machine, whoever the
    user is, leaves no file, and is freed by the kernel however the process ends. (The namespace is that of the
    network: two containers with networks of their own do not see each other's names.) Slurm may have given one GPU to
    several jobs on purpose, hence the job in the name.
    """
    taken: dict[str, socket.socket] = {}
    for name, uuid in gpus.items():
        if len(taken) == count:
            break
        lease = socket.socket(socket.AF_UNIX)
        try:
            lease.bind(f"\0pig-gpu-{os.environ.get('SLURM_JOB_ID', '')}-{uuid}")
        except OSError:
            lease.close()
        else:
            taken[name] = lease
    if len(taken) == count:
        return taken
    for lease in taken.values():
        lease.close()
    return None


@contextmanager
def own_gpus(count: int = 1) -> Iterator[Promise | None]:
    """Show this process ``count`` GPUs that no other process in this context has; wait for them if need be.

    With PIG_GPUS=0 none is shown. Where there is none, or where a launcher of several processes holds them
    (``LOCAL_RANK`` is set), nothing is changed.

    Yields:
        What torch must find, see :func:`check_promise`; None where nothing was promised and torch may choose.

    Raises:
        UserError: PIG_GPUS is not a count, or there are fewer GPUs than asked for, or see :func:`visible`.
    """
    asked = os.environ.get("PIG_GPUS")
    if asked is not None and gpu_count() == 0:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
        yield None
        return
    gpus = visible()
    listed = ", ".join(gpus)
    if not gpus:  # of AMD there is no NVML: torch may find one that PIG_GPUS promises
        yield Promise(count, f"PIG_GPUS={asked}") if asked else None
        return
    if "LOCAL_RANK" in os.environ:
        yield Promise(len(gpus), listed)
        return
    if count > len(gpus):
        raise UserError(f"{count} processes want a GPU each, and there are {len(gpus)} ({listed}).")
    taken = _take(gpus, count)
    if taken is None:
        logger.info("GPUs %s are in use; waiting for %d of them.", listed, count)
    while taken is None:
        time.sleep(0.5 + random.random())
        taken = _take(gpus, count)
    logger.info("GPU %s, of %s.", ", ".join(taken), listed)
    os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(taken)
    try:
        yield Promise(count, ", ".join(taken))
    finally:
        for lease in taken.values():
            lease.close()


def check_promise(promise: Promise) -> None:
    """Load torch and see that it finds the promised GPUs, rather than compute on the CPU for days.

    Raises:
        UserError: it finds fewer.
    """
    import torch

    seen = torch.cuda.device_count()
    if seen >= promise.gpus:
        return
    if torch.version.cuda is None and torch.version.hip is None:
        cause = "It is a build without CUDA: install one with it."
    else:
        cause = (
            f"It is built for {'CUDA ' + torch.version.cuda if torch.version.cuda else 'ROCm'}: see that `nvidia-smi` "
            "works and the driver is new enough for it, and that a container is started with its GPUs (`docker run "
            "--gpus`, `apptainer exec --nv`)."
        )
    raise UserError(
        f"this job was promised {promise.gpus} GPU{'s' * (promise.gpus > 1)} ({promise.source}), and PyTorch "
        f"{torch.__version__} sees {seen}. {cause} {ON_CPU}"
    )
