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

from benchmarks.evidence import dice_of_new_patients
from pig.evaluation.statistics import mean_of_folds


def side_by_side(studies: Sequence[Path]) -> pd.DataFrame:
    """Return a row for each two rows that all studies compare: the difference in each, their mean and its interval.

    All are in points.
    """
    differences = {str(study): 100 * dice_of_new_patients(study).difference for study in studies}
    table = pd.concat(differences, axis=1, join="inner")
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
