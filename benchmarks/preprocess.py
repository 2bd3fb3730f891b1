"""How fast data come in: slices to a store, a tomosynthesis volume to slices, a store to batches.

python -m benchmarks.preprocess --slices 200 --jobs 2 --out benchmarks/results/preprocess.json

Times of a sample are extrapolated to the paper's 8,723 slices, and called so in the result. On a machine that does
other work the wall time says little; processor seconds, counted over all processes, are given beside it.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image
from scipy import ndimage

PAPER_SLICES = 8723
SLICE = (2000, 1500)
VOLUME = (70, 2457, 1996)


def processor_seconds() -> float:
    return sum(
        usage.ru_utime + usage.ru_stime
        for usage in (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    )


def mammogram(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A slice of noise with structure in the outline of a breast, and a round mask."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: SLICE[0], : SLICE[1]]
    texture = ndimage.gaussian_filter(rng.normal(size=SLICE), 4) * 40000 + rng.normal(size=SLICE) * 400 + 20000
    breast = ((x / 1300) ** 2 + ((y - 1000) / 950) ** 2) < 1
    mask = (x - 500) ** 2 + (y - 900) ** 2 < 80**2
    return np.where(breast, np.clip(texture, 1, 65535), 0).astype(np.uint16), (255 * mask).astype(np.uint8)


def slices(folder: Path, count: int, jobs: int) -> dict[str, Any]:
    """Time ``build_store`` on ``count`` PNG slices."""
    from pig.data.preprocess import build_store
    from pig.data.settings import PreprocessSettings

    rows = []
    for number in range(8):
        image, mask = mammogram(number)
        Image.fromarray(image).save(folder / f"i{number}.png")
        Image.fromarray(mask).save(folder / f"m{number}.png")
    for number in range(count):
        # Links, so that a sample needs no disk; a file that was read before comes from memory.
        for kind in "im":
            os.link(folder / f"{kind}{number % 8}.png", folder / f"{kind}-{number}.png")
        rows.append({"image_path": f"i-{number}.png", "mask_path": f"m-{number}.png", "patient_id": str(number)})
    pd.DataFrame(rows).to_csv(folder / "manifest.csv", index=False)
    start, used = time.perf_counter(), processor_seconds()
    build_store(folder / "manifest.csv", PreprocessSettings(512), folder / "store", jobs)
    wall, used = time.perf_counter() - start, processor_seconds() - used
    return {
        "slices": count,
        "jobs": jobs,
        "wall_seconds": round(wall, 2),
        "processor_seconds": round(used, 2),
        "extrapolated_to_slices": PAPER_SLICES,
        "extrapolated_wall_minutes": round(wall / count * PAPER_SLICES / 60, 2),
        "extrapolated_minutes_of_two_free_cores": round(used / count * PAPER_SLICES / 2 / 60, 2),
    }


def batches(folder: Path) -> dict[str, Any]:
    """Time the loader at 512 x 512 on the store that ``slices`` made."""
    from pig.data.store import PairDataset, Store

    store = Store.open(folder / "store")
    pairs = PairDataset(store, np.arange(len(store.images)), store.size)
    rng = np.random.default_rng(0)
    start, used, count = time.perf_counter(), time.process_time(), 0
    while count < 1000:
        pairs.batch(rng.integers(0, len(pairs), 8))
        count += 8
    wall, used = time.perf_counter() - start, time.process_time() - used
    return {"pairs_per_second": round(count / wall), "pairs_per_processor_second": round(count / used)}


READ = """
import re, sys, time
from pathlib import Path
from pig.data.readers.bcs_dbt import Box, Settings, load
start = time.process_time()
boxes = [Box(35, 300, 900, 178, 178)]
pairs = [pair.image.shape for pair in load(Path(sys.argv[1]), boxes, 70, {"laterality": "L"}, Settings())]
# Not ru_maxrss: a child inherits its parent's.
peak = re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]
print(len(pairs), time.process_time() - start, peak)
"""


def volume(folder: Path) -> dict[str, Any]:
    """Memory of reading one volume of the size of BCS-DBT, plain and as JPEG lossless, in processes of their own."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests/readers"))
    import gdcm  # type: ignore[import-untyped]
    from dicom_files import item, transcode, write_dicom  # type: ignore[import-not-found]
    from pydicom import dcmread

    pixels = np.zeros(VOLUME, np.uint16)
    pixels[:, 200:2200, :1400] = np.random.default_rng(0).integers(100, 1000, (2000, 1400), np.uint16)
    measures = item(PixelMeasuresSequence=item(PixelSpacing=[0.107, 0.107], SliceThickness=1))
    plain = write_dicom(folder / "volume.dcm", pixels)
    packed = transcode(plain, folder / "packed.dcm", gdcm.TransferSyntax.JPEGLosslessProcess14_1)
    for path in (plain, packed):
        data = dcmread(path)
        data.SharedFunctionalGroupsSequence = measures  # now, since GDCM asks for more in it than these
        data.save_as(path)
    result: dict[str, Any] = {"volume": list(VOLUME)}
    for name, path in (("plain", plain), ("jpeg_lossless", packed)):
        command = [sys.executable, "-c", READ, str(path)]
        count, seconds, peak = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
        result[name] = {
            "file_mib": round(path.stat().st_size / 2**20),
            "slices_read": int(count),
            "processor_seconds": round(float(seconds), 2),
            "peak_memory_mib": round(int(peak) / 1024),
        }
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slices", type=int, default=200)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=Path, required=True)
    a = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        result = {
            "machine": {
                "platform": platform.platform(),
                "cores": os.cpu_count(),
                "load_before": round(os.getloadavg()[0], 1),
            },
            "slices_to_store": slices(folder, a.slices, a.jobs),
            "store_to_batches": batches(folder),
            "volume_to_slices": volume(folder),
        }
    a.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
