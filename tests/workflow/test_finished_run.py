"""The tiny study, really run; then what a change of it would run again."""

import csv
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from snakemake import benchmark
from study_runs import ROOT, TINY, overlay, plan, snakemake

from pig.evaluation.statistics import NEW
from pig.methods.model_folder import classes_in
from pig.report.slices import SLICE_COLUMNS

ALWAYS = {"all": 1, "ledger": 1, "report": 1}
TABLES = {"table1": 1, "quality_table": 1, "table2": 1}
ARMS = ["real", "segguided_8", "pig_8", "pig_24", "oracle_3", "pig_8_shuffled", "real_strong"]
TINY_ARMS = [{"generator": name, "count": count} for name, count in (("segguided", 8), ("pig", 8), ("pig", 24))]


def rows(path: Path) -> list[list[str]]:
    with path.open(newline="") as file:
        return list(csv.reader(file))


def test_tables_have_the_papers_rows(finished: Path) -> None:
    table1, table2 = rows(finished / "results/table1.csv"), rows(finished / "results/table2.csv")
    assert table2[0][:5] == ["Dataset", "Dice (%)", "IoU (%)", "Precision (%)", "Recall (%)"]
    assert [row[0] for row in table2[1:]] == [
        "Tiny", "+SegGuidedDif_8", "+PIG_8", "+PIG_24", "control: +real pairs of 3 new patients",
        "control: +PIG_8, masks shuffled", "control: strong augmentation",
    ]  # fmt: skip
    assert [row[0] for row in table1[1:]] == ["DDPM", "DDIM", "PIG", "LDM", "SegGuidedDif", "ControlNet"]
    for name in ("table1.md", "table1.tex", "table2.md", "table2.tex", "scores.csv", "figures/strip_pig.png",
                 "predictions/real.png", "predictions/pig_8_shuffled.png"):  # fmt: skip
        assert (finished / "results" / name).stat().st_size > 0


def test_networks_are_tested_on_new_patients_without_a_lesion_too(finished: Path) -> None:
    """Two of them, beside the four with one, whose Dice alone is in the tables; by hand, from the counts."""
    (finished_store,) = finished.glob("results/data/test_store/manifest.csv")
    patients = pd.read_csv(finished_store).patient_id.unique()
    assert [*patients] == ["P0012", "P0013", "P0014", "P0015", "N0001", "N0002"]
    runs = pd.concat(map(pd.read_csv, finished.glob("results/segmentation/real/fold*/seed*/new_patients.csv")))
    normal = runs[runs.patient_id.str.startswith("N")]
    assert len(normal) == 2 * 2 and not (normal.tp + normal.fn).any()  # slices, folds
    found = pd.read_csv(finished / "results/measures.csv")
    found = found[(found.tested == NEW) & (found.arm == "Tiny")].set_index("measure")
    assert found["mean"]["false_alarms"] == pytest.approx((normal.fp > 0).mean())
    assert found.patients[["false_alarms", "dice"]].to_list() == [2, 4]
    assert pd.read_csv(finished / "results/cases.csv").case_id.to_list() == [*patients[:4]]


def test_the_quality_of_each_generators_pairs_stands_beside_its_floor(finished: Path) -> None:
    header, *lines = rows(finished / "results/quality.csv")
    assert header == ["generator", "fold", "of", "against", "measure", "value", "low", "high", "floor", "n"]
    assert {line[0] for line in lines} == {"DDPM", "DDIM", "PIG", "LDM", "SegGuidedDif", "ControlNet"}
    assert all(line[8] for line in lines if line[4] in ("fid", "kid"))
    assert {line[0] for line in lines if line[2] == "mask"} == {"PIG"}  # which alone draws its own
    assert "quality.csv" in (finished / "results/report.html").read_text()
    assert (finished / "results/figures/closest_pig_fold0.png").stat().st_size > 0


def test_snakemakes_own_report_holds_the_tables_and_the_figures(finished: Path, tmp_path: Path) -> None:
    run = snakemake(finished, "--configfile", TINY, "--report", tmp_path / "snakemake.html", "--", "all")
    assert run.returncode == 0, run.stdout
    page = (tmp_path / "snakemake.html").read_text()
    for name in ("table1.csv", "table2.csv", "comparisons.csv", "quality.csv", "cost.csv", "report.html",
                 "figures/gallery_pig.png", "figures/strip_pig.png"):  # fmt: skip
        assert f"results/{name}" in page


def test_two_arms_of_ones_choice_are_compared_as_the_page_says(
    finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (block,) = re.findall(r"^```python\n(.*?)^```", (ROOT / "docs/results.md").read_text(), re.M | re.S)
    known: dict[str, Any] = {}
    monkeypatch.chdir(finished)
    exec(block.replace('"segguided_1024", "pig_1024"', '"real", "pig_8"'), known)
    made = pd.read_csv("results/comparisons.csv")
    made = made[(made.tested == NEW) & (made.arm == "+PIG_8") & (made.against == "Tiny")].set_index("metric")
    for column in ("difference", "low_folds", "high_folds", "p"):
        pd.testing.assert_series_equal(known["found"].set_index("metric")[column], made[column])


def test_every_step_leaves_a_log_and_its_costs(finished: Path) -> None:
    assert benchmark.BENCHMARK_INTERVAL_SHORT > 0  # there is still such a number, which the Snakefile sets
    for where in ("fit/controlnet/fold0", "synthesise/pig/fold0/shard1", "segment/pig_24/fold1/seed0", "table2"):
        assert (finished / f"results/logs/{where}.log").exists()
        assert "max_rss" in (finished / f"results/benchmarks/{where}.tsv").read_text()


def test_no_checkpoint_stays(finished: Path) -> None:
    assert not [path for path in (finished / "results/work/models").rglob("*") if path.is_file()]


def test_a_checkpoint_depends_on_the_classes_of_all_parts(finished: Path) -> None:
    assert classes_in(finished / "results/models/controlnet/fold0") == [
        "baselines.autoencoder.Autoencoder",
        "baselines.controlnet.ControlNet",
        "baselines.ldm.UnconditionalLDM",
    ]


def test_a_second_run_has_nothing_to_do(finished: Path) -> None:
    run = snakemake(finished, "--cores", "1", "--configfile", TINY, "--", "all")
    assert run.returncode == 0, run.stdout
    assert "Nothing to be done" in run.stdout


def test_a_file_of_a_fold_reruns_what_depends_on_it_there_and_the_table(finished: Path) -> None:
    again = ["-R", "results/models/pig/fold1", "--configfile", TINY, "--", "results/table2.csv"]
    result = plan(finished, *again)
    assert result.counts == {"fit": 1, "synthesise": 2, "segment": 3, "table2": 1}
    assert all("/fold1" in output for rule, output in result.jobs if rule != "table2")


def test_all_models_and_segmentations_of_a_fold_rerun_the_fold(finished: Path) -> None:
    models = [str(path.relative_to(finished)) for path in sorted(finished.glob("results/models/*/fold1"))]
    slices = [f"results/segmentation/{arm}/fold1/seed0/slices.csv" for arm in ARMS]
    result = plan(finished, "-R", *models, *slices, "--configfile", TINY, "--", "results/table2.csv")
    assert result.counts == {"fit": 2, "synthesise": 3, "segment": len(ARMS), "table2": 1}
    assert all("/fold1" in output for rule, output in result.jobs if rule != "table2")


@pytest.mark.parametrize(
    ("sections", "expected"),
    [
        pytest.param({"dataset": {"name": "Other"}}, {"table2": 1, "overlay": 1}, id="name of the data"),
        pytest.param(
            {"generators": {"segguided": {"label": "Guided"}}}, {"gallery": 1, "overlay": 1} | TABLES, id="label"
        ),
        pytest.param(
            {"generators": {"pig": {"sampling": {"steps": 5}}}},
            {"synthesise": 4, "segment": 6, "fid": 1, "quality": 1, "gallery": 1, "strip": 1, "overlay": 1} | TABLES,
            id="sampling steps of PIG",
        ),
        pytest.param(
            {"generators": {"ddim": {"sampling": {"steps": 5}}}},
            {"synthesise": 1, "fid": 1, "quality": 1, "gallery": 1, "table1": 1, "quality_table": 1},
            id="sampling steps of DDIM, whose model is DDPM's",
        ),
        pytest.param(
            {"generators": {"ldm_base": {"model": {"training": {"steps": 9}}}}},
            # ControlNet stands on this base.
            {"fit": 2, "synthesise": 1, "fid": 1, "quality": 1, "gallery": 1, "table1": 1, "quality_table": 1},
            id="training of a part",
        ),
        pytest.param(
            {"generators": {"pig": {"model": {"training": {"steps": 9}}}}},
            {"fit": 2, "synthesise": 4, "segment": 6, "fid": 1, "quality": 1, "gallery": 1, "strip": 1, "overlay": 1}
            | TABLES,
            id="training of PIG",
        ),
        pytest.param(
            {"segmentation": {"training": {"steps": 9}}},
            # FID measures with the encoder of the real arm.
            {"segment": 14, "overlay": 1, "fid": 6, "quality": 6} | TABLES,
            id="training of the segmentation",
        ),
        pytest.param(
            {"folds": {"seed": 1}},
            {"folds": 1, "fit": 9, "synthesise": 10, "segment": 14, "fid": 6, "quality": 6, "gallery": 6, "strip": 1}
            | {"overlay": 1} | TABLES,
            id="deal of the folds",
        ),
        pytest.param({"segmentation": {"seeds": [0, 1]}}, {"segment": 14, "table2": 1}, id="one more seed"),
        pytest.param(
            {"table2": {"arms": [{"generator": "pig", "count": 24}, {"generator": "pig", "count": 16}]}},
            {"segment": 2, "overlay": 1, "table2": 1},
            id="an arm of pairs that are there",
        ),
        pytest.param(
            {"table2": {"arms": [*TINY_ARMS, {"generator": "pig", "count": 48}]}},
            # The third shard of 16 in two folds; what was drawn before stays, and all that was made from it.
            {"synthesise": 2, "segment": 2, "overlay": 1, "table2": 1},
            id="a larger arm",
        ),
        pytest.param(
            {"dataset": {"new_patients": {"oracle": 4}}},
            # Who is tested comes after them, and so is someone else.
            {"phantom": 2, "preprocess": 2, "segment": 14, "overlay": 1, "fid": 6, "quality": 6} | TABLES,
            id="more new patients",
        ),
        pytest.param(
            {"table2": {"controls": [{"generator": "pig", "count": 24, "real": 0.5}]}},
            {"segment": 2, "overlay": 1, "table2": 1},
            id="another control",
        ),
        pytest.param({"table2": {"arms": TINY_ARMS[:-1]}}, {"overlay": 1, "table2": 1}, id="without the largest arm"),
        pytest.param(
            {"segmentation": {"real_share": 0.5}},
            {"segment": 10, "overlay": 1, "table2": 1},
            id="share of real pairs",
        ),
    ],
)
def test_a_changed_setting_reruns_what_depends_on_it_and_nothing_else(
    finished: Path, tmp_path: Path, sections: dict[str, object], expected: dict[str, int]
) -> None:
    assert plan(finished, *overlay(tmp_path, "changed", **sections), "all").counts == expected | ALWAYS


def test_a_changed_phantom_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    def patients(name: str, **settings: object) -> set[str]:
        small = {"patients": 2, "slices_per_view": 1} | settings
        words = overlay(tmp_path, name, dataset={"phantom": small}, folds={"count": 2})
        run = snakemake(tmp_path, "--cores", "1", *words, "results/data/phantom")
        assert run.returncode == 0, run.stdout
        header, *lines = rows(tmp_path / "results/data/phantom/manifest.csv")
        return {line[header.index("seed")] for line in lines}

    first = patients("first")
    assert len(first) == 2
    assert patients("other", seed=3).isdisjoint(first)
    assert not any((tmp_path / "results/work/phantom").iterdir())


MINE = '''
import numpy as np
import torch
from safetensors.torch import load_file, save_file

from pig.methods.base import Identity, Pairs


class Mean:
    """Draws the average image, with the mask of one pixel."""

    takes_masks = False
    makes_masks = True

    def __init__(self, model, sampling):
        self.image_size = model["image_size"]
        self.identity = Identity()

    def fit(self, pairs, run):
        self.mean = pairs.at(self.image_size).batch(np.arange(len(pairs)))[0].mean(0)

    def sample(self, indices, masks=None):
        images = self.mean.expand(len(indices), -1, -1, -1)
        drawn = torch.zeros(images.shape, dtype=torch.bool)
        drawn[..., 3, 4] = True
        return Pairs(images, drawn)

    def save(self, path):
        save_file({"mean": self.mean}, path / "mean.safetensors")

    @classmethod
    def load(cls, path, model, sampling):
        generator = cls(model, sampling)
        generator.mean = load_file(path / "mean.safetensors")["mean"]
        return generator
'''


def test_a_generator_of_ones_own_is_a_file_and_a_few_lines_of_configuration(finished: Path, tmp_path: Path) -> None:
    (finished / "my_method.py").write_text(MINE)
    mine = {"label": "Mine", "class": "my_method.Mean", "model": {"image_size": 32}, "sampling": {}}
    arms = [{"generator": "mine", "count": 8}]
    words = overlay(tmp_path, "mine", generators={"mine": mine}, table2={"arms": arms}, table1={"generators": ["mine"]})
    target = "results/segmentation/mine_8/fold1/seed0/slices.csv"
    run = snakemake(finished, "--cores", "1", *words, target)
    assert run.returncode == 0, run.stdout
    header, *lines = rows(finished / target)
    assert header == list(SLICE_COLUMNS)
    assert lines

    # A comment is no new method; a new method reruns what it makes, and no data.
    (finished / "my_method.py").write_text(MINE + "# the end\n")
    assert plan(finished, *words, target).counts == {}
    (finished / "my_method.py").write_text(MINE.replace("3, 4", "5, 6"))
    assert plan(finished, *words, target).counts == {"fit": 1, "synthesise": 1, "segment": 1}
