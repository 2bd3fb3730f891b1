"""Time and memory of planning a large study: `python -m benchmarks.scaling`; nothing of the study is run.

A dry-run, in a process of its own, of 100,000 slices, 20 generators, 10 folds and 5 seeds, with 100,000 pairs of each
generator and fold in shards of 1,000: the study whose plan docs/scaling.md speaks of.
"""

import argparse
import json
import os
import platform
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

from pig.system.files import write_json
from pig.system.run_record import processor

ROOT = Path(__file__).resolve().parents[1]


def study(generators: int, folds: int, seeds: int, pairs: int, shard: int) -> dict[str, object]:
    """Return what is laid over config.yaml: copies of PIG, each with two arms and a row of table 1."""
    pig = yaml.safe_load((ROOT / "config.yaml").read_text())["generators"]["pig"]
    names = [f"pig{i}" for i in range(generators)]
    return {
        "dataset": {"manifest": "manifest.csv"},
        "folds": {"count": folds},
        "generators": {name: pig | {"label": name} for name in names},
        "synthesis": {"shard_size": shard},
        "segmentation": {"seeds": list(range(seeds))},
        "table1": {"generators": names, "folds": list(range(folds)), "count": pairs},
        "table2": {"arms": [{"generator": name, "count": count} for name in names for count in (pairs // 2, pairs)]},
    }


def write_manifest(path: Path, slices: int) -> None:
    rows = [f"images/{i}.png,masks/{i}.png,P{i // 100:05d}" for i in range(slices)]
    path.write_text("\n".join(["image_path,mask_path,patient_id", *rows, ""]))


def measure(directory: Path, *words: str) -> dict[str, object]:
    """Plan the study in ``directory`` and return what that cost."""
    command = [Path(sys.executable).with_name("snakemake"), "--snakefile", ROOT / "Snakefile"]
    options = ["--configfile", "study.yaml", "--cores", "all", "--dry-run", "--quiet", "rules", "host"]
    begin = time.monotonic()
    run = subprocess.run(
        [*map(str, command), *options, *words],
        cwd=directory,
        env=os.environ | {"PIG_GPUS": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.monotonic() - begin
    if run.returncode:
        sys.exit(run.stdout + run.stderr)
    text = run.stdout + run.stderr
    found = re.findall(r"^(\w+) +(\d+)$", text, re.M)
    return {
        "seconds": round(seconds, 1),
        "peak_memory_mib": round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024),
        "jobs": {rule: int(count) for rule, count in found},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slices", type=int, default=100_000)
    parser.add_argument("--generators", type=int, default=20)
    parser.add_argument("--folds", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--pairs", type=int, default=100_000, help="of each generator and fold")
    parser.add_argument("--shard", type=int, default=1000, help="pairs of a shard")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/results/scaling.json")
    a = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        write_manifest(directory / "manifest.csv", a.slices)
        settings = study(a.generators, a.folds, a.seeds, a.pairs, a.shard)
        (directory / "study.yaml").write_text(yaml.safe_dump(settings))
        load = os.getloadavg()[0]
        measured = measure(directory, "--", "results/table1.csv", "results/table2.csv")
    version = subprocess.run(["snakemake", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.strip()
    result = {
        "command": " ".join(["python", *sys.argv]),
        "study": {key: value for key, value in vars(a).items() if key != "out"},
        **measured,
        "machine": {"processor": processor(), "cores": os.cpu_count(), "load_before": round(load, 2)},
        "versions": {"python": platform.python_version(), "snakemake": version},
        "commit": commit,
    }
    write_json(a.out, result)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
