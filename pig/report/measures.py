"""Other measures than those of the paper: of outlines, of whole lesions, false alarms, and Dice by size and density.

All of them are of patients: the mean over a patient's slices (of outlines: over those with a lesion; of lesions that
were found: their share of all of hers; of false alarms: over her slices without a lesion), over seeds, and then over
folds and patients, with intervals as Dice has them (:mod:`pig.evaluation.statistics`). Patients without a lesion count
in the false alarms alone.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from pig.evaluation.overlap import METRICS, has_lesion, of_patients_with_lesions
from pig.evaluation.statistics import NEW, mean_over, patient_scores

THIRDS = ("dice_small", "dice_middle", "dice_large")
TITLES = {
    "hd95": "HD95 (pixels)",
    "nsd": "NSD (%)",
    "lesions_found": "Lesions found (%)",
    "false_lesions": "False lesions a slice",
    "false_alarms": "False alarms (% of slices without a lesion)",
    "dice_small": "Dice of the smallest third (%)",
    "dice_middle": "of the middle third (%)",
    "dice_large": "of the largest third (%)",
}
DENSITY = "dice_density_"  # Dice of the patients of a density, which follows
COLUMNS = (
    "tested", "arm", "measure", "mean", "low", "high", "patients", "folds", "difference", "low_difference",
    "high_difference",
)  # fmt: skip
RUN = ["fold", "seed", "patient_id"]


def title(measure: str) -> str:
    """Return what a measure is called in tables."""
    return TITLES.get(measure) or f"of density {measure.removeprefix(DENSITY)} (%)"


def patient_measures(rows: pd.DataFrame, densities: Mapping[str, str] | None = None) -> pd.DataFrame:
    """Return the measures of each patient.

    Args:
        rows: the slices of one arm, every fold and seed of it, as :func:`pig.report.slices.read_slices` gives them.
        densities: patient -> density of the tissue, where it is known.

    Returns:
        Index fold, patient_id; columns dice, iou, precision, recall, nsd, lesions_found, false_alarms in [0, 1]; hd95
        in pixels; false_lesions a slice; and Dice again in the column of the third that the patient is of, and in that
        of her density. NaN where there is no such number: false_alarms of a patient with a lesion in every slice, and
        all else of one without any.
    """
    runs = of_patients_with_lesions(rows).groupby(RUN)
    means = rows[has_lesion(rows)].groupby(RUN)[["hd95", "nsd"]].mean().join(runs.false_lesions.mean())
    sums = runs[["found", "lesions"]].sum()
    means["lesions_found"] = sums.found / sums.lesions
    table = patient_scores(rows).join(means.groupby(["fold", "patient_id"]).mean())
    table = table.join(_false_alarms(rows), how="outer")
    patients = table.index.get_level_values("patient_id")
    for third, names in zip(THIRDS, thirds(rows), strict=True):
        table[third] = table.dice.where(patients.isin(names))
    known = np.array([(densities or {}).get(str(patient), "") for patient in patients])
    for density in sorted(set(known) - {""}):
        table[DENSITY + density] = table.dice.where(known == density)
    return table


def _false_alarms(rows: pd.DataFrame) -> pd.Series:
    """Return the share of each patient's slices without a lesion in which something is marked, the mean over seeds."""
    without = rows[~has_lesion(rows)]
    shares = (without.fp > 0).groupby([without[name] for name in RUN]).mean()
    return shares.groupby(["fold", "patient_id"]).mean().rename("false_alarms")


def densities_of(manifest: pd.DataFrame) -> dict[str, str]:
    """Return the density of each patient of a manifest who has one, and the same in all rows that have one."""
    if "density" not in manifest:
        return {}
    known = manifest.dropna(subset="density").groupby("patient_id").density.unique()
    return {str(patient): str(found[0]) for patient, found in known.items() if len(found) == 1}


def thirds(rows: pd.DataFrame) -> list[list[str]]:
    """Return the patients with the smallest, middle and largest lesions, by the mean area in slices that have one.

    They depend on the true masks alone. Their numbers differ by at most one; patients without a lesion are in none.
    """
    area = (rows.tp + rows.fn)[rows.lesions > 0].groupby(rows.patient_id).mean()
    return [list(part) for part in np.array_split(area.sort_values(kind="stable").index.to_numpy(), len(THIRDS))]


def measures(
    arms: Mapping[str, pd.DataFrame], tested: str, densities: Mapping[str, str] | None = None
) -> pd.DataFrame:
    """Return the mean of each measure and arm, and its difference to the first arm, with 95 % intervals.

    Args:
        arms: label -> rows, as :func:`pig.report.slices.read_arms` gives them; the first is that of real data alone.
        tested: FOLDS or NEW, as in :func:`pig.evaluation.statistics.compare`.
        densities: as of :func:`patient_measures`.

    Returns:
        One row for each arm and measure: the mean over folds, low and high over folds (of new patients: over folds and
        patients), of how many patients and folds; the same of the difference, NaN for the first arm. Intervals are NaN
        with one fold. A measure that no patient has is left out.
    """
    tables = {label: patient_measures(rows, densities) for label, rows in arms.items()}
    first, *_ = arms
    lines = []
    for label, table in tables.items():
        for measure in (*METRICS, *TITLES, *_of_density(table)):
            values = table[measure].dropna()
            if values.empty:
                continue
            line: dict[str, str | float] = {"tested": tested, "arm": label, "measure": measure}
            line |= _interval(values, tested, ("mean", "low", "high"))
            line |= {"patients": values.index.get_level_values("patient_id").nunique()}
            line |= {"folds": values.index.get_level_values("fold").nunique()}
            if label != first:
                of_difference = ("difference", "low_difference", "high_difference")
                line |= _interval(values - tables[first][measure].dropna(), tested, of_difference)
            lines.append(line)
    return pd.DataFrame(lines, columns=list(COLUMNS))


def _interval(values: pd.Series, tested: str, names: tuple[str, str, str]) -> dict[str, float]:
    mean = mean_over(values, tested)
    return dict(zip(names, (mean.value, *mean.interval()[:2]), strict=True))


def in_brief(found: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each arm, with mean and interval of each measure as text; of new patients if there are any."""
    if NEW in set(found.tested):
        found = found[found.tested == NEW]
    numbers = zip(found.measure, found["mean"], found.low, found.high, strict=True)
    texts = found.assign(text=[_text(title(measure), *of) for measure, *of in numbers])
    table = texts.pivot(index="arm", columns="measure", values="text").reindex(index=found.arm.unique())
    shown = [measure for measure in TITLES if measure in table]
    shown += _of_density(table)
    return table[shown].fillna("").rename(columns=title).rename_axis(index="Dataset", columns=None).reset_index()


def _of_density(table: pd.DataFrame) -> list[str]:
    return [name for name in map(str, table) if name.startswith(DENSITY)]


def _text(title: str, mean: float, low: float, high: float) -> str:
    percent = "%" in title
    number, *ends = (f"{100 * value:.1f}" if percent else f"{value:.2f}" for value in (mean, low, high))
    return number if np.isnan(low) else f"{number} ({' to '.join(ends)})"
