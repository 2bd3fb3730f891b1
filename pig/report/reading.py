"""What the comparisons of table 2 say, in sentences made from their numbers.

What an arm is to the study stands in their column ``kind``; labels are names, and nothing is read from their words.
"""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from pig.evaluation.kinds import METHOD, SOURCES, plain
from pig.evaluation.statistics import LEVEL, NEW

BETTER, WORSE = "shown to be better than", "shown to be worse than"
NOTHING_MEANT = "While that is so, a gain may come of any change of the training data; it is to be explained first."
MARKS = {BETTER: "▲", WORSE: "▼"}
LEGEND = (
    "Dice of the row minus that of the column, in points. ▲: shown to be better, ▼: shown to be worse; in brackets: "
    "but for the number of comparisons (Holm)."
)
SUSPICIOUS = "unless it adds more pairs, look for a leak, since no generated pair should be worth more than a real one."


def design(comparisons: pd.DataFrame) -> Iterator[str]:
    """Yield who was tested, what the design can show, and with how many seeds; or that one fold shows nothing."""
    dice = of_dice(comparisons)
    if dice.empty:
        return
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
    seeds = int(against_real.seeds.iloc[0])
    yield (
        "Each arm was trained with one seed a fold; what another seed would change is not in these numbers."
        if seeds == 1
        else f"Scores are means over {seeds} seeds of each segmentation; table 2 says how far these are apart."
    )


def reading(comparisons: pd.DataFrame) -> Iterator[str]:
    """Yield the sentences of :func:`design`, then one for each arm: its difference to real data alone.

    Controls come first. All of it is of new patients where there are any, else of those of the folds. An arm is said
    to be better or worse if the interval over folds does not hold 0: that one knows that the networks of a fold share
    their training patients. If p, adjusted for the number of arms, is not below 5 %, that is said.

    Args:
        comparisons: of :func:`pig.evaluation.statistics.compare`.
    """
    yield from design(comparisons)
    yield from (_sentence(row) for row in sorted(_against_real(comparisons), key=lambda row: row.kind == METHOD))


def against_controls(comparisons: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each arm, with its difference to real data alone and to each control as :data:`LEGEND` says.

    Columns: Dataset (its label), then labels without the word control. No rows where there is no control, or one fold.
    """
    dice, controls = of_dice(comparisons), controls_of(comparisons)
    columns, lines = [*dice.against.head(1), *controls], []
    for arm in (row.arm for row in _against_real(comparisons) if controls):
        held: dict[str, Any] = {row.against: row for row in dice[dice.arm == arm].itertuples()}
        lines.append([arm, *(_cell(held[against]) if against in held else "" for against in columns)])
    return pd.DataFrame(lines, columns=["Dataset", *map(plain, columns)])


def of_dice(comparisons: pd.DataFrame) -> pd.DataFrame:
    """Return the comparisons of Dice that claims rest on: of new patients where there are any, else of the folds."""
    dice = comparisons[comparisons.metric == "dice"]
    return dice[dice.tested == NEW] if NEW in set(dice.tested) else dice


def controls_of(comparisons: pd.DataFrame) -> list[str]:
    """Return the labels of the controls, in their order."""
    return [*dict.fromkeys(comparisons.arm[comparisons.kind != METHOD])]


def answer(comparisons: pd.DataFrame) -> list[str]:
    """Return whether generated pairs help, in a few sentences made from the numbers.

    They say which arms are shown to be better than real data alone, which of them beat what needs no generator (other
    augmentation, copy-paste, the real pairs again), and whether the study can tell anything: whether it sees what real
    patients are worth, further ones (the oracle) or those that are left out. A study that does not sees no generator.
    Where wrong masks help (the negative control), that is said first; of it the interval alone decides, without Holm's
    correction, since it is a warning.

    Args:
        comparisons: of :func:`pig.evaluation.statistics.compare`.
    """
    dice = of_dice(comparisons)
    if dice.empty or int(dice.folds.iloc[0]) < 2:
        return ["With one fold nothing can be said of how far a difference would hold with other patients."]
    real = dice.against.iloc[0]
    against_real = dice[dice.against == real]
    methods = against_real[against_real.kind == METHOD]
    helping = [row for row in methods.itertuples() if verdict(row) == BETTER]
    wrong = [row for row in against_real[against_real.kind == "shuffled"].itertuples() if row.low_folds > 0]
    said = [f"Wrong masks help, too: {_inline(row.arm)} adds {_points(row)}. {NOTHING_MEANT}" for row in wrong]
    said += [f"{_of(len(helping), len(methods))} shown to help the segmentation beyond real data alone."]
    said += [f"{row.arm} adds {_points(row)}." for row in sorted(helping, key=lambda row: -row.difference)]
    without = against_real[against_real.kind.isin(["augmentation", *SOURCES])]
    for control, kind in zip(without.arm, without.kind, strict=True):
        rows = dice[(dice.against == control) & (dice.kind == METHOD)]
        better = [row for row in rows.itertuples() if verdict(row) == BETTER]
        name = _inline(control) + " of the real pairs" * (kind == "augmentation")
        said.append(f"{_of(len(better), len(rows))} shown to beat {name}, without any generator.")
    oracles = against_real.arm[against_real.kind == "oracle"]
    for row in dice[dice.against.isin(oracles) & (dice.kind == METHOD)].itertuples():
        if verdict(row) == BETTER:
            said.append(f"{row.arm} is {BETTER} {_inline(row.against)}: {SUSPICIOUS}")
    return [*said, _what_can_be_told(against_real)]


def _against_real(comparisons: pd.DataFrame) -> list[Any]:
    """Return the rows that hold an arm against real data alone; none with a single fold."""
    dice = of_dice(comparisons)
    rows: list[Any] = [*dice.itertuples()]
    return [row for row in rows if row.against == rows[0].against and row.folds > 1]


def _cell(row: Any) -> str:
    words = verdict(row)
    mark = MARKS.get(words) or next((f"({mark})" for shown, mark in MARKS.items() if words.endswith(shown)), "")
    return f"{100 * row.difference:+.1f} {mark}".strip()


def _what_can_be_told(against_real: pd.DataFrame) -> str:
    """Return whether the study sees what real patients are worth, more of them or fewer."""
    seen, missed = list[str](), list[str]()
    for row in against_real.itertuples():
        if row.kind == "oracle" and verdict(row) == BETTER:
            seen.append(f"{_inline(row.arm)} add {_points(row)}")
        elif row.kind == "oracle":
            missed.append(f"{_inline(row.arm)} are not shown to help")
        elif row.kind == "fewer_patients" and verdict(row) == WORSE:
            seen.append(f"with {_inline(row.arm)} alone the difference is {_points(row)}")
        elif row.kind == "fewer_patients":
            missed.append(f"with {_inline(row.arm)} alone it is not shown to do worse")
    if seen:
        return f"The study can tell: {'; '.join([*seen, *missed])}."
    if missed:
        return f"This study cannot tell: {'; '.join(missed)}."
    return (
        "Nothing says whether this study can tell a gain: none of its controls has further real patients, or fewer "
        "({real: 0.5} under table2.controls)."
    )


def _inline(label: Any) -> str:
    """Return the label of a control as it stands within a sentence."""
    return plain(str(label)).removeprefix("+")


def _of(count: int, total: int) -> str:
    if total == 1:
        return "The arm with generated pairs is" if count else "The arm with generated pairs is not"
    shown = {0: "None", 1: "One"}.get(count, "All" if count == total else str(count))
    return f"{shown} of the {total} arms with generated pairs {'is' if count < 2 else 'are'}"


def _points(row: Any) -> str:
    interval = f"95 % interval {100 * row.low_folds:+.1f} to {100 * row.high_folds:+.1f}"
    return f"{100 * row.difference:.1f} points of Dice ({interval})"


def _sentence(row: Any) -> str:
    of_folds = f"{100 * row.low_folds:+.1f} to {100 * row.high_folds:+.1f} over {row.folds} folds"
    given = f"{100 * row.low:+.1f} to {100 * row.high:+.1f} given the trained networks"
    return f"{row.arm}: {100 * row.difference:+.1f}; {of_folds}, {given}: {verdict(row)} {row.against}."


def verdict(row: Any) -> str:
    """Return what a row of the comparisons shows, as words between the names of its two arms."""
    if not (row.low_folds > 0 or row.high_folds < 0):  # with one fold both are NaN
        return "not shown to differ from"
    shown = BETTER if row.low_folds > 0 else WORSE
    return shown if row.p_holm < 1 - LEVEL else f"but for the number of comparisons (Holm), {shown}"
