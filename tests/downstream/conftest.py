import contextlib
import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
import torch
from disc_study import SIZE, settings, write_discs
from discs import discs
from threadpoolctl import threadpool_limits

from pig.cli import main
from pig.data.bits import BitMasks
from pig.data.folds import split
from pig.data.shards import Synthetic
from pig.data.store import PairDataset, Store, allocate, complete
from pig.evaluation.segmentation import run_arm
from pig.training.settings import TrainingSettings


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> Iterator[None]:
    """Small arrays are slower on many threads, by far so on a busy machine."""
    torch.set_num_threads(1)
    with threadpool_limits(1):  # numpy's linear algebra
        yield


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """40 pairs of 10 patients, p0 to p9."""
    folder = tmp_path_factory.mktemp("store")
    images, masks = allocate(folder, 40, SIZE)
    images[:], masks[:] = discs(40, seed=0)
    manifest = pd.DataFrame(
        {"image_path": "i.png", "mask_path": "m.png", "patient_id": [f"p{i // 4}" for i in range(40)]}
    )
    complete(folder, images, masks, manifest, "stretch")
    return Store.open(folder)


@pytest.fixture(scope="session")
def pairs(store: Store) -> tuple[PairDataset, PairDataset]:
    """Training and test pairs of fold 1, which tests on p1, p3, p5, p7, p9."""
    folds = pd.DataFrame({"patient_id": [f"p{i}" for i in range(10)], "fold": [i % 2 for i in range(10)]})
    return split(store, folds, 1)


@pytest.fixture
def synthetic() -> Synthetic:
    images, masks = discs(24, seed=7)
    provenance = {"generator": "toy", "fold": 1, "first": 0, "last": 24, "patients": ["p0", "p2", "p4"]}
    return Synthetic(images, BitMasks.of(masks), [provenance])


@pytest.fixture(scope="session")
def segmented(tmp_path_factory: pytest.TempPathFactory, pairs: tuple[PairDataset, PairDataset]) -> Path:
    """The folder of a segmentation trained for long enough to find the discs."""
    folder = tmp_path_factory.mktemp("segmentation")
    training = TrainingSettings(batch_size=8, learning_rate=2e-3, steps=60, ema_decay=0.9)
    run_arm(
        train_pairs=pairs[0],
        synthetic=None,
        test_pairs=pairs[1],
        settings=settings(training=training),
        fold=1,
        seed=5,
        work=folder / "work",
        out=folder / "out",
    )
    return folder / "out"


@pytest.fixture(scope="session")
def disc_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder with discs as PNG files, their store and folds, and ``seg``, what `pig segment` made of them."""
    folder = tmp_path_factory.mktemp("a run")
    write_discs(folder)
    training = TrainingSettings(batch_size=8, learning_rate=2e-3, steps=60, ema_decay=0.9)
    wanted = json.dumps(dataclasses.asdict(settings(training=training)))
    learning = ["--fold", "1", "--seed", "5", "--settings", wanted, "--work", "work", "--out", "seg/fold1/seed5"]
    with contextlib.chdir(folder):
        for words in (
            ["preprocess", "--manifest", "manifest.csv", "--settings", '{"size": 32}', "--out", "store"],
            ["folds", "--store", "store", "--fold-count", "2", "--out", "folds.csv"],
            ["segment", "--store", "store", "--folds", "folds.csv", *learning],
        ):
            assert main(words) == 0
    return folder
