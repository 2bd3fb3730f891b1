"""The downstream task: what is trained on in which proportions, and how it is tested."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from discs import discs, make_study
from spies import Memory, Trainings
from torch import Tensor, nn

from pig.data.folds import read_folds, split
from pig.data.store import Store
from pig.segmentation import count_pixels, segment
from pig.segmenter import SegmentationSettings
from pig.shards import Synthetic
from pig.training import TrainingSettings

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
    patients = ["nobody"]
    return Synthetic(images, masks, [{"generator": "g", "fold": 0, "first": 0, "last": count, "patients": patients}])


def segmented(
    study: Path, tmp_path: Path, fold: int = 0, seed: int = 0, synthetic: Synthetic | None = None, **settings: Any
) -> None:
    training = TrainingSettings(batch_size=4, learning_rate=1e-3, steps=1)
    given = {"training": training, "image_size": SIZE, "encoder": "resnet18", "encoder_depth": 3, **settings}
    train_pairs, test_pairs = split(Store.open(study / "store"), read_folds(study / "folds.csv"), fold)
    if synthetic is not None:
        synthetic.provenance[0]["fold"] = fold
    segment(
        train_pairs, synthetic, test_pairs, SegmentationSettings(**given), fold=fold, seed=seed,
        work=tmp_path / "work", out=tmp_path / "out",
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


def test_arms_share_first_weights_and_seeds_and_folds_do_not(
    study: Path, tmp_path: Path, trainings: Trainings
) -> None:
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
