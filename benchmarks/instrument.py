"""How the segmentation of the default study was chosen: the Dice of four arms against its number of steps.

    python -m benchmarks.instrument work --steps 200 320 --out benchmarks/results/instrument.json
    python -m benchmarks.instrument work --encoders resnet18 resnet34 --seeds 0 1 2 --steps 200 320 --out ...

On a tuning population of its own (seed 101): real pairs alone, with strong augmentation, with the real pairs of new
patients (the oracle), and with those pairs and wrong masks (the negative control). No generator is needed. The study
itself reports on another population (``dataset.phantom.seed``). A stopped run goes on in ``work``.
"""

import argparse
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from pig.evaluation.statistics import NEW, compare
from pig.report.slices import read_arms
from pig.report.tables import score_runs
from pig.steps.folds import folds
from pig.steps.phantom import phantom
from pig.steps.preprocess import preprocess
from pig.steps.segment import segment
from pig.study.merged import merged_config
from pig.study.populations import populations
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
    grown = populations({"phantom": of_phantom, "new_patients": new | {"normal": 0}})
    for name, settings in zip(("store", "oracle", "test"), grown.values(), strict=True):
        if not (work / name).exists():
            data = work / f"{name}.phantom"
            no: dict[str, Any] = {"patients": None, "normal": None, "seed": None, "dicom": False, "report": False}
            phantom(settings=settings, **no, threads=2, out=data)
            preprocess(
                manifest=data / "manifest.csv", settings=CONFIG["preprocessing"], salt=None, threads=2, out=work / name
            )
    if not (work / "folds.csv").exists():
        folds(store=work / "store", **CONFIG["folds"], out=work / "folds.csv")


class Training(NamedTuple):
    """One network: which, of which arm, how long, and on which fold and seed."""

    encoder: str
    steps: int
    arm: str
    fold: int
    seed: int

    def folder(self, work: Path) -> Path:
        """Return where it writes."""
        arm = self.arm.replace(", ", "-").replace(" ", "-")
        return work / f"{self.encoder}-steps{self.steps}" / arm / f"fold{self.fold}" / f"seed{self.seed}"


def train(work: Path, training: Training) -> float:
    """Train and test one network, unless that is done; return its processor seconds, NaN if it was."""
    import torch

    torch.set_num_threads(1)
    out, of_arm, started = training.folder(work), dict(ARMS[training.arm]), time.process_time()
    if out.exists():
        return float("nan")
    settings = {key: value for key, value in CONFIG["segmentation"].items() if key != "seeds"}
    settings["training"] = settings["training"] | {"steps": training.steps}
    settings["encoder"] = training.encoder
    if "augmentation" in of_arm:
        settings["augmentation"] = of_arm["augmentation"]
    segment(
        store=work / "store", folds=work / "folds.csv", fold=training.fold, seed=training.seed, settings=settings,
        synthetic=None, oracle=work / "oracle" if of_arm.get("oracle") else None, source=None, count=None,
        test=work / "test", shuffle_masks=of_arm.get("shuffle_masks", False), real=1.0,
        work=out.with_suffix(".work"), out=out,
    )  # fmt: skip
    return time.process_time() - started


def main() -> None:
    """Train all, print a line for each number of steps and arm, and write all as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("--steps", type=int, nargs="+", default=[100, 200, 400, 800])
    parser.add_argument("--encoders", nargs="+", default=[CONFIG["segmentation"]["encoder"]])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--out", type=Path)
    a = parser.parse_args()

    make_data(a.work)
    all_folds = range(CONFIG["folds"]["count"])
    choices = [*product(a.encoders, a.steps)]
    trainings = [Training(*choice, *of) for choice in choices for of in product(ARMS, all_folds, a.seeds)]
    with ProcessPoolExecutor(a.processes) as pool:
        seconds = dict(zip(trainings, pool.map(train, [a.work] * len(trainings), trainings), strict=True))

    rows = []
    for choice in choices:
        of = {arm: [Training(*choice, arm, *run) for run in product(all_folds, a.seeds)] for arm in ARMS}
        files = {arm: [one.folder(a.work) / "new_patients.csv" for one in of[arm]] for arm in ARMS}
        arms = read_arms(files)
        compared = compare(arms, {"strong augmentation": "augmentation"}, tested=NEW)
        compared = compared[compared.metric == "dice"].set_index(["arm", "against"])
        for arm, slices in arms.items():
            by_fold = score_runs(slices, "per patient").dice.groupby(level="fold").mean()
            row = {"encoder": choice[0], "steps": choice[1], "seeds": len(a.seeds), "arm": arm}
            row |= {"cpu_s": pd.Series([seconds[one] for one in of[arm]]).mean()}  # of those that were trained now
            row |= {"dice": 100 * by_fold.mean(), "folds": (100 * by_fold).round(2).tolist()}
            for against in ("real", "strong augmentation"):
                if (arm, against) in compared.index:
                    found, end = compared.loc[[(arm, against)]].iloc[0], "" if against == "real" else "_to_strong"
                    row |= {f"{key}{end}": 100 * found[key] for key in ("difference", "low_folds", "high_folds")}
            if arm != "real":
                row |= {"smallest_visible": 100 * compared.loc[[(arm, "real")]].iloc[0].smallest_visible}
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
                "population": {"seed": TUNING_SEED}
                | {name: CONFIG["dataset"]["new_patients"][name] for name in ("oracle", "test")},
                "rows": rows,
            },
        )


if __name__ == "__main__":
    main()
