"""A training step and a sampling call of this project's network against diffusers' and MONAI's, one after another.

    python -m benchmarks.steps --sizes 64 --batch 2 --out benchmarks/results/steps.json

Float32 and bfloat16 (autocast), in one process, a call of each in every round; medians, and how many times as long as
this project's in the same precision (below 1: the other is faster). Seconds are the processor's on the CPU, and the
clock's on a GPU; on a machine with other work only the ratios hold. The networks have the same channels, and parameters
within 2 %, which is checked. What is compared is in benchmarks/peers.py.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import torch
import yaml

from benchmarks.measure import facts, medians
from benchmarks.peers import Work, build_peers
from pig.methods.settings import NetworkSettings
from pig.system.device import pick_device
from pig.system.files import write_json
from pig.system.settings import parse

ROOT = Path(__file__).resolve().parents[1]
STUDIES = {"paper": "workflow/configs/paper.yaml", "default": "config.yaml"}
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def network_of(study: str) -> NetworkSettings:
    """Return the network of PIG in a study."""
    model = yaml.safe_load((ROOT / STUDIES[study]).read_text())["generators"]["pig"]["model"]
    return parse(NetworkSettings, model["network"], "network")


def measure(work: Work, rounds: int) -> list[dict[str, object]]:
    """Return a row for each peer and precision."""
    of_dtype = {dtype: build_peers(replace(work, dtype=DTYPES[dtype])) for dtype in DTYPES}
    names = [(peer, dtype) for dtype, peers in of_dtype.items() for peer in peers]
    built = {f"{peer} {dtype}": of_dtype[dtype][peer] for peer, dtype in names}
    train = medians({name: peer.train for name, peer in built.items()}, rounds, work.device)
    sample = medians({name: peer.sample for name, peer in built.items()}, rounds, work.device)
    return [
        {
            "size": work.size,
            "of": peer,
            "dtype": dtype,
            "parameters": built[f"{peer} {dtype}"].parameters,
            "train_s": round(train[f"{peer} {dtype}"], 4),
            "train_ratio": round(train[f"{peer} {dtype}"] / train[f"pig {dtype}"], 2),
            "sample_s": round(sample[f"{peer} {dtype}"], 4),
            "sample_ratio": round(sample[f"{peer} {dtype}"] / sample[f"pig {dtype}"], 2),
        }
        for peer, dtype in names
    ]


def main() -> None:
    """Print a table and write it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", choices=STUDIES, default="paper", help="PIG's in this study (paper)")
    parser.add_argument("--sizes", type=int, nargs="+", default=[64], help="pixels of a side (64)")
    parser.add_argument("--batch", type=int, default=2, help="images of a step and of a call (2)")
    parser.add_argument("--steps", type=int, default=4, help="calls of the network in sampling (4)")
    parser.add_argument("--rounds", type=int, default=15, help="(15)")
    parser.add_argument("--threads", type=int, default=1, help="(1, as in the workflow)")
    parser.add_argument("--out", type=Path, required=True)
    a = parser.parse_args()
    torch.set_num_threads(a.threads)
    device, network = pick_device(), network_of(a.network)
    for size in a.sizes:
        if errors := [sentence for _, sentence in network.size_errors(size, "--sizes")]:
            parser.error(f"--sizes: {errors[0]}")
    rows = [row for size in a.sizes for row in measure(Work(network, size, a.batch, a.steps, device), a.rounds)]
    sizes = " ".join(map(str, a.sizes))
    command = f"python -m benchmarks.steps --network {a.network} --sizes {sizes} --batch {a.batch} --steps {a.steps}"
    command += f" --rounds {a.rounds} --threads {a.threads} --out {a.out}"
    write_json(a.out, {**facts(command, device, "diffusers", "monai"), "rows": rows})
    print("| size | of | | parameters | training step | of PIG's | sampling call | of PIG's |")
    print("|---|---|---|---|---|---|---|---|")
    for row in rows:
        print("|", " | ".join(map(str, row.values())), "|")


if __name__ == "__main__":
    main()
