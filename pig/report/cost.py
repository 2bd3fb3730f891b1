"""What each method cost: time, memory and pairs a second, from the records of models, shards and segmentations."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from pig.data.shards import read_provenance
from pig.methods.model_folder import DESCRIPTION, read_description
from pig.system.files import atomic_path, read_json, read_sealed

Named = Sequence[tuple[str, Path]]  # (label, file or folder), a label once for each of its files
FIT, PARTS, DRAW, SEGMENT = "training", "training of its parts", "drawing", "segmentation"


def costs(models: Named, drawn: Named, segmentations: Named) -> pd.DataFrame:
    """Return what was spent, from the records of the results themselves.

    A part that several methods build on, and a model that two draw from, count for each of them: the rows say what a
    method costs alone. Their sum is more than the study cost.

    Args:
        models: (label, model folder) of each fold.
        drawn: (label, shard) of each fold.
        segmentations: (label, folder with record.json) of each fold and seed.

    Returns:
        One row for each label and kind of work, in the order given: ``method``, ``work``, ``jobs``, ``wall_s`` (of
        stopped runs too, up to their last checkpoint), ``cpu_s`` (start-up included; of the last run of each job),
        ``images`` (seen in training or drawn), ``images_per_s``, ``peak_memory_mb`` and ``peak_gpu_memory_mb`` (the
        greatest; empty without a GPU), ``gpu_energy_wh`` (of the jobs whose GPU tells, as ``cpu_s``), ``devices``.

    Raises:
        UserError: a result is missing, half-written or damaged.
    """
    found = [*_of_models(models), *_of_shards(drawn), *_of_segmentations(segmentations)]
    rows = pd.DataFrame(found).groupby(["method", "work"], sort=False)
    table = rows.agg(
        jobs=("wall_s", "size"),
        wall_s=("wall_s", "sum"),
        cpu_s=("cpu_s", "sum"),
        images=("images", "sum"),
        peak_memory_mb=("peak_memory_mb", "max"),
        peak_gpu_memory_mb=("peak_gpu_memory_mb", "max"),
        gpu_energy_wh=("gpu_energy_wh", lambda energies: energies.sum(min_count=1)),
        devices=("device", lambda devices: ", ".join(sorted(set(devices)))),
    ).reset_index()
    table.insert(6, "images_per_s", table.images / table.wall_s)
    return table


def _of_models(models: Named) -> Iterator[dict[str, Any]]:
    for label, folder in models:
        yield _row(label, FIT, read_description(folder)["record"])
        for part in sorted(folder.glob(f"*/**/{DESCRIPTION}")):  # copies of its parts, verified with it
            yield _row(label, PARTS, read_json(part)["record"])


def _of_shards(drawn: Named) -> Iterator[dict[str, Any]]:
    for label, shard in drawn:
        yield _row(label, DRAW, read_provenance(shard)["record"])


def _of_segmentations(segmentations: Named) -> Iterator[dict[str, Any]]:
    for label, folder in segmentations:
        yield _row(label, SEGMENT, read_sealed(folder / "record.json", f"run 'pig segment' for {folder} again."))


def _row(label: str, work: str, record: dict[str, Any]) -> dict[str, Any]:
    own = {key: record[key] for key in ("cpu_s", "images", "peak_memory_mb", "peak_gpu_memory_mb", "device")}
    joules = record.get("gpu_energy_j")  # of a record from before it was counted there is none
    energy = {"gpu_energy_wh": None if joules is None else joules / 3600}
    return {"method": label, "work": work, "wall_s": record["wall_s"] + record.get("earlier_s", 0)} | own | energy


def in_brief(table: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each method that draws: what a model of a fold takes, and how fast it draws."""
    lines = []
    for method, rows in table[table.work != SEGMENT].groupby("method", sort=False):
        of = rows.set_index("work")
        jobs = of.jobs[FIT]
        training = of.wall_s.reindex([FIT, PARTS]).fillna(0) / jobs
        lines.append(
            {
                "Method": method,
                "Training of a fold (s)": training.sum(),
                "of it for its parts (s)": training[PARTS],
                "Pairs drawn a second": of.images_per_s[DRAW],
                "Peak memory (MiB)": of.peak_memory_mb.max(),
            }
        )
    return pd.DataFrame(lines)


def write_costs(table: pd.DataFrame, path: Path, notes: Iterable[str] = ()) -> None:
    """Write :func:`costs` as CSV to ``path``, and :func:`in_brief` as Markdown beside it, with ``notes`` below."""
    brief = in_brief(table).to_markdown(index=False, floatfmt=".1f")
    contents = {
        ".csv": table.round({"wall_s": 1, "cpu_s": 1, "images_per_s": 2, "peak_memory_mb": 1}).to_csv(index=False),
        ".md": "\n".join([brief, "", *(f"- {note}" for note in notes), ""]),
    }
    for suffix, content in contents.items():
        with atomic_path(path.with_suffix(suffix)) as temporary:
            temporary.write_text(content, encoding="utf-8")
