"""What the comparisons of table 2 say, in sentences made from their numbers."""

from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from pig.evaluation.statistics import LEVEL, NEW


def reading(comparisons: pd.DataFrame, controls: Sequence[str] = ()) -> Iterator[str]:
    """Yield who was tested and what the design can show, then a sentence for each control, then for each other arm.

    They are of new patients where there are any, else of those of the folds. An arm is said to be better or worse if
    the interval over folds does not hold 0: that one knows that the networks of a fold share their training patients.
    If p, adjusted for the number of arms, is not below 5 %, that is said.

    Args:
        comparisons: of :func:`pig.evaluation.statistics.compare`.
        controls: labels of the arms that are controls.
    """
    dice = comparisons[comparisons.metric == "dice"]
    if dice.empty:
        return
    dice = dice[dice.tested == (NEW if NEW in set(dice.tested) else dice.tested.iloc[0])]
    real, tested = dice.against.iloc[0], dice.tested.iloc[0]
    against_real = dice[dice.against == real]
    folds, patients = int(against_real.folds.iloc[0]), int(against_real.patients.iloc[0])
    if folds < 2:
        yield "With one fold nothing can be said of how far these differences would hold with other patients."
        return
    visible = 100 * against_real.smallest_visible
    who = f"{patients} new patients, who are in no fold," if tested == NEW else f"the {patients} patients of the folds"
    yield f"What follows is of {who} and of Dice a patient, in points of percent; intervals are of 95 %."
    yield (
        f"The smallest difference in Dice to {real} that this design can show (80 % power, 5 %) is "
        f"{visible.min():.1f} to {visible.max():.1f} points."
    )
    rows = [*against_real.itertuples()]
    for row in [row for row in rows if row.arm in controls] + [row for row in rows if row.arm not in controls]:
        held: dict[str, list[str]] = {}
        for other in dice[(dice.arm == row.arm) & dice.against.isin([*controls])].itertuples():
            held.setdefault(_verdict(other), []).append(str(other.against).removeprefix("control: "))
        verdicts = [f"{verdict} {' and '.join(labels)}" for verdict, labels in held.items()]
        yield _sentence(row) + f" Of the controls: {'; '.join(verdicts)}." * bool(held)


def _sentence(row: Any) -> str:
    of_folds = f"{100 * row.low_folds:+.1f} to {100 * row.high_folds:+.1f} over {row.folds} folds"
    given = f"{100 * row.low:+.1f} to {100 * row.high:+.1f} given the trained networks"
    return f"{row.arm}: {100 * row.difference:+.1f}; {of_folds}, {given}: {_verdict(row)} {row.against}."


def _verdict(row: Any) -> str:
    if row.low_folds <= 0 <= row.high_folds:
        return "not shown to differ from"
    verdict = "shown to be better than" if row.low_folds > 0 else "shown to be worse than"
    return verdict if row.p_holm < 1 - LEVEL else f"but for the number of comparisons (Holm), {verdict}"
