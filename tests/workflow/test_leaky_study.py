"""The small study with a leaky control and with given masks, really run on what is finished of it."""

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from small_study import CONFIGS
from study_runs import plan, snakemake

from pig.data.shards import read_provenance
from pig.report.audit import audit
from pig.steps.report import report
from pig.study.merged import merged_config

TARGET = "results/table2.csv"
GUIDED = {
    "label": "Guided", "class": "baselines.segguided.SegGuidedDif", "model_of": "segguided", "sampling": {"steps": 4},
    "masks": {"from": "pig"},
}  # fmt: skip
CONTROLS = [{"generator": name, "count": 8} for name in ("guided", "pig_leaky")]


def words(folder: Path, masks: object = GUIDED["masks"], **pig: object) -> list[str]:
    """Return the words of a study that lies over the small one: with both controls, and these changes."""
    leaky = merged_config([Path(file) for file in CONFIGS[1:]])["generators"]["pig"] | {"leaky": True}
    generators = {"guided": GUIDED | {"masks": masks}, "pig_leaky": leaky, "pig": pig}
    file = folder / "arms.yaml"
    file.write_text(yaml.safe_dump({"generators": generators, "table2": {"controls": CONTROLS}}))
    return [*CONFIGS, str(file), "--", TARGET]


@pytest.fixture(scope="module")
def study(small_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the finished small study with both controls in its table."""
    folder = shutil.copytree(small_run, tmp_path_factory.mktemp("leaky") / "study")
    given = words(folder)
    # All that was drawn, trained and segmented stays.
    assert plan(folder, *given).counts == {"fit": 2 + 2, "synthesise": 4, "segment": 4, "gallery": 2, "table2": 1}
    run = snakemake(folder, "--cores", "2", *given)
    assert run.returncode == 0, run.stdout
    return folder


def test_the_row_of_a_leaky_control_is_marked_in_every_table(study: Path, tmp_path: Path) -> None:
    with (study / TARGET).open(newline="") as file:
        labels = [row[0] for row in csv.reader(file)]
    assert labels[-2:] == ["control: +Guided_8", "control: +leaky PIG_8"]
    assert "| control: +leaky PIG_8 " in (study / "results/table2.md").read_text()
    assert r"control: +leaky PIG\_8 " in (study / "results/table2.tex").read_text()
    report(results=study / "results", config={}, out=tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert '<tr class="control"><td>control: +leaky PIG_8</td>' in page
    assert "none but the leaky controls below learnt from a patient it was tested on" in page
    assert page.count("models/pig_leaky/fold0 learnt from test patient") == 1


def test_the_records_say_who_is_leaky(study: Path) -> None:
    found = audit(study / "results")
    assert found.leaks == []
    assert [sentence.split(" ")[0].rpartition("models/")[2] for sentence in found.leaky] == [
        "pig_leaky/fold0", "pig_leaky/fold1",
    ]  # fmt: skip
    said = [read_provenance(study / f"results/synthetic/{name}/fold1/shard0.npz") for name in ("pig_leaky", "guided")]
    assert [shard.get("leaky") for shard in said] == [True, None]


def test_pair_i_is_drawn_for_the_mask_of_pair_i(study: Path) -> None:
    for fold in (0, 1):
        shards = [study / f"results/synthetic/{name}/fold{fold}/shard0.npz" for name in ("pig", "guided")]
        source, guided = map(np.load, shards)
        assert np.array_equal(source["masks"], guided["masks"]) and source["masks"].any()
        assert not np.array_equal(source["images"], guided["images"])


def test_what_changes_redraws_what_depends_on_it(study: Path, tmp_path: Path) -> None:
    jitter = plan(study, *words(tmp_path, masks={"jitter": True}))
    assert jitter.counts == {"synthesise": 2, "segment": 2, "gallery": 1, "table2": 1}
    assert jitter.text.count(" --jitter-masks ") == 2
    # PIG's two shards of each fold, and the one that is drawn for the masks of the first; the arms of both.
    steps = plan(study, *words(tmp_path, sampling={"steps": 5}))
    assert steps.counts == {"synthesise": 4 + 2, "segment": 2 + 2, "gallery": 2, "table2": 1}
