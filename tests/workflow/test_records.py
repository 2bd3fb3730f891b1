"""Snakemake's records lie with the results: they survive a copy of these, and the end of `.snakemake`."""

import shutil
from base64 import urlsafe_b64encode
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from small_study import CONFIGS, TABLES
from snakemake.persistence.file import FilePersistence
from study_runs import ROOT, Plan, plan, snakemake

from pig.study.records import record_name

TRAINED_AGAIN = {"fit": 2, "synthesise": 4, "segment": 2, "fid": 1, "gallery": 1, "table1": 1, "table2": 1}
ALL = TRAINED_AGAIN | {"phantom": 1, "preprocess": 1, "folds": 1, "segment": 4}
LINK = Path(".snakemake/metadata")


@pytest.fixture
def study(small_run: Path, tmp_path: Path) -> Path:
    """The finished small study, copied as it is."""
    return shutil.copytree(small_run, tmp_path / "study", symlinks=True)


def planned(directory: Path, overlay: str = "", *words: str) -> Plan:
    """Plan the tables of the small study with ``overlay`` laid over it."""
    (directory / "overlay.yaml").write_text(overlay or "{}")
    return plan(directory, *words, *CONFIGS, directory / "overlay.yaml", "--", *TABLES)


@pytest.mark.parametrize(
    ("overlay", "expected"),
    [
        pytest.param("", {}, id="nothing"),
        pytest.param("generators: {pig: {model: {training: {steps: 9}}}}", TRAINED_AGAIN, id="model"),
        pytest.param("dataset: {phantom: {seed: 3}}", ALL, id="phantom"),
        pytest.param("generators: {pig: {label: P}}", {"gallery": 1, "table1": 1, "table2": 1}, id="label"),
    ],
)
def test_without_snakemakes_folder_changes_are_seen(study: Path, overlay: str, expected: dict[str, int]) -> None:
    shutil.rmtree(study / ".snakemake")
    assert planned(study, overlay).counts == expected


def test_results_alone_can_be_copied_elsewhere(study: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    shutil.copytree(study / "results", other / "results")
    assert "Nothing to be done" in planned(other).text
    assert planned(other, "folds: {seed: 7}").counts == TRAINED_AGAIN | {"folds": 1, "segment": 4}


def test_a_copy_without_its_links_keeps_one_set_of_records(study: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(study, tmp_path / "copy")
    assert (copy / LINK).is_dir() and not (copy / LINK).is_symlink()
    assert "Nothing to be done" in planned(copy).text
    assert (copy / LINK).readlink() == Path("../results/metadata")


def test_records_made_before_they_lay_with_the_results_are_moved_there(study: Path) -> None:
    (study / LINK).unlink()
    (study / "results/metadata").rename(study / LINK)
    before = {path.name for path in (study / LINK).iterdir()}
    assert "Nothing to be done" in planned(study).text
    run = snakemake(study, "--cores", "1", "--forcerun", "table1", *CONFIGS, "--", *TABLES)
    assert run.returncode == 0, run.stdout
    assert (study / LINK).readlink() == Path("../results/metadata")
    assert {path.name for path in (study / "results/metadata").iterdir()} == before


def test_deleted_results_are_made_again(study: Path) -> None:
    shutil.rmtree(study / "results")
    assert planned(study).counts == ALL


def test_what_has_no_record_is_refused_until_it_is_accepted(study: Path) -> None:
    model = urlsafe_b64encode(b"results/models/pig/fold1").decode()
    (study / "results/metadata" / model).unlink()
    words = [*CONFIGS, "--", *TABLES]
    refused = snakemake(study, "--dry-run", *words)
    assert refused.returncode != 0
    assert "results/models/pig/fold1: results/metadata has no record of how this was made" in refused.stdout
    assert "`--touch --forceall`" in refused.stdout
    assert "Traceback" not in refused.stdout

    # A job that was killed has none either; Snakemake knows of it, and runs it again.
    killed = study / ".snakemake/incomplete" / model
    killed.write_text('{"external_jobid": null}')
    assert planned(study).counts["fit"] == 1
    killed.unlink()

    accepted = snakemake(study, "--cores", "1", "--touch", "--forceall", *words)
    assert accepted.returncode == 0, accepted.stdout
    assert "Nothing to be done" in planned(study).text
    assert planned(study, "generators: {pig: {model: {training: {steps: 9}}}}").counts == TRAINED_AGAIN


@given(path=st.text(min_size=1, max_size=700))
@example(path="results/data/phantom")
@example(path="results/" + "x" * 600)
def test_records_have_the_names_that_snakemake_gives_them(path: str) -> None:
    assert str(record_name(path)) == FilePersistence._record_path(Names(), "", path)


class Names(FilePersistence):
    """Snakemake's way to name records, without a folder of them."""

    def __init__(self) -> None:
        self._max_len = 255


def test_outputs_of_another_study_are_left_alone(study: Path) -> None:
    stray = study / "results/segmentation/ldm_7/fold0/seed0"
    stray.mkdir(parents=True)
    (stray / "slices.csv").write_text("of an arm that this study does not have\n")
    assert "Nothing to be done" in planned(study).text


def test_a_dry_run_of_a_new_study_writes_no_results(tmp_path: Path) -> None:
    plan(tmp_path, "--configfile", ROOT / "workflow/configs/tiny.yaml")
    assert not (tmp_path / "results").exists()
