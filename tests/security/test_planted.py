"""Files with code inside, planted wherever the program reads one: nothing runs, and a sentence names the file."""

import io
import os
import pickle
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from pig.cli import main
from pig.commands import settings
from pig.data.folds import read_folds
from pig.data.images import read_grey, read_mask
from pig.data.manifest import read_manifest
from pig.data.shards import read_shards
from pig.data.store import Store
from pig.evaluation.frechet import frechet_distance
from pig.evaluation.segmenter import load_segmenter
from pig.methods.model_folder import load_generator, load_part
from pig.report.slices import read_slices
from pig.study.status import read_status
from pig.system.errors import UserError
from pig.system.files import read_sealed, sha256, write_sealed
from pig.training.checkpoint import load_checkpoint


class Marker:
    """Leaves a file where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (os.mkdir, (str(self.path),))


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    return tmp_path / "executed"


def as_pickle(marker: Path) -> bytes:
    return pickle.dumps(Marker(marker))


def as_torch(marker: Path) -> bytes:
    buffer = io.BytesIO()
    torch.save({"weight": torch.zeros(2), "code": Marker(marker)}, buffer)
    return buffer.getvalue()


def as_npy(marker: Path) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.array([Marker(marker)], dtype=object), allow_pickle=True)
    return buffer.getvalue()


def as_npz(marker: Path) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name in ("images", "masks", "first", "provenance", "features"):
            file.writestr(f"{name}.npy", as_npy(marker))
    return buffer.getvalue()


KINDS = [as_pickle, as_torch, as_npy, as_npz]


@pytest.mark.parametrize("kind", KINDS)
def test_the_planted_files_are_dangerous(kind: Callable[[Path], bytes], marker: Path) -> None:
    content = io.BytesIO(kind(marker))
    if kind is as_torch:
        torch.load(content, weights_only=False)
    elif kind is as_pickle:
        pickle.load(content)
    elif kind is as_npy:
        np.load(content, allow_pickle=True)
    else:
        np.load(content, allow_pickle=True)["images"]
    assert marker.is_dir()


@pytest.fixture
def results(small_run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(small_run / "results", tmp_path / "results"))


def vouch(folder: Path, name: str) -> None:
    """Bring the checksums of a model folder in line with what was planted there, as an attacker would."""
    for record in (folder / "generator.json", folder / "record.json"):
        if record.exists():
            content = read_sealed(record, "")
            if "files" in content:
                content["files"][name] = sha256(folder / name)
            else:
                content["sha256"] = sha256(folder / name)
            write_sealed(record, content)


# Where the program reads a file: its place below results/, and the reading of it.
PLACES: dict[str, Callable[[Path], object]] = {
    "models/pig/fold0/guider.safetensors": lambda r: load_generator(r / "models/pig/fold0", {"steps": 2}),
    "models/pig/fold0/denoiser.safetensors": lambda r: load_part(r / "models/pig/fold0"),
    "models/pig/fold0/generator.json": lambda r: load_generator(r / "models/pig/fold0", {"steps": 2}),
    "segmentation/real/fold0/seed0/model.safetensors": lambda r: load_segmenter(r / "segmentation/real/fold0/seed0"),
    "segmentation/real/fold0/seed0/record.json": lambda r: load_segmenter(r / "segmentation/real/fold0/seed0"),
    "segmentation/real/fold0/seed0/slices.csv": lambda r: read_slices([r / "segmentation/real/fold0/seed0/slices.csv"]),
    "synthetic/pig/fold0/shard0.npz": lambda r: read_shards([r / "synthetic/pig/fold0/shard0.npz"]),
    "data/store/images.npy": lambda r: Store.open(r / "data/store"),
    "data/store/masks.npy": lambda r: Store.open(r / "data/store"),
    "data/store/manifest.csv": lambda r: Store.open(r / "data/store"),
    "data/store/store.json": lambda r: Store.open(r / "data/store"),
    "data/folds.csv": lambda r: read_folds(r / "data/folds.csv"),
    "data/phantom/manifest.csv": lambda r: read_manifest(r / "data/phantom/manifest.csv"),
    "data/phantom/manifest.parquet": lambda r: read_manifest(r / "data/phantom/manifest.parquet"),
    "data/phantom/image.png": lambda r: read_grey(r / "data/phantom/image.png"),
    "data/phantom/mask.png": lambda r: read_mask(r / "data/phantom/mask.png"),
    "fid/pig/fold0.json": lambda r: read_sealed(r / "fid/pig/fold0.json", ""),
    "plan.json": lambda r: read_status(r.parent),
    "inception.pth": lambda r: frechet_distance(noise(), noise(), "inception", r / "inception.pth"),
    "dinov2.pth": lambda r: frechet_distance(noise(), noise(), "dinov2", r / "dinov2.pth"),
    "dinov2.safetensors": lambda r: frechet_distance(noise(), noise(), "dinov2", r / "dinov2.safetensors"),
}


def noise() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 2**16, (3, 32, 32), np.uint16)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("place", PLACES)
def test_nothing_planted_runs(results: Path, marker: Path, place: str, kind: Callable[[Path], bytes]) -> None:
    planted = results / place
    planted.write_bytes(kind(marker))
    vouch(planted.parent, planted.name) if planted.suffix == ".safetensors" else None
    with pytest.raises(UserError) as caught:
        PLACES[place](results)
    assert planted.name in str(caught.value) or "slices.csv" in str(caught.value)
    assert not marker.exists()


@pytest.mark.parametrize("kind", KINDS)
def test_a_planted_checkpoint_is_passed_over(tmp_path: Path, marker: Path, kind: Callable[[Path], bytes]) -> None:
    (tmp_path / "step000000004.safetensors").write_bytes(kind(marker))
    assert load_checkpoint(tmp_path, "") is None
    assert not marker.exists()


@pytest.mark.parametrize("kind", KINDS)
def test_planted_features_are_refused(
    results: Path, tmp_path: Path, marker: Path, kind: Callable[[Path], bytes]
) -> None:
    weights = results / "segmentation/real/fold0/seed0"
    frechet_distance(noise(), noise(), "encoder", weights, tmp_path / "cache")
    (cached,) = (tmp_path / "cache").iterdir()
    cached.write_bytes(kind(marker))
    with pytest.raises(UserError, match=f"{cached.name} is damaged"):
        frechet_distance(noise(), noise(), "encoder", weights, tmp_path / "cache")
    assert not marker.exists()


def test_yaml_makes_no_objects(tmp_path: Path, marker: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = f"a: !!python/object/apply:os.mkdir ['{marker}']"
    yaml.unsafe_load(text)
    marker.rmdir()
    file = tmp_path / "settings.yaml"
    file.write_text(text)
    with pytest.raises(SystemExit):
        main(["preprocess", "--manifest", "m.csv", "--settings", str(file), "--out", str(tmp_path / "store")])
    assert "not readable as YAML" in capsys.readouterr().err
    with pytest.raises(Exception, match="not readable as YAML"):
        settings("{" + text + "}")
    assert not marker.exists()
