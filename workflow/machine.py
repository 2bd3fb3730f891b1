"""What the machine that runs the workflow has; nothing of it changes a result."""

import os
import sys
from pathlib import Path

from pig.errors import UserError


def gpu_count() -> int:
    """Return the number of GPUs that jobs may use: PIG_GPUS if set, else how many are visible here.

    Raises:
        UserError: PIG_GPUS is not a count.
    """
    asked = os.environ.get("PIG_GPUS")
    if asked is not None:
        if not asked.isdecimal():
            raise UserError(f"PIG_GPUS must be a number of GPUs, 0 or more, not '{asked}'.")
        return int(asked)
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return sum(bool(name.strip()) and name.strip() != "-1" for name in visible.split(","))
    return len(list(Path("/dev").glob("nvidia[0-9]*")))


def use_own_commands() -> None:
    """Let jobs find the ``pig`` that is installed beside the Python running Snakemake, activated or not."""
    own, path = str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)
    if path.split(os.pathsep)[0] != own:
        os.environ["PATH"] = os.pathsep.join([own, path])
