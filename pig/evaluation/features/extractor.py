"""The features of images by one of four networks, kept in a cache.

    encoder    the fold's segmentation of real pairs alone      at its size
    general    EfficientNet-Lite0, of photographs               at 224 pixels    in a package
    inception  Inception v3, of photographs                     at 299 pixels    a file, or a download
    dinov2     a DINOv2 transformer, of photographs             at 224 pixels    a file

All images of a comparison are brought to the size of the network, so that a lack of resolution counts against a
generator: shrunk by the mean over areas and enlarged linearly (:mod:`pig.data.resize`), but for Inception's own resize.

Differs from ``torch_fidelity.calculate_metrics``: the features of the real images are cached here, as
safetensors, under a name that hashes images, weights and code, because torch-fidelity's own cache is a pickle
and goes by a given name, so that it returns old numbers when data or weights change under that name.
"""

import hashlib
import importlib.metadata
import sys
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset
from torch_fidelity.utils import create_feature_extractor, get_featuresdict_from_dataset

from pig.data.resize import resize_images
from pig.evaluation.features import dinov2, encoder, general, inception
from pig.evaluation.features.one_layer import OneLayer
from pig.system.errors import UserError
from pig.system.files import atomic_path
from pig.system.source import source_hash

Features = Literal["encoder", "general", "inception", "dinov2"]

PACKAGES = ("torch", "torch-fidelity", "segmentation-models-pytorch", "timm")
REGISTERED = {  # name and layer
    "encoder": (encoder.NAME, OneLayer.LAYER),
    "general": (general.NAME, OneLayer.LAYER),
    "inception": (inception.NAME, inception.LAYER),
    "dinov2": (dinov2.NAME, OneLayer.LAYER),
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
        features: the network.
        weights: for ``encoder`` the folder that ``pig segment`` wrote from real data alone; for ``general`` None; for
            ``inception`` torch-fidelity's file of weights, or None to download it; for ``dinov2`` a file of weights.

    Attributes:
        features: the network.
        sha256: of its weights.

    Raises:
        UserError: the weights are missing, damaged or of the wrong kind.
    """

    def __init__(self, features: Features, weights: str | Path | None) -> None:
        self.features: str = features
        self.size: int | None = None  # Inception comes with a resize of its own
        match features:
            case "encoder":
                file, self.sha256, self.size = encoder.encoder_weights(weights)
            case "general":
                (file, self.sha256), self.size = general.general_weights(weights), general.SIZE
            case "inception":
                file, self.sha256 = inception.inception_weights(weights)
            case "dinov2":
                (file, self.sha256), self.size = dinov2.dinov2_weights(weights), dinov2.SIZE
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
        if self.size is not None:
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
        key.update("\n".join([str(images.shape), self.sha256, source_hash(__name__), *versions]).encode())
        path = cache / f"{self.features}-{key.hexdigest()[:32]}.safetensors"
        if not path.exists():
            with atomic_path(path) as temporary:
                save_file({"features": self._extract(images).contiguous()}, temporary)
        try:
            features_of: Tensor = load_file(path)["features"]
        except (SafetensorError, KeyError) as error:
            raise UserError(f"{path} is damaged ({error}); delete it; the next run makes it again.") from None
        return features_of
