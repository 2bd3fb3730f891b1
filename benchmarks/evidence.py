"""The tables of docs/results/evidence.md, from the tables of a finished study.

    python -m benchmarks.evidence results --pairs pig_1024:joint_long_1024 pig_1024:segguided_1024 ...

All of it is of new patients: each row of table 2 with its differences to real data alone and to strong augmentation, as
comparisons.csv has them; then the pairs of arms that are asked for, first minus second, with p corrected for their
number; then other measures, with the intervals of their differences to real data alone.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from pig.evaluation.statistics import NEW, compare, holm
from pig.report.measures import DENSITY, TITLES, title
from pig.report.slices import read_arms

STRONG = "strong augmentation"
CLAIMED = 0.05


def p_text(p: float) -> str:
    """Return p with three digits; bold if it is below 0.05."""
    text = "< 0.001" if p < 0.001 else f"{p:.3f}"
    return f"**{text}**" if p < CLAIMED else text


def number(value: float, unit: int, sign: str = "") -> str:
    """Return a value as text: in percent with one digit, or as it is with two."""
    return f"{unit * value:{sign}.{1 if unit > 1 else 2}f}"


def span(low: float, high: float, unit: int) -> str:
    return f"{number(low, unit, '+')} to {number(high, unit, '+')}"


def dice_of_new_patients(study: Path) -> pd.DataFrame:
    """Return the rows of a study's comparisons.csv that are of new patients and Dice, by arm and what it is against."""
    table = pd.read_csv(study / "comparisons.csv")
    return table[(table.tested == NEW) & (table.metric == "dice")].set_index(["arm", "against"])


def rows_of_table2(results: Path) -> pd.DataFrame:
    """Return a row for each of table 2: Dice of the folds and of new patients, and what is claimed of the latter."""
    table = pd.read_csv(results / "table2.csv").set_index("Dataset")
    found = dice_of_new_patients(results)
    strong = next(name for name in table.index if name.endswith(STRONG))
    columns = {
        "of the folds": [
            f"{dice:.2f} ± {sd:.2f}" for dice, sd in zip(table["Dice (%)"], table["Dice SD"], strict=True)
        ],
        "SD of seeds": table["Dice SD of seeds"].map("{:.2f}".format),
        "of new patients": table["Dice of new patients (%)"].map("{:.2f}".format),
        "their SD of seeds": table["Dice of new patients SD of seeds"].map("{:.2f}".format),
    }
    for name, against in {"real alone": table.index[0], STRONG: strong}.items():
        known = [found.loc[[(arm, against)]].iloc[0] if (arm, against) in found.index else None for arm in table.index]
        columns[f"to {name}"] = [
            "" if one is None else f"{100 * one.difference:+.1f} ({span(one.low_folds, one.high_folds, 100)})"
            for one in known
        ]
        columns[f"p, {name}"] = ["" if one is None else p_text(one.p_holm) for one in known]
    return pd.DataFrame(columns, index=table.index)


def of_new_patients(results: Path, *arms: str) -> dict[str, pd.DataFrame]:
    """Return the slices of the new patients that each arm, a folder of results/segmentation, was tested on."""
    folders = {arm: results / "segmentation" / arm for arm in arms}
    return read_arms({arm: sorted(folder.glob("fold*/seed*/new_patients.csv")) for arm, folder in folders.items()})


def pairs_of_arms(results: Path, pairs: Sequence[tuple[str, str]]) -> pd.DataFrame:
    """Return the difference in Dice of each pair, first minus second, and p before and after Holm's correction."""
    lines = []
    for first, second in pairs:
        arms = of_new_patients(results, second, first)
        (found,) = compare(arms, tested=NEW).query("metric == 'dice'").to_dict("records")
        difference = f"{100 * found['difference']:+.1f} ({span(found['low_folds'], found['high_folds'], 100)})"
        lines.append({"first": first, "second": second, "difference": difference, "p": found["p"]})
    table = pd.DataFrame(lines)
    return table.assign(p_holm=[p_text(p) for p in holm(table.p.to_list())], p=table.p.map(p_text))


def other_measures(results: Path) -> pd.DataFrame:
    """Return the mean of each measure; in brackets the interval of its difference to real data alone."""
    found = pd.read_csv(results / "measures.csv")
    found = found[(found.tested == NEW) & (found.measure.isin(TITLES) | found.measure.str.startswith(DENSITY))]
    texts = []
    for one in found.to_dict("records"):
        unit = 100 if "%" in title(one["measure"]) else 1
        mean, low, high = number(one["mean"], unit), one["low_difference"], one["high_difference"]
        texts.append(mean if pd.isna(low) else f"{mean} ({span(low, high, unit)})")
    table = found.assign(text=texts).pivot(index="arm", columns="measure", values="text")
    return table.reindex(index=found.arm.unique(), columns=found.measure.unique()).rename(columns=title)


def main() -> None:
    """Print the three tables as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path)
    parser.add_argument("--pairs", nargs="*", default=[], help="FIRST:SECOND, of the folders of results/segmentation")
    a = parser.parse_args()
    print(rows_of_table2(a.results).to_markdown(disable_numparse=True), end="\n\n")
    if a.pairs:
        pairs = [tuple(pair.split(":")) for pair in a.pairs]
        print(pairs_of_arms(a.results, pairs).to_markdown(index=False, disable_numparse=True), end="\n\n")
    print(other_measures(a.results).to_markdown(disable_numparse=True))


if __name__ == "__main__":
    main()
