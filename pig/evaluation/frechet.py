"""Frechet distance between the features of generated and of real images, by torch-fidelity.

    FID = |mu_1 - mu_2|^2 + Tr(S_1 + S_2 - 2 (S_1 S_2)^(1/2))          Eq. (6), Heusel et al. 2017

Two feature extractors: ``inception``, torch-fidelity's Inception v3, for figures that compare with published
ones; ``encoder``, the encoder of a segmentation network trained on real data alone, which needs no download.
Both sets are brought to one size, that of the segmentation network or Inception's 299 pixels (there by
torch-fidelity's copy of TensorFlow's bilinear resize), so that a lack of resolution counts against a
generator. Numbers of different extractors or counts of images do not compare: the estimate is biased upward,
the more the fewer images there are.

Differs from ``torch_fidelity.calculate_metrics``: the features of the real images are cached here, as
safetensors, under a name that hashes images, weights and code, because torch-fidelity's own cache is a pickle
and goes by a given name, so that it returns old numbers when data or weights change under that name.
"""

import hashlib
import importlib.metadata
import sys
import time
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset
from torch_fidelity.feature_extractor_base import FeatureExtractorBase
from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3
from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.registry import register_feature_extractor
from torch_fidelity.utils import create_feature_extractor, get_featuresdict_from_dataset

from pig.data.looks import odd_looks
from pig.data.resize import resize_images
from pig.data.shards import Synthetic
from pig.data.store import PairDataset
from pig.evaluation.segmenter import load_segmenter
from pig.system.errors import UserError
from pig.system.files import atomic_path, sha256, write_sealed
from pig.system.run_record import run_record
from pig.system.source import source_hash

Features = Literal["encoder", "inception"]

# The digits at the end of torch-fidelity's file name are the beginning of this digest.
INCEPTION_SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
PACKAGES = ("torch", "torch-fidelity", "segmentation-models-pytorch")


class SegmentationEncoder(FeatureExtractorBase):  # type: ignore[misc]
    """Global average of the deepest feature map of a segmentation network's encoder."""

    def __init__(self, name: str, features_list: list[str], feature_extractor_weights_path: str, **_: Any) -> None:
        super().__init__(name, features_list)
        segmenter = load_segmenter(feature_extractor_weights_path)
        self.encoder: Any = segmenter[0].encoder
        self.channels: int = segmenter[2].get("image_channels", 1)

    @staticmethod
    def get_provided_features_list() -> tuple[str, ...]:
        """Name the features."""
        return ("deepest",)

    @staticmethod
    def get_default_feature_layer_for_metric(metric: str) -> str:
        """Name the features of a metric."""
        return "deepest"

    @staticmethod
    def can_be_compiled() -> bool:
        """Tell whether torch.compile may wrap it."""
        return False

    def forward(self, images: Tensor) -> tuple[Tensor]:
        """Return the features, float32 [N, D], of uint8 images [N, 3, H, W]; of grey all channels are equal."""
        deepest: Tensor = self.encoder(images[:, : self.channels].float() / 127.5 - 1)[-1]
        return (deepest.mean(dim=(2, 3)),)


register_feature_extractor("pig-segmentation-encoder", SegmentationEncoder)
REGISTERED = {  # name and layer
    "encoder": ("pig-segmentation-encoder", "deepest"),
    "inception": ("inception-v3-compat", "2048"),
}


class RGB8(Dataset[Tensor]):
    """Images of 16 bits as torch-fidelity takes them: uint8 [3, H, W], one window 0..65535 to 0..255."""

    def __init__(self, images: NDArray[np.uint16]) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Tensor:
        values = (self.images[index].astype(np.uint32) + 128) // 257  # 65535 = 255 * 257; rounded, not cut off
        return torch.from_numpy(values.astype(np.uint8)).expand(3, -1, -1)  # grey in each; colours are three already


class Extractor:
    """The features of images by one network, all at the size that it takes.

    Args:
        features: the extractor.
        weights: as in :func:`frechet_distance`.

    Raises:
        UserError: the weights are missing, damaged or of the wrong kind.
    """

    def __init__(self, features: Features, weights: str | Path | None) -> None:
        self.features: str = features
        self.size: int | None = None
        if features == "encoder":
            file, self.digest, self.size = _encoder_weights(weights)
        else:
            file, self.digest = _inception_weights(weights)
        name, self.layer = REGISTERED[features]
        self.network = create_feature_extractor(
            name, [self.layer], cuda=torch.cuda.is_available(), feature_extractor_weights_path=str(file), verbose=False
        )

    def __call__(self, images: NDArray[np.uint16], cache: str | Path | None = None) -> Tensor:
        """Return the features, float32 [n, D], of images uint16 [n, H, W] or [n, 3, H, W].

        Args:
            images: as a shard or the store holds them.
            cache: folder for the features, for images that are asked for again; None keeps nothing.

        Raises:
            UserError: the features in the cache are damaged.
        """
        if self.size is not None:  # Inception comes with a resize of its own
            images = resize_images(images, self.size)
        return self._extract(images) if cache is None else self._cached(images, Path(cache))

    def _extract(self, images: NDArray[np.uint16]) -> Tensor:
        found: Tensor = get_featuresdict_from_dataset(
            RGB8(images), self.network, batch_size=64, cuda=torch.cuda.is_available(), save_cpu_ram=True,
            verbose=sys.stderr.isatty(),
        )[self.layer]  # fmt: skip
        return found

    def _cached(self, images: NDArray[np.uint16], cache: Path) -> Tensor:
        """Return the features of ``images``, from the cache where the same images, weights and code made them."""
        from safetensors import SafetensorError
        from safetensors.torch import load_file, save_file

        key = hashlib.sha256(np.ascontiguousarray(images).data)
        versions = [importlib.metadata.version(package) for package in PACKAGES]
        key.update(
            "\n".join([str(images.shape), self.digest, source_hash("pig.evaluation.frechet"), *versions]).encode()
        )
        path = cache / f"{self.features}-{key.hexdigest()[:32]}.safetensors"
        if not path.exists():
            with atomic_path(path) as temporary:
                save_file({"features": self._extract(images).contiguous()}, temporary)
        try:
            features_of: Tensor = load_file(path)["features"]
        except (SafetensorError, KeyError) as error:
            raise UserError(f"{path} is damaged ({error}); delete it; the next run makes it again.") from None
        return features_of


def frechet_distance(
    generated: NDArray[np.uint16],
    real: NDArray[np.uint16],
    features: Features,
    weights: str | Path | None = None,
    cache: str | Path | None = None,
) -> float:
    """Return the Frechet distance between two sets of images.

    Args:
        generated: uint16 [n, H, W], or [n, 3, H, W], n >= 2, as a shard holds them.
        real: uint16 [m, H', W'], or [m, 3, H', W'], m >= 2, as the store holds them.
        features: the extractor.
        weights: for ``encoder`` the folder that ``pig segment`` wrote from real data alone; for ``inception``
            torch-fidelity's weights file, or None to download it.
        cache: folder for the features of ``real``; None keeps nothing.

    Raises:
        UserError: too few images, or weights that are missing, damaged or of the wrong kind.
    """
    for name, images in (("generated", generated), ("real", real)):
        if images.dtype != np.uint16 or images.ndim not in (3, 4):
            found = f"{images.dtype} {images.shape}"
            raise ValueError(f"{name} images must be uint16 [n, H, W] or [n, 3, H, W], got {found}")
        if len(images) < 2:
            raise UserError(f"FID: needs at least 2 {name} images, got {len(images)}; draw or count more.")
    extract = Extractor(features, weights)
    of_real = extract(real, cache)
    statistics = [fid_features_to_statistics(tensor) for tensor in (extract(generated), of_real)]
    distance = float(fid_statistics_to_metric(*statistics, verbose=False)[KEY_METRIC_FID])
    return 0.0 if distance < 0 else distance  # of equal sets: rounding in the trace of the root goes below 0


def write_fid(
    synthetic: Synthetic,
    real: PairDataset,
    features: Features,
    weights: str | Path | None,
    cache: str | Path | None,
    path: str | Path,
) -> dict[str, Any]:
    """Write the FID of synthetic images against a fold's training images as JSON, for table 1.

    Args:
        synthetic: images of one generator and fold.
        real: pairs of the fold's training patients; their images are taken as the store holds them.
        features: as in :func:`frechet_distance`.
        weights: as in :func:`frechet_distance`.
        cache: as in :func:`frechet_distance`.
        path: the file: fid, features, fold, generator, the counts generated and real, the measures in which the
            images are unlike those of any training patient (see :mod:`pig.data.looks`), record.

    Returns:
        What the file holds.

    Raises:
        UserError: as :func:`frechet_distance`; or the synthetic images were learnt from patients that ``real`` lacks.
    """
    started = time.monotonic()
    provenance = synthetic.provenance[0]
    if others := sorted(set(provenance["patients"]) - set(real.patients)):
        raise UserError(
            f"FID: generator '{provenance['generator']}' of fold {provenance['fold']} learnt from patient {others[0]} "
            f"({len(others)} in all), who is not among the real images; give synthetic and real images of one fold."
        )
    value = frechet_distance(synthetic.images, real.store.images[real.rows], features, weights, cache)
    result = {
        "fid": value,
        "features": features,
        "fold": provenance["fold"],
        "generator": provenance["generator"],
        "generated": len(synthetic.images),
        "unlike": odd_looks(synthetic.provenance),
        "real": len(real),
        "record": run_record(started, weights=str(weights)),
    }
    write_sealed(path, result)
    return result


def _encoder_weights(folder: str | Path | None) -> tuple[Path, str, int]:
    """Return the folder of the segmentation network, the digest of its weights and its image size."""
    if folder is None:
        raise UserError(
            "FID: features 'encoder' need weights: the folder of a segmentation trained on real data alone."
        )
    _, settings, record = load_segmenter(folder)
    if record["synthetic_pairs"]:
        raise UserError(
            f"{folder} was trained on {record['synthetic_pairs']} synthetic pairs too, so that its features "
            "would favour their generator; give the segmentation of the arm of real data alone."
        )
    return Path(folder), f"{record['sha256']} {settings}", settings.image_size


def _inception_weights(file: str | Path | None) -> tuple[Path, str]:
    """Return torch-fidelity's Inception weights, downloaded if ``file`` is None, and their digest.

    They are a pickle: nothing is loaded from them unless the whole digest is right. (torch-fidelity's own
    download is not verified.)
    """
    where = f"download it from {URL_INCEPTION_V3} and set table1.inception_weights to its path"
    if file is None:
        path = Path(torch.hub.get_dir()) / "checkpoints" / Path(URL_INCEPTION_V3).name
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                torch.hub.download_url_to_file(
                    URL_INCEPTION_V3, str(path), hash_prefix=INCEPTION_SHA256, progress=sys.stderr.isatty()
                )
            except (OSError, RuntimeError) as error:  # no network, or a wrong digest
                raise UserError(f"Inception weights cannot be downloaded ({error}); {where}.") from None
    else:
        path = Path(file)
        if not path.is_file():
            raise UserError(f"Inception weights {path} do not exist; {where}, or to null for a download.")
    digest = sha256(path)
    if digest != INCEPTION_SHA256:
        raise UserError(
            f"Inception weights {path} have SHA-256 {digest[:8]}..., expected {INCEPTION_SHA256[:8]}...: not "
            f"torch-fidelity's file, or a damaged one; {where}."
        )
    return path, digest
