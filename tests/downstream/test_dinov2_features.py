"""DINOv2 from a file: random weights of the real architectures, as timm and Meta name them, held against timm."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file
from timm.models.vision_transformer import checkpoint_filter_fn
from torch import Tensor

from pig.evaluation.features import Extractor, dinov2
from pig.evaluation.frechet import frechet_distance
from pig.system.errors import UserError
from pig.system.files import sha256

MEAN, SD = ([[[value]] for value in values] for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
Change = Callable[[dict[str, Tensor]], object]


def weights_of(name: str, size: int = 518) -> dict[str, Tensor]:
    """Return random weights of one of timm's networks; layers count for more than timm's first 1e-5 lets them."""
    torch.manual_seed(0)
    network: Any = timm.create_model(name, pretrained=False, img_size=size, num_classes=0)
    return {key: value if "gamma" not in key else value * 0 + 0.3 for key, value in network.state_dict().items()}


@pytest.fixture(scope="module")
def small() -> dict[str, Tensor]:
    return weights_of("vit_small_patch14_dinov2")


def pictures(count: int, size: int = 224, seed: int = 3) -> np.ndarray:
    """uint16 [count, 3, size, size], of whole steps of 8 bits."""
    return np.random.default_rng(seed).integers(0, 256, (count, 3, size, size), np.uint16) * 257


@pytest.fixture(scope="module")
def theirs(small: dict[str, Tensor]) -> Tensor:
    """The class tokens by timm's own resizing of positions and forward."""
    network: Any = timm.create_model("vit_small_patch14_dinov2", pretrained=False, img_size=224, num_classes=0)
    network.load_state_dict(checkpoint_filter_fn(dict(small), network))
    network.eval()
    images = torch.from_numpy(pictures(2) // 257).float() / 255
    with torch.inference_mode():
        return network((images - torch.tensor(MEAN)) / torch.tensor(SD))


@pytest.mark.parametrize("kind", ["timm", "meta"])
def test_the_features_are_the_class_tokens_of_timm(
    small: dict[str, Tensor], theirs: Tensor, tmp_path: Path, kind: str
) -> None:
    file = tmp_path / ("model.safetensors" if kind == "timm" else "dinov2_vits14_pretrain.pth")
    if kind == "timm":
        save_file(small, file)
    else:  # the same names, and a token that training alone needs
        torch.save(small | {"mask_token": torch.zeros(1, 384)}, file)
    extract = Extractor("dinov2", file)
    found = extract(pictures(2))
    assert found.shape == (2, 384) and found.dtype == torch.float32
    assert (found[0] - found[1]).abs().max() > 0.01  # they depend on the image
    assert torch.allclose(found, theirs, atol=1e-5)
    assert extract.sha256 == sha256(file)


def test_the_size_is_that_of_the_file(tmp_path: Path) -> None:
    save_file(weights_of("vit_base_patch14_dinov2"), tmp_path / "model.safetensors")
    assert Extractor("dinov2", tmp_path / "model.safetensors")(pictures(1, 48)).shape == (1, 768)


def test_the_cache_knows_weights_from_others(small: dict[str, Tensor], tmp_path: Path) -> None:
    images, files = pictures(2, 32), [tmp_path / "a.safetensors", tmp_path / "b.safetensors"]
    save_file(small, files[0])
    save_file(small | {"norm.bias": small["norm.bias"] + 1}, files[1])
    a, b = (Extractor("dinov2", file)(images, tmp_path / "cache") for file in files)
    assert torch.allclose(b - a, torch.ones(()), atol=1e-4)
    assert len([*(tmp_path / "cache").glob("dinov2-*.safetensors")]) == 2
    assert frechet_distance(images, images, "dinov2", files[0], tmp_path / "cache") == pytest.approx(0, abs=1e-3)


def without(name: str) -> Change:
    return lambda weights: weights.pop(name)


def put(name: str, *shape: int) -> Change:
    return lambda weights: weights.update({name: torch.zeros(shape)})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (without("cls_token"), "holds no vision transformer"),
        (put("pos_embed", 1370, 384), "holds no vision transformer"),
        (put("cls_token", 1, 1, 192), r"another vision transformer \(token \[1, 1, 192\]"),
        (put("patch_embed.proj.weight", 384, 3, 16, 16), r"another vision transformer .*patches \[384, 3, 16, 16\]"),
        (put("pos_embed", 1, 1369, 384), r"another vision transformer .*positions \[1, 1369, 384\]"),
        (put("register_tokens", 1, 4, 384), "does not fit a small DINOv2 without registers .*register_tokens"),
        (put("head.weight", 1000, 384), r"does not fit a small DINOv2 .*head\.weight"),
        (without("blocks.11.ls1.gamma"), r"does not fit a small DINOv2 .*blocks\.11\.ls1\.gamma"),
        (put("norm.bias", 3), r"does not fit a small DINOv2 .*norm\.bias"),
    ],
)
def test_another_network_is_refused(small: dict[str, Tensor], tmp_path: Path, change: Change, words: str) -> None:
    weights, file = dict(small), tmp_path / "model.safetensors"
    change(weights)
    save_file(weights, file)
    with pytest.raises(UserError, match=rf"model\.safetensors .*{words}.*set table1\.feature_weights to timm's"):
        Extractor("dinov2", file)


def test_a_file_that_is_missing_or_damaged_is_named(small: dict[str, Tensor], tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"'dinov2' need a file of weights; set table1\.feature_weights"):
        Extractor("dinov2", None)
    with pytest.raises(UserError, match=r"nowhere\.pth do not exist"):
        Extractor("dinov2", tmp_path / "nowhere.pth")
    for name, save in (("cut.safetensors", save_file), ("cut.pth", torch.save)):
        save(small, tmp_path / name)
        whole = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(whole[: len(whole) // 2])
        with pytest.raises(UserError, match=f"{name} cannot be read"):
            Extractor("dinov2", tmp_path / name)
    torch.save({"model": small}, tmp_path / "whole.pth")
    with pytest.raises(UserError, match=r"whole\.pth holds something else than weights by name"):
        Extractor("dinov2", tmp_path / "whole.pth")


def test_the_mean_is_that_of_imagenet() -> None:
    from timm.data import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD

    assert (dinov2.MEAN, dinov2.SD) == (IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD)
