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

from pig.evaluation.statistics import NEW, Mean, holm, mean_over
from pig.report.measures import patient_measures
from pig.report.slices import read_arms


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


def answer(results: Path, question: Question) -> Mean:
    """Return the difference in one population."""
    folders = {arm: results / "segmentation" / arm for arm in (question.second, question.first)}
    arms = read_arms({arm: sorted(folder.glob("fold*/seed*/new_patients.csv")) for arm, folder in folders.items()})
    values = {arm: patient_measures(rows)[question.measure].dropna() for arm, rows in arms.items()}
    return mean_over(values[question.first] - values[question.second], NEW)


def answers(populations: Sequence[Path]) -> pd.DataFrame:
    """Return a row for each question and population, and one for all populations, with p corrected in its family."""
    found = {question: [answer(results, question) for results in populations] for question in QUESTIONS}
    names = [*map(str, range(1, len(populations) + 1)), "all"]
    lines = []
    for question, means in found.items():
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
