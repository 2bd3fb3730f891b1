"""What profiles and rules must hold and must not, because of what schedulers make of it."""

import re

import pytest
import yaml
from study_runs import ROOT


def profile(name: str) -> dict[str, object]:
    content: dict[str, object] = yaml.safe_load((ROOT / f"profiles/{name}/profile.yaml").read_text())
    return content


@pytest.mark.parametrize("name", ["slurm", "kubernetes"])
def test_retries_stand_in_profiles_and_in_no_rule(name: str) -> None:
    # Those of a rule are taken at each level of submission, so that they multiply.
    assert profile(name)["retries"] == 2
    for file in (ROOT / "workflow/rules").glob("*.smk"):
        assert not re.search(r"^\s+retries:", file.read_text(), re.M), file


def test_slurm_is_asked_with_squeue() -> None:
    # sacct waits for ever where there is no accounting.
    assert profile("slurm")["slurm-status-command"] == "squeue"


@pytest.mark.parametrize("name", ["default", "slurm", "kubernetes"])
def test_incomplete_files_are_made_again_and_never_kept(name: str) -> None:
    assert profile(name)["rerun-incomplete"] is True
    assert "keep-incomplete" not in profile(name)
