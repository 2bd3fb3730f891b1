"""Quality for time: what this project, diffusers and MONAI have learnt after the same processor time.

    python -m benchmarks.quality results --seconds 90 --seeds 0 1 --out benchmarks/results/quality.json

Each trains p(image | mask), as in benchmarks/peers.py, on the training pairs of fold 0 of a finished study: the same
channels, batch and rate, a step of each in turn, in bfloat16 where the processor has it. When one has spent a share of
its seconds, the mean squared error of its eps is taken on held-out patients, with the same t and noise for all, as is
the order of pairs. Testing is not in the time. A step against a step: benchmarks/steps.py.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from benchmarks.measure import facts, seconds
from benchmarks.peers import SCHEDULE, Work, build_peers
from benchmarks.steps import network_of
from pig.data.folds import read_folds, split
from pig.data.store import PairDataset, Store
from pig.diffusion.schedule import build_schedule
from pig.system.device import has_bf16, pick_device
from pig.system.files import write_json
from pig.training.batches import shuffled

BATCH = 8
RATE = 1e-3
SHARES = 6  # of the seconds, after each of which is tested


class HeldOut:
    """Noisy images of the fold's test patients: t evenly spaced in 1..T, a step apart from pair to pair."""

    def __init__(self, pairs: PairDataset) -> None:
        images, masks = pairs.batch(np.arange(len(pairs)))
        self.masks, rng, T = 2 * masks - 1, torch.Generator().manual_seed(0), SCHEDULE.timesteps
        self.t = 1 + (torch.arange(len(pairs)) * T) // len(pairs)
        self.eps = torch.randn(images.shape, generator=rng)
        self.x_t = build_schedule(SCHEDULE).add_noise(images, self.eps, self.t)

    @torch.no_grad()
    def error(self, predict: Any, device: torch.device) -> float:
        """Return the mean squared error of eps."""
        found: list[Tensor] = []
        for at in torch.arange(len(self.t)).split(32):
            given = (tensor[at].to(device) for tensor in (self.x_t, self.masks, self.t))
            found.append((predict(*given).float().cpu() - self.eps[at]).square().mean((1, 2, 3)))
        return float(torch.cat(found).mean())


def measure(train: PairDataset, held_out: HeldOut, work: Work, limit_s: float, seed: int) -> list[dict[str, Any]]:
    """Return a row for each peer and share of the seconds."""
    peers = build_peers(work)
    order = shuffled(len(train), BATCH, seed)
    spent, steps, done = dict.fromkeys(peers, 0.0), dict.fromkeys(peers, 0), dict.fromkeys(peers, 0)
    rows = []
    torch.manual_seed(seed)
    while min(done.values()) < SHARES:
        for name, peer in peers.items():
            if done[name] == SHARES:
                continue
            images, masks = (tensor.to(work.device) for tensor in train.batch(order(steps[name])))
            spent[name] += seconds(lambda p=peer, i=images, m=masks: p.learn(i, 2 * m - 1), work.device)  # type: ignore[misc]
            steps[name] += 1
            if spent[name] >= limit_s * (done[name] + 1) / SHARES:
                done[name] += 1
                error = held_out.error(peer.predict, work.device)
                row = {"of": name, "seed": seed, "seconds": round(limit_s * done[name] / SHARES, 1)}
                rows.append(row | {"steps": steps[name], "error": round(error, 5)})
    return rows


def main() -> None:
    """Measure, print means over seeds, and write all as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path, help="of a finished study")
    parser.add_argument("--seconds", type=float, default=90, help="of each peer's training (90)")
    parser.add_argument("--size", type=int, default=48, help="pixels of a side (48)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--threads", type=int, default=1, help="(1, as in the workflow)")
    parser.add_argument("--out", type=Path, required=True)
    a = parser.parse_args()
    torch.set_num_threads(a.threads)
    device = pick_device()
    dtype = torch.bfloat16 if has_bf16(device) else torch.float32
    store, table = Store.open(a.results / "data/store"), read_folds(a.results / "data/folds.csv")
    train, test = (pairs.at(a.size) for pairs in split(store, table, 0))
    work = Work(network_of("default"), a.size, BATCH, 1, device, dtype, RATE)
    rows = [row for seed in a.seeds for row in measure(train, HeldOut(test), work, a.seconds, seed)]
    command = f"python -m benchmarks.quality results --seconds {a.seconds} --size {a.size}"
    command += f" --seeds {' '.join(map(str, a.seeds))} --threads {a.threads} --out {a.out}"
    write_json(a.out, {**facts(command, device, "diffusers", "monai"), "dtype": str(dtype), "rows": rows})
    means = pd.DataFrame(rows).groupby(["seconds", "of"], sort=False)[["steps", "error"]].mean()
    print(means.unstack().round(4).to_markdown())


if __name__ == "__main__":
    main()
