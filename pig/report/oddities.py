"""Footnotes of the tables: generators whose pairs look like those of no training patient."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pig.data.looks import odd_looks
from pig.system.files import read_sealed


def footnotes(odd: Mapping[str, Mapping[int, Sequence[str]]]) -> Iterator[str]:
    """Yield a sentence for each row whose pairs are odd.

    Args:
        odd: label -> fold -> names of measures.
    """
    for label, folds in odd.items():
        found = [f"fold {fold} ({', '.join(names)})" for fold, names in sorted(folds.items()) if names]
        if found:
            yield f"{label}: what was drawn looks like the pairs of no training patient in {', '.join(found)}."


def odd_arms(arms: Mapping[str, Sequence[str | Path]]) -> dict[str, dict[int, list[str]]]:
    """Return the odd measures of the pairs that each arm adds, by label and fold, from the records of segmentations.

    Args:
        arms: label -> its ``slices.csv``, each with the ``record.json`` beside it.

    Raises:
        UserError: a record is damaged.
    """
    found: dict[str, dict[int, list[str]]] = {}
    for label, files in arms.items():
        for record in (Path(file).with_name("record.json") for file in files):
            if record.is_file():
                content = read_sealed(record, "run its segmentation again.")
                shards = [shard for shard in content.get("synthetic", []) if "masks" not in shard]  # not shuffled
                found.setdefault(label, {})[content["fold"]] = odd_looks(shards)
    return found
