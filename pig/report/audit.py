"""What the records of a study say: that no test patient was learnt from, how many masks are empty, on what it ran."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pig.data.looks import Looks, joined, unlike
from pig.data.shards import read_provenance
from pig.methods.model_folder import DESCRIPTION
from pig.system.files import read_sealed


@dataclass(frozen=True)
class Drawn:
    """What the generator of a fold drew.

    Attributes:
        generator: its name in the configuration.
        fold: whose patients it has not seen.
        pairs: how many.
        empty: how many of the masks that it drew itself have no lesion; None: it draws none.
        looks: see :func:`pig.data.looks.beside_real`; {}: a shard of an earlier version does not say.
        odd: what no training patient's pairs look like, in words.
    """

    generator: str
    fold: int
    pairs: int
    empty: int | None
    looks: Looks
    odd: list[str]


@dataclass
class Audit:
    """Of all results in a folder.

    Attributes:
        segmentations: how many were looked at, nnU-Net's among them.
        models: likewise.
        leaks: a sentence for each result that learnt from a patient it was tested on; there should be none.
        leaky: the same of leaky controls, which were trained to do so.
        drawn: by each generator, in each fold.
        nnunet: for how long nnU-Net was trained, in words; several if its results differ.
        outdated: folders of results of nnU-Net that are of other pairs, patients or folds than the segmentation of the
            same arm, fold and seed; they are not looked at.
        devices: names of processors and GPUs, each with the instruction set and the precision of its trainings.
        commits: of the project; "-dirty" says that files differed from it.
        versions: of packages, "name version"; several of one name if results differ.
        finished: when the last result was, ISO 8601.
    """

    segmentations: int = 0
    models: int = 0
    leaks: list[str] = field(default_factory=list)
    leaky: list[str] = field(default_factory=list)
    drawn: list[Drawn] = field(default_factory=list)
    nnunet: list[str] = field(default_factory=list)
    outdated: list[str] = field(default_factory=list)
    devices: list[str] = field(default_factory=list)
    commits: list[str] = field(default_factory=list)
    versions: list[str] = field(default_factory=list)
    finished: str = ""


def audit(results: Path, present: Collection[str] | None = None) -> Audit:
    """Read the records of all segmentations, models and shards in ``results``.

    Args:
        results: the folder.
        present: names below it that are of the study, as :func:`pig.study.jobs.results_of` has them, a model by its
            folder. None: all that are there. They may be of several studies, so that a model is held against the
            segmentations alone whose patients the same table of folds has dealt.

    Raises:
        UserError: a record is damaged.
    """
    found = Audit(drawn=[*_drawn(results, present)])
    ran, trained, new = list[Mapping[str, Any]](), set[str](), set[str]()
    tested: list[tuple[int, str | None, set[str]]] = []
    for path, record in _segmentations(results, present, found):
        found.segmentations += 1
        new |= {*record["new_patients"]}
        own = {*record["test_patients"], *record["new_patients"]}
        tested.append((record["fold"], _deal(record), own))
        if both := sorted(own & {*record["train_patients"]}):
            found.leaks.append(f"{path.parent} was trained and tested on patient {both[0]} ({len(both)} in all).")
        if record.get("engine") == "nnunet":
            trained.add("{epochs} epochs of {iterations} steps".format(**record["settings"]))
        ran.append(record)
    for path in sorted(results.glob(f"models/*/fold*/{DESCRIPTION}")):
        if not _is_present(path.parent, results, present):
            continue
        description = read_sealed(path, f"delete {path.parent} and run the training again.")
        found.models += 1
        fold, deal = description["fold"], _deal(description) if present is None else None
        others = [own for of, by, own in tested if of == fold and (None in (deal, by) or deal == by)]
        if both := sorted({*description["patients"]} & set().union(*others)):
            named = found.leaky if description.get("leaky") and not {*both} & new else found.leaks
            named.append(f"{path.parent} learnt from test patient {both[0]} ({len(both)} in all).")
        ran += [description["record"]] if "record" in description else []
    found.nnunet, found.devices = sorted(trained), sorted({_device(record) for record in ran})
    found.commits = sorted({record.get("commit", "") for record in ran} - {""})
    found.versions = sorted({f"{name} {version}" for record in ran for name, version in record["versions"].items()})
    found.finished = max((record["finished"] for record in ran), default="")
    return found


def _segmentations(
    results: Path, present: Collection[str] | None, found: Audit
) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """Yield the records of segmentations, nnU-Net's last; those of nnU-Net that are outdated are only named."""
    records = {}
    for path in sorted(results.glob("segmentation/*/fold*/seed*/record.json")):
        if _is_present(path, results, present):
            records[path] = read_sealed(path, "run its segmentation again.")
            yield path, records[path]
    for path in sorted(results.glob("nnunet/*/fold*/seed*/record.json")):
        twin = results / "segmentation" / path.relative_to(results / "nnunet")
        if not _is_present(twin, results, present):
            continue
        record = read_sealed(path, "run nnU-Net again.")
        if twin in records and _inputs(records[twin]) == _inputs(record):
            yield path, record
        else:
            found.outdated.append(str(path.parent))


def _inputs(record: Mapping[str, Any]) -> Any:
    """Return the checksums of what a result was made from; None of an earlier version, which does not say it."""
    return (record.get("step") or {}).get("inputs")


def _device(record: Mapping[str, Any]) -> str:
    how = ", ".join(record[key] for key in ("instruction_set", "precision") if key in record)
    return str(record["device"]) + f" ({how})" * bool(how)


def _is_present(path: Path, results: Path, present: Collection[str] | None) -> bool:
    return present is None or path.relative_to(results).as_posix() in present


def _deal(record: Mapping[str, Any]) -> str | None:
    """Return the SHA-256 of the table of folds that a result is of; one of an earlier version does not say."""
    step = record.get("step")
    return str(step["inputs"][step["options"]["folds"]]) if step else None


def _drawn(results: Path, present: Collection[str] | None) -> Iterator[Drawn]:
    for folder in sorted(results.glob("synthetic/*/fold*")):
        paths = [path for path in sorted(folder.glob("shard*.npz")) if _is_present(path, results, present)]
        shards = [read_provenance(path) for path in paths]
        if not shards:
            continue
        first, counts = shards[0], [shard["last"] - shard["first"] for shard in shards]
        empty = sum(shard["empty_masks"] for shard in shards) if first["masks_from"] == "model" else None
        said = [shard["looks"] for shard in shards if "looks" in shard]
        looks = joined(said, counts) if len(said) == len(shards) else {}
        yield Drawn(first["generator"], first["fold"], sum(counts), empty, looks, [*unlike(looks).values()])
