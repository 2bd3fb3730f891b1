"""Snakemake as a user calls it."""

import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import yaml

ROOT = Path(__file__).resolve().parents[1]
TINY = ROOT / "workflow" / "configs" / "tiny.yaml"


class Plan(NamedTuple):
    """What a dry-run would do: the output of each job, by rule."""

    jobs: list[tuple[str, str]]
    text: str

    @property
    def counts(self) -> Counter[str]:
        return Counter(rule for rule, _ in self.jobs)

    @property
    def outputs(self) -> list[str]:
        return [output for _, output in self.jobs]


def command(directory: Path, *words: str | Path) -> list[str]:
    """Return the words that run Snakemake in ``directory``."""
    program = Path(sys.executable).with_name("snakemake")
    return [*map(str, [program, "--snakefile", ROOT / "Snakefile", "--directory", directory, *words])]


def snakemake(directory: Path, *words: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Snakemake in ``directory``; stdout and stderr come together as stdout."""
    return subprocess.run(
        command(directory, *words),
        env=os.environ | {"PIG_GPUS": "0"} | environment,
        cwd=directory,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def plan(directory: Path, *words: str | Path, **environment: str) -> Plan:
    """Return what Snakemake would do."""
    run = snakemake(directory, "--dry-run", *words, **environment)
    assert run.returncode == 0, run.stdout
    blocks = re.findall(r"^(?:local)?rule (\w+):\n(.*?)(?=^\[|\Z|^Job stats)", run.stdout, re.M | re.S)
    jobs = []
    for rule, block in blocks:
        output = re.search(r"^    output: (.*)$", block, re.M)
        jobs.append((rule, output[1] if output else ""))
    return Plan(jobs, run.stdout)


def overlay(directory: Path, name: str, **sections: object) -> list[str | Path]:
    """Write a study that lies over the tiny one; return the words that name both."""
    file = directory / f"{name}.yaml"
    file.write_text(yaml.safe_dump(sections))
    return ["--configfile", TINY, file, "--"]
