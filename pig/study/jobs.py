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


def mask_source(config: Config, name: str) -> str | None:
    """Return the generator for whose masks a conditional one draws its images; None: they are training masks."""
    source: str | None = config["generators"][name].get("masks", {}).get("from")
    return source


def counts_drawn(config: Config) -> dict[str, dict[int, int]]:
    """Return how many pairs are drawn from each generator in each fold: for a table, or for their masks."""
    table1, arms, folds = config["table1"], arms_of(config), range(config["folds"]["count"])
    asked = [(name, table1["count"], table1["folds"]) for name in table1["generators"]]
    asked += [(arm.generator, arm.count, folds) for arm in arms if arm.generator]
    found: dict[str, dict[int, int]] = {}
    for name, count, of_folds in asked:
        below: str | None = name
        while below:
            drawn = found.setdefault(below, {})
            drawn |= {fold: max(count, drawn.get(fold, 0)) for fold in of_folds}
            below = mask_source(config, below)
    return {name: dict(sorted(drawn.items())) for name, drawn in found.items()}


def shards_of(config: Config, count: int) -> int:
    """Return how many shards hold the first ``count`` pairs.

    Shard j holds the pairs from j * shard_size on, and all of them, whichever arms there are: an arm that comes or goes
    changes no shard that is drawn. Up to shard_size - 1 pairs too many are drawn.
    """
    return -(-count // int(config["synthesis"]["shard_size"]))


def results_of(config: Config) -> set[str]:
    """Return which records, models, shards and figures are of a configuration, as they are named below ``results``.

    What else lies there is left over from another configuration in the same folder.
    """
    plan, table1 = _Plan(config), config["table1"]
    drawn = [(name, fold, len(jobs)) for name, of_folds in plan.shards.items() for fold, jobs in of_folds.items()]
    found = {f"models/{name}/fold{fold}" for name, fold in plan.fits}
    found |= {f"synthetic/{name}/fold{fold}/shard{j}.npz" for name, fold, count in drawn for j in range(count)}
    found |= {f"figures/gallery_{name}.png" for name in plan.shards}
    found |= {f"figures/strip_{name}.png" for name in plan.shards if _is_progressive(config, name)}
    found |= {f"figures/closest_{name}_fold{fold}.png" for name in table1["generators"] for fold in table1["folds"]}
    return found | {
        f"segmentation/{arm.name}/fold{fold}/seed{seed}/record.json"
        for arm in (Arm(), *arms_of(config))
        for fold in range(config["folds"]["count"])
        for seed in config["segmentation"]["seeds"]
    }


def _is_progressive(config: Config, name: str) -> bool:
    return bool(config["generators"][name]["class"] == PROGRESSIVE)


class _Plan:
    """The jobs that were found so far."""

    def __init__(self, config: Config) -> None:
        self.config, self.jobs = config, list[Job]()
        self.fits: dict[tuple[str, int], int] = {}
        self.new: dict[str, int] = {}  # the stores of new patients
        store, checked = self._add_data()
        self.data = [store, self._add("folds", "", store, *checked)]
        self.counts = counts_drawn(config)
        self.shards: dict[str, dict[int, list[int]]] = {}
        for name in self.counts:
            self._add_shards(name)

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

    def _add_shards(self, name: str) -> None:
        """Add what draws from a generator, after what draws the masks that it is given."""
        if name in self.shards:
            return
        if source := mask_source(self.config, name):
            self._add_shards(source)
        self.shards[name] = {}
        for fold, count in self.counts[name].items():
            fit, number = self._fit(name, fold), shards_of(self.config, count)
            masks = [[job] for job in self.shards[source][fold][:number]] if source else [[]] * number
            self.shards[name][fold] = [self._add("synthesise", name, *self.data, fit, *given) for given in masks]

    def _drawn(self, name: str, fold: int, count: int) -> list[int]:
        """Return the jobs that draw the first ``count`` pairs."""
        return self.shards[name][fold][: shards_of(self.config, count)]

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
        shown = table1["folds"][0]
        galleries = {
            name: self._add("gallery", name, *self.data, *self._drawn(name, shown, 1)) for name in self.shards
        }
        of_arms = [job for name, job in galleries.items() if name in {arm.generator for arm in arms}]
        tables = [*galleries.values(), self._add("table2", "", *all_segmented, *of_arms)]

        distances, qualities = [], []
        for name in table1["generators"]:
            for fold in table1["folds"]:
                encoder = segmented[REAL, fold][:1] if table1["features"] == "encoder" else []
                drawn = self._drawn(name, fold, table1["count"])
                distances.append(self._add("fid", name, *self.data, *drawn, *encoder))
                qualities.append(self._add("quality", name, *self.data, *drawn, *segmented[REAL, fold][:1]))
        tables += [self._add("table1", "", *distances), self._add("quality_table", "", *qualities)]

        all_drawn = [job for of_folds in self.shards.values() for jobs in of_folds.values() for job in jobs]
        tables.append(self._add("ledger", "", *all_segmented, *all_drawn))
        for name in self.shards:
            if _is_progressive(config, name):
                tables.append(self._add("strip", name, self._fit(name, shown)))
        tables.append(self._add("overlay", "", *self.data, *(segmented[arm.name, shown][0] for arm in arms)))
        self._add("report", "", *tables)
