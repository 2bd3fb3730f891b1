"""Frechet distance between the features of generated and of real images, by torch-fidelity.

    FID = |mu_1 - mu_2|^2 + Tr(S_1 + S_2 - 2 (S_1 S_2)^(1/2))          Eq. (6), Heusel et al. 2017

:mod:`pig.evaluation.features.extractor` says of which network. Numbers of different features or counts of images do
not compare: the estimate is biased upward, the more the fewer images there are.
"""

import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_features_to_statistics, fid_statistics_to_metric

from pig.data.looks import odd_looks
from pig.data.shards import Synthetic
from pig.data.store import PairDataset
from pig.evaluation.features import Extractor, Features
from pig.system.errors import UserError
from pig.system.files import write_sealed
from pig.system.run_record import run_record


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
        features: the network.
        weights: of it, as for :class:`pig.evaluation.features.Extractor`.
        cache: folder for the features of ``real``; None keeps nothing.

    Raises:
        UserError: too few images, or weights that are missing, damaged or of the wrong kind.
    """
    return _distance(generated, real, Extractor(features, weights), cache)


def _distance(
    generated: NDArray[np.uint16], real: NDArray[np.uint16], extract: Extractor, cache: str | Path | None
) -> float:
    for name, images in (("generated", generated), ("real", real)):
        if images.dtype != np.uint16 or images.ndim not in (3, 4):
            found = f"{images.dtype} {images.shape}"
            raise ValueError(f"{name} images must be uint16 [n, H, W] or [n, 3, H, W], got {found}")
        if len(images) < 2:
            raise UserError(f"FID: needs at least 2 {name} images, got {len(images)}; draw or count more.")
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
            images are unlike those of any training patient (see :mod:`pig.data.looks`), record (which has the
            SHA-256 of the weights).

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
    extract = Extractor(features, weights)
    result = {
        "fid": _distance(synthetic.images, real.store.images[real.rows], extract, cache),
        "features": features,
        "fold": provenance["fold"],
        "generator": provenance["generator"],
        "generated": len(synthetic.images),
        "unlike": odd_looks(synthetic.provenance),
        "real": len(real),
        "record": run_record(started, weights=str(weights), weights_sha256=extract.sha256),
    }
    write_sealed(path, result)
    return result
