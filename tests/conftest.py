"""What all tests share: one thread, no time limits, finished runs of two studies, and how they are spread."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
import torch
import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # the modules of the folder `workflow` are not installed
sys.path[:0] = [str(ROOT / "tests/data"), str(ROOT / "tests/readers")]  # their helpers serve the workflow's tests too

from spread import group, turn  # noqa: E402
from study_runs import TINY, snakemake  # noqa: E402

hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")
torch.set_num_threads(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: turn(item.path))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    from xdist.scheduler import LoadScopeScheduling

    class InGroups(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return group(config.rootpath / nodeid.partition("::")[0])

    return InGroups(config, log)


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Notes of verified stores go to a folder of the tests, also those of the processes that they start."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The working directory of a finished run of the tiny study; its name has a space."""
    directory = tmp_path_factory.mktemp("a study")
    run = snakemake(directory, "--cores", "2", "--configfile", TINY, "--", "all")
    assert run.returncode == 0, run.stdout
    return directory


@pytest.fixture(scope="session")
def small_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The working directory of a finished run of the small study; to be read, not to be changed."""
    from small_study import TABLES, run

    directory = tmp_path_factory.mktemp("small")
    status, said = run(directory, "--", *TABLES)
    assert status == 0, said
    return directory


@pytest.fixture
def longer_study(small_run: Path, tmp_path: Path) -> Path:
    """A copy of the finished small study, whose PIG trains longer now."""
    directory = tmp_path / "study"
    shutil.copytree(small_run, directory)
    (directory / "out.txt").unlink()
    longer = {"generators": {"pig": {"model": {"training": {"steps": 1500, "checkpoint_every": 100}}}}}
    (directory / "longer.yaml").write_text(yaml.safe_dump(longer))
    return directory
