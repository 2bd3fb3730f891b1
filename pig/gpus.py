"""Which GPUs there are, and some of them for each process. It speaks before torch is loaded and imports nothing slow.

Schedulers of one machine count GPUs and do not choose among them, so that two jobs would both take the first.
"""

import logging
import os
import random
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pig.errors import UserError

logger = logging.getLogger("pig")


def visible() -> list[str]:
    """Return the GPUs that this process may see, as ``CUDA_VISIBLE_DEVICES`` names them."""
    listed = os.environ.get("CUDA_VISIBLE_DEVICES")
    if listed is None:
        return sorted((file.name.removeprefix("nvidia") for file in Path("/dev").glob("nvidia[0-9]*")), key=int)
    return [name.strip() for name in listed.split(",") if name.strip() not in ("", "-1")]


def gpu_count() -> int:
    """Return the number of GPUs that jobs may use: PIG_GPUS if set, else how many are visible here.

    Raises:
        UserError: PIG_GPUS is not a count.
    """
    asked = os.environ.get("PIG_GPUS")
    if asked is None:
        return len(visible())
    if not asked.isdecimal():
        raise UserError(f"PIG_GPUS must be a number of GPUs, 0 or more, not '{asked}'.")
    return int(asked)


def _take(names: Sequence[str], count: int) -> dict[str, socket.socket] | None:
    """Take ``count`` free GPUs of ``names``, or none where there are fewer; the sockets hold them.

    A name in Linux's abstract namespace of sockets is of one process at a time on the whole machine, whoever the
    user, leaves no file, and the kernel frees it however the process ends. Jobs of Slurm on one node may each see
    their own GPU under the same number, hence the job in the name.
    """
    taken: dict[str, socket.socket] = {}
    for name in names:
        if len(taken) == count:
            break
        lease = socket.socket(socket.AF_UNIX)
        try:
            lease.bind(f"\0pig-gpu-{os.environ.get('SLURM_JOB_ID', '')}-{name}")
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
def own_gpus(count: int = 1) -> Iterator[None]:
    """Show this process ``count`` GPUs that no other process in this context has; wait for them if need be.

    With PIG_GPUS=0 none is shown. Where there is none, or where a launcher of several processes holds them
    (``LOCAL_RANK`` is set), nothing happens.

    Raises:
        UserError: PIG_GPUS is not a count, or there are fewer GPUs than asked for.
    """
    names = visible() if gpu_count() else []
    if not names or "LOCAL_RANK" in os.environ:
        if os.environ.get("PIG_GPUS") == "0":
            os.environ["CUDA_VISIBLE_DEVICES"] = ""
        yield
        return
    if count > len(names):
        raise UserError(f"{count} processes want a GPU each, and there are {len(names)} ({', '.join(names)}).")
    taken = _take(names, count)
    if taken is None:
        logger.info("GPUs %s are in use; waiting for %d of them.", ", ".join(names), count)
    while taken is None:
        time.sleep(0.5 + random.random())
        taken = _take(names, count)
    logger.info("GPU %s, of %s.", ", ".join(taken), ", ".join(names))
    os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(taken)
    try:
        yield
    finally:
        for lease in taken.values():
            lease.close()
