"""What the jobs of a study will take, from what one of each kind takes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pig.study.arms import Arm, arms_of, studies_phantom
from pig.study.jobs import Job, jobs_of
from pig.study.memory import phantom_slices, real_pairs, weights_bytes
from pig.study.populations import populations
from pig.study.schedule import THREADS, makespan

Config = Mapping[str, Any]

# Seconds of one core for a slice of one's own data: of the phantom at 0.25 mm, read, cropped and resized
# (benchmarks/results/preprocess.json). Large files, compressed ones, and slow disks take longer.
OWN_SLICE = 0.05
# Seconds of one core for the features of an image (Intel Xeon, one thread); of a DINOv2, for each byte of its file.
OF_AN_IMAGE = {"encoder": 0.0, "general": 0.05, "inception": 0.2}
OF_A_BYTE = 1.3e-9
NO_TORCH = {"phantom", "import_data", "check", "verdict", "preprocess", "folds", "table1", "table2", "quality_table"}


@dataclass
class Measured:
    """Seconds that were measured on this machine, of one core or of a GPU.

    Attributes:
        startup: of a job with next to nothing to do, by rule: fit, synthesise, segment, folds.
        fit: of a training without its start-up, by generator.
        synthesise: of a shard, by generator.
        segment: by augmentation.
        patient: of growing one, by population.
        slice: of preparing one of the phantom, on one core.
        features: of an image, assumed; 0 with a GPU.
        scaled: what was measured in another size than it will have, in words.
    """

    startup: dict[str, float] = field(default_factory=dict)
    fit: dict[str, float] = field(default_factory=dict)
    synthesise: dict[str, float] = field(default_factory=dict)
    segment: dict[str, float] = field(default_factory=dict)
    patient: dict[str, float] = field(default_factory=dict)
    slice: float = 0.0
    features: float = 0.0
    scaled: list[str] = field(default_factory=list)

    def longer(self, fit: float, segment: float) -> "Measured":
        """Return the same with so many times the steps of the trainings of generators, and of segmentations."""
        return replace(
            self,
            fit={name: fit * seconds for name, seconds in self.fit.items()},
            segment={kind: segment * seconds for kind, seconds in self.segment.items()},
        )


def feature_seconds(config: Config) -> float:
    """Return the seconds of one core that the features of an image are assumed to take."""
    return OF_AN_IMAGE.get(config["table1"]["features"], OF_A_BYTE * weights_bytes(config))


def population_sizes(config: Config) -> dict[str, tuple[int, int]]:
    """Return how many patients and how many slices each population of the phantom has: the study's, and new ones."""
    sizes = {}
    for name, settings in populations(config["dataset"]).items():
        patients = settings["patients"] + settings["normal_patients"]
        sizes[name] = (patients, phantom_slices(settings, patients))
    return sizes


def augmentations(config: Config) -> dict[str, str]:
    """Return the augmentation of each arm."""
    usual = config["segmentation"].get("augmentation", "light")
    return {arm.name: arm.augmentation or usual for arm in [Arm(), *arms_of(config)]}


def step_factors(config: Config) -> dict[str, float]:
    """Return for how many times as many steps each arm is trained as real data alone."""
    folds = config["folds"]["count"]
    real = real_pairs(config) * (folds - 1) / folds
    return {arm.name: 1 + arm.count / real if arm.budget else 1.0 for arm in [Arm(), *arms_of(config)]}


class Estimate:
    """The jobs of a study with their seconds.

    Args:
        config: of the study.
        measured: what one of each kind takes.
    """

    def __init__(self, config: Config, measured: Measured) -> None:
        self.config, self.measured = config, measured
        self.jobs = jobs_of(config)
        self.augmentations, self.step_factors = augmentations(config), step_factors(config)
        self._populations = population_sizes(config) if studies_phantom(config["dataset"]) else {}
        self.startup = [self._startup(job) for job in self.jobs]
        self.work = [self._work(job) for job in self.jobs]

    def _startup(self, job: Job) -> float:
        """Return the seconds before a job's own work, of which those without torch have fewer."""
        startup = self.measured.startup
        return startup.get(job.rule, startup["folds" if job.rule in NO_TORCH else "synthesise"])

    def _work(self, job: Job) -> float:
        """Return the seconds of one core, or of a GPU, that a job's own work takes; 0: its start-up is all."""
        measured, of = self.measured, job.of
        match job.rule:
            case "fit":
                return measured.fit[of]
            case "synthesise":
                return measured.synthesise[of]
            case "segment":
                return measured.segment[self.augmentations[of]] * self.step_factors[of]
            case "fid" | "quality":  # of real and drawn images; the latter also of their lesions
                images: int = self.config["table1"]["count"] + real_pairs(self.config)
                return measured.features * images * (2 if job.rule == "quality" else 1)
            case "phantom":
                return measured.patient[of] * self._populations[of][0]
            case "preprocess" if self._populations:
                return measured.slice * self._populations[of][1]
            case "preprocess" | "check" | "import_data":
                return OWN_SLICE * real_pairs(self.config)
        return 0.0

    def seconds(self, cores: int) -> list[float]:
        """Return how long each job runs on so many cores."""
        shared = [min(THREADS.get(job.rule, 1), cores) for job in self.jobs]
        return [start + work / by for start, work, by in zip(self.startup, self.work, shared, strict=True)]

    def sum(self, chosen: Sequence[int]) -> float:
        """Return the seconds of one core, or of a GPU and its core, of some jobs."""
        return sum(self.startup[number] + self.work[number] for number in chosen)

    def wall(self, chosen: Sequence[int], cores: int, gpus: int) -> float:
        """Return the seconds until some jobs, and all they wait for, are done."""
        place = {number: at for at, number in enumerate(chosen)}
        jobs = [Job(*self.jobs[n][:2], tuple(place[need] for need in self.jobs[n].needs)) for n in chosen]
        seconds = self.seconds(cores)
        return makespan(jobs, [seconds[number] for number in chosen], cores, gpus)
