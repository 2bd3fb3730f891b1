"""What a generator returns is checked where it is drawn."""

import math
import re

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pig.data.shards import read_shards
from pig.methods.base import Pairs, check_pairs, with_channels
from pig.steps.synthesise import synthesise
from pig.system.errors import UserError

from .conftest import SIZE

IMAGES = torch.linspace(-1, 1, 2 * SIZE * SIZE).view(2, 1, SIZE, SIZE)
MASKS = IMAGES > 0


class Own:
    """A method whose pairs are given."""

    takes_masks = False
    makes_masks = True
    image_size = SIZE


class Conditional(Own):
    takes_masks = True
    makes_masks = False


class ImagesAlone(Own):
    makes_masks = False


def spoilt(value: float) -> torch.Tensor:
    images = IMAGES.clone()
    images[1, 0, 3, 4] = value
    return images


BAD = {
    "not Pairs": ((IMAGES, MASKS), "must return pig.methods.base.Pairs, and it returned an object of type tuple"),
    "array": (Pairs(IMAGES.numpy(), MASKS), "images as a tensor, and it returned images of type ndarray"),
    "bytes": (Pairs((IMAGES > 0).byte(), MASKS), "such as float32, and it returned images of torch.uint8"),
    "few": (Pairs(IMAGES[:1], MASKS), "images of shape [2, 1, 32, 32], and it returned images of shape [1, 1, 32, 32]"),
    "no channel": (Pairs(IMAGES[:, 0], MASKS), "it returned images of shape [2, 32, 32]"),
    "small": (Pairs(IMAGES[..., :16, :16], MASKS), "it returned images of shape [2, 1, 16, 16]"),
    "not square": (Pairs(IMAGES[..., :16], MASKS), "it returned images of shape [2, 1, 32, 16]"),
    "three channels": (Pairs(IMAGES.expand(2, 3, -1, -1), MASKS), "it returned images of shape [2, 3, 32, 32]"),
    "nan": (Pairs(spoilt(math.nan), MASKS), "finite images, and it returned 1 values that are NaN or infinite"),
    "infinite": (Pairs(spoilt(math.inf), MASKS), "1 values that are NaN or infinite"),
    "bright": (Pairs(spoilt(1.25), MASKS), "images in [-1, 1], and it returned images in [-1, 1.25]"),
    "grey levels": (Pairs(127.5 * (IMAGES + 1), MASKS), "it returned images in [0, 255]"),
    "no masks": (Pairs(IMAGES), "masks, since takes_masks or makes_masks is true, and it returned none"),
    "mask array": (Pairs(IMAGES, MASKS.numpy()), "masks as a tensor, and it returned masks of type ndarray"),
    "one mask": (Pairs(IMAGES, MASKS[:1]), "[2, 1, 32, 32], and it returned masks of shape [1, 1, 32, 32]"),
    "mask axis": (Pairs(IMAGES, MASKS[:, 0]), "it returned masks of shape [2, 32, 32]"),
    "0 and 255": (Pairs(IMAGES, 255 * MASKS.int()), "0 and 1 alone, and it returned masks with the value 255"),
    "-1 and 1": (Pairs(IMAGES, 2.0 * MASKS - 1), "it returned masks with the value -1"),
    "0 and 2": (Pairs(IMAGES, 2 * MASKS.byte()), "it returned masks with the value 2"),
    "probabilities": (Pairs(IMAGES, 0.25 * MASKS), "it returned masks with the value 0.25"),
    "mask nan": (Pairs(IMAGES, MASKS * math.nan), "it returned masks with the value nan"),
    "device": (Pairs(IMAGES, MASKS.to("meta")), "both on one device, and it returned masks on meta, images on cpu"),
}  # fmt: skip


@pytest.mark.parametrize("kind", [Own, Conditional])
@pytest.mark.parametrize("fault", BAD)
def test_bad_pairs_are_a_sentence_that_names_the_class(fault, kind):
    pairs, sentence = BAD[fault]
    with pytest.raises(UserError) as caught:
        check_pairs(pairs, kind(), 2)
    assert sentence in str(caught.value)
    assert str(caught.value).startswith(f"{__name__}.{kind.__name__}: sample() must return ")


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("kind", [Own, Conditional])
def test_good_pairs_pass(dtype, kind):
    for images in (IMAGES, IMAGES.bfloat16(), IMAGES.double()):
        check_pairs(Pairs(images, MASKS.to(dtype)), kind(), 2)
    check_pairs(Pairs(IMAGES, torch.zeros_like(MASKS)), kind(), 2)  # empty masks are kept as drawn


def test_images_have_the_channels_of_the_data():
    colours = IMAGES.expand(-1, 3, -1, -1)
    check_pairs(Pairs(colours, MASKS), Own(), 2, channels=3)
    for images, channels, shape in ((IMAGES, 3, "[2, 3, 32, 32], and it returned images of shape [2, 1, 32, 32]"),
                                    (colours, 1, "[2, 1, 32, 32], and it returned images of shape [2, 3, 32, 32]")):
        with pytest.raises(UserError, match=re.escape(f"images of shape {shape}")):
            check_pairs(Pairs(images, MASKS), Own(), 2, channels)
    assert with_channels({"image_size": 8}, 1) == {"image_size": 8}
    assert with_channels({"image_size": 8}, 3) == {"image_size": 8, "image_channels": 3}
    with pytest.raises(UserError, match=r"model\.image_channels: is 3, and the images have 1 channel; leave it out"):
        with_channels({"image_channels": 3}, 1)


def test_images_alone_have_no_masks():
    check_pairs(Pairs(IMAGES), ImagesAlone(), 2)
    with pytest.raises(UserError, match="images alone, since neither takes_masks nor makes_masks is true"):
        check_pairs(Pairs(IMAGES, MASKS), ImagesAlone(), 2)


@given(value=st.one_of(st.floats(width=32), st.floats(-2, 2, width=32)), at=st.integers(0, 2 * SIZE * SIZE - 1))
def test_one_pixel_decides(value, at):
    images, masks = IMAGES.clone(), MASKS.float()
    images.view(-1)[at] = value
    masks.view(-1)[at] = value
    for pairs, good in ((Pairs(images, MASKS), -1 <= value <= 1), (Pairs(IMAGES, masks), value in (0, 1))):
        if good:
            check_pairs(pairs, Own(), 2)
        else:
            with pytest.raises(UserError):
                check_pairs(pairs, Own(), 2)


OWN_METHOD = """
import torch
from pig.methods.base import Identity, Pairs

class Mine:
    takes_masks, makes_masks, image_size = False, True, {size}

    def __init__(self, model, sampling):
        self.identity, self.levels = Identity(), sampling["levels"]

    def sample(self, indices, masks=None):
        images = torch.linspace(-1, 1, self.image_size).expand(len(indices), 1, self.image_size, -1)
        masks = torch.where(images > 0, self.levels[1], self.levels[0])
        return Pairs(images.clone().requires_grad_(), masks)

    @classmethod
    def load(cls, path, model, sampling):
        return cls(model, sampling)
"""


@pytest.mark.parametrize(("levels", "found"), [([0, 1], None), ([0, 255], "255"), ([-1, 1], "-1"), ([0, 0.5], "0.5")])
def test_masks_that_are_none_reach_no_shard(study, trained, tmp_path, monkeypatch, levels, found):
    (tmp_path / "own_levels.py").write_text(OWN_METHOD.format(size=SIZE))
    monkeypatch.syspath_prepend(tmp_path)
    shard = tmp_path / "shard.npz"
    words = {
        "model": trained["DDPM"], "name": "mine", "cls": "own_levels.Mine", "sampling": {"levels": levels}, "seed": 0,
        "store": study / "store", "folds": study / "folds.csv", "first": 0, "last": 3, "batch_size": 2, "out": shard,
    }  # fmt: skip
    if found is None:
        synthesise(**words)
        drawn = read_shards([shard])
        assert drawn.images.shape == (3, SIZE, SIZE)
        assert drawn.masks[:].dtype == np.uint8
        assert drawn.masks[:].tolist() == np.broadcast_to(np.arange(SIZE) >= SIZE // 2, (3, SIZE, SIZE)).tolist()
    else:
        with pytest.raises(UserError, match=rf"^own_levels.Mine: .* masks with the value {found}; correct the class"):
            synthesise(**words)
        assert not shard.exists()
