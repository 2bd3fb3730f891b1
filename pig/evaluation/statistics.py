"""Whether a difference between two arms is more than noise.

A patient of the folds is tested once, but the patients of a fold share a trained network, and folds share training
patients. So there are two intervals, and a p with each: one given the networks that were trained (patients are drawn
again, or exchanged, paired between the arms), and one that counts a fold as a single observation, which is wider with
few folds. Claims rest on the second, and what the design can see at all follows from it.

New patients, who are in no fold, are each tested by the networks of every fold: networks and patients are crossed, as
readers and cases are in studies of diagnostic accuracy. There the second interval is of both, and much narrower.

All of it is computed from per-patient scores: of the counts of a patient's slices, summed, then averaged over seeds.
"""

import functools
import itertools
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from pig.evaluation.kinds import METHOD, Kind
from pig.evaluation.overlap import COUNTS, METRICS, of_patients_with_lesions, overlap_scores

RESAMPLES = 9_999
LEVEL, POWER = 0.95, 0.8
FOLDS, NEW = "folds", "new patients"  # who was tested on
COLUMNS = (
    "tested", "metric", "arm", "kind", "against", "patients", "folds", "seeds", "difference", "low", "high", "interval",
    "p_given", "low_folds", "high_folds", "p", "p_holm", "false_claim", "best", "smallest_visible",
)  # fmt: skip

_Values = TypeVar("_Values", pd.Series, pd.DataFrame)


class Interval(NamedTuple):
    """Bounds, and how they were found."""

    low: float
    high: float
    method: str


def patient_scores(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the scores of each patient who has a lesion, in [0, 1].

    Args:
        rows: the slices of one arm, every fold and seed of it, with the columns of ``slices.csv``.

    Returns:
        Index fold, patient_id; columns dice, iou, precision, recall.
    """
    counts = of_patients_with_lesions(rows).groupby(["fold", "seed", "patient_id"])[list(COUNTS)].sum()
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


class Mean(NamedTuple):
    """The mean difference of two arms over trained networks, its standard error and degrees of freedom."""

    value: float
    error: float
    degrees: float

    def interval(self) -> Interval:
        """Return Student's interval; NaN for a single network."""
        half = stats.t.ppf((1 + LEVEL) / 2, self.degrees) * self.error
        return Interval(float(self.value - half), float(self.value + half), "t")

    def p(self) -> float:
        """Return Student's two-sided p of no difference."""
        if self.error == 0:
            return 0.0 if self.value else 1.0
        return float(2 * stats.t.sf(abs(self.value) / self.error, self.degrees))

    def smallest_visible(self) -> float:
        """Return the difference that a test would see with 80 % power at 5 %; NaN for a single network."""
        return float((stats.t.ppf((1 + LEVEL) / 2, self.degrees) + stats.t.ppf(POWER, self.degrees)) * self.error)


def mean_of_folds(means: NDArray[np.float64]) -> Mean:
    """Return the mean of independent observations, here of folds; its error is NaN for a single one."""
    error = standard_error(means) if len(means) > 1 else float(np.nan)
    return Mean(float(means.mean()), error, len(means) - 1)


def crossed_mean(differences: NDArray[np.float64]) -> Mean:
    """Return the mean difference where every network was tested on every patient.

    With R networks, C patients and mean squares of networks, of patients and of what is left (MS_R, MS_C, MS_RC) its
    variance is V / (R C), V = MS_R + max(MS_C - MS_RC, 0) (Obuchowski and Rockette 1995), with max(min(R, C) - 1,
    V^2 / (MS_R^2 / (R - 1) + MS_C^2 / (C - 1) + MS_RC^2 / ((R - 1) (C - 1)))) degrees of freedom (Satterthwaite).
    Differs: Hillis (2007) divides by the first term alone; of 5 networks and 4 patients a null is then found in 14 % of
    simulations, by all terms in 5 %. With 120 patients the two agree.

    Args:
        differences: between two arms [networks, patients]; at least 2 x 2, finite.
    """
    networks, patients = differences.shape
    mean, by_network, by_patient = differences.mean(), differences.mean(1), differences.mean(0)
    left = differences - by_network[:, None] - by_patient[None, :] + mean
    ms_network = patients * by_network.var(ddof=1)
    ms_left = (left**2).sum() / ((networks - 1) * (patients - 1))
    ms_patient = networks * by_patient.var(ddof=1)
    total, fewest = ms_network + max(ms_patient - ms_left, 0.0), min(networks, patients) - 1
    spread = ms_network**2 / (networks - 1) + ms_patient**2 / (patients - 1)
    spread += ms_left**2 / ((networks - 1) * (patients - 1))
    degrees = max(total**2 / spread, fewest) if total > 0 else fewest
    return Mean(float(mean), float(np.sqrt(total / (networks * patients))), float(degrees))


def mean_over(values: pd.Series, tested: str) -> Mean:
    """Return the mean over folds, the patients of each weighing the same; of new patients, over networks and patients.

    Its error is NaN for a single fold, and for a single new patient.

    Args:
        values: one for each fold and patient that it tests, index fold, patient_id; at least one.
        tested: FOLDS or NEW, as in :func:`compare`.
    """
    if tested == NEW:
        crossed = values.unstack("patient_id").to_numpy(np.float64)
        if min(crossed.shape) > 1:
            return crossed_mean(crossed)
        return Mean(float(crossed.mean()), np.nan, np.nan)
    return mean_of_folds(values.groupby("fold").mean().to_numpy(np.float64))


def standard_error(values: NDArray[np.float64]) -> float:
    """Return the standard error of a mean: that of a sample (n - 1), over the root of n."""
    return float(values.std(ddof=1) / np.sqrt(len(values)))


def permutation_p(differences: NDArray[np.float64], seed: int) -> float:
    """Return the two-sided p of no difference, given the networks: arms are exchanged within patients.

    All signs of the differences are tried where they are RESAMPLES at most, else so many at random and those observed
    (Phipson and Smyth 2010). Differs: not by SciPy's ``permutation_test``, which took most of the time of table 2.
    """
    every = 2 ** len(differences) <= RESAMPLES
    signs = _signs(len(differences), None if every else RESAMPLES, seed)
    extreme = np.abs(signs @ differences) >= abs(differences.sum()) * (1 - 1e-12)
    return float(extreme.mean() if every else (extreme.sum() + 1) / (RESAMPLES + 1))


@functools.lru_cache(maxsize=2)
def _signs(patients: int, count: int | None, seed: int) -> NDArray[np.float64]:
    """Return signs -1 and 1 [n, patients]: ``count`` choices of them at random, or each choice once."""
    if count is None:
        return np.array([*itertools.product((-1.0, 1.0), repeat=patients)])
    return np.random.default_rng(seed).choice([-1.0, 1.0], (count, patients))


def holm(p: Sequence[float]) -> list[float]:
    """Return p values adjusted for their number (Holm 1979): the k-th least times (m - k + 1), never decreasing.

    NaN, of what cannot be tested, stays NaN and does not count.
    """
    order = [int(index) for index in np.argsort(p) if not np.isnan(p[index])]
    adjusted, least = [np.nan] * len(p), 0.0
    for k, index in enumerate(order):
        least = max(least, min(1.0, (len(order) - k) * p[index]))
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


def compare(
    arms: Mapping[str, pd.DataFrame], controls: Mapping[str, Kind] | None = None, tested: str = FOLDS, seed: int = 0
) -> pd.DataFrame:
    """Compare each arm with the first one and with each control; each that is no control also with the best other one.

    Args:
        arms: label -> rows of its ``slices.csv``, as :func:`pig.report.slices.read_arms` gives them; the first is that
            of real data alone.
        controls: label -> kind of those that are controls; the others are methods.
        tested: FOLDS, if each patient was tested by the networks of her fold, or NEW, if by those of all folds.
        seed: of the resamplings.

    Returns:
        One row for each metric, arm and arm it is held against: the kind of the arm; patients, folds, and seeds, over
        which the scores of a patient are averaged; the mean difference over folds, in [-1, 1]; low and high given the
        networks, how they were found, and p given the networks; low and high over folds (of new patients: and over
        patients), Student's p of the same, and this p adjusted over the arms, or the controls, held against the same,
        of two controls the larger of both ways round; the risk that the order is the other one; the probability that
        the arm is the best of all; the smallest difference that the design can show.
    """
    scores = {label: patient_scores(rows) for label, rows in arms.items()}
    controls = controls or {}
    first, *others = arms
    seeds, methods = arms[first].seed.nunique(), [label for label in others if label not in controls]
    lines = []
    for metric in METRICS:
        table = pd.DataFrame({label: frame[metric] for label, frame in scores.items()})
        best = dict(zip(table, _best(table, tested, seed), strict=True))
        against_controls = [{arm: control for arm in others if arm != control} for control in controls]
        for rivals in (dict.fromkeys(others, first), _best_others(table, methods), *against_controls):
            # Controls ask another question, whether the study can tell anything, and are a family of their own.
            for family in (methods, [*controls]):
                own = {arm: rival for arm, rival in rivals.items() if arm in family}
                found = [_pair(table[arm] - table[rival], tested, seed) for arm, rival in own.items()]
                adjusted = holm([one["p"] for one in found])
                for (arm, rival), one, p_holm in zip(own.items(), found, adjusted, strict=True):
                    names = {"metric": metric, "arm": arm, "kind": controls.get(arm, METHOD), "against": rival}
                    lines.append(names | one | {"tested": tested, "seeds": seeds, "p_holm": p_holm, "best": best[arm]})
    rows = pd.DataFrame(lines, columns=list(COLUMNS))
    pair = np.sort(rows[["arm", "against"]].to_numpy(str), axis=1).T
    return rows.assign(p_holm=rows.groupby(["metric", *pair]).p_holm.transform("max"))


def _of_patients(values: _Values, tested: str) -> _Values:
    """Return one value of each patient, whose mean is that of :func:`mean_over`.

    Of new patients it is her mean over networks, of those of the folds her value, weighted so that folds weigh alike.
    """
    if tested == NEW:
        return values.groupby("patient_id").mean()
    folds = values.index.get_level_values("fold")
    sizes = folds.value_counts()
    return values.mul(len(folds) / (len(sizes) * sizes.reindex(folds).to_numpy()), axis=0)


def _best(table: pd.DataFrame, tested: str, seed: int) -> NDArray[np.float64]:
    return probability_of_best(_of_patients(table, tested).to_numpy(), seed)


def _best_others(table: pd.DataFrame, arms: Sequence[str]) -> dict[str, str]:
    """Return the arm with the greatest mean over folds among the others, real data alone not counted, if any."""
    means = table[list(arms)].groupby("fold").mean().mean()
    return {arm: str(means.drop(arm).idxmax()) for arm in arms if len(arms) > 1}


def _pair(differences: pd.Series, tested: str, seed: int) -> dict[str, Any]:
    """Return what is said of one difference, of which there is one for each fold and patient that it tests."""
    of_patients = _of_patients(differences, tested).to_numpy(np.float64)
    mean = mean_over(differences, tested)
    given, over_folds = bootstrap_interval(of_patients, seed), mean.interval()
    return {
        "patients": len(of_patients),
        "folds": differences.index.get_level_values("fold").nunique(),
        "difference": mean.value,
        "low": given.low,
        "high": given.high,
        "interval": given.method,
        "p_given": permutation_p(of_patients, seed),
        "low_folds": over_folds.low,
        "high_folds": over_folds.high,
        "p": mean.p(),
        "false_claim": false_claim_risk(of_patients),
        "smallest_visible": mean.smallest_visible(),
    }
