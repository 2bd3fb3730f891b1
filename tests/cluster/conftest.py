"""A real Slurm of one node, where Debian's packages can be had."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PACKAGES = ["slurmctld", "slurmd", "slurm-client", "munge"]
IN_USE = 3  # what slurm-up.sh returns where another Slurm is configured


@pytest.fixture(scope="session")
def slurm_packages() -> None:
    """Install Slurm, once; skip where that is not ours to do."""
    if shutil.which("slurmctld") and shutil.which("slurmd") and shutil.which("munged"):
        return
    if not shutil.which("apt-get"):
        pytest.skip("Slurm's packages are not installed, and there is no apt-get to install them")
    if os.geteuid() != 0:
        pytest.skip(f"Slurm is not installed, and only root may: apt-get install {' '.join(PACKAGES)}")
    for words in (["update"], ["install", "-y", "--no-install-recommends", *PACKAGES]):
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        done = subprocess.run(["apt-get", *words], env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"Slurm's packages cannot be had here: {done.stderr.strip()[-300:]}")


@pytest.fixture
def slurm(request: pytest.FixtureRequest, slurm_packages: None) -> Iterator[None]:
    """A running Slurm whose one node has as many pretended GPUs as the parameter says."""
    if os.geteuid() != 0:
        pytest.skip("only root can start Slurm's daemons")
    started = subprocess.run([HERE / "slurm-up.sh", str(request.param)], capture_output=True, text=True, check=False)
    if started.returncode == IN_USE:
        pytest.skip(started.stderr.strip())
    assert started.returncode == 0, started.stderr
    yield
    subprocess.run(["scancel", "--state=PENDING", "--state=RUNNING", "--user=root"], check=False)
    subprocess.run([HERE / "slurm-down.sh"], check=True)
