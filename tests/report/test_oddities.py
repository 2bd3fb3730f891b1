"""Footnotes of the tables name the generators whose pairs look like those of no training patient."""

from pathlib import Path
from typing import Any

from pig.report.oddities import footnotes, odd_arms
from pig.report.tables import write_table1
from pig.system.files import write_sealed

ODD = {"grain": {"drawn": 0.3, "least": 0.1, "greatest": 0.2}, "area": {"drawn": 0.15, "least": 0.1, "greatest": 0.2}}
FINE = {"grain": {"drawn": 0.1, "least": 0.1, "greatest": 0.2}}


def run(folder: Path, fold: int, *shards: dict[str, Any]) -> Path:
    path = folder / f"fold{fold}/seed0"
    path.mkdir(parents=True)
    said = [{"first": 8 * n, "last": 8 * n + 8, **shard} for n, shard in enumerate(shards)]
    write_sealed(path / "record.json", {"fold": fold, "synthetic": said})
    return path / "slices.csv"


def test_arms_by_the_records_of_their_segmentations(tmp_path: Path) -> None:
    arms = {
        "Real": [run(tmp_path / "real", fold) for fold in (0, 1)],
        "+PIG_16": [run(tmp_path / "pig", 0, {"looks": ODD}, {"looks": FINE | {"area": ODD["area"]}}),
                    run(tmp_path / "pig", 1, {"looks": ODD}, {"looks": ODD})],
        "shuffled": [run(tmp_path / "shuffled", 0, {"looks": ODD, "masks": "shuffled"})],
        "earlier": [run(tmp_path / "earlier", 0, {})],
        "by hand": [tmp_path / "none/slices.csv"],
    }  # fmt: skip
    odd = odd_arms(arms)
    assert odd == {"Real": {0: [], 1: []}, "+PIG_16": {0: [], 1: ["grain"]}, "shuffled": {0: []}, "earlier": {0: []}}
    (note,) = footnotes(odd)
    assert note == "+PIG_16: what was drawn looks like the pairs of no training patient in fold 1 (grain)."


def test_table_1_by_its_distances(tmp_path: Path) -> None:
    rows = []
    for label, fold, unlike in (("A", 0, []), ("A", 1, ["copies", "grain"]), ("B", 0, []), ("B", 1, [])):
        path = tmp_path / f"{label}{fold}.json"
        result = {"fid": 1.0 + fold, "features": "encoder", "fold": fold, "generated": 8, "unlike": unlike}
        write_sealed(path, result)
        rows.append((label, path))
    write_table1(rows, tmp_path / "table1.csv")
    notes = (tmp_path / "table1.md").read_text().split("\n\n")[1]
    assert notes == "- A: what was drawn looks like the pairs of no training patient in fold 1 (copies, grain).\n"
    assert (tmp_path / "table1.csv").read_text() == "Method,FID (encoder),FID SD\nA,1.50,0.71\nB,1.50,0.71\n"
