"""The downstream task: what is trained on in which proportions, and how it is tested."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from discs import discs, make_study
from spies import Memory, Trainings
from torch import Tensor, nn

from pig.data.bits import BitMasks
from pig.data.folds import read_folds, split
from pig.data.shards import Synthetic
from pig.data.store import Store
from pig.evaluation import segmentation
from pig.evaluation.segmentation import count_pixels, run_arm
from pig.evaluation.segmenter import build_network
from pig.evaluation.settings import SegmentationSettings
from pig.report.slices import SLICE_COLUMNS
from pig.system.files import sha256
from pig.system.seeds import seed_of
from pig.training.batches import shuffled
from pig.training.run import TrainingRun
from pig.training.settings import TrainingSettings

SIZE = 16


class Normalised(nn.Module):
    """A network with batch normalisation alone: a pixel is lesion where it is brighter than what was seen before."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(1, affine=False)
        self.norm.running_mean.fill_(-0.3)

    def forward(self, images: Tensor) -> Tensor:
        return 50 * self.norm(images)


def test_the_test_does_not_look_at_other_test_slices() -> None:
    """In training mode the statistics would be those of the batch, and each slice would change the others."""
    pairs = Memory(6)
    pairs.images[3:] = 1.0
    network = Normalised().train()
    together = count_pixels(network, pairs, batch_size=6)
    one_by_one = count_pixels(network, pairs, batch_size=1)
    assert together.equals(one_by_one)
    lesion = pairs.masks[:3].bool()
    bright = pairs.images[:3] >= -0.3
    assert together.tp[:3].tolist() == (lesion & bright).sum((1, 2, 3)).tolist()
    assert together.fp[:3].tolist() == (~lesion & bright).sum((1, 2, 3)).tolist()
    assert together.fp[3:].tolist() == (~pairs.masks[3:].bool()).sum((1, 2, 3)).tolist()
    assert network.norm.running_mean.item() == pytest.approx(-0.3)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_study(tmp_path_factory.mktemp("discs") / "study", SIZE)


def made(count: int = 24) -> Synthetic:
    images, masks = discs(count, 9, SIZE)
    provenance = {"generator": "g", "fold": 0, "first": 0, "last": count, "patients": ["nobody"]}
    return Synthetic(images, BitMasks.of(masks), [provenance])


def segmented(
    study: Path, tmp_path: Path, fold: int = 0, seed: int = 0, synthetic: Synthetic | None = None, **settings: Any
) -> None:
    training = TrainingSettings(batch_size=4, learning_rate=1e-3, steps=1)
    given = {"training": training, "image_size": SIZE, "encoder": "resnet18", "encoder_depth": 3}
    given |= {"augmentation": "none", **settings}
    train_pairs, test_pairs = split(Store.open(study / "store"), read_folds(study / "folds.csv"), fold)
    if synthetic is not None:
        synthetic.provenance[0]["fold"] = fold
    run_arm(
        train_pairs=train_pairs, synthetic=synthetic, test_pairs=test_pairs, settings=SegmentationSettings(**given),
        fold=fold, seed=seed, work=tmp_path / "work", out=tmp_path / "out",
    )  # fmt: skip


@pytest.mark.parametrize(("share", "real"), [(0.0, 0), (0.25, 1), (0.5, 2), (0.75, 3)])
def test_a_share_of_each_batch_is_real(
    study: Path, tmp_path: Path, trainings: Trainings, share: float, real: int
) -> None:
    segmented(study, tmp_path, synthetic=made(), real_share=share)
    order, pool = trainings.orders["segmentation"], trainings.pools["segmentation"]
    assert len(pool) == 16 + 24
    seen = np.concatenate([order(step) for step in range(24)])
    for step in range(24):
        positions = order(step)
        assert len(positions) == 4
        assert (positions < 16).sum() == real
    if real:
        assert set(seen[seen < 16]) == set(range(16))
    assert set(seen[seen >= 16]) == set(range(16, 40))


def test_without_a_share_all_pairs_are_one_pool(study: Path, tmp_path: Path, trainings: Trainings) -> None:
    synthetic = made()
    segmented(study, tmp_path, synthetic=synthetic)
    assert trainings.orders["segmentation"] is None
    images, masks = trainings.pools["segmentation"].batch(np.array([0, 39, 16]))
    first = split(Store.open(study / "store"), read_folds(study / "folds.csv"), 0)[0].batch(np.array([0]))
    assert torch.equal(images[0], first[0][0])
    for place, index in ((1, 23), (2, 0)):
        assert torch.equal(masks[place, 0], torch.from_numpy(synthetic.masks[index].astype(np.float32)))
        unit = torch.from_numpy(synthetic.images[index].astype(np.float32)) / 32767.5 - 1
        assert torch.allclose(images[place, 0], unit, atol=1e-6)


def test_arms_share_first_weights_and_seeds_and_folds_do_not(study: Path, tmp_path: Path, trainings: Trainings) -> None:
    def first(name: str, **more: Any) -> bytes:
        segmented(study, tmp_path / name, **more)
        module = trainings.modules["segmentation"]
        return next(p for p in module.parameters() if p.ndim == 4).detach().numpy().tobytes()

    base = first("a")
    assert first("b", synthetic=made()) == base
    assert first("c", seed=1) != base
    assert first("d", fold=1) != base


def test_the_loss_is_lower_for_the_right_masks(study: Path, tmp_path: Path, trainings: Trainings) -> None:
    segmented(study, tmp_path)
    network, loss = trainings.modules["segmentation"], trainings.losses["segmentation"]
    pairs = Memory(4)
    for right, wrong in ((10.0, -10.0),):
        network.forward = lambda images, k=right: k * (2 * pairs.masks - 1)
        good = loss(pairs.images, pairs.masks, torch.Generator())
        network.forward = lambda images, k=wrong: k * (2 * pairs.masks - 1)
        assert good < 0.01 < 1 < loss(pairs.images, pairs.masks, torch.Generator())


def test_every_batch_is_augmented_as_the_setting_says(
    study: Path, tmp_path: Path, trainings: Trainings, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[Any, ...]] = []

    def noted(images: Tensor, masks: Tensor, strength: str, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        seen.append((strength, rng))
        return -images, 1 - masks

    monkeypatch.setattr(segmentation, "augment", noted)
    segmented(study, tmp_path, augmentation="strong")
    pairs, rng, shown = Memory(4), torch.Generator(), []
    trainings.modules["segmentation"].forward = lambda images: shown.append(images) or 10 * (1 - 2 * pairs.masks)
    assert trainings.losses["segmentation"](pairs.images, pairs.masks, rng) < 0.01
    assert seen == [("strong", rng)]
    assert torch.equal(shown[0], -pairs.images)


def test_what_a_segmentation_depends_on(
    study: Path, tmp_path: Path, trainings: Trainings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its checkpoints, its first weights and the order of its pairs, here of fold 1 and seed 3."""
    marked = []
    monkeypatch.setattr(segmentation, "fingerprint", lambda code, **parts: marked.append((code, parts)) or "mark")
    synthetic = made()
    segmented(study, tmp_path, fold=1, seed=3, synthetic=synthetic, real_share=0.5)
    store = Store.open(study / "store")
    real = split(store, read_folds(study / "folds.csv"), 1)[0]
    settings = SegmentationSettings(
        training=TrainingSettings(batch_size=4, learning_rate=1e-3, steps=1), image_size=SIZE, encoder="resnet18",
        encoder_depth=3, augmentation="none", real_share=0.5,
    )  # fmt: skip
    ((code, parts),) = marked
    assert code == ["pig.evaluation.segmentation"]
    assert parts == {
        "data": store.fingerprint, "rows": real.rows.tolist(), "settings": dataclasses.asdict(settings), "seed": 3,
        "synthetic": 24, "provenance": synthetic.provenance,
    }  # fmt: skip
    assert trainings.runs["segmentation"] == TrainingRun(tmp_path / "work", 1, 3, "mark")
    weights = build_network(settings, seed_of(3, 1, "segmentation", "weights")).state_dict()
    found = trainings.modules["segmentation"].state_dict()
    assert all(torch.equal(found[key], value) for key, value in weights.items() if "running" not in key)
    seed = seed_of(3, 1, "segmentation", "order")
    of_real, of_made = shuffled(16, 2, seed_of(seed, "real")), shuffled(24, 2, seed_of(seed, "synthetic"))
    for step in range(20):
        expected = [*of_real(step), *(16 + of_made(step))]
        assert trainings.orders["segmentation"](step).tolist() == expected


def test_what_a_segmentation_writes(study: Path, tmp_path: Path, trainings: Trainings) -> None:
    segmented(study, tmp_path, fold=1, seed=3, synthetic=made())
    train, test = split(Store.open(study / "store"), read_folds(study / "folds.csv"), 1)
    slices = pd.read_csv(tmp_path / "out/slices.csv")
    assert list(slices) == list(SLICE_COLUMNS)
    assert (slices.fold == 1).all() and (slices.seed == 3).all()
    assert slices.slice.tolist() == test.rows.tolist()
    assert slices.patient_id.tolist() == [test.store.manifest.patient_id[row] for row in test.rows]
    counts = count_pixels(trainings.modules["segmentation"], test, 4)
    assert slices[list(counts)].equals(counts)
    assert (slices.tp + slices.fn).tolist() == test.batch(np.arange(len(test)))[1].sum((1, 2, 3)).tolist()
    record = json.loads((tmp_path / "out/record.json").read_text())
    assert (record["fold"], record["seed"], record["real_pairs"], record["synthetic_pairs"]) == (1, 3, 16, 24)
    assert (record["train_patients"], record["test_patients"]) == (train.patients, test.patients)
    assert record["synthetic"] == [{"generator": "g", "fold": 1, "first": 0, "last": 24}]
    assert record["sha256"] == sha256(tmp_path / "out/model.safetensors")


def test_a_segmentation_puts_only_its_own_checkpoints_away(
    study: Path, tmp_path: Path, trainings: Trainings, monkeypatch: pytest.MonkeyPatch
) -> None:
    removed = []
    monkeypatch.setattr(segmentation, "remove_checkpoints", lambda *which: removed.append(which))
    segmented(study, tmp_path)
    assert removed == [(tmp_path / "work", trainings.runs["segmentation"].fingerprint)]
