"""How differences vary from population to population: the comparisons of several studies side by side.

    cd docs/results
    python -m benchmarks.populations longer replication/seed11 replication/seed12 default

Each study has patients, generators and segmentations of its own. Printed is, for each two rows that all of them
compare, the difference in Dice of new patients in each study, and their mean with Student's 95 % interval over studies:
what one more population may show. The intervals of a single study are of its own training patients.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from pig.evaluation.statistics import NEW, mean_of_folds


def differences(study: Path) -> "pd.Series[float]":
    """Return the difference in Dice of new patients of each two rows, in points, from a study's comparisons.csv."""
    table = pd.read_csv(study / "comparisons.csv")
    table = table[(table.tested == NEW) & (table.metric == "dice")]
    return 100 * table.set_index(["arm", "against"]).difference


def side_by_side(studies: Sequence[Path]) -> pd.DataFrame:
    """Return a row for each two rows that all studies compare: the difference in each, their mean and its interval."""
    table = pd.concat([differences(study) for study in studies], axis=1, keys=map(str, studies), join="inner")
    means = [mean_of_folds(values) for values in table.to_numpy()]
    return table.assign(
        mean=[mean.value for mean in means],
        low=[mean.interval().low for mean in means],
        high=[mean.interval().high for mean in means],
        p=[mean.p() for mean in means],
    )


def main() -> None:
    """Print the table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("studies", type=Path, nargs="+", help="folders with a comparisons.csv")
    a = parser.parse_args()
    print(side_by_side(a.studies).reset_index().to_markdown(index=False, floatfmt="+.3f"))


if __name__ == "__main__":
    main()
