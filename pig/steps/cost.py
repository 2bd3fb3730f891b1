"""Tell what a study will take on this machine, before it is run: its own jobs are tried out on random pairs.

Each distinct training, drawing and segmentation is the step that the workflow calls, with the study's settings, in a
trial (:mod:`pig.system.trial`): its loops are cut after a second or two, and a clock goes on as if they had not been.
"""

import functools
import logging
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pig.data.settings import PreprocessSettings
from pig.study.arms import studies_phantom
from pig.study.estimate import Estimate, Measured, augmentations, feature_seconds, population_sizes
from pig.study.estimate_table import as_text
from pig.study.jobs import jobs_of, owner, parts
from pig.study.memory import real_pairs
from pig.study.merged import merged_config
from pig.study.populations import populations
from pig.study.random_pairs import write_random_folds, write_random_store
from pig.study.reduced import FEW, batch_of, divisor, is_own, reduced
from pig.study.startup import startup_seconds
from pig.system.gpus import gpu_count, own_gpus
from pig.system.progress import bar
from pig.system.run_record import processor, processor_seconds
from pig.system.settings import parse
from pig.system.trial import Trial, on_trial

logger = logging.getLogger("pig")

Config = Mapping[str, Any]
Attempt = Callable[[Config, float], tuple[Trial, float]]  # (study, seconds of a loop) -> its clock, seconds of the job

PIXELS = 2**22  # of all pairs of a trial, where the folds do not need more
QUICK, CAREFUL = 0.3, 1.0  # seconds of a loop: to see how large a batch can be tried, and to measure
STEP = 1.0  # seconds that a step may take in a trial
PATIENTS = 2  # of the phantom that are grown


def cost(*, configfiles: Sequence[Path]) -> None:
    """Print what a study takes: seconds of each kind of job, their sum, and when all is done on this machine.

    Args:
        configfiles: laid over the default study, the later ones over the earlier ones.

    Raises:
        UserError: the configuration cannot work.
    """
    from snakemake.utils import available_cpu_count

    config = merged_config(configfiles, there=False)
    measured, device = tried_out(config)
    print(as_text(Estimate(config, measured), available_cpu_count(), gpu_count(), device))


def tried_out(config: Config) -> tuple[Measured, str]:
    """Return what one job of each kind takes on this machine, and what on; about a minute.

    Args:
        config: of a study, checked.
    """
    logger.info("trying out the jobs of the study; this takes about a minute")
    with tempfile.TemporaryDirectory(prefix="pig-cost-") as name:
        clock = time.perf_counter if gpu_count() else processor_seconds
        measured = Measured(startup=startup_seconds(Path(name) / "startup", clock))
        measured.features = 0.0 if gpu_count() else feature_seconds(config)
        with own_gpus(1):  # after the jobs above, which take one each
            device = _Calibration(config, Path(name, "trial"), measured).run()
    return measured, device


class _Calibration:
    """Trials of all that a study trains, draws and segments, one after another.

    Args:
        config: of the study.
        folder: of models, stores and shards of the trials.
        measured: where the results go.
    """

    def __init__(self, config: Config, folder: Path, measured: Measured) -> None:
        from pig.system.device import pick_device

        self.config, self.folder, self.measured = config, folder, measured
        cuda = pick_device().type == "cuda"
        self.clock = _clock_of_gpu if cuda else processor_seconds
        self.by = 1 if cuda else divisor(config)
        if self.by > 1:
            measured.scaled.append(f"all from pictures of 1/{self.by} of the side")

        # Fewer pairs than the study's where they are large: loops over pairs are longer in the study.
        folds, size = config["folds"]["count"], config["preprocessing"]["size"] // self.by
        real = max(real_pairs(config), folds)  # with fewer there are no folds, which the check says
        pairs, count = (2, 2) if self.by > 1 else (min(real, max(folds, PIXELS // size**2)), folds)
        self.learnt = real - real // folds
        self.more_learnt = self.by**2 * self.learnt / (pairs - pairs // count)
        more_tested = (real // folds) / (pairs // count)
        self.more_tested = self.by**2 * more_tested
        self.store, self.folds, self.test = folder / "store", folder / "folds.csv", folder / "test_store"
        channels = parse(PreprocessSettings, config["preprocessing"], "preprocessing").channels
        write_random_store(self.store, pairs, size, channels=channels)
        write_random_folds(self.folds, self.store, count)
        new = population_sizes(config)["test"][1] if studies_phantom(config["dataset"]) else 0
        if new:
            write_random_store(self.test, max(round(new / more_tested), 1), size, "N", channels)

    def run(self) -> str:
        """Try out everything, and return what on."""
        jobs = jobs_of(self.config)
        tasks: list[Callable[[], None]] = []
        for rule, attempt in (("fit", self._try_fit), ("synthesise", self._try_drawing)):
            names = dict.fromkeys(job.of for job in jobs if job.rule == rule)  # parts come before what needs them
            tasks += [functools.partial(attempt, name) for name in names]
        kinds = augmentations(self.config).values()
        tasks += [functools.partial(self._try_segmentation, kind) for kind in dict.fromkeys(kinds)]
        if studies_phantom(self.config["dataset"]):
            tasks.append(self._time_data)
        shown, level = bar(tasks, "trials", len(tasks)), logger.level
        logger.setLevel(logging.ERROR)  # nothing that untrained networks draw is of interest
        try:
            for task in shown:
                task()
        finally:
            logger.setLevel(level)
        return _device()

    def _climb(self, what: str, attempt: Attempt, full: int) -> float:
        """Try small batches, then the largest whose step takes no longer than :data:`STEP`; return the job's seconds.

        Args:
            what: it is called in notes.
            attempt: makes the trial.
            full: pictures of a batch with as many pixels as the job's own.
        """
        clock, seconds = attempt(reduced(self.config, self.by, FEW, self.learnt), QUICK)
        batch = min(full, int(FEW * STEP / clock.slowest)) if clock.slowest else full
        if batch > FEW or full <= FEW:
            _, seconds = attempt(reduced(self.config, self.by, max(batch, FEW), self.learnt), CAREFUL)
        if max(batch, FEW) < full:
            self.measured.scaled.append(f"{what} (batches of {max(batch, FEW)} in place of {full})")
        return seconds

    def _try_fit(self, name: str) -> None:
        entry = self.config["generators"][name]
        attempt = functools.partial(self._fit, name)
        if is_own(entry["class"]):
            full = batch_of(entry["model"]) * self.by**2
            self.measured.fit[name] = self._climb(f"training of {name}", attempt, full)
        else:
            self.measured.fit[name] = attempt(self.config, CAREFUL)[1]

    def _fit(self, name: str, config: Config, seconds: float) -> tuple[Trial, float]:
        from pig.steps.fit import fit

        entry = config["generators"][name]
        job = functools.partial(
            fit,
            store=self.store,
            folds=self.folds,
            fold=0,
            name=name,
            cls=entry["class"],
            model=entry["model"],
            sampling=entry.get("sampling"),
            seed=0,
            needs=[(role, self._model(part)) for role, part in parts(config, name).items()],
            leaky=entry.get("leaky", False),
            work=self.folder / "work" / name,
            out=self._model(name),
        )
        return self._timed(job, seconds, self.more_learnt)

    def _model(self, name: str) -> Path:
        return self.folder / "models" / name

    def _try_drawing(self, name: str) -> None:
        full = self.config["synthesis"]["batch_size"] * self.by**2
        self.measured.synthesise[name] = self._climb(f"drawing of {name}", functools.partial(self._draw, name), full)

    def _draw(self, name: str, config: Config, seconds: float) -> tuple[Trial, float]:
        from pig.steps.synthesise import synthesise

        entry, synthesis = config["generators"][name], config["synthesis"]
        job = functools.partial(
            synthesise,
            model=self._model(owner(config, name)),
            name=name,
            cls=entry["class"],
            sampling=entry["sampling"],
            seed=0,
            store=self.store,
            folds=self.folds,
            first=0,
            last=synthesis["shard_size"],
            batch_size=synthesis["batch_size"],
            leaky=config["generators"][owner(config, name)].get("leaky", False),
            out=self.folder / f"{name}.npz",
        )
        return self._timed(job, seconds, 1.0)

    def _try_segmentation(self, augmentation: str) -> None:
        full = batch_of(self.config["segmentation"]) * self.by**2
        what = f"segmentation with {augmentation} augmentation"
        attempt = functools.partial(self._segment, augmentation)
        self.measured.segment[augmentation] = self._climb(what, attempt, full)

    def _segment(self, augmentation: str, config: Config, seconds: float) -> tuple[Trial, float]:
        from pig.steps.segment import segment

        own = {key: value for key, value in config["segmentation"].items() if key not in ("seeds", "real_share")}
        job = functools.partial(
            segment,
            store=self.store,
            folds=self.folds,
            fold=0,
            seed=0,
            settings=own | {"augmentation": augmentation},
            synthetic=None,
            oracle=None,
            source=None,
            count=None,
            shuffle_masks=False,
            real=1.0,
            test=self.test if self.test.exists() else None,
            work=self.folder / "work" / "segmentation",
            out=self.folder / "segmentation",
        )
        return self._timed(job, seconds, self.more_tested)

    def _timed(self, job: Callable[[], None], seconds: float, pairs: float) -> tuple[Trial, float]:
        """Return the clock of the trial of a job, and the seconds that the job would take; see :class:`Trial`."""
        with on_trial(seconds, pairs, self.clock) as clock:
            began = clock.now()
            job()
            return clock, clock.now() - began

    def _time_data(self) -> None:
        """Grow some patients of each population, with one process, and prepare their slices."""
        from pig.steps.phantom import phantom
        from pig.steps.preprocess import preprocess

        for population in ("phantom", "test"):
            settings = populations(self.config["dataset"])[population] | {"first": 1}  # the same patients, other slices
            out = self.folder / population
            began = self.clock()
            no: dict[str, Any] = {"seed": None, "dicom": False, "report": False}
            phantom(settings=settings, patients=PATIENTS, normal=0, threads=1, out=out, **no)
            self.measured.patient[population] = (self.clock() - began) / PATIENTS
        self.measured.patient["oracle"] = self.measured.patient["phantom"]
        began, manifest, store = self.clock(), self.folder / "phantom/manifest.csv", self.folder / "prepared"
        preprocess(manifest=manifest, settings=self.config["preprocessing"], salt=None, threads=1, out=store)
        slices = len(manifest.read_text(encoding="utf-8").splitlines()) - 1
        self.measured.slice = (self.clock() - began) / slices


def _clock_of_gpu() -> float:
    """Return the seconds of a clock when the GPU has done what it was given."""
    import torch

    torch.cuda.synchronize()
    return time.perf_counter()


def _device() -> str:
    """Return what trainings were timed on."""
    import torch

    from pig.system.device import pick_device

    if pick_device().type == "cuda":
        return torch.cuda.get_device_name()
    return f"{processor()}, without a GPU"
