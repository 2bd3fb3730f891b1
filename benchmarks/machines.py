"""What another machine changes in the Dice of a segmentation: the same jobs with other instructions and other rounding.

    python -m benchmarks.machines RESULTS --arms real pig_1024 --out benchmarks/results/machines.json

RESULTS is the folder of a finished study. Each segmentation of seed 0 is trained again on this processor, as if
it had fewer instructions. Its pairs are those of the study: what another machine changes in a generator comes on top.
"""

import argparse
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd

from pig.evaluation.segmentation import TESTED
from pig.report.slices import read_slices
from pig.report.tables import score_runs
from pig.system.files import write_json

OLDER = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"}
# What PyTorch and its libraries are told, and whether bfloat16 is used.
MACHINES: dict[str, tuple[dict[str, str], bool]] = {
    "as it is": ({}, True),
    "float32": ({}, False),
    "float32, AVX2": (OLDER, False),
}


def train_again(folder: Path, out: Path, bfloat16: bool) -> None:
    """Train the segmentation of a folder again, and test it, in the working directory of its study."""
    import torch

    from pig.steps.reproduce import segment_again
    from pig.system import device

    record = json.loads((folder / "record.json").read_text())
    torch.set_num_threads(record["threads"])
    if not bfloat16:
        device.has_bf16 = lambda device: False
    inputs = {name: Path(name) for name in record["step"]["inputs"]}
    segment_again(record, inputs, out / "work", out / "again")


def dice(folder: Path) -> dict[str, float]:
    """Return the mean Dice of the slices of the test fold and of new patients, in percent, as table 2 has them."""
    averaging = dict(zip(TESTED, ("per slice", "per patient"), strict=True))
    files = [name for name in TESTED if (folder / name).is_file()]
    return {TESTED[name]: 100 * score_runs(read_slices([folder / name]), averaging[name]).dice.item() for name in files}


def on(machine: str, folder: Path) -> dict[str, Any]:
    """Return the Dice of a segmentation that a process of its own has trained again as on a machine."""
    told, _ = MACHINES[machine]
    study = folder.absolute().parents[4]
    with TemporaryDirectory() as temporary:
        again = [sys.executable, __file__, str(folder.absolute()), "--again", machine, "--out", temporary]
        subprocess.run(again, check=True, cwd=study, env=os.environ | told)
        return {"machine": machine, "arm": folder.parts[-3], "fold": folder.parts[-2], **dice(Path(temporary, "again"))}


def summary(rows: Sequence[dict[str, Any]], arms: Sequence[str]) -> pd.DataFrame:
    """Return, for each machine, the means over folds, and of the differences to the first arm."""
    table = pd.DataFrame(rows)
    scores = [*TESTED.values()]
    means = table.groupby(["machine", "arm"], sort=False)[scores].mean()
    apart = means.sub(means.xs(arms[0], level="arm"), level="machine")
    return means.join(apart.add_suffix(f", minus {arms[0]}"))


def main() -> None:
    """Train all again, print the means and write every number, with the machine, versions, commit and command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path)
    parser.add_argument("--arms", nargs="+", help="the first is what the others are held against")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--again", choices=MACHINES, help=argparse.SUPPRESS)  # what the processes are called with
    a = parser.parse_args()
    if a.again:
        train_again(a.results, a.out, MACHINES[a.again][1])
        return

    import torch

    from benchmarks.measure import facts

    folders = [folder for arm in a.arms for folder in sorted((a.results / "segmentation" / arm).glob("fold*/seed0"))]
    rows = [{"machine": "of the study", "arm": f.parts[-3], "fold": f.parts[-2], **dice(f)} for f in folders]
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # of which each waits for a process
        rows += pool.map(on, *zip(*itertools.product(MACHINES, folders), strict=True))
    write_json(a.out, facts(" ".join(sys.argv), torch.device("cpu")) | {"dice": rows})
    print(summary(rows, a.arms).round(2).to_markdown())


if __name__ == "__main__":
    main()
