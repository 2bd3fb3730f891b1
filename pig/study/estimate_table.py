"""An estimate of what a study takes, as a person reads it."""

import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from pig.data.phantom.settings import PhantomSettings
from pig.study.arms import generator_labels, studies_phantom
from pig.study.estimate import NO_TORCH, OWN_SLICE, Estimate
from pig.study.jobs import Job, needed_for, owner, parts
from pig.study.memory import SLICES, real_pairs
from pig.study.status_text import duration

KINDS = {"fit": "training", "synthesise": "drawing", "segment": "segmentation"}
WIDTH = 100


def lines(estimate: Estimate) -> dict[tuple[str, str], list[int]]:
    """Return the positions of the jobs of each line of the table, by kind of work and whose it is."""
    found: dict[tuple[str, str], list[int]] = {}
    for number, job in enumerate(estimate.jobs):
        found.setdefault(_line(estimate, job), []).append(number)
    kinds = [*KINDS.values(), "data", "the rest"]
    return dict(sorted(found.items(), key=lambda line: kinds.index(line[0][0])))


def _line(estimate: Estimate, job: Job) -> tuple[str, str]:
    if job.rule == "segment":
        return KINDS[job.rule], f"{estimate.augmentations[job.of]} augmentation"
    if job.rule in KINDS:
        return KINDS[job.rule], job.of
    if job.rule in NO_TORCH - {"table1", "table2", "quality_table"}:
        return "data", "patients, stores, folds"
    return "the rest", "tables, image quality, figures, report"


def as_text(estimate: Estimate, cores: int, gpus: int, device: str) -> str:
    """Return the table, its sums, and what was measured and assumed.

    Args:
        estimate: of the study.
        cores: of the machine.
        gpus: likewise.
        device: what networks were timed on.
    """
    everything = sorted(range(len(estimate.jobs)))
    rows = [("", "jobs", "of each", "in all")]
    for (kind, of), jobs in lines(estimate).items():
        total = estimate.sum(jobs)
        name = f"{kind}: {_named(estimate.config, kind, of)}"
        rows.append((name, f"{len(jobs)}", duration(total / len(jobs)), duration(total)))
    rows.append(("sum", f"{len(everything)}", "", duration(estimate.sum(everything))))
    left, *widths = [max(len(row[column]) for row in rows) for column in range(4)]
    text = [
        f"{name:{left}}" + "".join(f"{cell:>{width + 3}}" for cell, width in zip(cells, widths, strict=True))
        for name, *cells in rows
    ]
    machine = f"{cores} core{'s' * (cores > 1)}" + f" and {gpus} GPU{'s' * (gpus > 1)}" * (gpus > 0)
    text.append("")
    for name, chosen in ("results/table2.csv", sorted(needed_for("table2", estimate.jobs))), ("everything", everything):
        spent, wall = duration(estimate.sum(chosen)), duration(estimate.wall(chosen, cores, gpus))
        text.append(f"{name}: {len(chosen)} jobs, {spent} of a {'GPU' if gpus else 'core'}; {wall} on {machine}.")
    text.append("")
    return "\n".join([*text, *(textwrap.fill(note, WIDTH) for note in _notes(estimate, device, gpus))])


def _named(config: Mapping[str, Any], kind: str, of: str) -> str:
    """Return what a line is called: a generator by its label, and who needs the training beside it."""
    if kind not in ("training", "drawing"):
        return of
    generators = config["generators"]
    labels = generator_labels(generators)
    users = [labels[name] for name in generators if of in parts(config, name).values()]
    users += [labels[name] for name in generators if name != of and owner(config, name) == of]
    return f"{labels[of]} (for {', '.join(users)})" if users and kind == "training" else labels[of]


def _notes(estimate: Estimate, device: str, gpus: int) -> Iterator[str]:
    """Yield what was measured, scaled and assumed."""
    measured, dataset = estimate.measured, estimate.config["dataset"]
    startup = ", ".join(f"{rule} {seconds:.1f} s" for rule, seconds in measured.startup.items())
    time = "" if gpus else ", in processor time, in which other work counts less than in wall time"
    yield (
        f"Measured on {device}, a job at a time with one thread{time}: a few steps of each training, drawing and "
        f"segmentation; the start-up of a job ({startup})."
    )
    if measured.scaled:
        yield (
            "Scaled by the number of pixels, which tells too little where whole pictures do not fit the processor's "
            f"caches (docs/scaling.md): {'; '.join(measured.scaled)}."
        )
    yield (
        "Assumed: no other work on the machine; jobs side by side do not slow each other down, though they share "
        "memory and caches; tables, image quality, figures and report take their start-up; Snakemake, nothing."
    )
    if measured.features:
        name = estimate.config["table1"]["features"]
        yield f"Assumed of image quality: {measured.features:.2g} s of a core for the features of an image ({name})."
    if not studies_phantom(dataset):
        slices = real_pairs(estimate.config)
        yield f"Assumed of the data: {slices} slices; {OWN_SLICE} s of a core each time that one is read."
    elif dataset["phantom"].get("slices_per_view", PhantomSettings.slices_per_view) is None:
        yield f"Assumed of the phantom: {SLICES} slices with a mass in a view."
