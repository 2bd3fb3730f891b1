"""`pig reproduce` of models and shards: made again from their records, and whatever keeps them from being the same."""

import contextlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from discs import NETWORK, SCHEDULE, make_study
from safetensors.torch import load_file, save_file

from pig.cli import main
from pig.methods import pig as method
from pig.methods.model_folder import DESCRIPTION
from pig.report.reproduced import compare_models
from pig.system.files import read_sealed, write_sealed

TRAINING = {"batch_size": 4, "learning_rate": 1e-3, "steps": 2}
DIFFUSION = {"training": TRAINING, "network": NETWORK, "schedule": SCHEDULE}
ENCODER = {"image_size": 32, "training": TRAINING, "channels": [8, 8], "latent_channels": 4, "norm_groups": 4}
DATA = ["--store", "study/store", "--folds", "study/folds.csv", "--seed", "3"]
MODELS: dict[str, tuple[str, dict[str, Any], list[str]]] = {
    "pig": ("pig.methods.pig.PIG", {"image_size": 32, **DIFFUSION}, []),
    "segguided": ("baselines.segguided.SegGuidedDif", {"image_size": 32, **DIFFUSION}, ["--leaky"]),
    "encoder": ("baselines.autoencoder.Autoencoder", ENCODER, []),
    "ldm": ("baselines.ldm.LDM", DIFFUSION, ["--need", "autoencoder=models/encoder"]),
}
SHARDS = {
    "pig": ["--first", "3", "--last", "7", "--batch", "4"],
    "segguided": ["--first", "0", "--last", "4", "--masks-of", "more.npz", "--leaky"],
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder with a store, models, a model on a part of it, and shards, one for the masks of another."""
    folder = tmp_path_factory.mktemp("made")
    make_study(folder / "study", 32)
    with contextlib.chdir(folder):
        for name, (cls, model, more) in MODELS.items():
            words = ["fit", *DATA, "--fold", "1", "--name", name, "--class", cls, "--settings", json.dumps(model)]
            assert main([*words, *more, "--work", f"work/{name}", "--out", f"models/{name}"]) == 0
        _draw("pig", "more.npz", ["--first", "0", "--last", "4"])
        for name, words in SHARDS.items():
            _draw(name, f"{name}.npz", words)
    return folder


def _draw(name: str, out: str, words: list[str]) -> None:
    cls, sampling = MODELS[name][0], '{"steps": 2, "clip": true}'
    drawn = ["--name", name, "--class", cls, "--sampling", sampling, "--model", f"models/{name}", "--out", out]
    assert main(["synthesise", *DATA, *drawn, *words]) == 0


@pytest.fixture
def moved(made: Path, tmp_path: Path) -> Path:
    """A copy of it elsewhere, which is not the working directory."""
    return shutil.copytree(made, tmp_path / "moved")


PIG_WEIGHTS = "denoiser.safetensors, guider.safetensors, mask_scale.safetensors"
SAME = {
    "models/pig": PIG_WEIGHTS,
    "models/segguided": "network.safetensors",
    "models/ldm": "autoencoder/network.safetensors, network.safetensors",
    "pig.npz": "4 pairs",
    "segguided.npz": "4 pairs",
}


@pytest.mark.parametrize("name", SAME)
def test_it_comes_out_the_same(moved: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.read_bytes() for path in moved.rglob("*") if path.is_file()}
    assert main(["reproduce", str(moved / name)]) == 0
    said = capsys.readouterr().out
    assert f"{moved / name} is the same, bit for bit: {SAME[name]}. Device, threads, precision, versions and" in said
    assert {path: path.read_bytes() for path in moved.rglob("*") if path.is_file()} == before


def test_another_training_is_told(
    moved: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    description = read_sealed(moved / "models/pig" / DESCRIPTION, "")
    record = description["record"] | {"code": "0", "device": "Abacus"}
    write_sealed(moved / "models/pig" / DESCRIPTION, description | {"record": record})
    true_loss = method.denoiser_loss
    monkeypatch.setattr(method, "denoiser_loss", lambda *given, **named: -true_loss(*given, **named))
    assert main(["reproduce", str(moved / "models/pig")]) == 2
    said = capsys.readouterr().err
    assert "is not the same: denoiser.safetensors differs in a weight by up to 0.0" in said
    assert "guider.safetensors" not in said
    assert "the device: Abacus in the record, " in said and "the code is another one" in said


def test_differences_of_weights_by_hand(moved: Path) -> None:
    one, other = moved / "models/pig", moved / "other"
    shutil.copytree(one, other)
    assert compare_models(one, other) == (True, f"the same, bit for bit: {PIG_WEIGHTS}")
    weights = load_file(other / "guider.safetensors")
    name = next(iter(weights))
    weights[name].view(-1)[0] += 0.25
    save_file(weights, other / "guider.safetensors")
    (other / "denoiser.safetensors").unlink()
    (one / "notes.txt").write_text("a")
    (other / "notes.txt").write_text("b")
    assert compare_models(one, other) == (
        False,
        "not the same: denoiser.safetensors is in one of them alone; guider.safetensors differs in a weight by up to "
        "0.25; notes.txt differs",
    )


def test_other_pairs_are_told(moved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with np.load(moved / "pig.npz") as file:
        arrays = dict(file)
    arrays["images"][2, 5, 5] = (int(arrays["images"][2, 5, 5]) + 700) % 65536
    arrays["images"][3, 0, 0] ^= 1
    arrays["masks"][1, :3, 0] ^= 1
    by = np.abs(arrays["images"].astype(int) - np.load(moved / "pig.npz")["images"]).max()
    np.savez_compressed(moved / "pig.npz", **arrays)
    assert main(["reproduce", str(moved / "pig.npz")]) == 2
    said = capsys.readouterr().err
    assert f"is not the same: 2 of 4 images differ, by up to {by} of 65535 grey values; 1 of 4 masks differ" in said
    assert "differ, by up to 3 pixels" in said


@pytest.mark.parametrize(
    ("name", "changed", "sentence"),
    [
        ("models/ldm", "models/encoder/generator.json", "encoder/generator.json is not what the model was made from"),
        ("pig.npz", "models/pig/generator.json", "pig/generator.json is not what the shard was made from"),
        ("segguided.npz", "more.npz", "more.npz is not what the shard was made from"),
        ("pig.npz", "study/folds.csv", "folds.csv is not what the shard was made from"),
        ("models/pig", "study/store/masks.npy", "study/store are damaged"),
        ("models/pig", "models/pig/guider.safetensors", "guider.safetensors is missing or damaged"),
    ],
)
def test_a_changed_input_is_named(
    moved: Path, name: str, changed: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    content = bytearray((moved / changed).read_bytes())
    content[-20] ^= 1
    (moved / changed).write_bytes(content)
    assert main(["reproduce", str(moved / name)]) == 2
    assert sentence in capsys.readouterr().err


def test_what_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reproduce", str(tmp_path / "no.npz")]) == 2
    assert "no.npz does not exist" in capsys.readouterr().err


def test_what_an_older_version_made_is_refused(moved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    description = read_sealed(moved / "models/pig" / DESCRIPTION, "")
    del description["step"]
    write_sealed(moved / "models/pig" / DESCRIPTION, description)
    with np.load(moved / "pig.npz") as file:
        arrays = dict(file)
    said = json.loads(str(arrays["provenance"]))
    del said["step"]
    np.savez_compressed(moved / "pig.npz", **arrays | {"provenance": np.array(json.dumps(said))})
    for name, what in (("models/pig", "model"), ("pig.npz", "shard")):
        assert main(["reproduce", str(moved / name)]) == 2
        assert f"does not say how the {what} was asked for, as that of an older version; make it again" in (
            capsys.readouterr().err
        )
