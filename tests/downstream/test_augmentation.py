"""Classical augmentation: image and mask move together, as far as is said and no farther."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from pig.evaluation import augmentation
from pig.evaluation.augmentation import STRENGTHS, Strength, augment

SIZE = 64
NOTHING = Strength(degrees=0, scale=0, shift=0, contrast=0, brightness=0)


def batch(count: int, row: float = 30, column: float = 20, radius: float = 6) -> tuple[Tensor, Tensor]:
    """Bright discs on a dark ground, and their masks."""
    y, x = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
    masks = (((y - row) ** 2 + (x - column) ** 2) <= radius**2).float().expand(count, 1, SIZE, SIZE)
    return masks * 1.2 - 0.6, masks.clone()


def centres(masks: Tensor) -> Tensor:
    """Row and column [n, 2] of the centre of each mask."""
    steps = torch.arange(SIZE, dtype=torch.float32)
    area = masks.sum((1, 2, 3))
    return torch.stack([(masks[:, 0].sum(3 - axis) * steps).sum(1) / area for axis in (1, 2)], 1)


def changed(images: Tensor, masks: Tensor, strength: str, seed: int = 0) -> tuple[Tensor, Tensor]:
    return augment(images, masks, strength, torch.Generator().manual_seed(seed))  # type: ignore[arg-type]


def only(monkeypatch: pytest.MonkeyPatch, **changes: float) -> None:
    """Make the light one do this alone; what is mirrored stays."""
    monkeypatch.setitem(augmentation.STRENGTHS, "light", Strength(**{**NOTHING.__dict__, **changes}))


def test_none_changes_nothing() -> None:
    images, masks = batch(3)
    assert [a is b for a, b in zip(changed(images, masks, "none"), (images, masks), strict=True)] == [True, True]


@given(strength=st.sampled_from(["light", "strong"]), seed=st.integers(0, 1000))
def test_pairs_stay_pairs(strength: str, seed: int) -> None:
    """The disc is brighter than the ground: wherever the mask is, and nowhere else, whatever was drawn."""
    images, masks = changed(*batch(8), strength, seed)
    assert images.min() >= -1 and images.max() <= 1
    assert set(masks.unique().tolist()) <= {0, 1}
    middle = (images.amin((1, 2, 3), keepdim=True) + images.amax((1, 2, 3), keepdim=True)) / 2
    assert torch.equal(images > middle, masks > 0)
    most = STRENGTHS[strength]
    ratio = (masks.sum((1, 2, 3)) / batch(1)[1].sum()).sqrt()
    assert (ratio * (1 + most.scale) > 0.9).all() and (ratio * (1 - most.scale) < 1.1).all()


def test_about_half_are_mirrored_from_left_to_right(monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch)
    images, masks = batch(400)
    new_images, new_masks = changed(images, masks, "light")
    mirrored = torch.tensor([torch.equal(mask, masks[0].flip(2)) for mask in new_masks])
    kept = torch.tensor([torch.equal(mask, masks[0]) for mask in new_masks])
    assert (mirrored ^ kept).all()
    assert 160 < mirrored.sum() < 240
    assert torch.allclose(new_images[mirrored], images[0].flip(2).expand_as(new_images[mirrored]), atol=1e-5)


@pytest.mark.parametrize(
    ("change", "least", "most"),
    [
        # A disc at the row 30, 1.5 above the middle, and at the column 20, 11.5 beside it.
        ({"shift": 0.1}, 6.0, 6.4 * math.sqrt(2) + 0.1),  # of 64 pixels, along both axes
        ({"degrees": 40.0}, 7.0, 2 * math.hypot(1.5, 11.5) * math.sin(math.radians(20)) + 0.1),
        ({"scale": 0.25}, 2.5, math.hypot(1.5, 11.5) / 3 + 0.1),  # 1 / (1 - 0.25) - 1
    ],
)
def test_each_movement_goes_as_far_as_it_says(
    change: dict[str, float], least: float, most: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    only(monkeypatch, **change)
    found = centres(changed(*batch(400), "light")[1])
    mirrored = found[:, 1] > SIZE / 2
    found[:, 1] = torch.where(mirrored, SIZE - 1 - found[:, 1], found[:, 1])
    away = (found - centres(batch(1)[1])).norm(dim=1)
    assert least < away.max() < most


def test_greys_change_by_factor_and_offset(monkeypatch: pytest.MonkeyPatch) -> None:
    images = torch.full((500, 1, 4, 4), 0.5)
    for change, least, most in (({"contrast": 0.3}, 0.35, 0.65), ({"brightness": 0.2}, 0.3, 0.7)):
        only(monkeypatch, **change)
        found = changed(images, torch.zeros_like(images), "light")[0][:, 0, 0, 0]
        assert least <= found.min() < least + 0.02 and most - 0.02 < found.max() <= most
    only(monkeypatch, brightness=0.2)
    assert changed(torch.full((50, 1, 4, 4), 0.95), torch.zeros(50, 1, 4, 4), "light")[0].max() == 1


def test_the_changes_depend_on_the_generator_alone() -> None:
    first, again, other = (changed(*batch(4), "light", seed)[0] for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert len({image.numpy().tobytes() for image in first}) == 4  # each pair has its own


def test_beyond_the_edge_there_is_no_lesion(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lesion that covers all is shrunk: beyond it the image goes on, the mask does not."""
    only(monkeypatch, scale=0.25)
    images, masks = changed(torch.full((50, 1, SIZE, SIZE), 0.5), torch.ones(50, 1, SIZE, SIZE), "light")
    assert torch.allclose(images, torch.tensor(0.5), atol=1e-5)
    assert masks.mean((1, 2, 3)).min() < 0.75
