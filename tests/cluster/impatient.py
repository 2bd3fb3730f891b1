"""Snakemake that looks at its jobs each second. For Slurm it would wait 10 s longer after each look in vain."""

import asyncio
import sys

from snakemake.cli import main
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor


async def look_soon(executor: RemoteExecutor) -> None:
    await asyncio.sleep(1)


RemoteExecutor.sleep = look_soon
main(sys.argv[1:])
