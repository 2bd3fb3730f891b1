"""The configuration that a run leaves with its results: whole, the same study again, and no reason for a rerun."""

import contextlib
import importlib.metadata
import shutil
import subprocess
from pathlib import Path

import yaml
from small_study import TABLES
from study_runs import ROOT, TINY, overlay, plan, snakemake

from pig.study.merged import MERGED, merged_config, read_configs, write_config
from pig.system.commit import commit_of

FILES = [TINY, ROOT / "tests/small.yaml"]


def test_a_run_leaves_what_all_its_files_give(small_run: Path) -> None:
    text = (small_run / MERGED).read_text()
    assert yaml.safe_load(text) == read_configs([ROOT / "config.yaml", *FILES])
    header = [line for line in text.splitlines() if line.startswith("#")]
    assert f"pig {importlib.metadata.version('pig-benchmark')}" in header[-1]
    assert commit_of(ROOT) in header[-1]


def test_the_file_is_the_same_study_again_and_a_dry_run_does_not_write_it(small_run: Path, tmp_path: Path) -> None:
    study = shutil.copytree(small_run, tmp_path / "study", symlinks=True)
    (study / MERGED).rename(study / "again.yaml")
    assert "Nothing to be done" in plan(study, "--configfile", study / "again.yaml", "--", *TABLES).text
    assert not (study / MERGED).exists()


def test_a_change_of_the_file_reaches_all_that_follow_it(tmp_path: Path) -> None:
    """The size of the study is written once, as its files have it, and not at each model."""
    (tmp_path / "table.csv").write_text("image_path,mask_path,patient_id\na.png,b.png,p\n")
    given = {"dataset": {"manifest": "table.csv"}, "generators": {"ddpm": {"model": {"image_size": 16}}}}
    words = overlay(tmp_path, "study", **given, synthesis={"shard_size": 32.0})
    assert "table.csv" in snakemake(tmp_path, "--cores", "1", *words, "verdict").stdout  # no picture is there
    study, larger = tmp_path / MERGED, tmp_path / "larger.yaml"
    larger.write_text("image_size: 96\n")
    with contextlib.chdir(tmp_path):
        assert merged_config([study]) == merged_config([TINY, tmp_path / "study.yaml"])
        config = merged_config([study, larger])
    sections = {name: entry["model"] for name, entry in config["generators"].items() if "model" in entry}
    sizes = {name: model["image_size"] for name, model in sections.items() if "image_size" in model}
    assert sizes == {"pig": 96, "ddpm": 16, "autoencoder": 96, "segguided": 96}
    assert config["segmentation"]["image_size"] == config["image_size"] == 96


def test_what_is_written_comes_back(tmp_path: Path) -> None:
    shared = {"rate": 1e-06, "name": "Å: {#1}", "none": None, "list": [1, 2.5, True, "yes", "1e-3"]}
    with contextlib.chdir(tmp_path):
        write_config({"b": shared, "a": shared}, tmp_path)
        text = MERGED.read_text(encoding="utf-8")
    assert yaml.safe_load(text) == {"b": shared, "a": shared}
    assert text.index("\nb:") < text.index("\na:") and "&id" not in text
    assert "commit" not in text


def test_the_commit_is_that_of_the_folder_itself(tmp_path: Path) -> None:
    def git(*words: str) -> str:
        own = ["-c", "user.name=a", "-c", "user.email=a@b"]
        return subprocess.run(["git", *own, *words], cwd=tmp_path, capture_output=True, text=True, check=True).stdout

    assert commit_of(tmp_path) == ""
    git("init")
    assert commit_of(tmp_path) == ""  # there is none yet
    (tmp_path / "inner").mkdir()
    (tmp_path / "file").write_text("1")
    git("add", "file")
    git("commit", "-m", "one")
    head = git("rev-parse", "HEAD").strip()
    assert commit_of(tmp_path) == head
    git("tag", "v1")
    assert commit_of(tmp_path) == head
    (tmp_path / "file").write_text("2")
    assert commit_of(tmp_path) == f"{head}-dirty"
    assert commit_of(tmp_path / "inner") == ""
