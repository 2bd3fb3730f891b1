"""Where the time of a finished study went: by rule, how many jobs, their time, computing alone, peak memory.

    /usr/bin/time -f %e snakemake --cores all results/table2.csv
    python -m benchmarks.study results --wall SECONDS --cores 2 --out benchmarks/results/NAME.json

Computing is what a job's own record counts, from after its imports to before its files are written. What is left of
wall x cores is imports, files, Snakemake, and cores without work. Memory is the peak of those records, since Snakemake
asks for it every 5 seconds alone.
"""

import argparse
import csv
import json
import subprocess
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from pig.system.files import write_json
from pig.system.run_record import processor


def records(results: Path) -> dict[str, list[dict[str, Any]]]:
    """Return the records beside the results by rule."""
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for file in results.glob("models/*/fold*/generator.json"):
        found["fit"].append(json.loads(file.read_text())["record"])
    for file in results.glob("segmentation/*/fold*/seed*/record.json"):
        found["segment"].append(json.loads(file.read_text()))
    for file in results.glob("synthetic/*/fold*/shard*.npz"):
        with np.load(file, allow_pickle=False) as shard:
            found["synthesise"].append(json.loads(str(shard["provenance"]))["record"])
    for file in results.glob("fid/*/fold*.json"):
        found["fid"].append(json.loads(file.read_text())["record"])
    return found


def main() -> None:
    """Print a table and write it as JSON, with the machine, the commit and the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path)
    parser.add_argument("--wall", type=float, required=True, help="seconds that the whole command took")
    parser.add_argument("--cores", type=int, required=True)
    parser.add_argument("--command", default="snakemake --cores all results/table2.csv")
    parser.add_argument("--out", type=Path, required=True)
    a = parser.parse_args()

    own = records(a.results)
    rules: dict[str, list[dict[str, str]]] = defaultdict(list)
    for file in a.results.glob("benchmarks/**/*.tsv"):
        name = file.relative_to(a.results / "benchmarks").parts[0].removesuffix(".tsv").split("_")[0]
        with file.open() as table:
            rules["phantom" if name in ("oracle", "test") else name] += csv.DictReader(table, delimiter="\t")
    rows: list[dict[str, Any]] = [
        {
            "rule": name,
            "jobs": len(jobs),
            "seconds": round(sum(float(job["s"]) for job in jobs), 1),
            "computing": round(sum(record["wall_s"] for record in own[name]), 1) if name in own else None,
            "peak_mb": max(record["peak_memory_mb"] for record in own[name]) if name in own else None,
        }
        for name, jobs in sorted(rules.items(), key=lambda item: -sum(float(job["s"]) for job in item[1]))
    ]
    # The phantom and preprocessing record no computing of their own; their jobs count whole, on all cores.
    spent = sum(
        row["computing"] or (a.cores * row["seconds"] if row["rule"] in ("phantom", "preprocess") else 0)
        for row in rows
    )
    result = {
        "command": a.command,
        "commit": subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True).stdout.strip(),
        "machine": f"{processor()}, {a.cores} cores",
        "wall_s": a.wall,
        "jobs": sum(row["jobs"] for row in rows),
        "outside_computing": round(1 - spent / (a.wall * a.cores), 3),
        "rules": rows,
    }
    write_json(a.out, result)
    print("| rule | jobs | seconds | of these computing | peak memory (MiB) |\n|---|---|---|---|---|")
    for row in rows:
        alone, peak = ("" if row[key] is None else f"{row[key]:.0f}" for key in ("computing", "peak_mb"))
        print(f"| {row['rule']} | {row['jobs']} | {row['seconds']:.0f} | {alone} | {peak} |")
    print(f"\n{a.wall:.0f} s in all, {100 * result['outside_computing']:.0f} % of {a.cores} cores outside computing")


if __name__ == "__main__":
    main()
