"""The command ``pig``: every step of the workflow, by hand. Each rule of the workflow is one of its commands."""

import argparse
import atexit
import gc
import importlib
import inspect
import logging
import os
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from pig.commands import parser
from pig.study.status import announce
from pig.system.allocator import keep_freed_memory
from pig.system.energy import begin
from pig.system.errors import UserError, in_brief
from pig.system.events import recording
from pig.system.files import disk_is_full, name_fault
from pig.system.gpus import check_promise, own_gpus
from pig.system.signals import EXIT_STATUS, Stopped, handling_signals
from pig.training.team import is_first, launch, processes

ON_GPU = ("fit", "synthesise", "segment", "nnunet", "predict", "reproduce", "fid", "quality", "strip", "overlay")


def run_step(a: argparse.Namespace) -> None:
    """Call the step of a command with its options.

    It is imported here, and no other, since a study is hundreds of short processes.
    """
    if a.command in ("fit", "synthesise"):
        from pig.methods.monai_alone import import_networks

        import_networks(a.cls)
    name = {"import": "import_data"}.get(a.command, a.command)
    step = getattr(importlib.import_module(f"pig.steps.{name}"), name)
    taken = inspect.signature(step).parameters
    step(**{option: value for option, value in vars(a).items() if option in taken})


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        The exit status: 0; 2 for a mistake that the user can fix; 75 after a signal that asked it to end, when the
        same command goes on with the work.
    """
    if sys.flags.optimize > 1:
        print(
            "pig: Python runs with -OO (or PYTHONOPTIMIZE=2), which strips docstrings, and segmentation-models-pytorch "
            "needs its own; run it without, or with -O.",
            file=sys.stderr,
        )
        return 2
    level = logging.INFO if is_first() else logging.WARNING
    logging.basicConfig(level=level, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr)
    a = parser().parse_args(arguments)
    gc.set_threshold(100_000)  # of 700: searching for garbage takes a fifth of the time that imports take
    atexit.register(gc.freeze)  # and one second more at the exit, among all that was imported
    keep_freed_memory()
    for library in ("OMP", "OPENBLAS", "MKL"):  # read when torch and numpy are imported, which is later
        os.environ[f"{library}_NUM_THREADS"] = str(a.threads)
    if a.command not in ("status", "cost", "plan"):  # which are no jobs
        announce(a.command)
    try:
        words = sys.argv[1:] if arguments is None else arguments
        for word in (str(Path.cwd()), *words):
            if fault := name_fault(word):
                raise UserError(f"{fault}.")
        if a.command != "fit" and processes() > 1:
            raise UserError("it is the work of one process; of all commands only 'pig fit' shares it among several.")
        # Before torch is imported.
        with own_gpus(getattr(a, "processes", 1)) if a.command in ON_GPU else nullcontext() as promise:
            if promise:
                check_promise(promise)
                begin()
            if a.command == "fit" and a.processes > 1 and processes() == 1:
                return launch(a.processes, words)
            with handling_signals(), recording(a.events if is_first() else None):
                run_step(a)
    except UserError as error:
        print(f"pig {a.command}: {in_brief(error)}", file=sys.stderr)
        return 2
    except Stopped as stop:
        if is_first():
            print(f"pig {a.command}: {stop}; the same command goes on with the work.", file=sys.stderr)
        return EXIT_STATUS
    except Exception as error:
        if not disk_is_full(error):
            raise
        print(
            f"pig {a.command}: the disk of {getattr(error, 'filename', None) or a.out} is full ({error}). Make room "
            "and give the same command again; what is finished stays.",
            file=sys.stderr,
        )
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
