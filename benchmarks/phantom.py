"""Speed and memory of the phantom: python -m benchmarks.phantom --patients 6 --out benchmarks/results/phantom.json."""

import argparse
import os
import platform
import resource
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import numpy
import scipy

from pig.data.phantom import PhantomSettings, write_population
from pig.system.files import write_json


def processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [
            line.split(":")[1].strip() for line in cpuinfo.read_text().splitlines() if line.startswith("model name")
        ]
        return f"{names[0]}, {len(names)} cores"
    return platform.processor()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patients", type=int, default=6, help="size of the sample")
    parser.add_argument("--spacing", type=float, default=0.25, help="pixel in mm")
    parser.add_argument("--slices", type=int, default=None, help="slices for each view; all with mass if left out")
    parser.add_argument("--of", type=int, default=367, help="patients to extrapolate to")
    parser.add_argument("--out", type=Path, required=True)
    a = parser.parse_args()
    settings = PhantomSettings(patients=a.patients, spacing_mm=a.spacing, slices_per_view=a.slices)
    with tempfile.TemporaryDirectory() as folder:
        wall, cpu = time.perf_counter(), time.process_time()
        write_population(Path(folder), settings)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        slices = len(list((Path(folder) / "images").iterdir()))
        size = sum(file.stat().st_size for file in Path(folder).rglob("*.png"))
    views = a.patients * len(settings.views)
    report = {
        "command": f"python -m benchmarks.phantom --patients {a.patients} --spacing {a.spacing:g}"
        + (f" --slices {a.slices}" if a.slices else ""),
        "machine": processor(),
        "load_average": os.getloadavg()[0],
        "versions": {"python": platform.python_version(), "numpy": numpy.__version__, "scipy": scipy.__version__},
        "settings": asdict(settings),
        "views": views,
        "slices": slices,
        "wall_seconds": round(wall, 1),
        "cpu_seconds": round(cpu, 1),
        "views_per_cpu_second": round(views / cpu, 3),
        "slices_per_cpu_second": round(slices / cpu, 3),
        "peak_memory_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "megabytes_written": round(size / 1e6),
        "extrapolated": {
            "patients": a.of,
            "minutes_on_2_cores_by_cpu_time": round(cpu / a.patients * a.of / 2 / 60, 1),
            "gigabytes": round(size / a.patients * a.of / 1e9, 2),
        },
    }
    write_json(a.out, report)
    print({key: value for key, value in report.items() if key != "settings"})


if __name__ == "__main__":
    main()
