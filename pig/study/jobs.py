"""Which jobs a study consists of, worked out from its configuration: the same as Snakemake plans from the rules.

Snakemake plans them from the files that the rules name; here they are found without files, to tell what a study will
cost. tests/workflow/test_counted_jobs.py holds one against the other.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pig.study.arms import REAL, Arm, arms_of, studies_phantom

Config = Mapping[str, Any]
PROGRESSIVE = "pig.methods.pig.PIG"  # whose drawing is shown step by step


class Job(NamedTuple):
    """One job: its rule; whose it is (a generator, an arm, a population, or ""); the positions of what it waits for."""

    rule: str
    of: str
    needs: tuple[int, ...]


def jobs_of(config: Config) -> list[Job]:
    """Return all jobs of a configuration that was checked, each after those that it waits for."""
    plan = _Plan(config)
    plan.add_results()
    return plan.jobs


def needed_for(rule: str, jobs: Sequence[Job]) -> set[int]:
    """Return the positions of the jobs of a rule and of all that they wait for."""
    found: set[int] = set()
    waiting = [number for number, job in enumerate(jobs) if job.rule == rule]
    while waiting:
        number = waiting.pop()
        if number not in found:
            found.add(number)
            waiting += jobs[number].needs
    return found


def owner(config: Config, name: str) -> str:
    """Return the generator whose trained model another one samples from: itself, or its ``model_of``."""
    return str(config["generators"][name].get("model_of", name))


def parts(config: Config, name: str) -> dict[str, str]:
    """Return the generators that a generator is built on, by their role."""
    return dict(config["generators"][name].get("needs", {}))


def counts_drawn(config: Config) -> dict[str, dict[int, int]]:
    """Return how many pairs are drawn from each generator in each fold, for table 1, for table 2, or for both."""
    table1, arms = config["table1"], arms_of(config)
    found: dict[str, dict[int, int]] = {}
    for name in [*table1["generators"], *(arm.generator for arm in arms if arm.generator)]:
        of_table2 = max((arm.count for arm in arms if arm.generator == name), default=0)
        of_table1 = table1["count"] if name in table1["generators"] else 0
        wanted = [max(of_table2, of_table1 * (fold in table1["folds"])) for fold in range(config["folds"]["count"])]
        found[name] = {fold: count for fold, count in enumerate(wanted) if count}
    return found


class _Plan:
    """The jobs that were found so far."""

    def __init__(self, config: Config) -> None:
        self.config, self.jobs = config, list[Job]()
        self.fits: dict[tuple[str, int], int] = {}
        self.new: dict[str, int] = {}  # the stores of new patients
        store, checked = self._add_data()
        self.data = [store, self._add("folds", "", store, *checked)]
        self.shards = {
            name: {fold: self._add_shards(name, fold, count) for fold, count in counts.items()}
            for name, counts in counts_drawn(config).items()
        }

    def _add(self, rule: str, of: str, *needs: int) -> int:
        self.jobs.append(Job(rule, of, needs))
        return len(self.jobs) - 1

    def _add_data(self) -> tuple[int, list[int]]:
        """Return the job that makes the study's store, and those that must have found its data right."""
        dataset, data, checked = self.config["dataset"], list[int](), list[int]()
        if studies_phantom(dataset):
            data = [self._add("phantom", "phantom")]
            for population in ("oracle", "test"):
                if dataset["new_patients"][population]:
                    self.new[population] = self._add("preprocess", population, self._add("phantom", population))
        else:
            if dataset["import"] or dataset["salt"]:
                data = [self._add("import_data", "")]
            checked = [self._add("verdict", "", self._add("check", "", *data))]
        return self._add("preprocess", "phantom", *data), checked

    def _fit(self, name: str, fold: int) -> int:
        """Return the training of a generator, or of whose model it samples from, after those of its parts."""
        name = owner(self.config, name)
        if (name, fold) not in self.fits:
            below = [self._fit(part, fold) for part in parts(self.config, name).values()]
            self.fits[name, fold] = self._add("fit", name, *self.data, *below)
        return self.fits[name, fold]

    def _add_shards(self, name: str, fold: int, count: int) -> list[int]:
        fit = self._fit(name, fold)
        return [self._add("synthesise", name, *self.data, fit) for _ in range(self._shards_of(count))]

    def _shards_of(self, count: int) -> int:
        return -(-count // int(self.config["synthesis"]["shard_size"]))

    def _drawn(self, name: str, fold: int, count: int) -> list[int]:
        """Return the jobs that draw the first ``count`` pairs."""
        return self.shards[name][fold][: self._shards_of(count)]

    def _add_segmentations(self, arm: Arm, fold: int) -> list[int]:
        drawn = self._drawn(arm.generator, fold, arm.count) if arm.generator else []
        new = [job for population, job in self.new.items() if population == "test" or arm.oracle]
        seeds = self.config["segmentation"]["seeds"]
        return [self._add("segment", arm.name, *self.data, *drawn, *new) for _ in seeds]

    def add_results(self) -> None:
        """Add segmentations, distances, tables, figures, costs and the report."""
        config, table1, folds = self.config, self.config["table1"], range(self.config["folds"]["count"])
        arms = [Arm(), *arms_of(config)]
        segmented = {(arm.name, fold): self._add_segmentations(arm, fold) for arm in arms for fold in folds}
        all_segmented = [job for jobs in segmented.values() for job in jobs]
        tables = [self._add("table2", "", *all_segmented)]

        distances = []
        for name in table1["generators"]:
            for fold in table1["folds"]:
                encoder = segmented[REAL, fold][:1] if table1["features"] == "encoder" else []
                drawn = self._drawn(name, fold, table1["count"])
                distances.append(self._add("fid", name, *self.data, *drawn, *encoder))
        tables.append(self._add("table1", "", *distances))

        all_drawn = [job for of_folds in self.shards.values() for jobs in of_folds.values() for job in jobs]
        tables.append(self._add("ledger", "", *all_segmented, *all_drawn))
        shown = table1["folds"][0]
        for name in self.shards:
            tables.append(self._add("gallery", name, *self.data, *self._drawn(name, shown, 1)))
            if config["generators"][name]["class"] == PROGRESSIVE:
                tables.append(self._add("strip", name, self._fit(name, shown)))
        tables.append(self._add("overlay", "", *self.data, *(segmented[arm.name, shown][0] for arm in arms)))
        self._add("report", "", *tables)
