"""What the workflow needs to know of the machine that it runs on; no result depends on it."""

import os
import sys
from pathlib import Path

from pig.gpus import gpu_count


def use_own_commands() -> None:
    """Let jobs find the ``pig`` that is installed beside the Python running Snakemake, activated or not."""
    own, path = str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)
    if path.split(os.pathsep)[0] != own:
        os.environ["PATH"] = os.pathsep.join([own, path])


def gpu_warning(remote: bool) -> str | None:
    """Return a warning if it is this machine's GPUs that decide whether ``remote`` jobs ask for one."""
    if not remote or "PIG_GPUS" in os.environ:
        return None
    asks = "one GPU for each job that can use one" if gpu_count() else "no GPU"
    return (
        f"PIG_GPUS is not set, and this machine has {gpu_count()} GPUs, so the jobs ask for {asks}, whatever the "
        "machines that run them have. Set PIG_GPUS=1 where those have GPUs, PIG_GPUS=0 where they have none."
    )
