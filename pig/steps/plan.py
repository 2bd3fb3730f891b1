"""Plan a study of one's own data: derive its settings from the data, this machine and a budget, and write them down."""

import logging
import shlex
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from pig.data.checks.warnings import one_image_each
from pig.data.manifest import read_manifest
from pig.data.pseudonyms import pseudonyms, read_salt
from pig.data.readers import import_data
from pig.data.settings import PreprocessSettings
from pig.data.survey import SIDES, Survey, survey
from pig.steps.cost import tried_out
from pig.study import memory
from pig.study.arms import studies_phantom
from pig.study.derived import BATCH, BUDGETS, SEGMENTATION_FACTOR, Budget, Derived, derive, factors, image_size
from pig.study.estimate import Estimate, Measured
from pig.study.jobs import needed_for
from pig.study.merged import merged_config, read_configs
from pig.study.planned import as_table, as_yaml, differences, plain, tree_of
from pig.study.status_text import duration
from pig.system.errors import UserError
from pig.system.files import atomic_path
from pig.system.gpus import gpu_count
from pig.system.processes import memory_mib
from pig.system.settings import parse

logger = logging.getLogger("pig")

Config = dict[str, Any]

# Where a configuration names files, but for what lies in the folder of an import; *: any generator.
PATHS = (
    ("dataset", "manifest"),
    ("dataset", "salt"),
    ("dataset", "import", "root"),
    ("table1", "feature_weights"),
    ("generators", "*", "model", "perceptual_weights"),
)


def plan(*, configfiles: Sequence[Path], budget: str, force: bool, readers: int, out: Path | None) -> None:
    """Write the plan of a study and print it, with what it will take and the command that runs it.

    Args:
        configfiles: what the user has set: the data at least. The later ones go over the earlier ones.
        budget: a key of :data:`pig.study.derived.BUDGETS`, or "paper", for which nothing is derived.
        force: replace a plan that is there and says something else.
        readers: processes that read the data.
        out: the file; None: beside the last of ``configfiles``, named after it.

    Raises:
        UserError: the settings or the data cannot be used, there are too few patients, or another plan is there.
    """
    files = " ".join(map(str, configfiles))
    if budget == "paper":
        print(
            "Nothing is derived for the paper's budget; its settings are those of workflow/configs/paper.yaml:\n"
            f"{_command('workflow/configs/paper.yaml', *configfiles, last=configfiles[-1])}\n"
            "Seen from the folder of --directory, the paths in these files must be whole ones."
        )
        return
    path = out or configfiles[-1].with_suffix(".plan.yaml")
    if not force:
        read_plan(path)  # it is compared in the end; whether it can be, is told before anything is tried out
    given = read_configs(configfiles)
    config = merged_config([], over=given)
    own = _with_whole_paths(_as_checked(given, config), PATHS)
    if studies_phantom(config["dataset"]):
        raise UserError(f"{files} names no data; set dataset.import or dataset.manifest (docs/planning.md).")
    with tempfile.TemporaryDirectory(prefix="pig-plan-") as name:
        manifest = _manifest(config["dataset"], Path(name), readers)
        settings = parse(PreprocessSettings, config["preprocessing"] | _aspect(own), "preprocessing")
        data = survey(manifest, settings, config["folds"]["seed"], readers, _place(config["dataset"]))
        planner = _Planner(data, BUDGETS[budget], own, manifest)
        derived, notes = planner.run()
    tree = tree_of(own, derived, configfiles[-1].name)
    print(f"{data.patients} patients, {data.pairs} pairs, {data.empty} of them without a lesion.\n")
    for warning in one_image_each(data.pairs, data.patients):
        print(f"Warning: {warning}.\n")
    print("\n".join([as_table(tree), "", *notes, ""]))
    command = _command(path, last=configfiles[-1])
    header = (
        f"The plan of {files}, budget {budget}. A run derives nothing: change a value here, and it is that.\n{command}"
    )
    write_unless_other(path, as_yaml(tree, header), plain(tree), force)
    print(f"Written to {path}; a value may be changed there. The next command:\n{command}")


def _command(*configs: str | Path, last: Path) -> str:
    files = [*map(str, configs), "--directory", f"studies/{last.stem}"]
    return f"snakemake --cores all --configfile {shlex.join(files)} -- results/table2.csv"


def _with_whole_paths(values: Mapping[str, Any], places: Sequence[Sequence[str]]) -> Config:
    """Return the user's settings with paths that mean the same from the folder of any study."""
    changed = {}
    for key, value in values.items():
        below = [rest for first, *rest in places if first in (key, "*")]
        if [] in below:
            changed[key] = _whole(value)
        elif isinstance(value, Mapping):
            changed[key] = _with_whole_paths(value, below)
    return {**values, **changed}


def _whole(path: Any) -> Any:
    return str(Path(path).absolute()) if isinstance(path, str) and path and "://" not in path else path


def _as_checked(values: Mapping[str, Any], config: Mapping[str, Any]) -> Config:
    """Return the user's settings as the check has left them, where a 64.0 is 64."""
    return {
        key: _as_checked(value, config[key]) if isinstance(value, Mapping) else config[key]
        for key, value in values.items()
    }


def _place(dataset: Config) -> str:
    return str(dataset["import"]["root"] if dataset["import"] else dataset["manifest"])


def _manifest(dataset: Config, folder: Path, readers: int) -> Path:
    """Return the manifest of the data, for which those in another layout are imported into ``folder``.

    With a salt it has the pseudonyms that the run will give: folds are dealt by the names.
    """
    if "://" in _place(dataset):
        raise UserError(f"{_place(dataset)} is not on this machine; plan with a copy of the data.")
    salt = read_salt(dataset["salt"], folder) if dataset["salt"] else None
    manifest = Path(_place(dataset))
    if dataset["import"]:
        settings = dict(dataset["import"])
        source, root = settings.pop("from"), settings.pop("root")
        manifest = import_data(source, root, settings, folder / "imported", readers)
    if salt is None:
        return manifest
    table = read_manifest(manifest)  # pictures stay where they are, which the run copies
    table["patient_id"] = table["patient_id"].map(pseudonyms(table["patient_id"].unique(), salt))
    table.to_csv(folder / "manifest.csv", index=False)
    return folder / "manifest.csv"


def _name(dataset: Config) -> str:
    """Return the name of the data set: that of its folder."""
    place = Path(_place({"import": None} | dataset))
    folder = place if dataset.get("import") and place.is_dir() else place.parent
    return f"{folder.name or 'Own'} data"


def _aspect(own: Config) -> Config:
    """Return the proportions in which lesions are measured: the user's, or those of the pictures."""
    return {"aspect": own.get("preprocessing", {}).get("aspect", "pad")}


class _Planner:
    """Finds the size and the length of trainings that fit into the budget on this machine.

    Args:
        data: what is studied.
        budget: the time that there is.
        own: what the user has set.
        manifest: of the data as they are now.
    """

    def __init__(self, data: Survey, budget: Budget, own: Config, manifest: Path) -> None:
        from snakemake.utils import available_cpu_count

        self.data, self.budget, self.own, self.manifest = data, budget, own, manifest
        self.cores, self.gpus = int(available_cpu_count()), gpu_count()

    def run(self) -> tuple[list[Derived], list[str]]:
        """Return what is derived, and what the study will take, in sentences."""
        batch, affordable = BATCH, None
        shortest = self._config(self._derived(affordable, 1.0, batch))
        while batch > 2 and self._memory(shortest) > memory_mib():
            batch //= 2
            shortest = self._config(self._derived(affordable, 1.0, batch))
        measured, device = tried_out(shortest)
        spent = self._hours(shortest, measured)
        if spent > self.budget.hours and "image_size" not in self.own:
            affordable = self._affordable(spent)
            if affordable < image_size(self.data)[0]:
                shortest = self._config(self._derived(affordable, 1.0, batch))
                measured, device = tried_out(shortest)
        allowed = factors(self.data, shortest["folds"]["count"], batch)
        fitting = [by for by in allowed if self._hours(shortest, _longer(measured, by)) <= self.budget.hours]
        factor = max(fitting, default=1.0)
        derived = self._derived(affordable, factor, batch)
        return derived, self._notes(self._config(derived), _longer(measured, factor), device, bool(fitting))

    def _derived(self, affordable: int | None, factor: float, batch: int) -> list[Derived]:
        named = Derived("dataset.name", _name(self.own["dataset"]), "the folder of the data")
        return [named, *derive(self.data, self.budget, self.own, affordable, factor, batch)]

    def _config(self, derived: list[Derived]) -> Config:
        """Return the study that is planned, checked, with the data as they are now."""
        config = merged_config([], over=plain(tree_of(self.own, derived, "")))
        dataset = config["dataset"]
        if dataset["import"]:  # imported by one job, as a manifest with a salt is
            dataset |= {"import": None, "salt": dataset["salt"] or "salt"}
        dataset["manifest"] = str(self.manifest)
        return config

    def _hours(self, config: Config, measured: Measured) -> float:
        estimate = Estimate(config, measured)
        return estimate.wall(sorted(needed_for("table2", estimate.jobs)), self.cores, self.gpus) / 3600

    def _affordable(self, spent: float) -> int:
        """Return the size at which the shortest study fits, if its time grows with the pixels."""
        side = image_size(self.data)[0] * (self.budget.hours / spent) ** 0.5
        return max([size for size in SIDES if size <= side], default=SIDES[0])

    def _memory(self, config: Config) -> int:
        """Return the MiB of the largest job, times the jobs side by side."""
        gpu, names = bool(self.gpus), config["generators"]
        largest: int = max(
            *(memory.fit(config, name, gpu) for name, entry in names.items() if "model" in entry),
            *(memory.synthesise(config, name, gpu) for name, entry in names.items() if "sampling" in entry),
            memory.segment(config, max(arm["count"] for arm in config["table2"]["arms"]), gpu),
        )
        return largest * (min(self.gpus, self.cores) or self.cores)

    def _notes(self, config: Config, measured: Measured, device: str, fits: bool) -> list[str]:
        estimate = Estimate(config, measured)
        everything, table2 = range(len(estimate.jobs)), sorted(needed_for("table2", estimate.jobs))
        told = [
            f"{name}: {len(jobs)} jobs, {duration(estimate.wall(jobs, self.cores, self.gpus))}"
            for name, jobs in (("results/table2.csv", table2), ("everything", everything))
        ]
        on = f"{self.cores} core{'s' * (self.cores > 1)}" + f", {self.gpus} GPU{'s' * (self.gpus > 1)}" * (
            self.gpus > 0
        )
        notes = [
            f"{'; '.join(told)} on {on}, estimated from trials on {device}.",
            f"Memory of jobs side by side: at most {self._memory(config) / 1024:.1f} of {memory_mib() / 1024:.1f} GiB.",
        ]
        if not fits:
            hours = self._hours(config, measured)
            notes.append(
                f"This is more than the {self.budget.hours:g} h of budget {self.budget.name}: {hours:.1f} h. It is the "
                "shortest study that makes sense: with fewer steps nothing is told (docs/results/instrument.md), and "
                "in smaller pictures lesions are lost."
            )
        return notes


def _longer(measured: Measured, factor: float) -> Measured:
    return measured.longer(factor, min(factor, SEGMENTATION_FACTOR))


def read_plan(path: Path) -> Config:
    """Return the plan that a file holds; {} if there is none.

    Raises:
        UserError: the file is no plan.
    """
    if not path.exists():
        return {}
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"{path} is there and cannot be read ({error}); correct it, replace it with --force, or write another file "
            "with --out."
        ) from None
    return content if isinstance(content, dict) else {}


def write_unless_other(path: Path, text: str, values: Config, force: bool) -> None:
    """Write a plan; one that is there and says the same stays as it is.

    Args:
        path: the file.
        text: to be written.
        values: that the text holds.
        force: replace whatever is there.

    Raises:
        UserError: a plan is there that says something else; each value that differs is named. Or :func:`read_plan`'s.
    """
    if path.exists() and not force:
        changes = differences(read_plan(path), values)
        if changes:
            raise UserError(
                f"{path} is there and stays, since this plan is another one: {'; '.join(changes)}. --force "
                "replaces it, and --out writes another file."
            )
        return
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
