"""pyproject.toml, environment.yml and requirements.lock name one set of packages."""

import re
import tomllib
from pathlib import Path

import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
ENVIRONMENT = yaml.safe_load((ROOT / "environment.yml").read_text())
LOCK = (ROOT / "requirements.lock").read_text()
MACHINES = [  # what a Python says of itself on each kind of machine
    {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix", "platform_machine": "x86_64"},
    {"sys_platform": "darwin", "platform_system": "Darwin", "os_name": "posix", "platform_machine": "arm64"},
    {"sys_platform": "win32", "platform_system": "Windows", "os_name": "nt", "platform_machine": "AMD64"},
]


def by_name(lines: list[str]) -> dict[str, Requirement]:
    requirements = [Requirement(line) for line in lines]
    found = {canonicalize_name(requirement.name): requirement for requirement in requirements}
    assert len(found) == len(requirements)
    return found


def pins(python: str, machine: dict[str, str]) -> dict[str, str]:
    """Return the versions that the lock gives a machine."""
    here = machine | {"python_version": python, "python_full_version": f"{python}.4", "extra": ""}
    found: dict[str, str] = {}
    for line in re.findall(r"^([A-Za-z0-9].*?) *\\$", LOCK, re.MULTILINE):
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate(here):
            name = canonicalize_name(requirement.name)
            assert name not in found, f"{name} is pinned twice"
            (pin,) = requirement.specifier
            assert pin.operator == "=="
            found[name] = pin.version
    return found


def test_the_lock_pins_every_dependency_within_its_range_on_every_kind_of_machine() -> None:
    extras = PROJECT["optional-dependencies"]
    (readers,) = [line for line in extras["test"] if line.startswith(PROJECT["name"])]
    of_readers = [line for extra in Requirement(readers).extras for line in extras[extra]]
    wanted = by_name(PROJECT["dependencies"] + of_readers + [line for line in extras["test"] if line != readers])
    for machine in MACHINES:
        for python in ("3.11", "3.12"):
            found = pins(python, machine)
            for name, requirement in wanted.items():
                assert name in found, f"{name} is not in requirements.lock; run `make lock`"
                assert found[name] in requirement.specifier, f"{name} {found[name]} is out of range; run `make lock`"


def test_torch_and_torchvision_are_a_pair() -> None:
    pairs = {("2.10", "0.25"), ("2.11", "0.26"), ("2.12", "0.27")}  # torchvision's own table of releases
    for machine in MACHINES:
        found = pins("3.11", machine)
        assert tuple(found[name].rpartition(".")[0] for name in ("torch", "torchvision")) in pairs
        assert "+" not in found["torch"] + found["torchvision"]


def test_the_lock_has_hashes_and_no_addresses() -> None:
    for entry in re.split(r"\n(?=\S)", LOCK.strip()):
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", entry), entry.splitlines()[0]
    assert not re.search(r"https?:|file:|git\+|--index|--find-links| @ ", LOCK)


def test_the_lock_can_build_the_project() -> None:
    # `make` installs the project without an isolated build, so that nothing comes in unpinned.
    needed = by_name(tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"])
    for machine in MACHINES:
        found = pins("3.11", machine)
        assert all(found[name] in requirement.specifier for name, requirement in needed.items())


def test_conda_users_get_the_same_set() -> None:
    *packages, pip = ENVIRONMENT["dependencies"]
    *lines, project = pip["pip"]
    assert project == "-e ."
    assert by_name(lines) == by_name(PROJECT["dependencies"])
    python = next(line.partition("=")[2] for line in packages if line.startswith("python="))
    assert python in SpecifierSet(PROJECT["requires-python"])


def test_the_oldest_python_is_the_same_everywhere() -> None:
    assert PROJECT["requires-python"] == ">=3.11"
    makefile = (ROOT / "Makefile").read_text()
    assert "sys.version_info < (3, 11)" in makefile
    assert "--python-version 3.11" in makefile
