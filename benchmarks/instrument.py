"""How the segmentation of the default study was chosen: the Dice of four arms against its number of steps.

    python benchmarks/instrument.py work --out benchmarks/results/instrument.json

On a tuning population of its own (seed 101): real pairs alone, with strong augmentation, with the real pairs of new
patients (the oracle), and with those pairs and wrong masks (the negative control). No generator is needed. The study
itself reports on another population (``dataset.phantom.seed``). A stopped run goes on in ``work``.
"""

import argparse
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd

from pig.evaluation.statistics import NEW, compare
from pig.report.slices import read_arms
from pig.report.tables import score_runs
from pig.steps.folds import folds
from pig.steps.phantom import phantom
from pig.steps.preprocess import preprocess
from pig.steps.segment import segment
from pig.study.merged import merged_config
from pig.system.files import write_json
from pig.system.run_record import processor

TUNING_SEED = 101
CONFIG = merged_config([])
ARMS: dict[str, dict[str, Any]] = {
    "real": {},
    "strong augmentation": {"augmentation": "strong"},
    "oracle": {"oracle": True},
    "oracle, wrong masks": {"oracle": True, "shuffle_masks": True},
}


def make_data(work: Path) -> None:
    """Make the stores of the tuning population and of its new patients, and its folds."""
    of_phantom, new = CONFIG["dataset"]["phantom"] | {"seed": TUNING_SEED}, CONFIG["dataset"]["new_patients"]
    after = of_phantom["patients"] + 1
    populations = {
        "store": {},
        "oracle": {"first": after, "patients": new["oracle"]},
        "test": {"first": after + new["oracle"], "patients": new["test"], "slices_per_view": 1},
    }
    for name, changes in populations.items():
        if not (work / name).exists():
            data = work / f"{name}.phantom"
            shown = {"dicom": False, "report": False, "threads": 2}
            phantom(settings=of_phantom | changes, patients=None, normal=None, seed=None, out=data, **shown)
            preprocess(
                manifest=data / "manifest.csv", settings=CONFIG["preprocessing"], salt=None, threads=2, out=work / name
            )
    if not (work / "folds.csv").exists():
        folds(store=work / "store", **CONFIG["folds"], out=work / "folds.csv")


def folder(work: Path, arm: str, steps: int, fold: int) -> Path:
    """Return where a training writes."""
    return work / arm.replace(", ", "-").replace(" ", "-") / f"steps{steps}" / f"fold{fold}"


def train(work: Path, arm: str, steps: int, fold: int) -> None:
    """Train and test one network, unless that is done."""
    import torch

    torch.set_num_threads(1)
    out, of_arm = folder(work, arm, steps, fold), dict(ARMS[arm])
    settings = {key: value for key, value in CONFIG["segmentation"].items() if key != "seeds"}
    settings["training"] = settings["training"] | {"steps": steps}
    if "augmentation" in of_arm:
        settings["augmentation"] = of_arm["augmentation"]
    if not out.exists():
        segment(
            store=work / "store", folds=work / "folds.csv", fold=fold, seed=0, settings=settings, synthetic=None,
            oracle=work / "oracle" if of_arm.get("oracle") else None, count=None, test=work / "test",
            shuffle_masks=of_arm.get("shuffle_masks", False), real=1.0, work=out.with_suffix(".work"), out=out,
        )  # fmt: skip


def main() -> None:
    """Train all, print a line for each number of steps and arm, and write all as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("--steps", type=int, nargs="+", default=[100, 200, 400, 800])
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--out", type=Path)
    a = parser.parse_args()

    make_data(a.work)
    count = CONFIG["folds"]["count"]
    calls = [(a.work, arm, steps, fold) for steps in a.steps for fold in range(count) for arm in ARMS]
    with ProcessPoolExecutor(a.processes) as pool:
        list(pool.map(train, *zip(*calls, strict=True)))

    rows = []
    for steps in a.steps:
        files = {arm: [folder(a.work, arm, steps, k) / "new_patients.csv" for k in range(count)] for arm in ARMS}
        arms = read_arms(files)
        compared = compare(arms, tested=NEW)
        against_real = compared[(compared.metric == "dice") & (compared.against == "real")].set_index("arm")
        for arm, slices in arms.items():
            by_fold = score_runs(slices, "per patient").dice
            row = {"steps": steps, "arm": arm, "dice": 100 * by_fold.mean(), "folds": (100 * by_fold).round(2).tolist()}
            if arm != "real":
                found = against_real.loc[arm]
                row |= {key: 100 * found[key] for key in ("difference", "low_folds", "high_folds", "smallest_visible")}
            rows.append(row)
    print(pd.DataFrame(rows).round(2).to_string(index=False))
    if a.out:
        commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
        write_json(
            a.out,
            {
                "command": " ".join(["python", *sys.argv]),
                "commit": commit.stdout.strip(),
                "machine": processor(),
                "population": {"seed": TUNING_SEED, **CONFIG["dataset"]["new_patients"]},
                "rows": rows,
            },
        )


if __name__ == "__main__":
    main()
