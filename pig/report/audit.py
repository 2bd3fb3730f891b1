"""What the records of a study say: that no test patient was learnt from, how many masks are empty, on what it ran."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

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
        segmentations: how many were looked at.
        models: likewise.
        leaks: a sentence for each result that learnt from a patient it was tested on; there should be none.
        leaky: the same of leaky controls, which were trained to do so.
        drawn: by each generator, in each fold.
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
    devices: list[str] = field(default_factory=list)
    commits: list[str] = field(default_factory=list)
    versions: list[str] = field(default_factory=list)
    finished: str = ""


def audit(results: Path) -> Audit:
    """Read the records of all segmentations, models and shards in ``results``.

    Raises:
        UserError: a record is damaged.
    """
    found = Audit(drawn=[*_drawn(results)])
    tested: dict[int, set[str]] = {}
    new, devices, commits, versions = set[str](), set[str](), set[str](), set[str]()
    for path in sorted(results.glob("segmentation/*/fold*/seed*/record.json")):
        record = read_sealed(path, "run its segmentation again.")
        found.segmentations += 1
        new |= {*record["new_patients"]}
        own = {*record["test_patients"], *record["new_patients"]}
        tested.setdefault(record["fold"], set()).update(own)
        if both := sorted(own & {*record["train_patients"]}):
            found.leaks.append(f"{path.parent} was trained and tested on patient {both[0]} ({len(both)} in all).")
        how = ", ".join(record[key] for key in ("instruction_set", "precision") if key in record)
        devices.add(record["device"] + f" ({how})" * bool(how))
        commits.add(record.get("commit", ""))
        versions |= {f"{name} {version}" for name, version in record["versions"].items()}
        found.finished = max(found.finished, record["finished"])
    for path in sorted(results.glob(f"models/*/fold*/{DESCRIPTION}")):
        description = read_sealed(path, f"delete {path.parent} and run the training again.")
        found.models += 1
        if both := sorted({*description["patients"]} & tested.get(description["fold"], set())):
            named = found.leaky if description.get("leaky") and not {*both} & new else found.leaks
            named.append(f"{path.parent} learnt from test patient {both[0]} ({len(both)} in all).")
    found.devices, found.commits, found.versions = sorted(devices), sorted(commits - {""}), sorted(versions)
    return found


def _drawn(results: Path) -> Iterator[Drawn]:
    for folder in sorted(results.glob("synthetic/*/fold*")):
        shards = [read_provenance(path) for path in sorted(folder.glob("shard*.npz"))]
        if not shards:
            continue
        first, counts = shards[0], [shard["last"] - shard["first"] for shard in shards]
        empty = sum(shard["empty_masks"] for shard in shards) if first["masks_from"] == "model" else None
        said = [shard["looks"] for shard in shards if "looks" in shard]
        looks = joined(said, counts) if len(said) == len(shards) else {}
        yield Drawn(first["generator"], first["fold"], sum(counts), empty, looks, [*unlike(looks).values()])
