"""How fast the training loader is: pairs a second of ``PairDataset.batch`` from a memory-mapped store.

    python -m benchmarks.loader --out benchmarks/results/loader.json

A store of random pairs is written to a temporary folder, and epochs in random order are read from it: with its pages in
memory, which is how training finds those of a data set that fits, since opening a store reads it whole; and one with
the pages dropped, as those of a data set that does not fit (what the disk itself keeps in memory is not dropped).
The target is 500 pairs/s at 512 x 512 pixels. On a machine with other work the processor's time tells more than the
clock.
"""

import argparse
import mmap
import os
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from pig.data.store import PairDataset, Store, allocate, complete
from pig.system.files import write_json
from pig.system.run_record import processor


def make_store(folder: Path, count: int, size: int) -> Store:
    images, masks = allocate(folder, count, size)
    rng = np.random.default_rng(0)
    for row in range(count):
        images[row] = rng.integers(0, 2**16, (size, size), np.uint16)
        masks[row, size // 4 : size // 2, size // 4 : size // 2] = 1
    names = [f"p{row // 8}" for row in range(count)]
    complete(folder, images, masks, pd.DataFrame({"image_path": "i", "mask_path": "m", "patient_id": names}), "stretch")
    return Store.open(folder)


def drop_pages(store: Store) -> None:
    for array, name in ((store.images, "images.npy"), (store.masks, "masks.npy")):
        array._mmap.madvise(mmap.MADV_DONTNEED)  # type: ignore[attr-defined]  # pages in use are not dropped
        with (store.path / name).open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def rate(pairs: PairDataset, batch: int, epochs: int, seed: int) -> tuple[float, float]:
    """Return pairs a second, by the clock and by the processor's time, over whole epochs in random order."""
    rng = np.random.default_rng(seed)
    started, worked = time.perf_counter(), time.process_time()
    for _ in range(epochs):
        for positions in np.array_split(rng.permutation(len(pairs)), -(-len(pairs) // batch)):
            pairs.batch(positions)
    read = epochs * len(pairs)
    return read / (time.perf_counter() - started), read / (time.process_time() - worked)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=512, help="pairs in the store (512: 400 MB)")
    parser.add_argument("--size", type=int, default=512, help="height and width (512)")
    parser.add_argument("--batch", type=int, default=16, help="pairs in a batch (16)")
    parser.add_argument("--epochs", type=int, default=3, help="of each of three measurements in memory (3)")
    parser.add_argument("--threads", type=int, default=1, help="threads of torch (1)")
    parser.add_argument("--out", type=Path, help="JSON with the result")
    a = parser.parse_args()
    torch.set_num_threads(a.threads)
    with tempfile.TemporaryDirectory() as folder:
        store = make_store(Path(folder), a.count, a.size)
        rows = np.arange(a.count)
        pairs = PairDataset(store, rows, a.size)
        rate(pairs, a.batch, 1, 0)
        rates = [rate(pairs, a.batch, a.epochs, seed) for seed in range(3)]
        drop_pages(store)
        cold = rate(pairs, a.batch, 1, 1)
    result = {
        "pairs_per_s_in_memory": round(statistics.median(clock for clock, _ in rates), 1),
        "pairs_per_s_in_memory_all": [round(clock, 1) for clock, _ in rates],
        "pairs_per_processor_s_in_memory": round(statistics.median(worked for _, worked in rates), 1),
        "pairs_per_s_from_disk": round(cold[0], 1),
        "count": a.count,
        "size": a.size,
        "batch": a.batch,
        "threads": a.threads,
        "device": processor(),
        "cores": os.cpu_count(),
        "load_average": os.getloadavg()[0],
    }
    print(result)
    if a.out:
        write_json(a.out, result)


if __name__ == "__main__":
    main()
