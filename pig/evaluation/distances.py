"""How a set of images differs from another, by their features: not alike, or not as varied.

With features x of the drawn images (n of them) and y of the reference (m), D of each, and B_k(y) the ball around y that
reaches to its k-th nearest neighbour in its own set:

    FID        |mu_x - mu_y|^2 + Tr(S_x + S_y - 2 (S_x S_y)^(1/2))              Heusel et al. 2017
    KID        mean k(x, x') + mean k(y, y') - 2 mean k(x, y), with x != x' and y != y', k(a, b) = (a b / D + 1)^3:
               unbiased, so that it may be below 0                              Binkowski et al. 2018
    precision  share of the x that lie in any B_3(y)                            Kynkaanniemi et al. 2019
    recall     share of the y that lie in any B_3(x)                            likewise
    density    1 / 5 of the mean number of B_5(y) that an x lies in             Naeem et al. 2020
    coverage   share of the y whose B_5(y) has an x in it                       likewise

The first two are distances. Precision and density say whether the drawn images look like those of the reference, recall
and coverage whether they are as varied. Density may be above 1.

Differs from all of these where there are several images of a patient: her own are no neighbours of an image, and make
no pairs x, x' or y, y'. Slices side by side are nearly one image, and balls would reach no farther than to these: of
the phantom, with five slices a view, no held-out image lay in any B_3 of the training images.

Differs from torch-fidelity, against whose FID, KID, precision and recall all this is tested: KID is of all images and
not the mean over subsets of both; what draws of the images have in common is computed once; and nothing of it needs
torch. (torch-fidelity has no density and coverage; the package prdc has, and is not kept up.)
"""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]

KYNKAANNIEMI, NAEEM = 3, 5  # neighbours, as in the papers
ROWS_AT_ONCE = 1024


class Reference:
    """A set of features that others are held against.

    Args:
        features: float64 [m, D], m >= 2.
        patients: int64 [m], equal for equal patients; None: all are of different ones.
    """

    def __init__(self, features: Floats, patients: Codes | None = None) -> None:
        self.features = features
        self.mean = features.mean(0)
        values, vectors = np.linalg.eigh(np.cov(features, rowvar=False).reshape(2 * [features.shape[1]]))
        self.root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T  # of the covariance; rounding goes below 0
        self.trace = float(np.maximum(values, 0).sum())
        patients = np.arange(len(features)) if patients is None else patients
        total = count = 0.0
        near = list[Floats]()
        for start in range(0, len(features), ROWS_AT_ONCE):
            rows = slice(start, start + ROWS_AT_ONCE)
            strangers = patients[rows, None] != patients[None]
            total += float(_kernel(features[rows], features)[strangers].sum())
            count += float(strangers.sum())
            near.append(_nearest(np.where(strangers, cdist(features[rows], features), np.inf), NAEEM))
        self.alike = total / count if count else np.nan
        self.near = np.concatenate(near)

    def radii(self, k: int) -> Floats:
        """Return the distance [m] of each feature to the k-th nearest of other patients; inf if there are fewer."""
        return self.near[:, k - 1]


class Comparison:
    """Any of the features of a set, held against a reference.

    Args:
        features: float64 [N, D], those of all images that may be drawn.
        reference: what they are held against.
        patients: int64 [N], equal for equal patients; None: all are of different ones, as generated images are.
    """

    def __init__(self, features: Floats, reference: Reference, patients: Codes | None = None) -> None:
        self.features, self.reference = features, reference
        patients = np.arange(len(features)) if patients is None else patients
        self.strangers = patients[:, None] != patients[None]
        self.away = cdist(features, reference.features)
        self.within = np.where(self.strangers, cdist(features, features), np.inf)
        self.kernel = np.where(self.strangers, _kernel(features, features), 0)
        self.across = _kernel(features, reference.features).mean(1)

    def of(self, rows: NDArray[np.int64]) -> dict[str, float]:
        """Return the measures of the features at ``rows``, int64 [n], n >= 2.

        Those that need more images of other patients than there are, in ``rows`` or in the reference, are NaN.
        """
        away, own = self.away[rows], self.within[np.ix_(rows, rows)]
        third, fifth = (self.reference.radii(k) for k in (KYNKAANNIEMI, NAEEM))
        around = _nearest(own, KYNKAANNIEMI)[:, -1]
        inside = away <= fifth
        found = {
            "precision": (away <= third).any(1).mean() if np.isfinite(third).all() else np.nan,
            "recall": (away <= around[:, None]).any(0).mean() if np.isfinite(around).all() else np.nan,
            "density": inside.sum(1).mean() / NAEEM if np.isfinite(fifth).all() else np.nan,
            "coverage": inside.any(0).mean() if np.isfinite(fifth).all() else np.nan,
        }
        return {"fid": self._frechet(rows), "kid": self._kid(rows)} | {name: float(x) for name, x in found.items()}

    def _frechet(self, rows: NDArray[np.int64]) -> float:
        """Return the FID; the trace of the root is the sum of singular values of (x - mu_x) S_y^1/2 / (n - 1)^1/2."""
        x, reference = self.features[rows], self.reference
        centred = (x - x.mean(0)) / np.sqrt(len(x) - 1)
        product = np.linalg.svd(centred @ reference.root, compute_uv=False).sum()
        away = ((x.mean(0) - reference.mean) ** 2).sum() + (centred**2).sum() + reference.trace - 2 * product
        return max(float(away), 0.0)  # of equal sets rounding goes below 0

    def _kid(self, rows: NDArray[np.int64]) -> float:
        both = np.ix_(rows, rows)
        count = self.strangers[both].sum()
        alike = self.kernel[both].sum() / count if count else np.nan
        return float(alike + self.reference.alike - 2 * self.across[rows].mean())


def _nearest(away: Floats, k: int) -> Floats:
    """Return the ``k`` least distances of each row [n, k], in order; inf where there are fewer."""
    if away.shape[1] < k:
        away = np.pad(away, ((0, 0), (0, k - away.shape[1])), constant_values=np.inf)
    return np.sort(np.partition(away, k - 1, axis=1)[:, :k], axis=1)


def _kernel(a: Floats, b: Floats) -> Floats:
    return np.asarray((a @ b.T / a.shape[1] + 1) ** 3)
