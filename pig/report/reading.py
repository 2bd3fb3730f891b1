"""What the comparisons of table 2 say, in sentences made from their numbers."""

from collections.abc import Iterator

import pandas as pd


def reading(comparisons: pd.DataFrame) -> Iterator[str]:
    """Yield a sentence on what the design can show, then one for each arm held against real data alone.

    An arm is said to be better or worse if the interval over folds does not hold 0: that one counts the networks of a
    fold, which share their training patients, as a single observation.

    Args:
        comparisons: of :func:`pig.evaluation.statistics.compare`.
    """
    dice = comparisons[comparisons.metric == "dice"]
    if dice.empty:
        return
    real = dice.against.iloc[0]
    against_real = dice[dice.against == real]
    folds = int(against_real.folds.iloc[0])
    if folds < 2:
        yield "With one fold nothing can be said of how far these differences would hold with other patients."
        return
    visible = 100 * against_real.smallest_visible
    yield (
        f"The smallest difference in Dice to {real} that {folds} folds can show (80 % power, 5 %) is "
        f"{visible.min():.1f} to {visible.max():.1f} points."
    )
    for row in against_real.itertuples():
        if row.low_folds > 0:
            verdict = f"shown to be better than {real}"
        elif row.high_folds < 0:
            verdict = f"shown to be worse than {real}"
        else:
            verdict = f"not shown to differ from {real}"
        yield (
            f"{row.arm}: {100 * row.difference:+.1f} points of Dice a patient; 95 % interval "
            f"{100 * row.low_folds:+.1f} to {100 * row.high_folds:+.1f} over folds, {100 * row.low:+.1f} to "
            f"{100 * row.high:+.1f} given the trained networks: {verdict}."
        )
