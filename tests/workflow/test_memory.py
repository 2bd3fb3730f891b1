"""What the jobs ask for is enough for what they take, at two sizes, and not many times as much.

The peaks are those of real commands on the CPU. Between the sizes both must grow, so that a missing term is seen beside
the libraries, which take far more than a small study's data.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from discs import discs
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

from pig.data.folds import make_folds, read_folds, split
from pig.data.store import Store, allocate, complete
from pig.evaluation.features import dinov2, general
from pig.study import memory

# Linux's own peak of the process, which the parent's memory has no part in.
COMMAND = """
import sys
from pig.cli import main
status = main(sys.argv[1:])
print("peak", open("/proc/self/status").read().split("VmHWM:")[1].split()[0])
sys.exit(status)
"""
REAL = 24
TRAINING = {"batch_size": 2, "learning_rate": 1e-3, "steps": 1, "warmup_steps": 0}
NETWORK = {
    "channels": [8, 8, 16],
    "attention": [False, False, False],
    "res_blocks": 1,
    "norm_groups": 8,
    "head_channels": 8,
}
SIZES = [(64, 50), (224, 900)]  # pixels, and pairs drawn
CLASS = "pig.methods.pig.PIG"

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peaks are read from /proc")


def config(size: int, count: int) -> dict[str, Any]:
    return {
        "dataset": {
            "import": None,
            "manifest": None,
            "phantom": {"patients": REAL, "views": ["CC"], "slices_per_view": 1},
        },
        "preprocessing": {"size": size},
        "generators": {"g": {"model": {"image_size": size, "network": NETWORK, "training": TRAINING}}},
        "synthesis": {"batch_size": 4, "shard_size": count},
        "segmentation": {"image_size": size, "training": TRAINING},
        "table1": {"count": count, "features": "encoder"},
    }


def peak(*words: object) -> float:
    """Run a command; return its peak in MiB."""
    run = subprocess.run([sys.executable, "-c", COMMAND, *map(str, words)], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return int(run.stdout.split("peak")[1]) / 1024


def make(folder: Path, size: int, count: int) -> list[object]:
    """Write a store of discs, its folds and one shard; return the words that name the first two."""
    (folder / "store").mkdir(parents=True)
    images, masks = allocate(folder / "store", REAL, size)
    images[:], masks[:] = discs(REAL, 0, size)
    table = pd.DataFrame({"image_path": "i", "mask_path": "m", "patient_id": [f"p{i % 6}" for i in range(REAL)]})
    complete(folder / "store", images, masks, table, "stretch")
    make_folds(table, 3, 0).to_csv(folder / "folds.csv", index=False)
    patients = split(Store.open(folder / "store"), read_folds(folder / "folds.csv"), 0)[0].patients
    provenance = {"generator": "g", "class": CLASS, "fold": 0, "seed": 0, "model_files": {}, "patients": patients}
    provenance |= {"first": 0, "last": count, "masks_from": "model"}
    rows = np.arange(count) % REAL
    said = np.array(json.dumps(provenance))
    np.savez(folder / "shard.npz", images=images[rows], masks=masks[rows], first=np.array(0), provenance=said)
    return ["--store", folder / "store", "--folds", folder / "folds.csv"]


@pytest.fixture(scope="module")
def peaks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[float]]:
    """The peaks of each command at both sizes."""
    found: dict[str, list[float]] = {}
    for size, count in SIZES:
        folder = tmp_path_factory.mktemp(f"size{size}")
        data = make(folder, size, count)
        fold, shard = ["--fold", 0], folder / "shard.npz"
        settings = {"encoder": "resnet18", "encoder_depth": 3, "image_size": size, "training": TRAINING}
        model = {"image_size": size, "network": NETWORK, "training": TRAINING, "prediction": "v"}
        named = ["--name", "g", "--class", CLASS]
        work = ["--work", folder / "work"]
        commands: dict[str, list[object]] = {
            "fit": [*fold, *named, *work, "--settings", json.dumps(model), "--out", folder / "model"],
            "synthesise": [*named, "--model", folder / "model", "--sampling", '{"steps": 1, "clip": true}',
                           "--first", 0, "--last", 8, "--batch", 4, "--out", folder / "o.npz"],
            "real": [*fold, *work, "--settings", json.dumps(settings), "--out", folder / "real"],  # FID's features
            "segment": [*fold, *work, "--settings", json.dumps(settings), "--out", folder / "segmented",
                        "--synthetic", shard],
            "fid": [*fold, "--synthetic", shard, "--features", "encoder", "--weights", folder / "real",
                    "--cache", folder / "cache", "--out", folder / "fid.json"],
            "gallery": [*fold, "--synthetic", shard, "--label", "G", "--out", folder / "gallery.png"],
        }  # fmt: skip
        for name, words in commands.items():
            command = "segment" if name == "real" else name
            found.setdefault(name, []).append(peak(command, *data, *words))
    return found


REQUESTS: dict[str, Callable[[dict[str, Any], int], int]] = {
    "fit": lambda study, count: memory.fit(study, "g", False),
    "synthesise": lambda study, count: memory.synthesise(
        study | {"synthesis": {"batch_size": 4, "shard_size": 8}}, "g", False
    ),
    "real": lambda study, count: memory.segment(study, 0, False),
    "segment": lambda study, count: memory.segment(study, count, False),
    "fid": lambda study, count: memory.fid(study, "g", False),
    "gallery": lambda study, count: memory.gallery(study, "g"),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_a_request_covers_the_peak_and_grows_with_it(name: str, peaks: dict[str, list[float]]) -> None:
    small, large = (REQUESTS[name](config(*size), size[1]) for size in SIZES)
    for request, measured in zip((small, large), peaks[name], strict=True):
        assert measured <= request <= 3 * measured + memory.BASE
    grown = peaks[name][1] - peaks[name][0]
    assert 0.9 * grown <= large - small <= 3 * grown + 100


def test_what_the_terms_are() -> None:
    study = config(64, 100)
    assert memory.fit(study, "g", True) == memory.BASE_WITH_GPU  # activations are on the GPU, pairs in the store
    study["preprocessing"] = {"size": 512}  # now they are resized and held: 3 bytes a pixel
    assert memory.fit(study, "g", True) == memory.BASE_WITH_GPU + REAL * 64**2 * 3 // 2**20
    study["segmentation"] = {"image_size": 512, "training": TRAINING}
    assert memory.segment(study, 3072, True) == memory.BASE_WITH_GPU + 1632  # 3,072 pairs of 512 px: 1.6 GiB
    study["generators"]["sampled"] = {"model_of": "g"}
    study["synthesis"] = {"batch_size": 4, "shard_size": 1024}
    assert memory.gallery(study, "sampled") == memory.BASE + 17  # 12 MiB of pairs, 5 of panels
    assert memory.synthesise(study, "sampled", True) == int(memory.BASE_WITH_GPU + 24 + REAL * 64**2 * 3 / 2**20)
    assert memory.preprocess(study, 2000, 8) == 2000 + 8 * 2 * 75
    # Of 512 px, 1/4 MiB a byte: 5 of 124 pairs (3 of them, 2 of their lesions), 7 of 100; 0.7 MiB of distances.
    assert memory.quality(study, True) == memory.BASE_WITH_GPU + (5 * 124 + 7 * 100) // 4
    study["preprocessing"]["colour"] = "keep"  # 7 bytes a pixel
    assert memory.fit(study, "g", True) == memory.BASE_WITH_GPU + REAL * 64**2 * 7 // 2**20
    assert memory.preprocess(study, 2000, 8) == 2000 + 8 * 2 * 175


def test_what_networks_of_features_add(tmp_path: Path) -> None:
    study, file = config(64, 100), tmp_path / "dinov2.safetensors"
    study["table1"]["features"], pixels = "general", 224**2
    held = (2 * (REAL * 64**2 + 124 * pixels) + 100 * 64**2 * 17 // 8) // 2**20
    assert memory.fid(study, "g", True) == memory.BASE_WITH_GPU + held
    assert memory.fid(study, "g", False) - memory.BASE - held == pytest.approx(64 * pixels * 420 / 2**20, abs=1)
    encoder = study | {"table1": study["table1"] | {"features": "encoder"}}
    more = memory.quality(study, True) - memory.quality(encoder, True)
    assert more == pytest.approx(2 * 100 * pixels / 2**20, abs=1)  # the larger set at 224 pixels
    study["table1"] |= {"features": "dinov2", "feature_weights": str(file)}
    assert memory.weights_bytes(study) == memory.DINOV2_LARGE
    with file.open("wb") as sparse:
        sparse.truncate(10 * 2**20)
    assert memory.fid(study, "g", True) == memory.BASE_WITH_GPU + held + 2 * 10
    sides = {"general": general.SIZE, "dinov2": dinov2.SIZE, "inception": FeatureExtractorInceptionV3.INPUT_IMAGE_SIZE}
    assert {name: side for name, (side, _) in memory.FEATURES.items() if side} == sides


def test_the_rows_of_a_manifest_are_counted(tmp_path: Path) -> None:
    study = config(64, 100)
    manifest = tmp_path / "manifest.csv"
    study["dataset"]["manifest"] = str(manifest)
    study["preprocessing"] = {"size": 512}
    assert memory.fit(study, "g", True) == memory.BASE_WITH_GPU + memory.ASSUMED_PAIRS * 64**2 * 3 // 2**20
    manifest.write_text("image_path,mask_path,patient_id\n" + 5000 * "a,b,c\n")
    assert memory.fit(study, "g", True) == memory.BASE_WITH_GPU + 5000 * 64**2 * 3 // 2**20


def test_the_rows_of_a_parquet_table_are_counted_by_what_it_says(tmp_path: Path) -> None:
    """Its bytes hold line breaks by chance."""
    study = config(64, 100)
    manifest, unreadable = tmp_path / "manifest.parquet", tmp_path / "unreadable.parquet"
    names = [f"{number}\n" for number in range(300)]
    pd.DataFrame({"image_path": names, "mask_path": names, "patient_id": "p"}).to_parquet(manifest)
    assert memory.real_pairs(study | {"dataset": {"import": None, "manifest": str(manifest)}}) == 300
    unreadable.write_bytes(b"\n" * 7)
    assert memory.real_pairs(study | {"dataset": {"import": None, "manifest": str(unreadable)}}) == memory.ASSUMED_PAIRS


def test_latents_are_smaller_than_pixels() -> None:
    study = config(256, 100)
    study["generators"] |= {
        "autoencoder": {"model": {"image_size": 256, "channels": [8, 16, 32], "training": TRAINING}},
        "ldm": {"needs": {"autoencoder": "autoencoder"}, "model": {"network": NETWORK, "training": TRAINING}},
        "controlnet": {"needs": {"base": "ldm"}, "model": {"training": TRAINING}},
    }
    assert [memory._side(study, name) for name in ("g", "autoencoder", "ldm", "controlnet")] == [256, 256, 64, 64]
    assert {memory._size(study, name) for name in study["generators"]} == {256}
    assert memory.fit(study, "ldm", True) == memory.BASE_WITH_GPU + REAL * 64**2 * 64 // 2**20


@pytest.mark.parametrize(
    "model",
    [
        {},
        {"training": "long"},
        {"training": {"batch_size": "big"}},
        {"network": "resnet", "channels": 3},
        {"image_size": "L"},
    ],
)
def test_a_class_of_the_users_may_have_any_settings(model: dict[str, Any]) -> None:
    study = config(64, 100)
    study["generators"]["mine"] = {"model": model}
    study["synthesis"] = {"batch_size": 4, "shard_size": 1000}
    assert memory.fit(study, "mine", False) == memory.BASE
    assert memory.synthesise(study, "mine", False) == memory.BASE + 2 * 1000 * 64**2 * 3 // 2**20
