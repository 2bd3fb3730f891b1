"""Quality of the pairs, as files: what was measured of a generator and fold, all as one table, and that in brief."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pig.evaluation.quality import COLUMNS, HELD_OUT, TRAINING
from pig.report.tables import listed
from pig.system.errors import UserError
from pig.system.files import atomic_path, read_sealed, write_sealed

KEYS = ["of", "against", "measure"]
REAL = "Real pairs (the floor)"
TO = {TRAINING: "to training patients", HELD_OUT: "to held-out patients"}
DISTANCES = {
    "fid": "FID",
    "kid": "KID",
    "precision": "precision",
    "recall": "recall",
    "density": "density",
    "coverage": "coverage",
}
TITLES = {
    **{
        (of, against, measure): f"{name} {to}: {title}"
        for of, name in (("image", "Images"), ("crop", "Lesions"))
        for against, to in TO.items()
        for measure, title in DISTANCES.items()
    },
    ("pair", HELD_OUT, "faithfulness"): "Dice of a mask and of what a segmentation sees there",
    ("mask", HELD_OUT, "empty"): "Masks: share without a lesion",
    ("mask", HELD_OUT, "area"): "Masks: share of the picture",
    ("mask", HELD_OUT, "pieces"): "Masks: pieces",
    ("mask", HELD_OUT, "compactness"): "Masks: compactness",
    ("mask", HELD_OUT, "off_centre"): "Masks: from the middle of the picture, in sides",
    ("mask", TRAINING, "nearest"): "Masks: Dice with the most similar training mask",
    ("image", TRAINING, "nearest"): "Images: distance to the nearest training image",
    ("image", TRAINING, "ratio"): "Images: that, over the distance to the nearest of another patient",
    ("image", TRAINING, "flagged"): "Images: share of which this is less than of 99 % of held-out ones",
    ("image", TRAINING, "copies"): "Images: share like a training image by difference hash",
}
NOTES = (
    "≈: the floor lies within 95 % of the draws of as many pairs as it is of, so that the two are not told apart. "
    "Slices of a patient are alike: other held-out patients would give floors that scatter more than these draws.",
    "FID and KID: less is nearer. Precision and density: like real pairs; recall and coverage: as varied.",
    "No number here says whether pairs help a segmentation: table 2 does.",
)


def write_quality(path: str | Path, table: pd.DataFrame, **what: Any) -> None:
    """Write what was measured of a generator and fold as JSON.

    Args:
        path: the file.
        table: as :func:`pig.evaluation.quality.measure_quality` returns it.
        what: what else is in the file: generator, fold, features, counts of pairs, record.
    """
    rows = table.astype(object).where(table.notna(), None).to_dict("records")
    write_sealed(path, {**what, "rows": rows})


def write_quality_table(rows: Sequence[tuple[str, str | Path]], path: str | Path) -> None:
    """Write the table of (label, file) rows as CSV to ``path``, and in brief as Markdown beside it.

    Args:
        rows: a label comes once for each fold; the files are those of :func:`write_quality`.
        path: the CSV file: generator (the label), fold, and the columns of
            :func:`pig.evaluation.quality.measure_quality`.

    Raises:
        UserError: a file is missing or damaged, or the files differ in their features.
    """
    tables, features = list[pd.DataFrame](), dict[str, Path]()
    for label, file in rows:
        content = read_sealed(Path(file), "delete it and run 'pig quality' for it again.")
        features.setdefault(content["features"], Path(file))
        found = pd.DataFrame(content["rows"], columns=list(COLUMNS))
        tables.append(found.assign(generator=label, fold=content["fold"])[["generator", "fold", *COLUMNS]])
    if len(features) > 1:
        (one, first), (other, second), *_ = features.items()
        raise UserError(
            f"{first} is of features {one} and {second} of {other}: such numbers do not compare; give every generator "
            "the same."
        )
    table = pd.concat(tables, ignore_index=True)
    number = ["value", "low", "high", "floor"]
    table[number] = table[number].astype(np.float64)
    with atomic_path(path) as temporary:
        table.to_csv(temporary, index=False)
    text = in_brief(table).to_markdown(index=False, disable_numparse=True)
    with atomic_path(Path(path).with_suffix(".md")) as temporary:
        temporary.write_text(f"{text}\n{listed(NOTES)}", encoding="utf-8")


def in_brief(table: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each measure: its name, its floor, and what each generator has, as text.

    With several folds it is the mean over them. With one, ``≈`` stands before what the floor cannot be told from. Where
    generators have floors of different numbers of pairs, the least and the greatest are given.

    Args:
        table: as :func:`write_quality_table` writes it.
    """
    found = table.groupby(["generator", *KEYS], sort=False)[["value", "floor", "low", "high"]].mean()
    folds = table.fold.nunique()
    lines = []
    for key, title in TITLES.items():
        line = {}
        floors = set[str]()
        for generator in table.generator.unique():
            if (generator, *key) not in found.index:
                line[generator] = ""
                continue
            of = found.loc[[(generator, *key)]].iloc[0]
            floors |= set() if np.isnan(of.floor) else {_text(of.floor)}
            line[generator] = "≈ " * bool(folds == 1 and of.low <= of.floor <= of.high) + _text(of.value)
        if any(line.values()):
            ends = sorted(floors, key=float)
            lines.append({"Measure": title, REAL: " to ".join(dict.fromkeys(ends[:1] + ends[-1:]))} | line)
    return pd.DataFrame(lines)


def _text(value: float) -> str:
    return f"{value:.3g}"
