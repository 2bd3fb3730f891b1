"""The jobs that are counted from a configuration are those that Snakemake plans, and when they are done."""

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml
from study_runs import ROOT, TINY, plan

from pig.study.jobs import Job, counts_drawn, jobs_of, needed_for, results_of
from pig.study.memory import ASSUMED_PAIRS, real_pairs
from pig.study.merged import merged_config
from pig.study.schedule import ON_GPU, THREADS, makespan
from pig.system.errors import UserError

OTHER = {  # needs and shards of all kinds, and rows that only one of the tables has
    "folds": {"count": 3},
    "dataset": {"new_patients": {"oracle": 0, "test": 4, "normal": 0}},
    "segmentation": {"seeds": [0, 5]},
    "synthesis": {"shard_size": 10},
    "generators": {
        "guided": {
            "class": "baselines.segguided.SegGuidedDif", "model_of": "segguided", "masks": {"from": "drawer"},
            "sampling": {"steps": 2},
        },
        "drawer": {"class": "pig.methods.pig.PIG", "model_of": "pig", "sampling": {"steps": 2}},  # in no table
    },
    "table1": {"generators": ["ddim", "controlnet", "pig"], "count": 25, "folds": [2, 1]},
    "table2": {"arms": [{"generator": name, "count": n} for name, n in (("guided", 14), ("pig", 9), ("ldm", 21))]},
}  # fmt: skip
ALL = {"all"}  # the rule that only names files


def written(folder: Path, name: str, sections: dict[str, Any]) -> Path:
    file = folder / name
    file.write_text(yaml.safe_dump(sections))
    return file


def own_data(folder: Path, **dataset: Any) -> Path:
    (folder / "mine.csv").write_text("image_path,mask_path,patient_id\n")
    sections = {"dataset": {"name": "Mine", **dataset}}
    return written(folder, "own.yaml", sections)


def planned(folder: Path, files: list[Path], *target: str) -> Counter[str]:
    counts = plan(folder, "--configfile", *files, "--", *(target or ("all",))).counts
    return Counter({rule: count for rule, count in counts.items() if rule not in ALL})


@pytest.mark.parametrize("sections", [{}, OTHER], ids=["tiny", "other"])
def test_the_jobs_are_those_of_a_dry_run(tmp_path: Path, sections: dict[str, Any]) -> None:
    files = [TINY, written(tmp_path, "other.yaml", sections)]
    jobs = jobs_of(merged_config(files))
    assert Counter(job.rule for job in jobs) == planned(tmp_path, files)
    of_table2 = needed_for("table2", jobs)
    assert Counter(jobs[number].rule for number in of_table2) == planned(tmp_path, files, "results/table2.csv")


@pytest.mark.parametrize("dataset", [{"manifest": "mine.csv"}, {"manifest": "mine.csv", "salt": "salt"}])
def test_so_are_those_of_own_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dataset: dict[str, Any]) -> None:
    files = [TINY, own_data(tmp_path, **dataset)]
    monkeypatch.chdir(tmp_path)
    counts = Counter(job.rule for job in jobs_of(merged_config(files)))
    assert counts == planned(tmp_path, files)
    assert counts["check"] == 1 and counts["phantom"] == 0
    assert counts["import_data"] == len(dataset) - 1


@pytest.mark.parametrize("sections", [{}, OTHER], ids=["tiny", "other"])
def test_the_results_are_those_of_a_dry_run(tmp_path: Path, sections: dict[str, Any]) -> None:
    files = [TINY, written(tmp_path, "other.yaml", sections)]
    outputs = {name for output in plan(tmp_path, "--configfile", *files).outputs for name in output.split(", ")}
    kinds = r"results/(segmentation/.*/record\.json|models/.*|synthetic/.*|figures/.*)"
    named = {name.removeprefix("results/") for name in outputs if re.fullmatch(kinds, name)}
    assert results_of(merged_config(files)) == named


def test_whose_jobs_they_are_and_what_they_wait_for() -> None:
    jobs = jobs_of(merged_config([TINY]))
    assert all(need < number for number, job in enumerate(jobs) for need in job.needs)
    fits = Counter(job.of for job in jobs if job.rule == "fit")
    # Two folds of the arms' generators; of those for table 1 alone, and of their parts, the fold that it shows.
    alone = dict.fromkeys(["ddpm", "autoencoder", "ldm", "ldm_base", "controlnet"], 1)
    assert fits == {"pig": 2, "segguided": 2} | alone
    (control,) = [job for job in jobs if job.rule == "fit" and job.of == "controlnet"]
    (base,) = [jobs[need] for need in control.needs if jobs[need].rule == "fit"]
    assert base.of == "ldm_base"
    (ddim,) = [job for job in jobs if job.rule == "synthesise" and job.of == "ddim"]
    assert "ddpm" in [jobs[need].of for need in ddim.needs]
    arm = next(job for job in jobs if job.rule == "segment" and job.of == "pig_24")
    assert [jobs[need].rule for need in arm.needs].count("synthesise") == 2  # shards of 16
    assert counts_drawn(merged_config([TINY]))["pig"] == {0: 24, 1: 24}


def test_pairs_whose_masks_are_given_are_drawn_first(tmp_path: Path) -> None:
    config = merged_config([TINY, written(tmp_path, "other.yaml", OTHER)])
    assert counts_drawn(config)["drawer"] == counts_drawn(config)["guided"] == dict.fromkeys(range(3), 14)
    jobs = jobs_of(config)
    drawn = [job for job in jobs if job.of == "guided" and job.rule == "synthesise"]
    assert len(drawn) == 2 * 3  # shards of 10, three folds
    below = [need for job in drawn for need in job.needs if jobs[need].of == "drawer"]
    assert sorted(below) == [n for n, job in enumerate(jobs) if job.of == "drawer" and job.rule == "synthesise"]


def test_threads_are_those_of_the_rules(tmp_path: Path) -> None:
    said = plan(tmp_path, "--cores", "16", "--configfile", TINY, PIG_GPUS="1").text
    blocks = re.findall(r"^(?:local)?rule (\w+):\n(.*?)(?=^\[|\Z|^Job stats)", said, re.M | re.S)
    assert len(blocks) > 50
    for rule, block in blocks:
        threads = re.search(r"^    threads: (\d+)$", block, re.M)
        assert int(threads[1] if threads else 1) == THREADS.get(rule, 1), rule
        assert ("gpu=1" in block) == (rule in ON_GPU), rule
    rules = "".join(file.read_text() for file in (ROOT / "workflow/rules").glob("*.smk"))
    assert rules.count("threads: 8") == len(THREADS)


CHAIN = [
    Job("phantom", "", ()),
    *[Job("fit", "a", (0,)), Job("fit", "b", (0,)), Job("fit", "c", (0,))],
    Job("table2", "", (1, 2, 3)),
]  # fmt: skip
SECONDS = [10.0, 3.0, 4.0, 5.0, 1.0]


@pytest.mark.parametrize(
    ("cores", "gpus", "seconds"),
    [
        (1, 0, 10 + 3 + 4 + 5 + 1),
        (2, 0, 10 + (3 + 5) + 1),  # c follows a
        (8, 0, 10 + 5 + 1),
        (8, 1, 10 + 3 + 4 + 5 + 1),  # the GPU is what is short
        (1, 8, 10 + 3 + 4 + 5 + 1),
    ],
)
def test_when_jobs_are_done(cores: int, gpus: int, seconds: float) -> None:
    assert makespan(CHAIN, SECONDS, cores, gpus) == seconds


def test_a_job_of_many_threads_waits_for_all_cores() -> None:
    jobs = [Job("fit", "", ()), Job("phantom", "", ()), Job("fit", "", ())]
    assert makespan(jobs, [3, 10, 4], 2, 0) == 4 + 10  # both trainings first, since the phantom does not fit beside
    assert makespan(jobs, [3, 10, 4], 16, 0) == 10


def test_files_lie_over_each_other_as_in_snakemake(tmp_path: Path) -> None:
    first = written(tmp_path, "a.yaml", {"folds": {"count": 3}, "table2": {"arms": [{"generator": "pig", "count": 7}]}})
    second = written(tmp_path, "b.yaml", {"folds": {"seed": 9}})
    merged = merged_config([first, second])
    assert merged["folds"] == {"count": 3, "seed": 9}
    assert merged["table2"]["arms"] == [{"generator": "pig", "count": 7}]  # lists are replaced
    assert merged["synthesis"]["shard_size"] == 1024


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, r"absent\.yaml cannot be read .*No such file"),
        ("folds:\n  [", r"absent\.yaml cannot be read \(line 2: expected the node content"),
        ('a: "(\\d)"', r"\(line 1: found unknown escape character 'd': a pattern stands in single quotes\)"),
        ("folds: {cuont: 2}", "folds.cuont is not a known key; did you mean count?"),
        ("generators: {pig: {model: {image_size: 50}}}", "generators.pig.model.image_size: must be a multiple of 8"),
    ],
)
def test_a_wrong_configuration_is_a_sentence(tmp_path: Path, text: str | None, sentence: str) -> None:
    file = tmp_path / "absent.yaml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(UserError, match=sentence):
        merged_config([file])


def test_a_cost_is_told_of_data_that_are_not_there(tmp_path: Path) -> None:
    dataset = {"import": {"from": "folders", "root": "nowhere", "patient": "^(.+)_"}}
    weights = {"features": "inception", "feature_weights": "nowhere.pth"}
    file = written(tmp_path, "own.yaml", {"dataset": dataset, "table1": weights})
    with pytest.raises(UserError, match=r"(?s)root: nothing is at 'nowhere'.*weights: there is no file 'nowhere\.pth'"):
        merged_config([TINY, file])
    assert real_pairs(merged_config([TINY, file], there=False)) == ASSUMED_PAIRS
    with pytest.raises(UserError, match="folds.cuont"):
        merged_config([TINY, written(tmp_path, "wrong.yaml", {"folds": {"cuont": 2}})], there=False)
