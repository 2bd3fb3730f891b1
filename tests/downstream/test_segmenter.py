"""The network of the downstream task: built from settings, refused with sentences, read back whole."""

import dataclasses
import json
import shutil
from pathlib import Path

import pytest
import torch
from disc_study import settings

from pig.evaluation import segmenter
from pig.evaluation.segmenter import build_network, load_segmenter
from pig.evaluation.settings import SegmentationSettings
from pig.system.errors import UserError
from pig.system.settings import parse
from pig.training.settings import TrainingSettings


def test_first_weights_depend_on_the_seed_alone() -> None:
    torch.manual_seed(1)
    first = build_network(settings(), 3).state_dict()
    torch.manual_seed(2)
    state = torch.get_rng_state()
    second, other = build_network(settings(), 3).state_dict(), build_network(settings(), 4).state_dict()
    assert torch.equal(torch.get_rng_state(), state)  # and leave the global state alone
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert any(not torch.equal(first[key], other[key]) for key in first)


@pytest.mark.parametrize("depth", [3, 4, 5])
def test_logits_have_the_shape_of_the_image(depth: int) -> None:
    network = build_network(settings(encoder_depth=depth), 0).eval()
    assert network(torch.zeros(1, 1, 32, 32)).shape == (1, 1, 32, 32)
    assert len(network.encoder.out_channels) == depth + 1


@pytest.mark.parametrize("depth", [3, 4, 5])
def test_every_weight_is_used(depth: int) -> None:
    network = build_network(settings(encoder_depth=depth), 0)
    network(torch.randn(2, 1, 32, 32)).square().sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_the_encoder_is_the_one_asked_for() -> None:
    """ResNet-18 has 2 blocks in each stage, ResNet-34 has 3 in the first and 4 in the second."""
    for encoder, blocks in (("resnet18", (2, 2)), ("resnet34", (3, 4))):
        stages = build_network(settings(encoder=encoder), 0).encoder
        assert (len(stages.layer1), len(stages.layer2)) == blocks


def test_an_unknown_encoder_is_named() -> None:
    with pytest.raises(UserError, match="resnet33"):
        build_network(settings(encoder="resnet33"), 0)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"training": TrainingSettings(batch_size=2, learning_rate=1e-3, epochs=2)}, "give steps"),
        ({"training": TrainingSettings(batch_size=2, learning_rate=1e-3, steps=2, accumulate=2)}, "accumulate"),
        ({"encoder_depth": 6}, "encoder_depth"),
        ({"image_size": 36, "encoder_depth": 3}, "multiple of 8"),
        ({"real_share": 1.0}, "real_share"),
        ({"real_share": -0.1}, "real_share"),
    ],
)
def test_settings_that_make_no_sense_are_refused(changes: dict[str, object], words: str) -> None:
    with pytest.raises(UserError, match=words):
        settings(**changes)


def test_settings_come_from_a_mapping() -> None:
    mapping = {"training": {"batch_size": 8, "learning_rate": 1e-3, "steps": 10}, "image_size": 64}
    assert parse(SegmentationSettings, mapping, "segmentation").encoder == "resnet34"
    with pytest.raises(UserError, match=r"segmentation\.encodr.*encoder"):
        parse(SegmentationSettings, {**mapping, "encodr": "resnet18"}, "segmentation")


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda folder: shutil.rmtree(folder), "record.json does not exist"),
        (lambda folder: (folder / "record.json").unlink(), "record.json does not exist"),
        (lambda folder: (folder / "record.json").write_text("{"), "not readable JSON"),
        (lambda folder: (folder / "record.json").write_text("{}"), "is damaged"),
        (lambda folder: (folder / "model.safetensors").unlink(), "missing or damaged"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"half"), "missing or damaged"),
    ],
)
def test_a_half_written_folder_is_refused(segmented: Path, tmp_path: Path, harm: object, words: str) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(segmented, folder)
    load_segmenter(folder)
    harm(folder)  # type: ignore[operator]
    with pytest.raises(UserError, match=words):
        load_segmenter(folder)


def test_settings_of_a_record_round_trip(segmented: Path) -> None:
    record = json.loads((segmented / "record.json").read_text())
    assert dataclasses.asdict(load_segmenter(segmented)[1]) == record["settings"]


def test_pretrained_weights_are_not_fetched_again_for_trained_ones(
    segmented: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = json.loads((segmented / "record.json").read_text())
    record["settings"]["encoder_weights"] = "imagenet"
    asked = []
    monkeypatch.setattr(segmenter, "read_sealed", lambda path, fix: record)
    monkeypatch.setattr(
        segmenter, "build_network", lambda found, **of: asked.append(found) or build_network(found, **of)
    )
    assert load_segmenter(segmented)[1].encoder_weights == "imagenet"
    assert [found.encoder_weights for found in asked] == [None]
