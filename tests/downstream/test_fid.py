import importlib.metadata
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import scipy.linalg
import torch
from discs import discs
from torch_fidelity import calculate_metrics
from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3

from pig.data.shards import Synthetic
from pig.data.store import PairDataset
from pig.evaluation import frechet as fid_module
from pig.evaluation.features import extractor, inception
from pig.evaluation.features.encoder import SegmentationEncoder
from pig.evaluation.features.extractor import RGB8
from pig.evaluation.frechet import frechet_distance, write_fid
from pig.evaluation.segmenter import load_segmenter
from pig.report.tables import write_table1
from pig.system.errors import UserError
from pig.system.files import read_sealed, sha256, write_sealed


def frechet(a: np.ndarray, b: np.ndarray) -> float:
    """Eq. (6), Heusel et al. 2017, of features [n, D], by scipy's matrix square root."""
    covariances = [np.cov(x.astype(np.float64), rowvar=False) for x in (a, b)]
    root = scipy.linalg.sqrtm(covariances[0] @ covariances[1])
    difference = a.mean(0) - b.mean(0)
    return float(difference @ difference + np.trace(covariances[0] + covariances[1] - 2 * root.real))


def encoder_features(folder: Path, images: np.ndarray) -> np.ndarray:
    """The global average of the deepest map of the network's own encoder, without torch-fidelity."""
    network = load_segmenter(folder)[0]
    eight_bit = np.round(images / 257)
    x = torch.from_numpy(eight_bit.astype(np.float32) / 127.5 - 1)[:, None]
    with torch.inference_mode():
        return network.encoder(x)[-1].mean((2, 3)).numpy()


def test_fid_is_the_frechet_distance_of_the_encoder_features(segmented: Path) -> None:
    generated, real = discs(300, seed=1)[0], discs(200, seed=2)[0]
    generated = (0.8 * generated).astype(np.uint16)
    expected = frechet(encoder_features(segmented, generated), encoder_features(segmented, real))
    assert expected > 0.01
    assert frechet_distance(generated, real, "encoder", segmented) == pytest.approx(expected, rel=1e-3)


def test_fid_is_that_of_calculate_metrics(segmented: Path) -> None:
    generated, real = discs(30, seed=1)[0], discs(20, seed=2)[0]
    metrics = calculate_metrics(
        input1=RGB8(generated),
        input2=RGB8(real),
        fid=True,
        feature_extractor="pig-segmentation-encoder",
        feature_extractor_weights_path=str(segmented),
        cuda=torch.cuda.is_available(),
        cache=False,
        save_cpu_ram=True,
        verbose=False,
    )
    theirs = metrics["frechet_inception_distance"]
    assert frechet_distance(generated, real, "encoder", segmented) == pytest.approx(theirs, rel=1e-9)


def test_fid_of_a_set_with_itself_is_zero_and_grows_with_the_difference(segmented: Path) -> None:
    real = discs(60, seed=1)[0]
    scale = np.trace(np.cov(encoder_features(segmented, real), rowvar=False))
    assert abs(frechet_distance(real, real, "encoder", segmented)) < 1e-4 * scale
    assert abs(frechet_distance(real[::-1], real, "encoder", segmented)) < 1e-4 * scale  # order does not matter
    slightly, much = ((real * factor).astype(np.uint16) for factor in (0.9, 0.5))
    near, far = (frechet_distance(images, real, "encoder", segmented) for images in (slightly, much))
    assert scale * 1e-2 < near < far


def test_equal_sets_have_no_distance_below_zero(
    segmented: Path, pairs: tuple[PairDataset, PairDataset], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rounding gives -1e-5 or so, which table 1 would show as -0.00."""
    monkeypatch.setattr(fid_module, "fid_statistics_to_metric", lambda *_, **__: {fid_module.KEY_METRIC_FID: -1e-5})
    real = pairs[0]
    images = real.store.images[real.rows]
    synthetic = Synthetic(images, None, [{"generator": "copy", "fold": 1, "patients": real.patients}])
    write_fid(synthetic, real, "encoder", segmented, None, tmp_path / "fid.json")
    assert str(read_sealed(tmp_path / "fid.json", "")["fid"]) == "0.0"
    write_table1([("Copy", tmp_path / "fid.json")], tmp_path / "table1.csv")
    assert "Copy,0.00" in (tmp_path / "table1.csv").read_text()
    monkeypatch.setattr(
        fid_module, "fid_statistics_to_metric", lambda *_, **__: {fid_module.KEY_METRIC_FID: float("nan")}
    )
    assert np.isnan(frechet_distance(images, images, "encoder", segmented))  # not taken for 0


def test_images_are_brought_to_the_size_of_the_network(segmented: Path) -> None:
    real = discs(20, seed=1)[0]
    enlarged = real.repeat(2, axis=1).repeat(2, axis=2)  # averaging the area gives the same image back
    scale = np.trace(np.cov(encoder_features(segmented, real), rowvar=False))
    assert abs(frechet_distance(enlarged, real, "encoder", segmented)) < 1e-4 * scale


def test_sixteen_bits_become_eight_in_one_window() -> None:
    values = np.array([0, 128, 129, 257, 385, 386, 65535 - 129, 65535 - 128, 65535], np.uint16)
    image = RGB8(values.reshape(1, 3, 3))[0]
    assert image.shape == (3, 3, 3) and image.dtype == torch.uint8
    assert image[0].flatten().tolist() == [0, 0, 1, 1, 1, 2, 254, 255, 255]  # rounded, no wrap at the top
    assert torch.equal(image[0], image[1]) and torch.equal(image[0], image[2])


# Cache


def test_the_cache_is_used_and_never_stale(segmented: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    generated, real = discs(20, seed=1)[0], discs(24, seed=2)[0]
    weights, cache = tmp_path / "weights", tmp_path / "cache"
    shutil.copytree(segmented, weights)
    counted: list[int] = []
    extract = extractor.get_featuresdict_from_dataset

    def counting(images: RGB8, *args: object, **kwargs: object) -> object:
        counted.append(len(images))
        return extract(images, *args, **kwargs)

    monkeypatch.setattr(extractor, "get_featuresdict_from_dataset", counting)

    def measure() -> float:
        counted.clear()
        value = frechet_distance(generated, real, "encoder", weights, cache)
        assert value == pytest.approx(
            frechet_distance(generated, real, "encoder", weights), rel=1e-6
        )  # without a cache
        return value

    first = measure()
    assert counted == [24, 20, 24, 20]
    assert measure() == first
    assert counted == [20, 24, 20]  # of the real images, from the cache

    # One pixel of the data
    real[3, 5, 5] ^= 0x8000
    assert measure() != first and counted == [24, 20, 24, 20]

    # Weights in the same folder
    from safetensors.torch import load_file, save_file

    state = load_file(weights / "model.safetensors")
    state["encoder.conv1.weight"] *= 1.5
    save_file(state, weights / "model.safetensors")
    record = read_sealed(weights / "record.json", "")
    write_sealed(weights / "record.json", record | {"sha256": sha256(weights / "model.safetensors")})
    measure()
    assert counted == [24, 20, 24, 20]

    # Another version of a library
    version = importlib.metadata.version
    monkeypatch.setattr(importlib.metadata, "version", lambda name: version(name) + "+other")
    measure()
    assert counted == [24, 20, 24, 20]
    assert len(list(cache.glob("encoder-*.safetensors"))) == 4


def test_a_damaged_cache_file_is_named(segmented: Path, tmp_path: Path) -> None:
    images = discs(4, seed=1)[0]
    frechet_distance(images, images, "encoder", segmented, tmp_path)
    (file,) = tmp_path.iterdir()
    file.write_bytes(b"damaged")
    with pytest.raises(UserError, match=file.name):
        frechet_distance(images, images, "encoder", segmented, tmp_path)


# Bad input


@pytest.mark.parametrize(("generated", "real", "words"), [(1, 5, "1"), (5, 1, "1"), (0, 5, "0")])
def test_too_few_images_are_refused(segmented: Path, generated: int, real: int, words: str) -> None:
    images = discs(5, seed=1)[0]
    with pytest.raises(UserError, match=f"at least 2 .* got {words}"):
        frechet_distance(images[:generated], images[:real], "encoder", segmented)


def test_two_images_of_each_are_enough(segmented: Path) -> None:
    images = discs(5, seed=1)[0]
    assert frechet_distance(images[:2], images[2:4], "encoder", segmented) > 0


def test_images_of_another_type_are_refused(segmented: Path) -> None:
    images = discs(5, seed=1)[0]
    with pytest.raises(ValueError, match="uint16"):
        frechet_distance(images.astype(np.uint8), images, "encoder", segmented)


def test_an_encoder_that_saw_synthetic_pairs_is_refused(segmented: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(segmented, folder)
    write_sealed(folder / "record.json", read_sealed(folder / "record.json", "") | {"synthetic_pairs": 24})
    images = discs(5, seed=1)[0]
    with pytest.raises(UserError, match="24 synthetic pairs"):
        frechet_distance(images, images, "encoder", folder)


def test_missing_weights_are_named(tmp_path: Path) -> None:
    images = discs(5, seed=1)[0]
    with pytest.raises(UserError, match="need weights"):
        frechet_distance(images, images, "encoder")
    with pytest.raises(UserError, match="nowhere"):
        frechet_distance(images, images, "encoder", tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"nowhere\.pth do not exist; download it from https"):
        frechet_distance(images, images, "inception", tmp_path / "nowhere.pth")


def test_wrong_inception_weights_are_refused_unread(tmp_path: Path) -> None:
    class Explosive:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path.touch, (tmp_path / "executed",))  # type: ignore[return-value]

    torch.save({"weight": Explosive()}, tmp_path / Path(URL_INCEPTION_V3).name)
    images = discs(5, seed=1)[0]
    with pytest.raises(UserError, match=r"SHA-256 .* expected 6726825d"):
        frechet_distance(images, images, "inception", tmp_path / Path(URL_INCEPTION_V3).name)
    assert not (tmp_path / "executed").exists()


def test_the_known_digest_is_that_of_the_known_file() -> None:
    assert Path(URL_INCEPTION_V3).stem.endswith(inception.SHA256[:8])
    assert len(bytes.fromhex(inception.SHA256)) == 32


def test_a_failed_download_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", refused)
    images = discs(5, seed=1)[0]
    with pytest.raises(UserError, match=r"no network.*feature_weights"):
        frechet_distance(images, images, "inception")


def test_inception_weights_of_the_right_digest_are_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real file is a download; here a network of random weights stands for it, and its digest for the digest."""
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    torch.manual_seed(0)
    monkeypatch.setattr("torch_fidelity.feature_extractor_inceptionv3.load_state_dict_from_url", lambda *_, **__: {})
    monkeypatch.setattr(FeatureExtractorInceptionV3, "load_state_dict", lambda *_: None)
    network = FeatureExtractorInceptionV3("inception-v3-compat", ["64"])
    monkeypatch.undo()
    torch.save(network.state_dict(), tmp_path / "inception.pth")
    monkeypatch.setattr(inception, "SHA256", sha256(tmp_path / "inception.pth"))
    # The first block of the network, since the eigenvalues of 2048 dimensions take half a minute
    monkeypatch.setitem(extractor.REGISTERED, "inception", ("inception-v3-compat", "64"))
    real, generated = discs(3, seed=1)[0], discs(4, seed=2)[0]
    with torch.inference_mode():
        a, b = (network(torch.stack([RGB8(images)[i] for i in range(len(images))]))[0] for images in (generated, real))
    # Tr (S_1 S_2)^(1/2) is the sum of the singular values of the product of the centred features: no matrix root.
    difference = (a.mean(0) - b.mean(0)).double()
    a, b = ((x - x.mean(0)).double() / np.sqrt(len(x) - 1) for x in (a, b))
    expected = difference.square().sum() + a.square().sum() + b.square().sum() - 2 * torch.linalg.svdvals(a @ b.T).sum()
    value = frechet_distance(generated, real, "inception", tmp_path / "inception.pth", tmp_path / "cache")
    assert value == pytest.approx(expected.item(), rel=1e-3)
    assert [file.name[:10] for file in (tmp_path / "cache").iterdir()] == ["inception-"]


# The file for table 1


def test_the_file_says_what_was_measured(
    segmented: Path, pairs: tuple[PairDataset, PairDataset], synthetic: Synthetic, tmp_path: Path
) -> None:
    write_fid(synthetic, pairs[0], "encoder", segmented, tmp_path / "cache", tmp_path / "fid.json")
    result = json.loads((tmp_path / "fid.json").read_text())
    real = pairs[0].store.images[pairs[0].rows]
    assert result["fid"] == pytest.approx(frechet_distance(synthetic.images, real, "encoder", segmented), rel=1e-9)
    assert {key: result[key] for key in ("features", "fold", "generator", "generated", "real")} == {
        "features": "encoder",
        "fold": 1,
        "generator": "toy",
        "generated": 24,
        "real": 20,
    }
    assert result["record"]["weights_sha256"] == sha256(segmented / "model.safetensors")


def test_images_of_another_fold_are_refused(
    segmented: Path, pairs: tuple[PairDataset, PairDataset], synthetic: Synthetic, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=r"'toy' of fold 1 learnt from patient p0 \(3 in all\)"):
        write_fid(synthetic, pairs[1], "encoder", segmented, None, tmp_path / "fid.json")
    assert not (tmp_path / "fid.json").exists()


def test_the_extractor_is_registered_under_its_name() -> None:
    from torch_fidelity.registry import FEATURE_EXTRACTORS_REGISTRY

    assert FEATURE_EXTRACTORS_REGISTRY["pig-segmentation-encoder"] is SegmentationEncoder
