"""The questions of docs/results/replication.md, answered on several populations and over all of them.

    python -m benchmarks.replication clone11/results clone12/results --out docs/results/replication/answers.csv

Each is the difference of two arms on new patients, who are other ones in each population, as are the generators and the
segmentations: the populations are independent, and weigh the same.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from benchmarks.evidence import of_new_patients
from pig.evaluation.statistics import NEW, Mean, holm, mean_over
from pig.report.measures import patient_measures


class Question(NamedTuple):
    """Is the measure of the first arm another one than that of the second?"""

    family: str  # within which p is corrected
    first: str
    second: str
    measure: str = "dice"


QUESTIONS = (
    Question("can it tell", "oracle_103", "real"),
    Question("can it tell", "oracle_103", "real_strong"),
    Question("can it tell", "pig_1024_shuffled", "real"),
    Question("generators", "pig_1024", "real"),
    Question("generators", "pig_2048", "real"),
    Question("generators", "segguided_1024", "real"),
    Question("generators", "pig_2048", "real_strong"),
    Question("generators", "pig_8_1024", "real_strong"),
    Question("generators", "pig_1024", "segguided_1024"),
    Question("pasted lesions", "copy_paste_1024", "real"),
    Question("pasted lesions", "copy_paste_1024", "real_strong"),
    Question("pasted lesions", "pig_1024", "copy_paste_1024"),
    Question("false alarms", "pig_1024", "real", "false_alarms"),
    Question("false alarms", "copy_paste_1024", "real", "false_alarms"),
)


def pooled(means: Sequence[Mean]) -> Mean:
    """Return the mean of independent means, with the degrees of freedom of Welch (1947) and Satterthwaite (1946)."""
    variances = np.array([mean.error**2 for mean in means])
    degrees = variances.sum() ** 2 / (variances**2 / [mean.degrees for mean in means]).sum()
    return Mean(float(np.mean([mean.value for mean in means])), float(np.sqrt(variances.sum()) / len(means)), degrees)


def differences(results: Path) -> list[Mean]:
    """Return the difference that each question asks for, in one population."""
    arms = sorted({arm for question in QUESTIONS for arm in (question.first, question.second)})
    found = {arm: patient_measures(rows) for arm, rows in of_new_patients(results, *arms).items()}
    return [mean_over((found[of.first][of.measure] - found[of.second][of.measure]).dropna(), NEW) for of in QUESTIONS]


def answers(populations: Sequence[Path]) -> pd.DataFrame:
    """Return a row for each question and population, and one for all populations, with p corrected in its family."""
    of_populations = [differences(results) for results in populations]
    names = [*map(str, range(1, len(populations) + 1)), "all"]
    lines = []
    for question, *means in zip(QUESTIONS, *of_populations, strict=True):
        for name, mean in zip(names, [*means, pooled(means)], strict=True):
            low, high, _ = mean.interval()
            values = {"difference": mean.value, "low": low, "high": high, "p": mean.p()}
            lines.append(question._asdict() | {"population": name} | values)
    table = pd.DataFrame(lines)
    families = table.groupby(["family", "population"]).p
    return table.assign(p_holm=families.transform(lambda p: pd.Series(holm(p.to_list()), p.index)))


def main() -> None:
    """Write the answers as CSV and print them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("populations", type=Path, nargs="+", help="folders of results")
    parser.add_argument("--out", type=Path, required=True)
    a = parser.parse_args()
    table = answers(a.populations)
    table.to_csv(a.out, index=False)
    print(table.round(4).to_string(index=False))


if __name__ == "__main__":
    main()
