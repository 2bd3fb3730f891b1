"""How good pairs are at few network calls: each solver and spacing on the trained models of a finished study.

    python -m benchmarks.few_steps results --folds 0 1 2 --seeds 0 1 --pairs 512 --out benchmarks/results/few-steps.json

For each fold, seed of the noise, solver and spacing, as `pig quality` measures a study's pairs: Frechet and kernel
distance of the features of the fold's real-data segmentation to the training images and to those of the held-out
patients, faithfulness (Dice of a mask and what that segmentation sees in its image), the share of empty masks and the
mean area of the others, each beside its floor, that of real pairs; also the grain of the pictures (the mean difference
of neighbouring pixels), and seconds a pair. Printed are means over folds and seeds.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from benchmarks.measure import facts
from pig.data.folds import read_folds, split
from pig.data.looks import beside_real
from pig.data.store import PairDataset, Store, to_uint16
from pig.evaluation.features import Extractor
from pig.evaluation.predict import masks_found
from pig.evaluation.quality import HELD_OUT, TRAINING, Pairs, measure_quality, real_pairs
from pig.evaluation.segmenter import load_segmenter
from pig.methods.model_folder import load_generator
from pig.system.files import write_json

GENERATORS = {  # name -> class, model folder, what the study sets besides
    "pig": ("pig.methods.pig.PIG", "pig", {"clip": True}),
    "joint": ("baselines.joint.Joint", "joint", {"clip": True}),
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
REPORTED = {  # (of, against, measure) -> column
    ("image", TRAINING, "fid"): "fid_train",
    ("image", HELD_OUT, "fid"): "fid_held_out",
    ("image", TRAINING, "kid"): "kid_train",
    ("image", HELD_OUT, "kid"): "kid_held_out",
    ("pair", HELD_OUT, "faithfulness"): "faithfulness",
    ("mask", HELD_OUT, "empty"): "empty",
    ("mask", HELD_OUT, "area"): "area",
}
BATCH = 64


def draw(generator: Any, count: int, train: PairDataset) -> tuple[np.ndarray, np.ndarray | None]:
    """Return images uint16 [n, H, W] and masks uint8 [n, H, W]; None of a generator of images alone."""
    images, masks = [], []
    given_pairs = train.at(generator.image_size)
    for start in range(0, count, BATCH):
        indices = range(start, min(start + BATCH, count))
        given = given_pairs.batch(np.array(indices) % len(train))[1] if generator.takes_masks else None
        pairs = generator.sample(indices, given)
        images.append(to_uint16(pairs.images[:, 0].float().cpu()))
        of_pairs = pairs.masks if pairs.masks is not None else given
        masks += [] if of_pairs is None else [of_pairs[:, 0].cpu().numpy().astype(np.uint8)]
    return np.concatenate(images), np.concatenate(masks) if masks else None


class Fold:
    """What a fold's pairs are held against."""

    def __init__(self, results: Path, fold: int) -> None:
        folder = results / f"segmentation/real/fold{fold}/seed0"
        self.train, test = split(Store.open(results / "data/store"), read_folds(results / "data/folds.csv"), fold)
        self.network, self.settings, _ = load_segmenter(folder)
        self.extractor = Extractor("encoder", folder)
        self.real = [real_pairs(pairs, self.settings.image_size) for pairs in (self.train, test)]

    def measure(self, images: np.ndarray, masks: np.ndarray | None, own_masks: bool) -> dict[str, float]:
        """Return the columns of REPORTED, each with its floor where it has one."""
        train, held_out = self.real
        found = measure_quality(
            Pairs(images, masks, np.arange(len(images))),
            train,
            held_out,
            lambda of: self.extractor(of).numpy().astype(np.float64),
            lambda of: np.stack([*masks_found(self.network, of, self.settings)]),
            own_masks=own_masks,
            seed=0,
        ).table.set_index(["of", "against", "measure"])
        return {
            f"{column}{end}": round(float(found[name].loc[[row]].item()), 4)
            for row, column in REPORTED.items() if row in found.index
            for end, name in (("", "value"), ("_floor", "floor"))
        }  # fmt: skip


def rows(a: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Yield what was measured of each generator, solver, spacing, number of calls, fold and seed."""
    reference = [("ddim", "uniform", a.reference)] if a.reference else []
    for fold in a.folds:
        against = Fold(a.results, fold)
        for name, seed in product(a.generators, a.seeds):
            cls, model, more = GENERATORS[name]
            for solver, spacing, steps in [*((*choice, n) for choice, n in product(CHOICES, a.steps)), *reference]:
                sampling = {**more, "steps": steps, "solver": solver, "spacing": spacing}
                generator = load_generator(a.results / f"models/{model}/fold{fold}", sampling, cls, name, seed=seed)
                started = time.process_time()
                images, masks = draw(generator, a.pairs, against.train)
                seconds = (time.process_time() - started) / a.pairs
                yield {
                    "generator": name, "solver": solver, "spacing": spacing, "steps": steps, "fold": fold, "seed": seed,
                    **against.measure(images, masks, generator.makes_masks),
                    "grain": round(beside_real(images, None, against.train)["grain"]["drawn"] or 0, 4),
                    "cpu_s_a_pair": round(seconds, 4),
                }  # fmt: skip


def main() -> None:
    """Measure, print a table of means, and write each fold and seed as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path)
    parser.add_argument("--folds", type=int, nargs="+", default=[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="of the noise that pairs are drawn from")
    parser.add_argument("--pairs", type=int, default=512)
    parser.add_argument("--steps", type=int, nargs="*", default=[6, 8, 12], help="none: the reference alone")
    parser.add_argument("--generators", nargs="+", choices=GENERATORS, default=list(GENERATORS))
    parser.add_argument("--reference", type=int, help="further, ddim and uniform in so many steps")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    a = parser.parse_args()
    torch.set_num_threads(a.threads)
    found = []
    for row in rows(a):
        found.append(row)
        print(*row.values(), file=sys.stderr, flush=True)
    command = " ".join(["python", "-m", "benchmarks.few_steps", "results", *sys.argv[2:]])
    write_json(a.out, {**facts(command, torch.device("cpu")), "threads": a.threads, "rows": found})
    of = ["generator", "solver", "spacing", "steps"]
    means = pd.DataFrame(found).groupby(of, sort=False).mean().drop(columns=["fold", "seed"])
    print(means.round(3).reset_index().to_markdown(index=False))


if __name__ == "__main__":
    main()
