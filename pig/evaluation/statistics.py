"""Whether a difference between two arms is more than noise.

A patient is tested once, but the patients of a fold share a trained network, and folds share training patients. So
there are two intervals: one given the networks that were trained (patients are drawn again, paired between the arms),
and one that counts a fold as a single observation, which is wider with few folds. What the design can see at all
follows from the second.

All of it is computed from per-patient scores: of the counts of a patient's slices, summed, then averaged over seeds.
"""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from pig.evaluation.overlap import COUNTS, METRICS, overlap_scores

RESAMPLES = 9_999
LEVEL, POWER = 0.95, 0.8
COLUMNS = (
    "metric", "arm", "against", "patients", "folds", "difference", "low", "high", "interval", "low_folds", "high_folds",
    "p", "p_holm", "false_claim", "best", "smallest_visible",
)  # fmt: skip


class Interval(NamedTuple):
    """Bounds, and how they were found."""

    low: float
    high: float
    method: str


def patient_scores(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the scores of each patient, in [0, 1].

    Args:
        rows: the slices of one arm, every fold and seed of it, with the columns of ``slices.csv``.

    Returns:
        Index fold, patient_id; columns dice, iou, precision, recall.
    """
    counts = rows.groupby(["fold", "seed", "patient_id"])[list(COUNTS)].sum()
    return overlap_scores(counts).groupby(["fold", "patient_id"]).mean()


def bootstrap_interval(differences: NDArray[np.float64], seed: int) -> Interval:
    """Return the interval of the mean difference when patients are drawn again (BCa, Efron 1987).

    BCa is not defined where resampled means are all alike; there the percentiles are taken, and named.

    Args:
        differences: between two arms, one of each patient; at least 2, finite.
        seed: of the resampling.
    """
    bounds = Interval(np.nan, np.nan, "BCa")
    for method in ("BCa", "percentile"):
        with warnings.catch_warnings(), np.errstate(invalid="ignore"):
            warnings.simplefilter("ignore", stats.DegenerateDataWarning)
            found = stats.bootstrap(
                (differences,), np.mean, n_resamples=RESAMPLES, confidence_level=LEVEL, method=method, rng=seed
            ).confidence_interval
        bounds = Interval(float(found.low), float(found.high), method)
        if np.isfinite(found.low) and np.isfinite(found.high):
            break
    return bounds


def t_interval(means: NDArray[np.float64]) -> Interval:
    """Return Student's interval of the mean of independent observations, here of folds; NaN for a single one."""
    if len(means) < 2:
        return Interval(np.nan, np.nan, "t")
    half = stats.t.ppf((1 + LEVEL) / 2, len(means) - 1) * standard_error(means)
    return Interval(float(means.mean() - half), float(means.mean() + half), "t")


def standard_error(values: NDArray[np.float64]) -> float:
    """Return the standard error of a mean: that of a sample (n - 1), over the root of n."""
    return float(values.std(ddof=1) / np.sqrt(len(values)))


def permutation_p(differences: NDArray[np.float64], seed: int) -> float:
    """Return the two-sided p of no difference: the two arms are exchanged within patients, at random."""

    def mean_difference(a: NDArray[np.float64], b: NDArray[np.float64], axis: int) -> Any:
        return (a - b).mean(axis)

    found = stats.permutation_test(
        (differences, np.zeros_like(differences)), mean_difference, permutation_type="samples",
        n_resamples=RESAMPLES, vectorized=True, rng=seed,
    )  # fmt: skip
    return float(found.pvalue)


def holm(p: Sequence[float]) -> list[float]:
    """Return p values adjusted for their number (Holm 1979): the k-th least times (m - k + 1), never decreasing."""
    adjusted, least = [0.0] * len(p), 0.0
    for k, index in enumerate(np.argsort(p)):
        least = max(least, min(1.0, (len(p) - k) * p[index]))
        adjusted[index] = least
    return adjusted


def false_claim_risk(differences: NDArray[np.float64]) -> float:
    """Return the probability that the order of two arms is the other one (Christodoulou et al. 2025, 2505.04720).

    Student's, with n - 1 degrees of freedom, at minus the difference over its standard error.
    """
    error = standard_error(differences)
    if error == 0:
        return 0.0 if differences.mean() else 0.5
    return float(stats.t.cdf(-abs(differences.mean()) / error, len(differences) - 1))


def smallest_visible(means: NDArray[np.float64]) -> float:
    """Return the difference that a test of the means of folds would see with 80 % power at 5 %; NaN for one fold."""
    if len(means) < 2:
        return float(np.nan)
    degrees = len(means) - 1
    return float((stats.t.ppf((1 + LEVEL) / 2, degrees) + stats.t.ppf(POWER, degrees)) * standard_error(means))


def probability_of_best(scores: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    """Return, of each arm, the share of resamplings of patients in which its mean is the greatest; ties are shared.

    Args:
        scores: [patients, arms].
        seed: of the resampling.
    """
    rng, wins = np.random.default_rng(seed), np.zeros(scores.shape[1])
    for _ in range(RESAMPLES):
        means = scores[rng.integers(0, len(scores), len(scores))].mean(0)
        best = means >= means.max() - 1e-12
        wins += best / best.sum()
    return wins / RESAMPLES


def compare(arms: Mapping[str, pd.DataFrame], seed: int = 0) -> pd.DataFrame:
    """Compare each arm with the first one, and with the best of the others.

    Args:
        arms: label -> rows of its ``slices.csv``, as :func:`pig.report.tables.read_arms` gives them; the first is that
            of real data alone.
        seed: of the resamplings.

    Returns:
        One row for each metric, arm and arm that it is held against: patients and folds; the mean difference over
        patients, in [-1, 1]; low and high given the trained networks, and how they were found; low and high over folds;
        p, and p adjusted over the arms of the metric; the risk that the order is the other one; the probability that
        the arm is the best of all; the smallest difference that the folds can show.
    """
    scores = {label: patient_scores(rows) for label, rows in arms.items()}
    first, *others = arms
    lines = []
    for metric in METRICS:
        table = pd.DataFrame({label: frame[metric] for label, frame in scores.items()})
        folds = table.groupby("fold").mean()
        best = dict(zip(table, probability_of_best(table.to_numpy(), seed), strict=True))
        for rivals in (dict.fromkeys(others, first), _best_others(table, others)):
            found = [_pair(table[arm] - table[rival], folds[arm] - folds[rival], seed) for arm, rival in rivals.items()]
            adjusted = holm([one["p"] for one in found])
            for (arm, rival), one, p_holm in zip(rivals.items(), found, adjusted, strict=True):
                names = {"metric": metric, "arm": arm, "against": rival}
                lines.append(names | one | {"p_holm": p_holm, "best": best[arm]})
    return pd.DataFrame(lines, columns=list(COLUMNS))


def _best_others(table: pd.DataFrame, arms: Sequence[str]) -> dict[str, str]:
    """Return the arm with the greatest mean among the others, real data alone not counted, where there is one."""
    means = table[list(arms)].mean()
    return {arm: str(means.drop(arm).idxmax()) for arm in arms if len(arms) > 1}


def _pair(of_patients: pd.Series, of_folds: pd.Series, seed: int) -> dict[str, Any]:
    """Return what is said of one difference."""
    differences, means = of_patients.to_numpy(np.float64), of_folds.to_numpy(np.float64)
    given, over_folds = bootstrap_interval(differences, seed), t_interval(means)
    return {
        "patients": len(differences),
        "folds": len(means),
        "difference": differences.mean(),
        "low": given.low,
        "high": given.high,
        "interval": given.method,
        "low_folds": over_folds.low,
        "high_folds": over_folds.high,
        "p": permutation_p(differences, seed),
        "false_claim": false_claim_risk(differences),
        "smallest_visible": smallest_visible(means),
    }
