"""Where the time of a finished study went: by rule, how many jobs, their time, computing alone, peak memory.

    /usr/bin/time -f %e snakemake --cores all results/table2.csv
    python -m benchmarks.study results --wall SECONDS --cores 2 --out benchmarks/results/NAME.json

Computing is what a job's own record counts, from after its imports to before its files are written. What is left of
wall x cores is imports, files, Snakemake, and cores without work.
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


def computing(results: Path) -> dict[str, float]:
    """Return seconds of computing by rule, from the records beside the results."""
    seconds: dict[str, float] = defaultdict(float)
    for file in results.glob("models/*/fold*/generator.json"):
        seconds["fit"] += json.loads(file.read_text())["record"]["wall_s"]
    for file in results.glob("segmentation/*/fold*/seed*/record.json"):
        seconds["segment"] += json.loads(file.read_text())["wall_s"]
    for file in results.glob("synthetic/*/fold*/shard*.npz"):
        with np.load(file, allow_pickle=False) as shard:
            seconds["synthesise"] += json.loads(str(shard["provenance"]))["record"]["wall_s"]
    for file in results.glob("fid/*/fold*.json"):
        seconds["fid"] += json.loads(file.read_text())["record"]["wall_s"]
    return seconds


def main() -> None:
    """Print a table and write it as JSON, with the machine, the commit and the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path)
    parser.add_argument("--wall", type=float, required=True, help="seconds that the whole command took")
    parser.add_argument("--cores", type=int, required=True)
    parser.add_argument("--command", default="snakemake --cores all results/table2.csv")
    parser.add_argument("--out", type=Path, required=True)
    a = parser.parse_args()

    own = computing(a.results)
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
            "computing": round(own.get(name, 0.0), 1) if name in own else None,
            "peak_mb": max(float(job["max_rss"]) for job in jobs if job["max_rss"] not in ("-", "NA")),
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
        alone = "" if row["computing"] is None else f"{row['computing']:.0f}"
        print(f"| {row['rule']} | {row['jobs']} | {row['seconds']:.0f} | {alone} | {row['peak_mb']:.0f} |")
    print(f"\n{a.wall:.0f} s in all, {100 * result['outside_computing']:.0f} % of {a.cores} cores outside computing")


if __name__ == "__main__":
    main()
