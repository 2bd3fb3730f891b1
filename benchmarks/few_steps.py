"""How good pairs are at few network calls: each solver and spacing on the trained models of a finished study.

    python benchmarks/few_steps.py results --fold 0 --pairs 512 --out benchmarks/results/few-steps.json

For each: the Frechet distance to the fold's training images and to the held-out patients' (encoder of the fold's
real-data segmentation), the share of empty masks, the mean area of the others, the grain of the pictures (the mean
difference of neighbouring pixels) beside the least and the greatest of a training patient, and seconds a pair. The
floor is the distance of the held-out patients' images to the training images. One seed and one fold: differences of a
few tenths mean nothing.
"""

import argparse
import subprocess
import sys
import time
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pig.data.folds import read_folds, split
from pig.data.looks import beside_real
from pig.data.store import PairDataset, Store, to_uint16
from pig.evaluation.frechet import frechet_distance
from pig.methods.model_folder import load_generator
from pig.system.files import write_json
from pig.system.run_record import processor

GENERATORS = {  # name -> class, model folder, what the study sets besides
    "pig": ("pig.methods.pig.PIG", "pig", {"clip": True}),
    "ddim": ("baselines.ddim.DDIM", "ddpm", {"clip": True}),
    "segguided": ("baselines.segguided.SegGuidedDif", "segguided", {"clip": True}),
    "ldm": ("baselines.ldm.LDM", "ldm", {}),
    "controlnet": ("baselines.controlnet.ControlNet", "controlnet", {}),
}
CHOICES = [
    ("ddim", "uniform"),
    ("ddim", "trailing"),
    *product(["dpmpp_2m"], ["uniform", "trailing", "edm", "log_snr"]),
]
BATCH = 64


def draw(generator: Any, count: int, train: PairDataset) -> tuple[np.ndarray, np.ndarray]:
    """Return images uint16 [n, H, W] and masks bool [n, H, W], of none if it draws images alone."""
    images, masks = [], []
    given_pairs = train.at(generator.image_size)
    for start in range(0, count, BATCH):
        indices = range(start, min(start + BATCH, count))
        given = given_pairs.batch(np.array(indices) % len(train))[1] if generator.takes_masks else None
        pairs = generator.sample(indices, given)
        images.append(to_uint16(pairs.images[:, 0].float().cpu()))
        if pairs.masks is not None:
            masks.append(pairs.masks[:, 0].cpu().numpy())
    return np.concatenate(images), np.concatenate(masks) if masks else np.zeros((0, 1, 1), bool)


def main() -> None:
    """Measure and print a line for each choice, and write all as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path)
    parser.add_argument("--fold", type=int, default=0)
    parser.add_argument("--pairs", type=int, default=512)
    parser.add_argument("--steps", type=int, nargs="+", default=[6, 8, 12])
    parser.add_argument("--generators", nargs="+", choices=GENERATORS, default=list(GENERATORS))
    parser.add_argument("--reference", type=int, help="further, ddim and uniform in so many steps")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, required=True)
    a = parser.parse_args()
    torch.set_num_threads(a.threads)

    store = Store.open(a.results / "data/store")
    train, test = split(store, read_folds(a.results / "data/folds.csv"), a.fold)
    encoder = a.results / f"segmentation/real/fold{a.fold}/seed0"
    real = {"train": store.images[train.rows], "held out": store.images[test.rows]}
    floor = frechet_distance(real["held out"], real["train"], "encoder", encoder)
    print(f"floor: held-out patients to training images {floor:.2f}")
    rows = []
    reference = [("ddim", "uniform", a.reference)] if a.reference else []
    for name in a.generators:
        cls, model, more = GENERATORS[name]
        for solver, spacing, steps in [*((*choice, n) for choice, n in product(CHOICES, a.steps)), *reference]:
            sampling = {**more, "steps": steps, "solver": solver, "spacing": spacing}
            generator = load_generator(a.results / f"models/{model}/fold{a.fold}", sampling, cls, name, seed=0)
            started = time.perf_counter()
            images, masks = draw(generator, a.pairs, train)
            seconds = (time.perf_counter() - started) / a.pairs
            filled = masks[masks.any((1, 2))]
            grain = beside_real(images, None, train)["grain"]
            row = {
                "generator": name,
                "solver": solver,
                "spacing": spacing,
                "steps": steps,
                "fid_train": round(frechet_distance(images, real["train"], "encoder", encoder), 2),
                "fid_held_out": round(frechet_distance(images, real["held out"], "encoder", encoder), 2),
                "empty": round(1 - len(filled) / len(masks), 4) if generator.makes_masks else None,
                "area": round(float(filled.mean()), 4) if generator.makes_masks else None,
                "grain": [round(value, 4) for value in grain.values() if value is not None],  # drawn, least, greatest
                "seconds_a_pair": round(seconds, 4),
            }
            rows.append(row)
            print(*row.values(), flush=True)
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False).stdout.strip()
    write_json(
        a.out,
        {
            "command": " ".join(["python", "benchmarks/few_steps.py", "results", *sys.argv[2:]]),
            "commit": commit,
            "machine": f"{processor()}, {a.threads} threads",
            "torch": torch.__version__,
            "floor_fid": round(floor, 2),
            "rows": rows,
        },
    )


if __name__ == "__main__":
    main()
